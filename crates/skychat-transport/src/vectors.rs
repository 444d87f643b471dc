//! The fixed bytes of links, `tests/vectors/link.json`, for this and every other implementation.
//! The file is compared with what the code makes; a difference is a change of the protocol.
//! Written again only with `SKYCHAT_WRITE_VECTORS=1`.

use std::path::Path;

use serde_json::{Value, json};
use skychat_identity::Domain;
use skychat_proto::ids::{Incarnation, ServiceId};
use skychat_proto::link::{Goodbye, Hello, LinkMessage};
use skychat_proto::open::WriterKind;

use crate::handshake::Transcript;
use crate::testing::{
    ANN_EPHEMERAL, BOB_EPHEMERAL, Finished, Nobody, ann, bob, counted, handshake, hex, identity,
};
use crate::{
    AwaitClaim, Backend, Frames, HandshakeError, InBuffer, Initiator, LinkIdentity, MESSAGE_1,
    MESSAGE_2, MESSAGE_3, Outbound, PROLOGUE, RekeyLimits, SealingKey, respond,
};

#[test]
fn the_vectors_are_what_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/link.json");
    for &backend in Backend::BUILT_IN {
        let made = make(backend);
        if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
            let text = serde_json::to_string_pretty(&made).unwrap();
            std::fs::write(&path, text + "\n").unwrap();
        }
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for (name, part) in kept.as_object().unwrap() {
            assert_eq!(part, &made[name], "{name}, {}", backend.name());
        }
        assert_eq!(kept, made);
    }
}

fn make(backend: Backend) -> Value {
    let (ann, bob) = (ann(backend), bob(backend));
    json!({
        "about": "Skychat links, docs/protocol/link.md. Bytes are lower-case hex. Ann dials Bob. In `refuse`, `error` names the reason; every implementation refuses these, the names are ours, and a peer is told none of them.",
        "handshake": the_handshake(&ann, &bob),
        "greeting": greeting(&ann, &bob),
        "records": records(&ann, &bob),
        "rekey": rekey(backend),
        "frames": frames(),
        "refuse": {
            "to_responder": refuse_to_responder(&ann, &bob, backend),
            "to_initiator": refuse_to_initiator(&ann, &bob),
            "records": refuse_records(&ann, &bob),
            "frames": refuse_frames(),
        },
    })
}

fn side(identity: &LinkIdentity, seed: u8, ephemeral: u8) -> Value {
    json!({
        "seed": hex(counted(seed)),
        "ed25519": hex(identity.public().as_bytes()),
        "x25519": hex(identity.exchange().public()),
        "ephemeral_secret": hex(counted(ephemeral)),
    })
}

fn the_handshake(ann: &LinkIdentity, bob: &LinkIdentity) -> Value {
    let done = handshake(ann, bob, RekeyLimits::default());
    let Transcript {
        after_2,
        after_3,
        initiator_key,
        responder_key,
        claim,
    } = Transcript::of(ann, bob, counted(ANN_EPHEMERAL), counted(BOB_EPHEMERAL));
    json!({
        "tag": String::from_utf8_lossy(Domain::NoiseBind.tag()),
        "prologue": PROLOGUE,
        "initiator": side(ann, 0x00, ANN_EPHEMERAL),
        "responder": side(bob, 0x20, BOB_EPHEMERAL),
        "suite_and_message_1": hex(done.message_1),
        "message_2": hex(done.message_2),
        "hash_after_message_2": hex(after_2),
        "claim": hex(claim),
        "message_3": hex(done.message_3),
        "hash_after_message_3": hex(after_3),
        "proof": hex(done.proof.as_bytes()),
        "key_initiator_to_responder": hex(initiator_key),
        "key_responder_to_initiator": hex(responder_key),
    })
}

fn hello(incarnation: u8, services: &[ServiceId]) -> LinkMessage {
    LinkMessage::Hello(Hello {
        incarnation: Incarnation::from_bytes([incarnation; 8]),
        line: vec![Incarnation::from_bytes([incarnation.wrapping_sub(1); 8])],
        line_complete: true,
        writer: WriterKind::Node,
        services: services.to_vec(),
        agent: "vectors/1".to_owned(),
        statements: Vec::new(),
    })
}

/// One record with these messages, before and after sealing.
fn record(seal: &mut SealingKey, messages: &[(ServiceId, &[u8])]) -> Value {
    let mut queue = Outbound::new(Default::default());
    for (service, message) in messages {
        queue.push_last(*service, &[message]).unwrap();
    }
    let mut turn = Vec::new();
    queue.take(&mut turn);
    let [record] = &mut turn[..] else {
        panic!("one record expected")
    };
    let frames = hex(&record[2..record.len() - 16]);
    seal.seal(record).unwrap();
    json!({ "frames": frames, "wire": hex(record) })
}

fn greeting(ann: &LinkIdentity, bob: &LinkIdentity) -> Value {
    let services = [ServiceId::SYNC, ServiceId::RANGE];
    let mut done = handshake(ann, bob, RekeyLimits::default());
    let proof = LinkMessage::Proof(done.proof).encode();
    let (to_bob, to_ann) = (
        hello(0xa1, &services).encode(),
        hello(0xb1, &services).encode(),
    );
    json!({
        "initiator": record(&mut done.ann.seal, &[(ServiceId::LINK, &to_bob)]),
        "responder": record(
            &mut done.bob.seal,
            &[(ServiceId::LINK, &proof), (ServiceId::LINK, &to_ann)],
        ),
    })
}

fn records(ann: &LinkIdentity, bob: &LinkIdentity) -> Value {
    let mut done = handshake(ann, bob, RekeyLimits::default());
    let ping = LinkMessage::Ping(7).encode();
    let goodbye = LinkMessage::Goodbye(Goodbye::Done).encode();
    let initiator = [
        record(&mut done.ann.seal, &[(ServiceId::LINK, &ping)]),
        record(
            &mut done.ann.seal,
            &[
                (ServiceId::SYNC, b"one"),
                (ServiceId::RANGE, b""),
                (ServiceId::new(900), b"?"),
            ],
        ),
        record(&mut done.ann.seal, &[(ServiceId::LINK, &goodbye)]),
    ];
    let responder = [record(&mut done.bob.seal, &[(ServiceId::SYNC, b"two")])];
    json!({ "initiator": initiator.to_vec(), "responder": responder.to_vec() })
}

/// Five one-frame records with limits lowered, so that the key changes after the third by count,
/// and after the fourth by bytes; and the key that follows another.
fn rekey(backend: Backend) -> Value {
    let key = counted(0x80);
    let limits = RekeyLimits {
        records: 3,
        bytes: 40,
    };
    let mut seal = SealingKey::new(backend.primitives(), &key, limits);
    let sizes = [1, 1, 1, 40, 1];
    let wire: Vec<_> = sizes
        .iter()
        .map(|&size| record(&mut seal, &[(ServiceId::RANGE, &vec![b'r'; size][..])]))
        .collect();
    let mut next = [0; 32];
    let cipher = backend.primitives().cipher(&key);
    cipher.seal(u64::MAX, &[], &mut next).unwrap();
    json!({
        "key": hex(key),
        "next_key": hex(next),
        "after_records": limits.records,
        "after_bytes": limits.bytes,
        "records": wire,
    })
}

/// How a message of 40,000 bytes is cut when nothing else is queued, and one of 70,000.
fn frames() -> Value {
    let cut = |size: usize| {
        let mut queue = Outbound::new(Default::default());
        queue.push(ServiceId::RANGE, &[&vec![0; size]]).unwrap();
        let mut turn = Vec::new();
        queue.take(&mut turn);
        let records: Vec<Vec<_>> = turn
            .iter()
            .map(|record| {
                Frames::of(&record[2..record.len() - 16])
                    .map(|frame| frame.unwrap())
                    .map(|frame| json!({ "more": frame.more, "length": frame.payload.len() }))
                    .collect()
            })
            .collect();
        json!({ "message": size, "records": records })
    };
    json!([cut(16_384), cut(16_385), cut(70_000)])
}

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
fn refuse_to_responder(ann: &LinkIdentity, bob: &LinkIdentity, backend: Backend) -> Value {
    let done = handshake(ann, bob, RekeyLimits::default());
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
    changed[0] = 2;
    first("a suite that is not there", changed);
    let mut changed = done.message_1;
    changed[1] ^= 1;
    first("a changed ephemeral key", changed);
    let mut changed = done.message_1;
    changed[48] ^= 1;
    first("a changed tag", changed);
    let eve = identity(0x99, backend);
    first(
        "made for another responder",
        handshake(ann, &eve, RekeyLimits::default()).message_1,
    );
    let mut out = [0; MESSAGE_1];
    let nobody = LinkIdentity::new(
        std::sync::Arc::new(skychat_identity::SecretKey::from_seed(counted(0))),
        Nobody::backend(),
    );
    let initiator = Initiator {
        identity: &nobody,
        peer: bob.public(),
        limits: RekeyLimits::default(),
    };
    initiator.start([0; 32], &mut out).unwrap();
    first(
        "the all-zero ephemeral key, with a tag that fits a shared secret of zeros",
        out,
    );

    for (why, message_3) in Transcript::bad_claims(ann, bob, &eve) {
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
fn refuse_to_initiator(ann: &LinkIdentity, bob: &LinkIdentity) -> Value {
    let done = handshake(ann, bob, RekeyLimits::default());
    let mut refused = Vec::new();
    let mut second = |why: &str, message: [u8; MESSAGE_2]| {
        let initiator = Initiator {
            identity: ann,
            peer: bob.public(),
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
    let claim = Transcript::of(ann, bob, counted(ANN_EPHEMERAL), counted(BOB_EPHEMERAL)).claim;
    let reflected = skychat_identity::Signature::from_bytes(claim[32..].try_into().unwrap());
    refused.push(json!({
        "why": "the initiator's own signature as the responder's proof",
        "proof": hex(reflected.as_bytes()),
        "error": error(expected.check(&reflected).unwrap_err()),
    }));
    refused.into()
}

/// What Bob is sent as the first record, right after the handshake.
fn refuse_records(ann: &LinkIdentity, bob: &LinkIdentity) -> Value {
    let mut done = handshake(ann, bob, RekeyLimits::default());
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
        let mut fresh = handshake(ann, bob, RekeyLimits::default());
        let found = match buffer.next_record() {
            Ok(Some(record)) => fresh.bob.open.open(record).unwrap_err(),
            other => other.unwrap_err(),
        };
        json!({ "why": why, "wire": hex(wire), "error": found.to_string() })
    });
    refused.to_vec().into()
}

fn refuse_frames() -> Value {
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
