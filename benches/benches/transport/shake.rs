//! Handshakes: both sides on one thread, against the primitives they are made of.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use skychat_benches::{Report, Row, cpu_seconds_each, in_turn};
use skychat_identity::{Domain, KeyPoint, SecretKey, Tagged};
use skychat_transport::backend::Primitives;
use skychat_transport::{Backend, LinkIdentity, Suite};

use crate::aead::kinds;
use crate::frames::{handshake, identity};
use crate::part::Amount;

/// What one handshake needs, both sides and the proof together. Noise XK: `es`, `ee` and `se` on
/// each side, an ephemeral key each. LINK-1: a claim and a proof, each signed and checked; the
/// claimed key decoded by the checks of IDENT-1 and brought to its X25519 form, and the form of the
/// key that is dialled; both have the point at hand then, which the checks go on from. A responder
/// that has seen the key before (the last 256) needs its point and no more.
const AGREEMENTS: f64 = 6.0;
const KEYS: f64 = 2.0;
const SIGNATURES: f64 = 2.0;
const DECODED: f64 = 1.0;
const FORMS: f64 = 1.0;
/// Sealed and opened, with a new key: the tags of messages 1 and 2, the static key (same key as
/// message 2's), the claim.
const SEALED: f64 = 4.0;
/// Compressions of SHA-256: 8 mixes of the transcript are 15 blocks a side, 4 key derivations are
/// 12 HMACs of 4 blocks a side. A hash of 64 bytes is two.
const HASHES: f64 = 63.0;

/// More than a node remembers.
const STRANGERS: usize = 300;

const COUNT: &str = "6 X25519, 2 key pairs, 2 Ed25519 signatures, 2 checks, 1 key decoded \
                     with its X25519 form, 1 X25519 form, 4 AEAD pairs with new keys, 63 SHA-256 of 64 B";
const COUNT_KNOWN: &str = "the same with the point of the key instead of its checks and its form";

pub(crate) fn compare(report: &mut Report, amount: Amount) {
    report.section(
        "handshakes in memory, both sides on one thread; with aws-lc at least 4,000/s",
        "what the primitives alone would allow",
    );
    for kind in kinds() {
        let (ann, bob) = (identity(1, kind.backend), identity(2, kind.backend));
        let strangers: Vec<_> = (0..amount.of(STRANGERS, 3))
            .map(|n| stranger(n, kind.backend))
            .collect();
        let mut strangers = strangers.iter().cycle();
        let secret = SecretKey::from_seed([3; 32]);
        let primitives = kind.backend.primitives();
        let pair = primitives.exchange_key(&[5; 32]);
        let peer = *primitives.exchange_key(&[6; 32]).public();
        let bytes = [Domain::NoiseBind.tag(), &[7; 65]].concat();
        let tagged = || Tagged::new(Domain::NoiseBind, &bytes).unwrap();
        let public = secret.public();
        let point = public.point().unwrap();
        let signature = secret.sign(tagged());
        let span = Duration::from_millis(amount.of(5, 1));
        let mut text = [0x5a; 32];
        let found = in_turn::<11>(amount.of(61, 1), |candidate| match candidate {
            0 => cpu_seconds_each(span, || {
                black_box(handshake(kind.suite, strangers.next().unwrap(), &bob));
            }),
            8 => cpu_seconds_each(span, || {
                black_box(handshake(kind.suite, &ann, &bob));
            }),
            1 => cpu_seconds_each(span, || drop(black_box(pair.agree(black_box(&peer))))),
            2 => cpu_seconds_each(span, || {
                black_box(primitives.exchange_key(black_box(&[9; 32])));
            }),
            3 => cpu_seconds_each(span, || {
                black_box(secret.sign(black_box(tagged())));
            }),
            4 => cpu_seconds_each(span, || {
                point.verify(tagged(), black_box(&signature)).unwrap()
            }),
            5 => cpu_seconds_each(span, || {
                black_box(
                    KeyPoint::from_bytes(black_box(public.as_bytes()))
                        .unwrap()
                        .x25519(),
                );
            }),
            6 => cpu_seconds_each(span, || {
                black_box(black_box(&public).point().unwrap().x25519());
            }),
            9 => cpu_seconds_each(span, || {
                black_box(black_box(&public).point().unwrap());
            }),
            10 => cpu_seconds_each(span, || {
                black_box(digest(&SHA256, black_box(&[0x5a; 64])));
            }),
            _ => cpu_seconds_each(span, || sealed(primitives, kind.suite, &mut text)),
        });
        let [
            ours,
            agree,
            pair,
            sign,
            check,
            decode,
            form,
            aead,
            known,
            root,
            hash,
        ] = found;
        let needed = AGREEMENTS * agree
            + KEYS * pair
            + SIGNATURES * (sign + check)
            + DECODED * decode
            + FORMS * form
            + SEALED * aead
            + HASHES * hash;
        let needed_known = needed - DECODED * (decode - root);
        let id = format!("handshake/{}", kind.name);
        let what = format!("{}, keys never seen", kind.name);
        let row = Row::shown(id, what, 1.0 / ours, "/s").aside(format!(
            "X25519 {:.1} us, pair {:.1}, sign {:.1}, check {:.1}, decode {:.1}, form {:.1}, \
             AEAD {:.2}, SHA {:.3}",
            agree * 1e6,
            pair * 1e6,
            sign * 1e6,
            check * 1e6,
            decode * 1e6,
            form * 1e6,
            aead * 1e6,
            hash * 1e6
        ));
        report.row(row.at_least(needed / ours, 0.90));
        let id = format!("handshake/{}-known", kind.name);
        let what = format!("{}, a key that was here before", kind.name);
        let row = Row::shown(id, what, 1.0 / known, "/s");
        report.row(row.at_least(needed_known / known, 0.90));
        if kind.name == "aws-lc" {
            for (name, what, each) in [
                ("aws-lc", "aws-lc, keys never seen: of 4,000/s", ours),
                ("aws-lc-known", "aws-lc, known key: of 4,000/s", known),
            ] {
                let id = format!("handshake/{name}/rate");
                let row = Row::shown(id, what, 1.0 / each, "/s");
                report.row(row.reaches(4000.0));
            }
        }
        for (name, what, needed) in [
            (kind.name.to_owned(), COUNT, needed),
            (format!("{}-known", kind.name), COUNT_KNOWN, needed_known),
        ] {
            let id = format!("handshake/{name}/primitives");
            let row = Row::shown(id, format!("{name}, primitives"), 1.0 / needed, "/s");
            report.row(row.aside(what));
        }
    }
}

fn stranger(n: usize, backend: Backend) -> LinkIdentity {
    let mut seed = [0x77; 32];
    seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
    LinkIdentity::new(Arc::new(SecretKey::from_seed(seed)), backend)
}

/// A new key, one text sealed and opened.
fn sealed(primitives: &dyn Primitives, suite: Suite, text: &mut [u8]) {
    let key = [8; 32];
    let cipher = match suite {
        Suite::AesGcm => primitives.aes_gcm(&key).unwrap(),
        _ => primitives.cipher(&key),
    };
    let tag = cipher.seal(1, &[], text).unwrap();
    cipher.open(1, &[], text, &tag).unwrap();
}
