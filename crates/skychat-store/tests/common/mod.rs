//! A store that says something, and all that can be read from one.

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use skychat_identity::{KeyCache, SecretKey};
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::*;
use skychat_proto::range::{RangeBuilder, RawRange, Row, RowLabel};
use skychat_proto::record::{Batch, ContentOf, Parts, Record, tables};
use skychat_seal::StoreKey;
use skychat_store::*;
use zeroize::Zeroizing;

pub const PEER: TableId = tables::PEER;

pub fn ann() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

pub fn bob() -> SecretKey {
    SecretKey::from_seed([2; 32])
}

pub fn key(seed: u8) -> StoreKey {
    StoreKey::generate(&mut ChaCha20Rng::from_seed([seed; 32]))
}

pub fn life(n: u8) -> Incarnation {
    Incarnation::from_bytes([n; 8])
}

pub fn options() -> OpenOptions {
    OpenOptions {
        segments: SegmentSizes {
            first: 2048,
            largest: 4096,
        },
        ..OpenOptions::new(ann().public(), key(9), life(1), [5; 32])
    }
}

pub fn space() -> SpaceId {
    SpaceId::direct(&ann().public(), &bob().public()).unwrap()
}

/// Writes entries of one feed.
pub struct Author {
    pub secret: SecretKey,
    pub feed: FeedId,
    pub head: Position,
    pub tip: EntryId,
}

impl Author {
    pub fn new(secret: SecretKey) -> Self {
        let feed = FeedId {
            author: secret.public(),
            space: space(),
            stream: Stream::MESSAGES,
            incarnation: life(1),
        };
        Author {
            secret,
            feed,
            head: Position::START,
            tip: EntryId::ZERO,
        }
    }

    /// A range with these bodies, and the ids of its entries.
    pub fn write(&mut self, bodies: &[Vec<u8>]) -> (RawRange, Vec<EntryId>) {
        let mut builder = RangeBuilder::new(self.feed, self.head.next(), self.tip).unwrap();
        for (n, body) in bodies.iter().enumerate() {
            let seq = self.head.get() + n as u64;
            let label = RowLabel {
                time: Timestamp::from_millis(1_800_000_000_000 + seq),
                kind: if seq == 0 { Kind::Open } else { Kind::Content },
                suite: if seq == 0 {
                    Suite::CLEAR
                } else {
                    Suite::HPKE_X25519
                },
                flags: Flags::NONE,
                context: Seq::FIRST,
                message: message(if seq == 0 { 0 } else { seq }),
            };
            builder
                .push(&Row::of_body(label, body).unwrap(), Some(body))
                .unwrap();
        }
        let (range, tip) = builder.sign(&self.secret).unwrap();
        self.head = range.end();
        self.tip = tip;
        let ids = range.headers().map(|(_, id)| id).collect();
        (range, ids)
    }

    /// A batch with `count` messages, each with a content and an event.
    pub fn batch(&mut self, id: u64, count: usize, size: usize) -> Batch {
        let first = self.head.get();
        let bodies: Vec<Vec<u8>> = (0..count).map(|n| vec![n as u8 ^ 0x5a; size]).collect();
        let (range, ids) = self.write(&bodies);
        let mut records = vec![Record::Range { range }];
        for (row, entry) in ids.into_iter().enumerate() {
            if first == 0 && row == 0 {
                continue;
            }
            records.push(Record::Content {
                of: ContentOf::Entry {
                    back: records.len() as u16,
                    row: row as u16,
                    id: entry,
                },
                event: true,
                plaintext: text(&format!("text {}", first + row as u64)),
            });
        }
        Batch {
            id: BatchId::new(id),
            records,
        }
    }
}

pub fn text(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&[0][..], text.as_bytes()].concat())
}

pub fn message(n: u64) -> MessageId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    MessageId::from_bytes(id)
}

pub fn put(table: TableId, key: &str, value: &str, event: bool) -> Record {
    Record::Put {
        table,
        key: key.as_bytes().to_vec(),
        value: value.as_bytes().to_vec(),
        event,
    }
}

pub fn batch(id: u64, records: Vec<Record>) -> Batch {
    Batch {
        id: BatchId::new(id),
        records,
    }
}

/// Groups of every kind of record, enough for several small segments.
pub fn script() -> Vec<Vec<Batch>> {
    let (mut ann, mut bob) = (Author::new(ann()), Author::new(bob()));
    let mut groups = vec![
        vec![
            ann.batch(1, 3, 40),
            batch(2, vec![put(PEER, "bob", "known", false)]),
        ],
        vec![bob.batch(3, 2, 100)],
        vec![batch(
            4,
            vec![
                put(PEER, "bob", "better known", false),
                put(PEER, "cat", "seen", false),
                put(tables::EVENT, "event 1", "something", true),
            ],
        )],
        vec![
            ann.batch(5, 1, 100),
            batch(
                6,
                vec![Record::Delete {
                    table: PEER,
                    key: b"cat".to_vec(),
                    event: true,
                }],
            ),
        ],
        vec![batch(
            7,
            vec![
                Record::Drop {
                    feed: bob.feed,
                    from: Position::new(0),
                    to: Position::new(2),
                    parts: Parts::Bodies,
                },
                Record::Content {
                    of: ContentOf::Draft {
                        author: ann.secret.public(),
                        space: space(),
                        message: message(77),
                    },
                    event: true,
                    plaintext: text("draft"),
                },
            ],
        )],
    ];
    for n in 0..4 {
        groups.push(vec![
            ann.batch(10 + 2 * n, 2, 150),
            bob.batch(11 + 2 * n, 1, 30),
        ]);
    }
    groups
}

/// All that a store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub tables: BTreeMap<(TableId, Vec<u8>), Vec<u8>>,
    pub tips: BTreeMap<FeedId, (Position, EntryId)>,
    pub ranges: Vec<bytes::Bytes>,
    pub events: Vec<StoredEvent>,
    pub history: Vec<StoredMessage>,
    pub conversations: Vec<StoredConversation>,
}

pub fn said(reader: &StoreReader, recovered: &Recovered) -> Result<Said, ReadError> {
    let mut ranges = Vec::new();
    for (feed, tip) in &recovered.tips {
        let mut at = Position::START;
        while at < tip.head {
            let range = reader.range(*feed, at, 4, 4096, false)?.unwrap();
            assert_eq!(range.start(), at);
            RawRange::decode(range.to_bytes(), &mut KeyCache::new()).unwrap();
            let (last, id) = range.headers().last().unwrap();
            last.verify(&range.signature()).unwrap();
            let (header, found, signature) = reader.header_at(*feed, range.end())?.unwrap();
            assert_eq!((header, found), (last, id));
            assert_eq!(signature, Some(range.signature()));
            at = range.end();
            ranges.push(range.to_bytes());
        }
    }
    let history = reader.history(space(), None, usize::MAX)?;
    for stored in &history {
        let header = &stored.header;
        let found = reader.content(header.feed, header.seq)?.unwrap();
        let id = found.message;
        assert_eq!(id, header.message);
        assert_eq!(found.content, stored.content);
        let found = reader
            .find(header.feed.author, header.feed.space, id)?
            .unwrap();
        assert_eq!((found.feed, found.seq), (header.feed, header.seq));
    }
    let events = reader.events(EventSeq::new(1), usize::MAX)?;
    assert!(
        events
            .iter()
            .map(|event| event.seq.get())
            .eq(1..=recovered.events.get())
    );
    Ok(Said {
        tables: recovered.tables.clone(),
        tips: recovered
            .tips
            .iter()
            .map(|(feed, tip)| (*feed, (tip.head, tip.hash)))
            .collect(),
        ranges,
        events,
        history,
        conversations: reader.conversations()?,
    })
}

/// Opens it, and reads everything.
pub fn look(disk: impl Disk + 'static) -> Result<(Said, Vec<Warning>), OpenError> {
    let (_, reader, recovered) = Store::open(disk, options())?;
    let said = said(&reader, &recovered).unwrap();
    Ok((said, recovered.warnings))
}

/// What the store says after each group of the script, the first of them before any.
pub fn milestones() -> Vec<Said> {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    let mut said = vec![look(disk.clone()).unwrap().0];
    for group in script() {
        writer.commit(group).unwrap();
        said.push(look(MemoryDisk::with_files(disk.files())).unwrap().0);
    }
    said
}
