//! Handshakes: both sides on one thread, against the primitives they are made of.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use skychat_benches::{Report, Row, cpu_seconds_each, in_turn};
use skychat_identity::{Domain, PublicKey, SecretKey, Tagged};
use skychat_transport::Suite;
use skychat_transport::backend::Primitives;

use crate::aead::kinds;
use crate::frames::{handshake, identity};
use crate::part::Amount;

/// What one handshake needs, both sides and the proof together. Noise XK: `es`, `ee` and `se` on
/// each side, an ephemeral key each. LINK-1: a claim and a proof, each signed and checked; the
/// claimed key decoded by the checks of IDENT-1, and two keys brought to their X25519 form.
const AGREEMENTS: f64 = 6.0;
const KEYS: f64 = 2.0;
const SIGNATURES: f64 = 2.0;
const DECODED: f64 = 1.0;
const FORMS: f64 = 2.0;
/// Sealed and opened, with a new key: the tags of messages 1 and 2, the static key (same key as
/// message 2's), the claim.
const SEALED: f64 = 4.0;
/// Compressions of SHA-256: 8 mixes of the transcript are 15 blocks a side, 4 key derivations are
/// 12 HMACs of 4 blocks a side. A hash of 64 bytes is two.
const HASHES: f64 = 63.0;

const COUNT: &str = "6 X25519 + 2 key pairs + 2 Ed25519 signatures + 2 checks + 1 key decoded + \
                     2 X25519 forms + 4 AEAD pairs with new keys + 63 SHA-256 of 64 B";

pub(crate) fn compare(report: &mut Report, amount: Amount) {
    report.section(
        "handshakes in memory, both sides on one thread; with aws-lc at least 4,000/s",
        "what the primitives alone would allow",
    );
    for kind in kinds() {
        let (ann, bob) = (identity(1, kind.backend), identity(2, kind.backend));
        let secret = SecretKey::from_seed([3; 32]);
        let primitives = kind.backend.primitives();
        let pair = primitives.exchange_key(&[5; 32]);
        let peer = *primitives.exchange_key(&[6; 32]).public();
        let bytes = [Domain::NoiseBind.tag(), &[7; 65]].concat();
        let tagged = || Tagged::new(Domain::NoiseBind, &bytes).unwrap();
        let public = secret.public();
        let signature = secret.sign(tagged());
        let span = Duration::from_millis(amount.of(40, 1));
        let mut text = [0x5a; 32];
        let found = in_turn::<8>(amount.of(15, 1), |candidate| match candidate {
            0 => cpu_seconds_each(span, || {
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
                public.verify(tagged(), black_box(&signature)).unwrap()
            }),
            5 => cpu_seconds_each(span, || {
                black_box(PublicKey::from_bytes(black_box(public.as_bytes())).unwrap());
            }),
            6 => cpu_seconds_each(span, || {
                black_box(black_box(&public).x25519());
            }),
            _ => cpu_seconds_each(span, || sealed(primitives, kind.suite, &mut text)),
        });
        let [ours, agree, pair, sign, check, decode, form, aead] = found;
        let hash = cpu_seconds_each(span, || {
            black_box(digest(&SHA256, black_box(&[0x5a; 64])));
        });
        let needed = AGREEMENTS * agree
            + KEYS * pair
            + SIGNATURES * (sign + check)
            + DECODED * decode
            + FORMS * form
            + SEALED * aead
            + HASHES * hash;
        let id = format!("handshake/{}", kind.name);
        let row = Row::shown(id, kind.name, 1.0 / ours, "/s").aside(format!(
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
        if kind.name == "aws-lc" {
            let row = Row::shown(
                "handshake/aws-lc/rate",
                "aws-lc, of 4,000/s",
                1.0 / ours,
                "/s",
            );
            report.row(row.at_least(1.0 / ours / 4000.0, 1.0));
        }
        let id = format!("handshake/{}/primitives", kind.name);
        report.row(Row::shown(id, COUNT, 1.0 / needed, "/s"));
    }
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
