//! Sealing of bodies, with the raw cipher beside it.
//!
//! `suite 1` is all that a message costs: body key, nonce, bound context, a vector for the
//! result. `raw XChaCha20-Poly1305` works in place in a reused buffer. `encapsulate` and
//! `decapsulate` happen once for each conversation and day.

#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

use std::hint::black_box;

use chacha20::ChaCha20Rng;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand_core::{Rng, SeedableRng};
use skychat_identity::SecretKey;
use skychat_seal::{AAD_LEN, EntryAad, Opener, SealError, SealInfo, Sealer, StoreKey};

const SIZES: [(usize, &str); 2] = [(256, "256 B"), (4096, "4 KiB")];

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

fn suite_1(c: &mut Criterion) {
    let (info, recipient) = info();
    let secret = recipient.x25519();
    let mut rng = rng();
    let Ok(mut sealer) = Sealer::new(&mut rng, &info, 0) else {
        return;
    };
    let mut group = c.benchmark_group("seal");
    for (size, name) in SIZES {
        let text = vec![0x41; size];
        let mut body = Vec::new();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("suite 1/seal/{name}"), |b| {
            b.iter(|| seal(&mut sealer, &mut rng, black_box(&text), &mut body));
        });
        let mut opener = Opener::new();
        group.bench_function(format!("suite 1/open/{name}"), |b| {
            b.iter(|| opener.open(&secret, &info, &ENTRY, black_box(&body)));
        });
        let key = StoreKey::generate(&mut rng);
        let place: [&[u8]; 3] = [b"content", &[0; 80], &[1; 32]];
        let mut record = Vec::new();
        group.bench_function(format!("store/seal/{name}"), |b| {
            b.iter(|| {
                record.clear();
                key.seal(&mut rng, &place, black_box(&text), &mut record)
            });
        });
        group.bench_function(format!("store/open/{name}"), |b| {
            b.iter(|| key.open(&place, black_box(&record)));
        });
    }
    group.finish();
}

fn raw(c: &mut Criterion) {
    let cipher = XChaCha20Poly1305::new(&[1; 32].into());
    let mut rng = rng();
    let mut group = c.benchmark_group("seal");
    for (size, name) in SIZES {
        let mut buffer = vec![0x41; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("raw XChaCha20-Poly1305/seal/{name}"), |b| {
            b.iter(|| {
                let mut nonce = [0; 24];
                rng.fill_bytes(&mut nonce);
                let text = black_box(&mut buffer[..]).into();
                cipher.encrypt_inout_detached(&XNonce::from(nonce), &[0; AAD_LEN], text)
            });
        });
        let nonce = XNonce::from([2; 24]);
        let tag = cipher.encrypt_inout_detached(&nonce, &[0; AAD_LEN], (&mut buffer[..]).into());
        let Ok(tag) = tag else { return };
        let mut text = vec![0; size];
        group.bench_function(format!("raw XChaCha20-Poly1305/open/{name}"), |b| {
            b.iter(|| {
                // The ciphertext again: opening works in place.
                text.copy_from_slice(&buffer);
                let text = black_box(&mut text[..]).into();
                cipher.decrypt_inout_detached(&nonce, &[0; AAD_LEN], text, &tag)
            });
        });
    }
    group.finish();
}

fn encapsulation(c: &mut Criterion) {
    let (info, recipient) = info();
    let secret = recipient.x25519();
    let mut rng = rng();
    let mut group = c.benchmark_group("seal");
    group.bench_function("suite 1/encapsulate", |b| {
        b.iter(|| Sealer::new(&mut rng, black_box(&info), 0));
    });
    let mut body = Vec::new();
    let sealed = Sealer::new(&mut rng, &info, 0)
        .and_then(|mut sealer| sealer.seal(&mut rng, &ENTRY, b"x", &mut body));
    if sealed.is_err() {
        return;
    }
    group.bench_function("suite 1/decapsulate and open 1 B", |b| {
        b.iter(|| Opener::new().open(&secret, &info, &ENTRY, black_box(&body)));
    });
    group.finish();
}

criterion_group!(benches, suite_1, raw, encapsulation);
criterion_main!(benches);
