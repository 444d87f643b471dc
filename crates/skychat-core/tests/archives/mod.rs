//! Archives that are made by hand, from `docs/protocol/archive.md`: what is said in them, and their lines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test that panics is a test that fails"
)]

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};
use skychat_identity::{Domain, SecretKey, Tagged};
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::*;
use skychat_proto::open::{Open, WriterKind};
use skychat_proto::range::{RangeBuilder, RawRange, Row, RowLabel};
use skychat_proto::record::{ContentOf, Parts, Record, tables};
use skychat_store::{ArchiveError, HistoryItem, HistoryWriter, KeptGroup, KeptRecord};
use zeroize::Zeroizing;

pub fn ann() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

pub fn bob() -> SecretKey {
    SecretKey::from_seed([2; 32])
}

pub fn life(n: u8) -> Incarnation {
    Incarnation::from_bytes([n; 8])
}

pub fn space() -> SpaceId {
    SpaceId::direct(&ann().public(), &bob().public()).unwrap()
}

/// The feed of somebody in the space of the two.
pub fn feed(author: &SecretKey) -> FeedId {
    FeedId {
        author: author.public(),
        space: space(),
        stream: Stream::MESSAGES,
        incarnation: life(author.expose_bytes()[0]),
    }
}

/// The bodies of a feed: how it opens, and two sealed contents.
pub fn bodies() -> [Vec<u8>; 3] {
    let open = Open {
        writer: WriterKind::Node,
        parent: None,
        epoch: 0,
        heads: Vec::new(),
        continues: Vec::new(),
    };
    [open.encode().unwrap(), vec![0x5a; 40], vec![0x5b; 41]]
}

/// The whole feed as one range, signed by `signer`; and without some bodies.
pub fn range(author: &SecretKey, signer: &SecretKey, bodies: &[Option<Vec<u8>>]) -> RawRange {
    let mut builder = RangeBuilder::new(feed(author), Seq::FIRST, EntryId::ZERO).unwrap();
    for (n, body) in bodies.iter().enumerate() {
        let label = RowLabel {
            time: Timestamp::from_millis(1_800_000_000_000 + n as u64),
            kind: if n == 0 { Kind::Open } else { Kind::Content },
            suite: if n == 0 {
                Suite::CLEAR
            } else {
                Suite::HPKE_X25519
            },
            flags: Flags::NONE,
            context: Seq::FIRST,
            message: MessageId::from_bytes([n as u8; 16]),
        };
        let whole = self::bodies()[n].clone();
        let row = Row::of_body(label, &whole).unwrap();
        builder.push(&row, body.as_deref()).unwrap();
    }
    builder.sign(signer).unwrap().0
}

pub fn whole_range(author: &SecretKey) -> RawRange {
    range(author, author, &bodies().map(Some))
}

pub fn content(range: &RawRange, back: u16, row: u16, text: &str) -> Record {
    let (_, id) = range.headers().nth(row.into()).unwrap();
    Record::Content {
        of: ContentOf::Entry { back, row, id },
        event: true,
        plaintext: Zeroizing::new([&[0][..], text.as_bytes()].concat()),
    }
}

pub fn put(table: TableId, key: &[u8], value: &[u8]) -> Record {
    Record::Put {
        table,
        key: key.to_vec(),
        value: value.to_vec(),
        event: false,
    }
}

/// Records that were committed together, their events numbered on from `last`.
pub fn group(life: Option<Incarnation>, last: &mut u64, records: Vec<Record>) -> KeptGroup {
    let records = records.into_iter().map(|record| {
        let event = match &record {
            Record::Content { event, .. }
            | Record::Put { event, .. }
            | Record::Delete { event, .. } => *event,
            Record::Range { .. } | Record::Drop { .. } => false,
        };
        *last += u64::from(event);
        let event = EventSeq::new(if event { *last } else { 0 });
        KeptRecord { event, record }
    });
    let records = records.collect();
    KeptGroup { life, records }
}

/// What Ann has: her feed and Bob's, with every kind of record.
pub fn groups() -> Vec<KeptGroup> {
    let (mine, his) = (whole_range(&ann()), whole_range(&bob()));
    let mut last = 0;
    let told = Record::Put {
        table: tables::EVENT,
        key: vec![7; 16],
        value: b"seen".to_vec(),
        event: true,
    };
    let draft = Record::Content {
        of: ContentOf::Draft {
            author: ann().public(),
            space: space(),
            message: MessageId::from_bytes([9; 16]),
        },
        event: false,
        plaintext: Zeroizing::new(b"\0later".to_vec()),
    };
    vec![
        group(
            Some(life(1)),
            &mut last,
            vec![
                put(tables::PEER, b"bob", b"known"),
                Record::Range {
                    range: mine.clone(),
                },
                content(&mine, 1, 1, "one"),
                content(&mine, 2, 2, "two"),
            ],
        ),
        group(
            None,
            &mut last,
            vec![
                Record::Range { range: his.clone() },
                content(&his, 1, 1, "three"),
                put(tables::ACKED, b"mine", b"3"),
                told,
            ],
        ),
        group(
            Some(life(3)),
            &mut last,
            vec![
                Record::Drop {
                    feed: feed(&ann()),
                    from: Position::new(1),
                    to: Position::new(3),
                    parts: Parts::Bodies,
                },
                Record::Delete {
                    table: tables::PEER,
                    key: b"bob".to_vec(),
                    event: false,
                },
                draft,
            ],
        ),
    ]
}

/// The lines of an archive, without their ends; all but the last.
pub fn lines(groups: &[KeptGroup]) -> Vec<String> {
    let owner = ann().public();
    let mut lines = vec![format!(
        r#"{{"type":"skychat-export","v":1,"archive":1,"public_key":"{owner}","exported":1800000000000}}"#
    )];
    for (n, text) in ["one", "two", "three"].into_iter().enumerate() {
        lines.push(format!(
            r#"{{"type":"message","id":"{n:032x}","direction":"out","text":"{text}"}}"#
        ));
    }
    let mut history = HistoryWriter::default();
    for group in groups {
        history
            .group::<ArchiveError>(group, &mut |item| {
                lines.push(match item {
                    HistoryItem::Record(item) => record_line(item),
                    HistoryItem::Group(None) => r#"{"type":"group"}"#.to_owned(),
                    HistoryItem::Group(Some(life)) => {
                        let life = HEXLOWER.encode(life.as_bytes());
                        format!(r#"{{"type":"group","life":"{life}"}}"#)
                    }
                });
                Ok(())
            })
            .unwrap();
    }
    lines
}

pub fn record_line(item: &[u8]) -> String {
    let data = BASE64.encode(item);
    format!(r#"{{"type":"record","data":"{data}"}}"#)
}

/// A record as an item, whatever it says.
pub fn item(kind: u8, meta: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(meta.len()).unwrap().to_be_bytes();
    [&[0; 8][..], &[kind], &length[..], meta, body].concat()
}

pub fn counted(lines: &[String], kind: &str) -> usize {
    let start = format!(r#"{{"type":"{kind}""#);
    lines
        .iter()
        .filter(|line| line.starts_with(start.as_str()))
        .count()
}

pub fn hash(lines: &[String]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    hash.finalize().into()
}

/// What somebody signs under this tag.
pub fn signature(signer: &SecretKey, domain: Domain, hash: &[u8; 32]) -> String {
    let bytes = [domain.tag(), hash].concat();
    let tagged = Tagged::new(domain, &bytes).unwrap();
    HEXLOWER.encode(&signer.sign(tagged).to_bytes())
}

/// The last line of these lines, signed.
pub fn end(lines: &[String], signer: &SecretKey) -> String {
    let hash = hash(lines);
    format!(
        r#"{{"type":"end","messages":"{}","groups":"{}","records":"{}","sha256":"{}","signature":"{}"}}"#,
        counted(lines, "message"),
        counted(lines, "group"),
        counted(lines, "record"),
        HEXLOWER.encode(&hash),
        signature(signer, Domain::Archive, &hash),
    )
}

/// The file of these lines, ended and signed as its owner does.
pub fn file(mut lines: Vec<String>) -> String {
    let end = end(&lines, &ann());
    lines.push(end);
    joined(&lines)
}

pub fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The file with a history of one record, whatever it says.
pub fn of_item(item: &[u8]) -> String {
    let mut lines = lines(&[]);
    lines.extend([record_line(item), r#"{"type":"group"}"#.to_owned()]);
    file(lines)
}
