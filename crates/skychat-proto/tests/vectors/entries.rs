//! Ids, headers, ranges, open bodies, contents.

use bytes::Bytes;
use serde_json::{Value, json};
use skychat_identity::KeyCache;
use skychat_proto::content::Content;
use skychat_proto::entry::{Flags, Header, Kind, Suite};
use skychat_proto::ids::{
    BodyHash, EntryId, FeedId, Incarnation, MessageId, Seq, SpaceId, Timestamp,
};
use skychat_proto::open::{Continues, Open, WriterKind};
use skychat_proto::range::{RangeBuilder, RawRange, Row, RowLabel};

use crate::support::{Accept, Reject, accept, ann, bob, check, feed, hex, reject, space, with};

const MESSAGE: MessageId = MessageId::from_bytes([
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
]);
const TIME: Timestamp = Timestamp::from_millis(1_795_219_200_000);

fn header(seq: u64, prev: EntryId) -> Header {
    Header {
        feed: feed(),
        seq: Seq::new(seq),
        prev,
        time: TIME,
        kind: Kind::Content,
        suite: Suite::HPKE_X25519,
        flags: Flags::AGAIN,
        context: Seq::FIRST,
        message: MESSAGE,
        body_len: 11,
        body_hash: BodyHash::of(b"sealed body"),
    }
}

fn header_json(header: &Header) -> Value {
    json!({
        "author": header.feed.author,
        "space": header.feed.space,
        "stream": header.feed.stream,
        "incarnation": header.feed.incarnation,
        "seq": header.seq,
        "prev": header.prev,
        "time": header.time,
        "kind": header.kind.number(),
        "suite": header.suite.get(),
        "flags": header.flags.get(),
        "context": header.context,
        "message": header.message,
        "body_len": header.body_len,
        "body_hash": header.body_hash,
    })
}

#[test]
fn ids() {
    let mut keys = KeyCache::new();
    let bytes = feed().to_bytes();
    let value = json!({
        "author": feed().author,
        "space": feed().space,
        "stream": feed().stream,
        "incarnation": feed().incarnation,
        "text": feed().to_string(),
        "direct_space_of": [ann().public(), bob().public()],
    });
    assert_eq!(
        SpaceId::direct(&bob().public(), &ann().public()),
        Ok(space())
    );
    // y = 2 is on no point; the order-2 point; y = p + 1, which is 1 written otherwise.
    let mut not_on_curve = [0; 32];
    not_on_curve[0] = 2;
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    let mut not_canonical = [0xff; 32];
    (not_canonical[0], not_canonical[31]) = (0xee, 0x7f);
    check(
        "ids.json",
        "feed id",
        "docs/protocol/feed.md, section 2",
        vec![accept(
            "Ann's feed in her direct space with Bob",
            value,
            &bytes,
        )],
        vec![
            reject(
                "an author that is no point",
                &with(&bytes, 0, &not_on_curve),
            ),
            reject(
                "an author of order 1",
                &with(&bytes, 0, &{
                    let mut one = [0; 32];
                    one[0] = 1;
                    one
                }),
            ),
            reject("an author of order 2", &with(&bytes, 0, &order_two)),
            reject("an author of order 4", &with(&bytes, 0, &[0; 32])),
            reject(
                "an author that is not canonical",
                &with(&bytes, 0, &not_canonical),
            ),
            reject("one byte too few", &bytes[..72]),
            reject("one byte too many", &[&bytes[..], &[0]].concat()),
        ],
        |bytes| {
            let bytes: &[u8; FeedId::LEN] = bytes.try_into().ok()?;
            let feed = FeedId::from_bytes(bytes, &mut keys).ok()?;
            Some(feed.to_bytes().to_vec())
        },
    );
}

#[test]
fn headers() {
    let mut keys = KeyCache::new();
    let first = Header {
        kind: Kind::Open,
        suite: Suite::CLEAR,
        flags: Flags::NONE,
        message: MessageId::ZERO,
        ..header(0, EntryId::ZERO)
    };
    let second = header(1, first.id());
    let newer = Header {
        suite: Suite::new(9),
        flags: Flags::new(0x80),
        seq: Seq::MAX,
        context: Seq::new(7),
        time: Timestamp::from_millis(u64::MAX),
        ..second
    };
    let case = |name: &str, header: &Header| {
        let mut value = header_json(header);
        value["id"] = json!(header.id());
        value["signature"] = json!(hex(header.sign(&ann()).as_bytes()));
        accept(name, value, &header.encode())
    };
    let bytes = second.encode();
    check(
        "header.json",
        "entry header",
        "docs/protocol/feed.md, section 3",
        vec![
            case("the first entry", &first),
            case("a message, issued again", &second),
            case(
                "a suite and a flag that are not known, at the last place",
                &newer,
            ),
        ],
        vec![
            reject("another tag", &with(&bytes, 11, b"card/entry")),
            reject("version 2", &with(&bytes, 21, &[2])),
            reject("an author of small order", &with(&bytes, 22, &[0; 32])),
            reject(
                "seq 2^63 - 1",
                &with(&bytes, 95, &(u64::MAX >> 1).to_be_bytes()),
            ),
            reject("entry 0 with a prev", &with(&bytes, 95, &[0; 8])),
            reject("entry 1 without a prev", &with(&bytes, 103, &[0; 32])),
            reject("kind 3", &with(&bytes, 143, &[3])),
            reject(
                "context 2^63",
                &with(&bytes, 146, &(1_u64 << 63).to_be_bytes()),
            ),
            reject(
                "a body of 1 MiB",
                &with(&bytes, 170, &(1_u32 << 20).to_be_bytes()),
            ),
            reject("one byte too few", &bytes[..205]),
            reject("one byte too many", &[&bytes[..], &[0]].concat()),
            reject("nothing", &[]),
        ],
        |bytes| {
            let header = Header::decode(bytes, &mut keys).ok()?;
            Some(header.encode().to_vec())
        },
    );
}

/// Three entries: `open`, and two messages, the second without its body.
fn range() -> RawRange {
    let open = Open {
        writer: WriterKind::Node,
        parent: None,
        epoch: 0,
        heads: vec![],
        continues: vec![],
    }
    .encode()
    .unwrap();
    let label = |kind, suite, message| RowLabel {
        time: TIME,
        kind,
        suite,
        flags: Flags::NONE,
        context: Seq::FIRST,
        message,
    };
    let opening = label(Kind::Open, Suite::CLEAR, MessageId::ZERO);
    let saying = label(Kind::Content, Suite::HPKE_X25519, MESSAGE);
    let mut builder = RangeBuilder::new(feed(), Seq::FIRST, EntryId::ZERO).unwrap();
    let row = Row::of_body(opening, &open).unwrap();
    builder.push(&row, Some(&open)).unwrap();
    let row = Row::of_body(saying, b"sealed body").unwrap();
    builder.push(&row, Some(b"sealed body")).unwrap();
    let row = Row::of_body(saying, b"dropped body").unwrap();
    builder.push(&row, None).unwrap();
    builder.sign(&ann()).unwrap().0
}

fn range_json(range: &RawRange) -> Value {
    let rows: Vec<Value> = range
        .entries()
        .zip(range.headers())
        .map(|((row, body), (header, id))| {
            let mut value = header_json(&header);
            for once in ["author", "space", "stream", "incarnation"] {
                value.as_object_mut().unwrap().remove(once);
            }
            value["id"] = json!(id);
            value["present"] = json!(row.present);
            value["body"] = json!(body.map(hex));
            value
        })
        .collect();
    json!({
        "author": range.feed().author,
        "space": range.feed().space,
        "stream": range.feed().stream,
        "incarnation": range.feed().incarnation,
        "first": range.first(),
        "first_prev": range.first_prev(),
        "signature": hex(range.signature().as_bytes()),
        "entries": rows,
    })
}

#[test]
fn ranges() {
    let mut keys = KeyCache::new();
    let whole = range();
    let suffix = whole.suffix(Seq::new(1).position()).unwrap();
    let bare = whole.without_bodies(|_, _| true);
    let case = |name: &str, range: &RawRange| accept(name, range_json(range), &range.to_bytes());
    let bytes = whole.to_bytes();
    let row = |n: usize| 116 + 72 * n;
    check(
        "range.json",
        "range",
        "docs/protocol/feed.md, section 4",
        vec![
            case("three entries, the last without its body", &whole),
            case("the last two of them", &suffix),
            case("all without bodies", &bare),
        ],
        vec![
            reject("version 0", &with(&bytes, 0, &[0])),
            reject("an author of small order", &with(&bytes, 1, &[0; 32])),
            reject("no entries", &with(&bytes, 114, &[0, 0])),
            reject("257 entries", &with(&bytes, 114, &[1, 1])),
            reject("one entry more than there is", &with(&bytes, 114, &[0, 4])),
            reject("one entry less than there is", &with(&bytes, 114, &[0, 2])),
            reject("from entry 1 on without a prev", &with(&bytes, 81, &[1])),
            reject("from entry 0 on with a prev", &with(&bytes, 82, &[1])),
            reject("kind 3", &with(&bytes, row(1) + 8, &[3])),
            reject(
                "2 as the mark of presence",
                &with(&bytes, row(1) + 11, &[2]),
            ),
            reject(
                "a body that is there is said not to be",
                &with(&bytes, row(1) + 11, &[0]),
            ),
            reject(
                "a body that is not there is said to be",
                &with(&bytes, row(2) + 11, &[1]),
            ),
            reject(
                "a body of 1 MiB",
                &with(&bytes, row(2) + 36, &(1_u32 << 20).to_be_bytes()),
            ),
            reject("one byte too few", &bytes[..bytes.len() - 1]),
            reject("one byte too many", &[&bytes[..], &[0]].concat()),
            reject("the prefix alone", &bytes[..116]),
        ],
        |bytes| {
            let range = RawRange::decode(Bytes::copy_from_slice(bytes), &mut keys).ok()?;
            // Whether a body is there is not signed: the signature holds for all three.
            range.last_header()?.verify(&range.signature()).ok()?;
            Some(range.to_bytes().to_vec())
        },
    );
}

#[test]
fn open_bodies() {
    let continues = |n: u8| Continues {
        incarnation: Incarnation::from_bytes([n; 8]),
        seq: Seq::new(n.into()),
        hash: EntryId::from_bytes([n; 32]),
    };
    let case = |name: &str, open: &Open| {
        let continues: Vec<Value> = open
            .continues
            .iter()
            .map(|earlier| {
                json!({
                    "incarnation": earlier.incarnation,
                    "seq": earlier.seq,
                    "hash": earlier.hash,
                })
            })
            .collect();
        let value = json!({
            "writer": open.writer.number(),
            "parent": open.parent,
            "epoch": open.epoch,
            "heads": open.heads,
            "continues": continues,
        });
        accept(name, value, &open.encode().unwrap())
    };
    let first = Open {
        writer: WriterKind::Node,
        parent: None,
        epoch: 0,
        heads: vec![],
        continues: vec![],
    };
    let next = Open {
        parent: Some(Incarnation::from_bytes([7; 8])),
        continues: vec![continues(7)],
        ..first.clone()
    };
    let full = Open {
        writer: WriterKind::OneShot,
        epoch: u64::MAX,
        heads: (1..=8).map(|n| EntryId::from_bytes([n; 32])).collect(),
        continues: (1..=8).map(continues).collect(),
        ..next.clone()
    };
    let bytes = next.encode().unwrap();
    check(
        "open.json",
        "open body",
        "docs/protocol/feed.md, section 5",
        vec![
            case("the first life of a store", &first),
            case("the next life", &next),
            case("everything there can be", &full),
        ],
        vec![
            reject("version 2", &with(&bytes, 0, &[2])),
            reject("writer 3", &with(&bytes, 1, &[3])),
            reject("2 as the mark of the parent", &with(&bytes, 2, &[2])),
            reject(
                "a parent that is said not to be there",
                &with(&bytes, 2, &[0]),
            ),
            reject("nine heads", &with(&bytes, 19, &[9])),
            reject("one head that is not there", &with(&bytes, 19, &[1])),
            reject("nine predecessors", &with(&bytes, 20, &[9])),
            reject("seq 2^63", &with(&bytes, 29, &(1_u64 << 63).to_be_bytes())),
            reject("one byte too few", &bytes[..bytes.len() - 1]),
            reject("one byte too many", &[&bytes[..], &[0]].concat()),
            reject("nothing", &[]),
        ],
        |bytes| Open::decode(bytes).ok()?.encode().ok(),
    );
}

#[test]
fn contents() {
    let text = |text: &str| {
        let value = json!({ "kind": 1, "text": text });
        let bytes = Content::text(text).unwrap().encode();
        accept(&format!("the text {text:?}"), value, &bytes)
    };
    let unsupported = |name: &str, bytes: &[u8]| -> Accept {
        let kind = u16::from_be_bytes([bytes[0], bytes[1]]);
        let value = json!({ "kind": kind, "unsupported": hex(&bytes[2..]) });
        let is_unsupported = matches!(Content::decode(bytes), Ok(Content::Unsupported { .. }));
        assert!(is_unsupported);
        accept(name, value, bytes)
    };
    let refused = |name: &str, bytes: &[u8]| -> Reject { reject(name, bytes) };
    check(
        "content.json",
        "content",
        "docs/protocol/feed.md, section 6",
        vec![
            text("hello"),
            text("héllo\n漢字 👍"),
            unsupported("kind 2", &[0, 2, 1, 2, 3]),
            unsupported("kind 65,535, empty", &[0xff, 0xff]),
            unsupported("a text with field 2", &[0, 1, 0x0a, 1, b'a', 0x12, 1, b'b']),
        ],
        vec![
            refused("nothing", &[]),
            refused("half a kind", &[0]),
            refused("a text without text", &[0, 1]),
            refused("a text that is empty", &[0, 1, 0x0a, 0]),
            refused("a text that is cut off", &[0, 1, 0x0a, 5, b'h', b'e']),
            refused("a text that is no UTF-8", &[0, 1, 0x0a, 1, 0xff]),
            refused("two texts", &[0, 1, 0x0a, 1, b'a', 0x0a, 1, b'b']),
            refused("a text that is a number", &[0, 1, 0x08, 1]),
            refused(
                "a length with a byte too many",
                &[0, 1, 0x0a, 0x81, 0, b'a'],
            ),
        ],
        |bytes| Some(Content::decode(bytes).ok()?.encode().to_vec()),
    );
}
