//! Fork proofs: what holds, and what is refused (RANGE-5).
//!
//! `tests/vectors/fork.json` is rewritten only with `SKYCHAT_WRITE_VECTORS=1` (`cargo xtask vectors`). Each vector is
//! a message of service 1; those under `reject` have a valid layout, and prove nothing; those under `malformed` have none.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::fs;
use std::path::Path;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde_json::{Value, json};
use skychat_feed::{VerifiedFork, own_branch};
use skychat_identity::{KeyCache, SecretKey, Signature};
use skychat_proto::entry::{Flags, Header, Kind, Suite};
use skychat_proto::ids::{
    BodyHash, EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, Stream, Timestamp,
};
use skychat_proto::sync::{Branch, ForkProof, SyncMessage};

fn ann() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn feed() -> FeedId {
    let bob = SecretKey::from_seed([2; 32]).public();
    FeedId {
        author: ann().public(),
        space: SpaceId::direct(&ann().public(), &bob).unwrap(),
        stream: Stream::MESSAGES,
        incarnation: Incarnation::from_bytes([7; 8]),
    }
}

fn header(seq: u64, prev: EntryId, mark: u8) -> Header {
    let body = [mark; 9];
    Header {
        feed: feed(),
        seq: Seq::new(seq),
        prev,
        time: Timestamp::from_millis(seq),
        kind: Kind::Content,
        suite: Suite::HPKE_X25519,
        flags: Flags::NONE,
        context: Seq::FIRST,
        message: MessageId::from_bytes([mark; 16]),
        body_len: 9,
        body_hash: BodyHash::of(&body),
    }
}

/// `count` entries from `from` on, behind `prev`, signed at their end.
fn branch(from: u64, prev: EntryId, mark: u8, count: u64) -> Branch {
    let (mut headers, mut prev) = (Vec::new(), prev);
    for seq in from..from + count {
        let next = header(seq, prev, mark);
        prev = next.id();
        headers.push(next);
    }
    let signature = headers.last().unwrap().sign(&ann());
    Branch { headers, signature }
}

fn proof(one: Branch, other: Branch) -> ForkProof {
    let branches = [one, other];
    ForkProof {
        feed: feed(),
        branches,
    }
}

fn before() -> EntryId {
    header(4, EntryId::from_bytes([3; 32]), 0).id()
}

fn good() -> Vec<(&'static str, ForkProof)> {
    let behind = |mark, count| branch(5, before(), mark, count);
    vec![
        ("one entry each", proof(behind(1, 1), behind(2, 1))),
        ("sides of 1 and 256", proof(behind(1, 1), behind(2, 256))),
        (
            "from the first entry on",
            proof(
                branch(0, EntryId::ZERO, 1, 3),
                branch(0, EntryId::ZERO, 2, 2),
            ),
        ),
        (
            "ours, signed on demand",
            proof(own_branch(header(5, before(), 1), &ann()), behind(2, 2)),
        ),
    ]
}

fn bad() -> Vec<(&'static str, ForkProof)> {
    let behind = |mark, count| branch(5, before(), mark, count);
    let mut forged = behind(2, 2);
    forged.signature = forged.headers[1].sign(&SecretKey::from_seed([2; 32]));
    let mut earlier = behind(2, 2);
    earlier.signature = earlier.headers[0].sign(&ann());
    let mut torn = behind(2, 3);
    torn.headers[1].prev = before();
    let mut tail = behind(2, 2);
    tail.headers[1].prev = EntryId::from_bytes([8; 32]);
    tail.signature = tail.headers[1].sign(&ann());
    let mut empty = behind(2, 1);
    empty.signature = Signature::from_bytes([0; 64]);
    let other = branch(5, EntryId::from_bytes([9; 32]), 2, 1);
    vec![
        ("the same side twice", proof(behind(1, 2), behind(1, 2))),
        ("one side longer", proof(behind(1, 2), behind(1, 3))),
        (
            "another place",
            proof(behind(1, 1), branch(6, before(), 2, 1)),
        ),
        ("behind another entry", proof(behind(1, 1), other)),
        ("signed by another key", proof(behind(1, 1), forged)),
        (
            "signature of an earlier header",
            proof(behind(1, 1), earlier),
        ),
        ("a header that does not chain", proof(torn, behind(1, 1))),
        (
            "a last header that does not chain",
            proof(tail, behind(1, 1)),
        ),
        ("no signature", proof(behind(1, 1), empty)),
    ]
}

/// Refused before a hash or a signature is looked at.
fn malformed() -> Vec<(&'static str, ForkProof)> {
    let behind = |mark, count| branch(5, before(), mark, count);
    let mut none = behind(2, 1);
    none.headers.clear();
    let mut jump = behind(2, 3);
    jump.headers.remove(1);
    let mut elsewhere = behind(2, 1);
    elsewhere.headers[0].feed.incarnation = Incarnation::from_bytes([8; 8]);
    elsewhere.signature = elsewhere.headers[0].sign(&ann());
    vec![
        ("a side without headers", proof(behind(1, 1), none)),
        ("257 headers", proof(behind(1, 1), behind(2, 257))),
        ("a place left out", proof(behind(1, 1), jump)),
        ("sides of two feeds", proof(behind(1, 1), elsewhere)),
    ]
}

/// A field of bytes, as protobuf writes it.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut left = bytes.len();
    while left > 127 {
        out.push(left as u8 | 128);
        left >>= 7;
    }
    out.push(left as u8);
    out.extend_from_slice(bytes);
    out
}

/// What the encoder does not write: it holds that a proof has a valid layout.
fn encode_raw(proof: &ForkProof) -> Vec<u8> {
    let mut inner = field(1, &proof.feed.to_bytes());
    for side in &proof.branches {
        let headers: Vec<u8> = side.headers.iter().flat_map(Header::encode).collect();
        let side = [field(1, &headers), field(2, side.signature.as_bytes())].concat();
        inner.extend(field(2, &side));
    }
    field(8, &inner)
}

fn encode(proof: ForkProof) -> Vec<u8> {
    SyncMessage::ForkProof(Box::new(proof)).encode()
}

fn document() -> Value {
    let accept: Vec<Value> = good()
        .into_iter()
        .map(|(name, proof)| {
            let fork = VerifiedFork::verify(proof.clone()).unwrap();
            json!({
                "name": name,
                "common": fork.common().get(),
                "tip": HEXLOWER.encode(fork.tip().as_bytes()),
                "hex": HEXLOWER.encode(&encode(proof)),
            })
        })
        .collect();
    let case = |name: &str, bytes: &[u8]| json!({ "name": name, "hex": HEXLOWER.encode(bytes) });
    let reject: Vec<Value> = bad()
        .into_iter()
        .map(|(name, proof)| case(name, &encode(proof)))
        .collect();
    let malformed: Vec<Value> = malformed()
        .iter()
        .map(|(name, proof)| case(name, &encode_raw(proof)))
        .collect();
    json!({
        "format": "fork proof",
        "page": "docs/protocol/feed.md, RANGE-5",
        "accept": accept,
        "reject": reject,
        "malformed": malformed,
    })
}

#[test]
fn range_5_the_vectors_are_what_the_code_makes_and_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/fork.json");
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = serde_json::to_string_pretty(&document()).unwrap();
        fs::write(&path, text + "\n").unwrap();
    }
    let stored: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(stored, document());
    let mut keys = KeyCache::new();
    let mut decode = |case: &Value| {
        let hex = case["hex"].as_str().unwrap();
        let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).unwrap();
        SyncMessage::decode(&bytes, &mut keys)
    };
    for case in stored["malformed"].as_array().unwrap() {
        assert!(decode(case).is_err(), "{}", case["name"]);
    }
    let mut read = |case: &Value| match decode(case).unwrap() {
        SyncMessage::ForkProof(proof) => VerifiedFork::verify(*proof),
        other => panic!("{other:?}"),
    };
    for (_, proof) in good() {
        assert_eq!(encode_raw(&proof), encode(proof), "both write the same");
    }
    for case in stored["accept"].as_array().unwrap() {
        let fork = read(case).unwrap();
        assert_eq!(
            fork.common(),
            Position::new(case["common"].as_u64().unwrap())
        );
        assert_eq!(fork.feed(), feed());
    }
    for case in stored["reject"].as_array().unwrap() {
        let violation = read(case).unwrap_err();
        assert_eq!(violation.rule(), "RANGE-5", "{}", case["name"]);
    }
}

/// Whatever bit of a header or a signature is changed, it proves nothing any more.
#[test]
fn range_5_no_changed_proof_holds() {
    let honest = proof(branch(5, before(), 1, 2), branch(5, before(), 2, 1));
    for side in 0..2 {
        for at in 0..64 {
            let mut changed = honest.clone();
            let mut bytes = changed.branches[side].signature.to_bytes();
            bytes[at] ^= 1 << (at % 8);
            changed.branches[side].signature = Signature::from_bytes(bytes);
            VerifiedFork::verify(changed).unwrap_err();
        }
        for at in 0..honest.branches[side].headers.len() {
            let mut changed = honest.clone();
            changed.branches[side].headers[at].body_len ^= 1;
            VerifiedFork::verify(changed).unwrap_err();
        }
    }
}
