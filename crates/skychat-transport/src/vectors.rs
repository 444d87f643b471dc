//! The fixed bytes of links, for this and every other implementation: `tests/vectors/link.json` of
//! suite 1, `link-suite-2.json` of suite 2 where it differs.
//! The files are compared with what the code makes; a difference is a change of the protocol.
//! Written again only with `SKYCHAT_WRITE_VECTORS=1`.

use std::path::Path;

use serde_json::{Value, json};
use skychat_identity::Domain;
use skychat_proto::ids::{Incarnation, ServiceId};
use skychat_proto::link::{Goodbye, Hello, LinkMessage};
use skychat_proto::open::WriterKind;

use crate::handshake::Transcript;
use crate::testing::{
    ANN_EPHEMERAL, BOB_EPHEMERAL, Finished, ann, bob, counted, each_suite, handshake_of, hex,
};
use crate::{Backend, Frames, LinkIdentity, Outbound, RekeyLimits, SealingKey, Suite};

mod refused;

#[test]
fn the_vectors_are_what_the_code_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    each_suite(|backend, suite| {
        let (file, made) = match suite {
            Suite::ChaChaPoly => ("link.json", make(backend)),
            Suite::AesGcm => ("link-suite-2.json", make_suite_2(backend)),
        };
        let path = folder.join(file);
        if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
            let text = serde_json::to_string_pretty(&made).unwrap();
            std::fs::write(&path, text + "\n").unwrap();
        }
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for (name, part) in kept.as_object().unwrap() {
            assert_eq!(part, &made[name], "{name}, {}", backend.name());
        }
        assert_eq!(kept, made);
    });
}

fn make(backend: Backend) -> Value {
    let two = Two::of(Suite::ChaChaPoly, backend);
    json!({
        "about": "Skychat links, docs/protocol/link.md. Bytes are lower-case hex. Ann dials Bob. In `refuse`, `error` names the reason; every implementation refuses these, the names are ours, and a peer is told none of them.",
        "handshake": the_handshake(&two),
        "greeting": greeting(&two),
        "records": records(&two),
        "rekey": rekey(&two),
        "frames": frames(),
        "refuse": {
            "to_responder": refused::to_responder(&two),
            "to_initiator": refused::to_initiator(&two),
            "records": refused::records(&two),
            "frames": refused::frames(),
        },
    })
}

/// Frames are the same in every suite.
fn make_suite_2(backend: Backend) -> Value {
    let two = Two::of(Suite::AesGcm, backend);
    json!({
        "about": "The same as link.json in suite 2, by the same two with the same secrets. Who does not offer it refuses everything here.",
        "handshake": the_handshake(&two),
        "greeting": greeting(&two),
        "records": records(&two),
        "rekey": rekey(&two),
        "refuse": {
            "to_responder": refused::to_responder(&two),
            "to_initiator": refused::to_initiator(&two),
            "records": refused::records(&two),
        },
    })
}

/// Who talks, and in what.
struct Two {
    suite: Suite,
    backend: Backend,
    ann: LinkIdentity,
    bob: LinkIdentity,
}

impl Two {
    fn of(suite: Suite, backend: Backend) -> Self {
        Two {
            suite,
            backend,
            ann: ann(backend),
            bob: bob(backend),
        }
    }

    fn handshake(&self) -> Finished {
        handshake_of(self.suite, &self.ann, &self.bob, RekeyLimits::default())
    }

    fn transcript(&self) -> Transcript {
        let (e_i, e_r) = (counted(ANN_EPHEMERAL), counted(BOB_EPHEMERAL));
        Transcript::of(self.suite, &self.ann, &self.bob, e_i, e_r)
    }
}

fn side(identity: &LinkIdentity, seed: u8, ephemeral: u8) -> Value {
    json!({
        "seed": hex(counted(seed)),
        "ed25519": hex(identity.public().as_bytes()),
        "x25519": hex(identity.exchange().public()),
        "ephemeral_secret": hex(counted(ephemeral)),
    })
}

fn the_handshake(two: &Two) -> Value {
    let done = two.handshake();
    let Transcript {
        after_2,
        after_3,
        initiator_key,
        responder_key,
        claim,
    } = two.transcript();
    json!({
        "tag": String::from_utf8_lossy(Domain::NoiseBind.tag()),
        "prologue": two.suite.prologue(),
        "initiator": side(&two.ann, 0x00, ANN_EPHEMERAL),
        "responder": side(&two.bob, 0x20, BOB_EPHEMERAL),
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

fn greeting(two: &Two) -> Value {
    let services = [ServiceId::SYNC, ServiceId::RANGE];
    let mut done = two.handshake();
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

fn records(two: &Two) -> Value {
    let mut done = two.handshake();
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
fn rekey(two: &Two) -> Value {
    let key = counted(0x80);
    let limits = RekeyLimits {
        records: 3,
        bytes: 40,
    };
    let cipher = |key| two.suite.cipher(two.backend.primitives(), key).unwrap();
    let mut seal = SealingKey::new(cipher(&key), limits);
    let sizes = [1, 1, 1, 40, 1];
    let wire: Vec<_> = sizes
        .iter()
        .map(|&size| record(&mut seal, &[(ServiceId::RANGE, &vec![b'r'; size][..])]))
        .collect();
    let mut next = [0; 32];
    cipher(&key).seal(u64::MAX, &[], &mut next).unwrap();
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
