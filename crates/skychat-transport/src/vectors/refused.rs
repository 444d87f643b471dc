//! What has to be refused.

use std::sync::Arc;

use serde_json::{Value, json};
use skychat_identity::{SecretKey, Signature};

use super::Two;
use crate::handshake::Transcript;
use crate::testing::{
    ANN_EPHEMERAL, BOB_EPHEMERAL, Finished, Nobody, counted, handshake_of, hex, identity,
};
use crate::{
    AwaitClaim, Frames, HandshakeError, InBuffer, Initiator, LinkIdentity, MESSAGE_1, MESSAGE_2,
    MESSAGE_3, RekeyLimits, Suite, respond,
};

fn error(error: HandshakeError) -> String {
    match error {
        HandshakeError::Message { message } => format!("Message{message}"),
        other => {
            let text = format!("{other:?}");
            text.chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect()
        }
    }
}

/// Bob with his fixed ephemeral key is sent these.
pub(super) fn to_responder(two: &Two) -> Value {
    let Two { ann, bob, .. } = two;
    let done = two.handshake();
    let mut refused = Vec::new();
    let mut first = |why: &str, message: [u8; MESSAGE_1]| {
        let found = answer(bob, &message).err().unwrap();
        refused.push(json!({
            "why": why,
            "suite_and_message_1": hex(message),
            "error": error(found),
        }));
    };
    let mut changed = done.message_1;
    changed[0] = 3;
    first("a suite that is not there", changed);
    if two.suite == Suite::AesGcm {
        let mut changed = done.message_1;
        changed[0] = 1;
        first("made for suite 2, and said to be suite 1", changed);
        let of_suite_1 = Two::of(Suite::ChaChaPoly, two.backend);
        let mut changed = of_suite_1.handshake().message_1;
        changed[0] = 2;
        first("made for suite 1, and said to be suite 2", changed);
    }
    let mut changed = done.message_1;
    changed[1] ^= 1;
    first("a changed ephemeral key", changed);
    let mut changed = done.message_1;
    changed[48] ^= 1;
    first("a changed tag", changed);
    let eve = identity(0x99, two.backend);
    first(
        "made for another responder",
        handshake_of(two.suite, ann, &eve, RekeyLimits::default()).message_1,
    );
    let mut out = [0; MESSAGE_1];
    let nobody = LinkIdentity::new(
        Arc::new(SecretKey::from_seed(counted(0))),
        Nobody::backend(),
    );
    let initiator = Initiator {
        identity: &nobody,
        peer: bob.public(),
        suite: two.suite,
        limits: RekeyLimits::default(),
    };
    initiator.start([0; 32], &mut out).unwrap();
    first(
        "the all-zero ephemeral key, with a tag that fits a shared secret of zeros",
        out,
    );

    for (why, message_3) in Transcript::bad_claims(two.suite, ann, bob, &eve) {
        let waiting = answer(bob, &done.message_1).unwrap();
        let found = waiting.finish(&message_3).unwrap_err();
        refused.push(json!({
            "why": why,
            "suite_and_message_1": hex(done.message_1),
            "message_3": hex(message_3),
            "error": error(found),
        }));
    }
    let mut changed = done.message_3;
    changed[MESSAGE_3 - 1] ^= 1;
    let found = answer(bob, &done.message_1)
        .unwrap()
        .finish(&changed)
        .unwrap_err();
    refused.push(json!({
        "why": "a changed tag",
        "suite_and_message_1": hex(done.message_1),
        "message_3": hex(changed),
        "error": error(found),
    }));
    refused.into()
}

fn answer(bob: &LinkIdentity, first: &[u8; MESSAGE_1]) -> Result<AwaitClaim, HandshakeError> {
    let limits = RekeyLimits::default();
    respond(
        bob,
        limits,
        counted(BOB_EPHEMERAL),
        first,
        &mut [0; MESSAGE_2],
    )
}

/// Ann with her fixed ephemeral key is sent these.
pub(super) fn to_initiator(two: &Two) -> Value {
    let Two { ann, bob, .. } = two;
    let done = two.handshake();
    let mut refused = Vec::new();
    let mut second = |why: &str, message: [u8; MESSAGE_2]| {
        let initiator = Initiator {
            identity: ann,
            peer: bob.public(),
            suite: two.suite,
            limits: RekeyLimits::default(),
        };
        let state = initiator
            .start(counted(ANN_EPHEMERAL), &mut [0; MESSAGE_1])
            .unwrap();
        let found = state.finish(&message, &mut [0; MESSAGE_3]).unwrap_err();
        refused.push(json!({
            "why": why,
            "message_2": hex(message),
            "error": error(found),
        }));
    };
    let mut changed = done.message_2;
    changed[0] ^= 1;
    second("a changed ephemeral key", changed);
    let mut changed = done.message_2;
    changed[47] ^= 1;
    second("a changed tag", changed);
    let mut changed = done.message_2;
    changed[..32].fill(0);
    second("the all-zero ephemeral key", changed);

    // Ann's own signature, sent back to her as a proof.
    let Finished { expected, .. } = done;
    let claim = two.transcript().claim;
    let reflected = Signature::from_bytes(claim[32..].try_into().unwrap());
    refused.push(json!({
        "why": "the initiator's own signature as the responder's proof",
        "proof": hex(reflected.as_bytes()),
        "error": error(expected.check(&reflected).unwrap_err()),
    }));
    refused.into()
}

/// What Bob is sent as the first record, right after the handshake.
pub(super) fn records(two: &Two) -> Value {
    let mut done = two.handshake();
    let mut sealed = |frames: &[u8]| {
        let mut record = [&[0; 2], frames, &[0; 16]].concat();
        done.ann.seal.seal(&mut record).unwrap();
        record
    };
    let good = sealed(b"\x00\x00\x00\x00\x00");
    let second = sealed(b"\x00\x00\x00\x00\x00");
    let mut changed = good.clone();
    changed[2] ^= 1;
    let mut tag = good.clone();
    tag[22] ^= 0x80;
    let cases = [
        ("a changed ciphertext", changed),
        ("a changed tag", tag),
        ("the second record first", second),
        ("a length of nothing", vec![0, 0]),
        (
            "a length of a tag without frames",
            [&[0, 16][..], &[0; 16]].concat(),
        ),
    ];
    let refused = cases.map(|(why, wire)| {
        let mut buffer = InBuffer::default();
        buffer.lend(Vec::new());
        buffer.space()[..wire.len()].copy_from_slice(&wire);
        buffer.filled(wire.len());
        let mut fresh = two.handshake();
        let found = match buffer.next_record() {
            Ok(Some(record)) => fresh.bob.open.open(record).unwrap_err(),
            other => other.unwrap_err(),
        };
        json!({ "why": why, "wire": hex(wire), "error": found.to_string() })
    });
    refused.to_vec().into()
}

pub(super) fn frames() -> Value {
    let over = [&[0, 2, 0, 0x40, 0x01][..], &[0; 16_385]].concat();
    let cases: [(&str, &[u8]); 6] = [
        ("a header that is cut", &[0, 1, 0, 0]),
        ("a payload that is cut", &[0, 1, 0, 0, 3, b'a', b'b']),
        ("an unknown flag", &[0, 1, 2, 0, 1, b'a']),
        ("all flags", &[0, 1, 0xff, 0, 1, b'a']),
        (
            "an empty frame that is not the last of its message",
            &[0, 1, 1, 0, 0],
        ),
        (
            "a payload over 16 KiB; only the beginning is given here",
            &over,
        ),
    ];
    let refused = cases.map(|(why, plaintext)| {
        let found = Frames::of(plaintext).find_map(Result::err).unwrap();
        let shown = &plaintext[..plaintext.len().min(16)];
        json!({ "why": why, "frames": hex(shown), "error": found.to_string() })
    });
    refused.to_vec().into()
}
