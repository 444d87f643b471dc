//! Sealing of bodies, with the raw cipher beside it.
//!
//! Suite 1 is all that a message costs: body key, nonce, bound context, a vector for the result;
//! at rest the same with the key of the store. The raw cipher works in place in a reused buffer.
//! To encapsulate and to decapsulate happens once for each conversation and day.

#![allow(missing_docs, reason = "a benchmark")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark: it fails aloud"
)]

use std::hint::black_box;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};
use rand_core::{Rng, SeedableRng};
use skychat_benches::{Asked, Better, Report, Row, cpu_seconds_each, in_turn};
use skychat_identity::SecretKey;
use skychat_seal::{AAD_LEN, EntryAad, Opener, SealError, SealInfo, Sealer, StoreKey};

const SIZES: [(usize, &str); 3] = [(256, "256 B"), (1024, "1 KiB"), (4096, "4 KiB")];

/// Rounds, and how long each sample takes.
const WHOLE: (usize, Duration) = (21, Duration::from_millis(20));
/// Shows that it runs.
const TEST: (usize, Duration) = (1, Duration::from_micros(1));

/// What is measured in turn: raw, suite 1, at rest.
type Work<'a> = [Box<dyn FnMut() + 'a>; 3];

fn main() {
    let mut asked = Asked::of_command_line();
    let mut report = Report::new("seal");
    if asked.measures("seal/bodies") {
        report.section("Seal a body", RAW);
        for (size, name) in SIZES {
            seals(&asked, &mut report, size, name);
        }
        report.section("Open a body", RAW);
        for (size, name) in SIZES {
            opens(&asked, &mut report, size, name);
        }
    }
    if asked.measures("seal/encapsulation") {
        report.section("Once for each conversation and day", "");
        encapsulation(&asked, &mut report);
    }
    asked.finish(&report).unwrap();
}

const RAW: &str = "XChaCha20-Poly1305 in place";

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([3; 32])
}

fn info() -> (SealInfo, SecretKey) {
    let recipient = SecretKey::from_seed([2; 32]);
    let info = SealInfo {
        space: [9; 32],
        author: SecretKey::from_seed([1; 32]).public(),
        recipient: recipient.public(),
        incarnation: [7; 8],
    };
    (info, recipient)
}

const ENTRY: EntryAad = EntryAad {
    stream: 1,
    seq: 1,
    message: [5; 16],
    kind: 1,
};

/// Seals, with a new sealer when the old one has done its thousand: as in earnest.
fn seal(
    sealer: &mut Sealer,
    rng: &mut ChaCha20Rng,
    text: &[u8],
    body: &mut Vec<u8>,
) -> Result<(), SealError> {
    if sealer.expired(0) {
        *sealer = Sealer::new(rng, sealer.info(), 0)?;
    }
    body.clear();
    sealer.seal(rng, &ENTRY, text, body)
}

fn rows(asked: &Asked, report: &mut Report, does: &str, name: &str, mut work: Work<'_>) {
    let (rounds, span) = asked.amount(WHOLE, TEST);
    let ns: [f64; 3] = in_turn(rounds, |n| cpu_seconds_each(span, &mut work[n]) * 1e9);
    let [raw, suite_1, at_rest] = ns;
    let size = name.replace(' ', "");
    let id = |which: &str| format!("{does}/{which}/{size}");
    report.row(Row::shown(id("raw"), format!("raw, {name}"), raw, "ns"));
    for (which, what, took) in [
        ("suite-1", "suite 1", suite_1),
        ("store", "at rest", at_rest),
    ] {
        let row = Row::shown(id(which), format!("{what}, {name}"), took, "ns");
        report.row(row.ratio(raw / took, Better::Higher));
    }
}

fn seals(asked: &Asked, report: &mut Report, size: usize, name: &str) {
    let (info, _) = info();
    let text = vec![0x41; size];
    let cipher = XChaCha20Poly1305::new(&[1; 32].into());
    let (mut of_raw, mut of_suite, mut of_store) = (rng(), rng(), rng());
    let mut sealer = Sealer::new(&mut of_suite, &info, 0).unwrap();
    let key = StoreKey::generate(&mut of_store);
    let mut buffer = text.clone();
    let (mut body, mut record) = (Vec::new(), Vec::new());
    let work: Work<'_> = [
        Box::new(|| {
            let mut nonce = [0; 24];
            of_raw.fill_bytes(&mut nonce);
            let text = black_box(&mut buffer[..]).into();
            let tag = cipher.encrypt_inout_detached(&XNonce::from(nonce), &[0; AAD_LEN], text);
            black_box(tag).unwrap();
        }),
        Box::new(|| {
            seal(&mut sealer, &mut of_suite, black_box(&text), &mut body).unwrap();
        }),
        Box::new(|| {
            record.clear();
            let sealed = key.seal(&mut of_store, &PLACE, black_box(&text), &mut record);
            sealed.unwrap();
        }),
    ];
    rows(asked, report, "seal", name, work);
}

/// Where a record lies that is sealed at rest.
const PLACE: [&[u8]; 3] = [b"content", &[0; 80], &[1; 32]];

fn opens(asked: &Asked, report: &mut Report, size: usize, name: &str) {
    let (info, recipient) = info();
    let secret = recipient.x25519();
    let text = vec![0x41; size];
    let mut rng = rng();
    let cipher = XChaCha20Poly1305::new(&[1; 32].into());
    let nonce = XNonce::from([2; 24]);
    let mut sealed = text.clone();
    let tag = cipher.encrypt_inout_detached(&nonce, &[0; AAD_LEN], (&mut sealed[..]).into());
    let tag = tag.unwrap();
    let mut sealer = Sealer::new(&mut rng, &info, 0).unwrap();
    let (mut body, mut record) = (Vec::new(), Vec::new());
    seal(&mut sealer, &mut rng, &text, &mut body).unwrap();
    let key = StoreKey::generate(&mut rng);
    key.seal(&mut rng, &PLACE, &text, &mut record).unwrap();
    let mut opener = Opener::new();
    let mut buffer = vec![0; size];
    let work: Work<'_> = [
        Box::new(|| {
            // The ciphertext again: opening works in place.
            buffer.copy_from_slice(&sealed);
            let text = black_box(&mut buffer[..]).into();
            let opened = cipher.decrypt_inout_detached(&nonce, &[0; AAD_LEN], text, &tag);
            opened.unwrap();
        }),
        Box::new(|| {
            let opened = opener.open(&secret, &info, &ENTRY, black_box(&body));
            drop(black_box(opened.unwrap()));
        }),
        Box::new(|| {
            drop(black_box(key.open(&PLACE, black_box(&record)).unwrap()));
        }),
    ];
    rows(asked, report, "open", name, work);
}

fn encapsulation(asked: &Asked, report: &mut Report) {
    let (info, recipient) = info();
    let secret = recipient.x25519();
    let (mut of_sealer, mut rng) = (rng(), rng());
    let mut body = Vec::new();
    let mut sealer = Sealer::new(&mut rng, &info, 0).unwrap();
    sealer.seal(&mut rng, &ENTRY, b"x", &mut body).unwrap();
    let mut begin = || {
        drop(black_box(
            Sealer::new(&mut of_sealer, black_box(&info), 0).unwrap(),
        ))
    };
    let mut open = || {
        let opened = Opener::new().open(&secret, &info, &ENTRY, black_box(&body));
        drop(black_box(opened.unwrap()));
    };
    let (rounds, span) = asked.amount(WHOLE, TEST);
    let [begin, open] = in_turn(rounds, |n| match n {
        0 => cpu_seconds_each(span, &mut begin) * 1e6,
        _ => cpu_seconds_each(span, &mut open) * 1e6,
    });
    report.row(Row::shown("encapsulate", "encapsulate", begin, "us"));
    let what = "decapsulate, and open 1 byte";
    report.row(Row::shown("decapsulate", what, open, "us"));
}
