//! Messages of services 0 and 1.

use serde_json::{Value, json};
use skychat_identity::{KeyCache, Signature};
use skychat_proto::entry::{Flags, Header, Kind, Suite};
use skychat_proto::ids::{
    BodyHash, EntryId, Incarnation, MessageId, Position, Seq, ServiceId, Timestamp,
};
use skychat_proto::link::{Goodbye, Hello, LinkMessage};
use skychat_proto::open::WriterKind;
use skychat_proto::sync::{
    Ack, Branch, ForkProof, Have, HaveHash, HaveRow, Hold, HoldCause, Kept, Refusal, Scope,
    Statement, StatementKind, SyncMessage, Want,
};

use crate::support::{Accept, Reject, accept, ann, check, feed, hex, reject, space};

// ----- protobuf by hand ---------------------------------------------------------------------

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(value.len() as u64),
        value.to_vec(),
    ]
    .concat()
}

/// A frame: one message of this kind, with these fields.
fn frame(kind: u64, fields: &[Vec<u8>]) -> Vec<u8> {
    bytes(kind, &fields.concat())
}

/// What every kind of message has to refuse, given one that is accepted as its encoded fields: the
/// first one has to be bytes of a fixed length.
fn refusals(name: &str, kind: u64, fields: &[Vec<u8>]) -> Vec<Reject> {
    let good = frame(kind, fields);
    let first = &fields[0];
    assert_eq!(first[0] & 7, 2, "the first field is bytes");
    let value = &first[2..];
    let with_first = |field: Vec<u8>| frame(kind, &[&[field], &fields[1..]].concat());
    let case = |what: &str, bytes: &[u8]| reject(&format!("{name}: {what}"), bytes);
    vec![
        case("one byte too few", &good[..good.len() - 1]),
        case("one byte too many", &[&good[..], &[0]].concat()),
        case("twice in one frame", &[&good[..], &good[..]].concat()),
        case("without its first field", &frame(kind, &fields[1..])),
        case(
            "its first field twice",
            &frame(kind, &[&fields[..1], fields].concat()),
        ),
        case("its first field as a number", &with_first(number(1, 1))),
        case(
            "its first field a byte shorter",
            &with_first(bytes(1, &value[..value.len() - 1])),
        ),
        case(
            "its first field a byte longer",
            &with_first(bytes(1, &[value, &[0]].concat())),
        ),
        case(
            "with a group in it",
            &frame(kind, &[fields, &[vec![0x7b, 0x7c]]].concat()),
        ),
    ]
}

// ----- service 0 ----------------------------------------------------------------------------

#[test]
fn link_messages() {
    let incarnation = Incarnation::from_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
    let parent = Incarnation::from_bytes([9; 8]);
    let mut accepted: Vec<Accept> = Vec::new();
    let mut refused: Vec<Reject> = Vec::new();
    let mut case = |name: &str, value: Value, message: LinkMessage, by_hand: Vec<u8>| {
        assert_eq!(message.encode(), by_hand, "{name}");
        accepted.push(accept(name, value, &by_hand));
    };

    let hello = [
        bytes(1, incarnation.as_bytes()),
        bytes(2, parent.as_bytes()),
        number(3, 1),
        bytes(5, &[0, 1, 2]),
        bytes(6, b"skychatd 0.1.0"),
    ];
    case(
        "hello",
        json!({ "hello": {
            "incarnation": incarnation,
            "line": [parent],
            "line_complete": true,
            "writer": 0,
            "services": [0, 1, 2],
            "agent": "skychatd 0.1.0",
            "statements": [],
        }}),
        LinkMessage::Hello(Hello {
            incarnation,
            line: vec![parent],
            line_complete: true,
            writer: WriterKind::Node,
            services: vec![ServiceId::LINK, ServiceId::SYNC, ServiceId::RANGE],
            agent: "skychatd 0.1.0".into(),
            statements: vec![],
        }),
        frame(1, &hello),
    );
    refused.extend(refusals("hello", 1, &hello));
    let hello_but = |field: usize, new: Vec<u8>| {
        let mut fields = hello.to_vec();
        fields[field] = new;
        frame(1, &fields)
    };
    refused.extend([
        reject("hello: half an ancestor", &hello_but(1, bytes(2, &[9; 12]))),
        reject("hello: 65 ancestors", &hello_but(1, bytes(2, &[9; 65 * 8]))),
        reject("hello: 2 as a truth", &hello_but(2, number(3, 2))),
        reject("hello: writer 3", &hello_but(2, number(4, 3))),
        reject(
            "hello: services that do not ascend",
            &hello_but(3, bytes(5, &[1, 0])),
        ),
        reject(
            "hello: service 65,536",
            &hello_but(3, bytes(5, &varint(65_536))),
        ),
        reject(
            "hello: service 2^32 + 1",
            &hello_but(3, bytes(5, &varint((1 << 32) + 1))),
        ),
        reject(
            "hello: an agent of 65 bytes",
            &hello_but(4, bytes(6, &[b'x'; 65])),
        ),
        reject(
            "hello: an agent that is no UTF-8",
            &hello_but(4, bytes(6, &[0xff])),
        ),
        reject(
            "hello: nine statements",
            &hello_but(4, bytes(7, b"").repeat(9)),
        ),
    ]);

    let one_shot = [bytes(1, incarnation.as_bytes()), number(4, 2)];
    case(
        "hello of a one-shot, as short as there is",
        json!({ "hello": {
            "incarnation": incarnation,
            "line": [],
            "line_complete": false,
            "writer": 2,
            "services": [],
            "agent": "",
            "statements": [],
        }}),
        LinkMessage::Hello(Hello {
            incarnation,
            line: vec![],
            line_complete: false,
            writer: WriterKind::OneShot,
            services: vec![],
            agent: String::new(),
            statements: vec![],
        }),
        frame(1, &one_shot),
    );

    let seven = [&[0x09][..], &7_u64.to_le_bytes()].concat();
    let ping = frame(2, std::slice::from_ref(&seven));
    case(
        "ping",
        json!({ "ping": 7 }),
        LinkMessage::Ping(7),
        ping.clone(),
    );
    case(
        "ping 0",
        json!({ "ping": 0 }),
        LinkMessage::Ping(0),
        frame(2, &[]),
    );
    case(
        "pong",
        json!({ "pong": 7 }),
        LinkMessage::Pong(7),
        frame(3, &[seven]),
    );
    refused.extend([
        reject("ping: a number of another type", &frame(2, &[number(1, 7)])),
        reject("ping: one byte too few", &ping[..ping.len() - 1]),
    ]);

    for (n, reason) in [
        (1, Goodbye::Stopping),
        (2, Goodbye::Replaced),
        (3, Goodbye::Stalled),
        (4, Goodbye::Violation),
        (5, Goodbye::NotAdmitted),
        (6, Goodbye::Busy),
        (7, Goodbye::Done),
    ] {
        case(
            &format!("goodbye for reason {n}"),
            json!({ "goodbye": n }),
            LinkMessage::Goodbye(reason),
            frame(4, &[number(1, n)]),
        );
    }

    let request = [bytes(1, incarnation.as_bytes())];
    case(
        "line request",
        json!({ "line_request": incarnation }),
        LinkMessage::LineRequest { incarnation },
        frame(5, &request),
    );
    refused.extend(refusals("line request", 5, &request));

    let line = [
        bytes(1, incarnation.as_bytes()),
        bytes(2, &[parent.to_bytes(), [8; 8]].concat()),
    ];
    case(
        "line",
        json!({ "line": {
            "incarnation": incarnation,
            "ancestors": [parent, Incarnation::from_bytes([8; 8])],
            "complete": false,
        }}),
        LinkMessage::Line {
            incarnation,
            ancestors: vec![parent, Incarnation::from_bytes([8; 8])],
            complete: false,
        },
        frame(6, &line),
    );
    refused.extend(refusals("line", 6, &line));

    let proof = [bytes(1, &[5; 64])];
    case(
        "proof",
        json!({ "proof": hex(&[5; 64]) }),
        LinkMessage::Proof(Signature::from_bytes([5; 64])),
        frame(7, &proof),
    );
    refused.extend(refusals("proof", 7, &proof));
    refused.push(reject("an empty frame", &[]));

    check(
        "link.json",
        "message of service 0",
        "docs/protocol/feed.md, section 7",
        accepted,
        refused,
        |bytes| {
            let message = LinkMessage::decode(bytes).ok()?;
            assert!(!matches!(message, LinkMessage::Unknown { .. }));
            Some(message.encode())
        },
    );
}

// ----- service 1 ----------------------------------------------------------------------------

fn header(seq: u64, n: u8) -> Header {
    Header {
        feed: feed(),
        seq: Seq::new(seq),
        prev: EntryId::from_bytes([n; 32]),
        time: Timestamp::from_millis(1_795_219_200_000),
        kind: Kind::Content,
        suite: Suite::HPKE_X25519,
        flags: Flags::NONE,
        context: Seq::FIRST,
        message: MessageId::from_bytes([n; 16]),
        body_len: 0,
        body_hash: BodyHash::of(b""),
    }
}

#[test]
fn sync_messages() {
    let id = EntryId::from_bytes([0xee; 32]);
    let f = feed();
    let feed_field = bytes(1, &f.to_bytes());
    let mut accepted: Vec<Accept> = Vec::new();
    let mut refused: Vec<Reject> = Vec::new();
    let mut case = |name: &str, value: Value, message: SyncMessage, kind, fields: &[Vec<u8>]| {
        assert_eq!(message.encode(), frame(kind, fields), "{name}");
        accepted.push(accept(name, value, &message.encode()));
        if !name.contains(',') {
            refused.extend(refusals(name, kind, fields));
        }
    };

    let row = HaveRow::new(&f, Position::new(9), id);
    let hash = Have::hash(std::slice::from_ref(&row));
    case(
        "have hash",
        json!({ "have_hash": { "space": space(), "hash": hex(&hash), "rows": 1, "of_rows": [
            { "author": f.author, "stream": 1, "incarnation": f.incarnation, "head": 9, "hash": id },
        ]}}),
        SyncMessage::HaveHash(HaveHash {
            space: space(),
            hash,
            rows: 1,
        }),
        1,
        &[bytes(1, space().as_bytes()), bytes(2, &hash), number(3, 1)],
    );

    let row_fields = |head: u64, hash: &EntryId| {
        [
            bytes(1, f.author.as_bytes()),
            number(2, 1),
            bytes(3, f.incarnation.as_bytes()),
            number(4, head),
            bytes(5, hash.as_bytes()),
        ]
        .concat()
    };
    let last = header(8, 1);
    let signature = last.sign(&ann());
    let proof = [&last.encode()[..], signature.as_bytes()].concat();
    let proven = [row_fields(9, &last.id()), bytes(6, &proof)].concat();
    case(
        "have",
        json!({ "have": { "space": space(), "more": true, "rows": [
            { "author": f.author, "stream": 1, "incarnation": f.incarnation, "head": 9,
              "hash": last.id(), "proof": hex(&proof) },
        ]}}),
        SyncMessage::Have(Have {
            space: space(),
            rows: vec![HaveRow::new(&f, Position::new(9), last.id()).with_proof(last, signature)],
            more: true,
        }),
        2,
        &[
            bytes(1, space().as_bytes()),
            bytes(2, &proven),
            number(3, 1),
        ],
    );
    case(
        "have, of nothing",
        json!({ "have": { "space": space(), "more": false, "rows": [] }}),
        SyncMessage::Have(Have {
            space: space(),
            rows: vec![],
            more: false,
        }),
        2,
        &[bytes(1, space().as_bytes())],
    );

    case(
        "want",
        json!({ "want": { "feed": f, "from": 3, "limit": 9 }}),
        SyncMessage::Want(Want {
            feed: f,
            from: Position::new(3),
            limit: Some(Position::new(9)),
        }),
        3,
        &[feed_field.clone(), number(2, 3), number(3, 9)],
    );
    case(
        "want, all there is and will be",
        json!({ "want": { "feed": f, "from": 0, "limit": null }}),
        SyncMessage::Want(Want {
            feed: f,
            from: Position::START,
            limit: None,
        }),
        3,
        std::slice::from_ref(&feed_field),
    );
    case(
        "not held",
        json!({ "not_held": { "feed": f }}),
        SyncMessage::NotHeld { feed: f },
        4,
        std::slice::from_ref(&feed_field),
    );
    case(
        "owed",
        json!({ "owed": { "feed": f, "acked": 300 }}),
        SyncMessage::Owed {
            feed: f,
            acked: Position::new(300),
        },
        5,
        &[feed_field.clone(), number(2, 300)],
    );

    let ack = [
        feed_field.clone(),
        number(2, 3),
        number(3, 9),
        bytes(4, id.as_bytes()),
        number(5, 1),
        bytes(6, &[number(1, 4), number(2, 7)].concat()),
        bytes(6, &[number(1, 8), number(2, 1)].concat()),
        number(7, 6),
    ];
    case(
        "ack",
        json!({ "ack": { "feed": f, "from": 3, "head": 9, "hash": id, "kept": 1,
            "refused": [[4, 7], [8, 1]], "read_up_to": 6 }}),
        SyncMessage::Ack(Ack {
            feed: f,
            from: Position::new(3),
            head: Position::new(9),
            hash: id,
            kept: Kept::Disk,
            refused: vec![
                (Seq::new(4), Refusal::Absent),
                (Seq::new(8), Refusal::TooLarge),
            ],
            read_up_to: Some(Position::new(6)),
        }),
        6,
        &ack,
    );
    case(
        "ack, of nothing, in memory",
        json!({ "ack": { "feed": f, "from": 0, "head": 0, "hash": EntryId::ZERO, "kept": 2,
            "refused": [], "read_up_to": null }}),
        SyncMessage::Ack(Ack {
            feed: f,
            from: Position::START,
            head: Position::START,
            hash: EntryId::ZERO,
            kept: Kept::Memory,
            refused: vec![],
            read_up_to: None,
        }),
        6,
        &[
            feed_field.clone(),
            bytes(4, EntryId::ZERO.as_bytes()),
            number(5, 2),
        ],
    );

    case(
        "hold",
        json!({ "hold": { "space": space(), "cause": 2, "retry_after_ms": 60_000 }}),
        SyncMessage::Hold(Hold {
            scope: Scope::Space(space()),
            cause: HoldCause::Quota,
            retry_after_ms: 60_000,
        }),
        7,
        &[
            bytes(1, space().as_bytes()),
            number(3, 2),
            number(4, 60_000),
        ],
    );
    case(
        "hold, of one feed",
        json!({ "hold": { "feed": f, "cause": 1, "retry_after_ms": 0 }}),
        SyncMessage::Hold(Hold {
            scope: Scope::Feed(f),
            cause: HoldCause::Rate,
            retry_after_ms: 0,
        }),
        7,
        &[bytes(2, &f.to_bytes()), number(3, 1)],
    );

    let (one, other) = (header(8, 1), header(8, 2));
    let next = Header {
        prev: one.id(),
        ..header(9, 3)
    };
    let sides = [
        [&one.encode()[..], &next.encode()[..]].concat(),
        other.encode().to_vec(),
    ];
    let signatures = [next.sign(&ann()), other.sign(&ann())];
    let branch = |n: usize| {
        let fields = [bytes(1, &sides[n]), bytes(2, signatures[n].as_bytes())];
        bytes(2, &fields.concat())
    };
    case(
        "fork proof",
        json!({ "fork_proof": { "feed": f, "branches": [
            { "headers": hex(&sides[0]), "signature": hex(signatures[0].as_bytes()) },
            { "headers": hex(&sides[1]), "signature": hex(signatures[1].as_bytes()) },
        ]}}),
        SyncMessage::ForkProof(Box::new(ForkProof {
            feed: f,
            branches: [
                Branch {
                    headers: vec![one, next],
                    signature: signatures[0],
                },
                Branch {
                    headers: vec![other],
                    signature: signatures[1],
                },
            ],
        })),
        8,
        &[feed_field.clone(), branch(0), branch(1)],
    );

    let expiry = Timestamp::from_millis(1_795_305_600_000);
    let statement =
        Statement::sign(&ann(), StatementKind::CARD, 5, expiry, b"body".to_vec()).unwrap();
    case(
        "statement",
        json!({ "statement": { "author": f.author, "kind": 1, "number": 5, "expiry": expiry,
            "body": hex(b"body"), "signature": hex(statement.signature.as_bytes()),
            "signed_bytes": hex(&statement.signed_bytes().unwrap()) }}),
        SyncMessage::Statement(statement.clone()),
        9,
        &[
            bytes(1, f.author.as_bytes()),
            number(2, 1),
            number(3, 5),
            number(4, expiry.as_millis()),
            bytes(5, b"body"),
            bytes(6, statement.signature.as_bytes()),
        ],
    );

    refused.extend(particular(&ack, &feed_field, row_fields(9, &id), &proof));
    check(
        "sync.json",
        "message of service 1",
        "docs/protocol/feed.md, section 7",
        accepted,
        refused,
        |bytes| {
            let message = SyncMessage::decode(bytes, &mut KeyCache::new()).ok()?;
            assert!(!matches!(message, SyncMessage::Unknown { .. }));
            Some(message.encode())
        },
    );
}

/// What single kinds of message have to refuse.
fn particular(ack: &[Vec<u8>; 8], feed: &[u8], row: Vec<u8>, proof: &[u8]) -> Vec<Reject> {
    let ack_but = |field: usize, new: Vec<u8>| {
        let mut fields = ack.to_vec();
        fields[field] = new;
        frame(6, &fields)
    };
    let refusal = |seq, cause| bytes(6, &[number(1, seq), number(2, cause)].concat());
    let have = |rows: Vec<u8>| frame(2, &[bytes(1, space().as_bytes()), rows]);
    let hold = |scope: &[Vec<u8>], cause| frame(7, &[scope, &[number(3, cause)]].concat());
    let space_field = bytes(1, space().as_bytes());
    let feed_2 = bytes(2, &feed[2..]);
    let side = bytes(2, &[bytes(1, &proof[..206]), bytes(2, &[5; 64])].concat());
    let feed = feed.to_vec();
    vec![
        reject("have: 257 rows", &have(bytes(2, &row).repeat(257))),
        reject(
            "have: a proof of another row",
            &have(bytes(2, &[row.clone(), bytes(6, proof)].concat())),
        ),
        reject(
            "have: a proof that is too short",
            &have(bytes(2, &[row, bytes(6, &proof[..269])].concat())),
        ),
        reject(
            "want: a limit at its start",
            &frame(3, &[feed.clone(), number(2, 3), number(3, 3)]),
        ),
        reject(
            "want: from 2^63",
            &frame(3, &[feed.clone(), number(2, 1 << 63)]),
        ),
        reject("ack: a head before its start", &ack_but(2, number(3, 2))),
        reject("ack: zeros as the hash", &ack_but(3, bytes(4, &[0; 32]))),
        reject("ack: kept nowhere", &ack_but(4, number(5, 0))),
        reject("ack: kept in a third place", &ack_but(4, number(5, 3))),
        reject(
            "ack: a refusal before its start",
            &ack_but(5, refusal(2, 7)),
        ),
        reject("ack: a refusal at its head", &ack_but(6, refusal(9, 7))),
        reject("ack: a refusal twice", &ack_but(6, refusal(4, 7))),
        reject("ack: a refusal without cause", &ack_but(5, refusal(4, 0))),
        reject("ack: a refusal for cause 11", &ack_but(5, refusal(4, 11))),
        reject("ack: 65 refusals", &ack_but(5, refusal(4, 7).repeat(65))),
        reject(
            "hold: of a space and a feed",
            &hold(&[space_field.clone(), feed_2], 1),
        ),
        reject("hold: of nothing", &hold(&[], 1)),
        reject("hold: for cause 6", &hold(&[space_field], 6)),
        reject(
            "fork proof: one side",
            &frame(8, &[feed.clone(), side.clone()]),
        ),
        reject(
            "fork proof: three sides",
            &frame(8, &[feed, side.clone(), side.clone(), side]),
        ),
        reject("an empty frame", &[]),
    ]
}
