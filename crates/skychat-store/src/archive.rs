//! What a store says as one run of bytes, to be kept elsewhere and written again.
//!
//! Items, each a type, a length and that many bytes: the identity first, then records, each group
//! of them closed by an item of its own, and the counts last. A record is as in the journal, with
//! what is sealed there in clear: whoever keeps these bytes seals them.
//!
//! Spec: `docs/protocol/backup.md`.

use std::fmt;

use bytes::Bytes;
use skychat_identity::KeyCache;
use skychat_proto::entry::Header;
use skychat_proto::ids::{EntryId, EventSeq, Incarnation, TableId, Timestamp};
use skychat_proto::range::RawRange;
use skychat_proto::record::{ContentOf, Record};
use zeroize::Zeroizing;

use crate::gather::{KeptGroup, KeptRecord};
use crate::layout::Fields;
use crate::record::{ContentMeta, Span, is_own, put_row_meta, row_meta};
use crate::writer::{MAX_GROUP_BYTES, MAX_GROUP_RECORDS};

/// Bytes of one item at most.
pub const MAX_ARCHIVE_ITEM: usize = 16 * 1024 * 1024;

const START: u8 = 1;
const RECORD: u8 = 2;
const GROUP: u8 = 3;
const END: u8 = 4;

/// Tables of secret rows, which are the state of keys: these are in no archive (JRN-8).
const SECRET: std::ops::Range<TableId> = TableId::new(128)..TableId::new(200);

/// A part of an archive.
#[derive(Debug)]
pub enum ArchiveItem {
    /// Whose it is, and when it was made: always the first.
    Start {
        /// The secret key.
        seed: Zeroizing<[u8; 32]>,
        /// By the clock of whoever made it.
        made: Timestamp,
    },
    /// What was committed together.
    Group(KeptGroup),
    /// That this is all: always the last.
    End,
}

impl fmt::Debug for ArchiveWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveWriter")
            .field("groups", &self.groups)
            .field("records", &self.records)
            .finish()
    }
}

/// Encodes an archive.
#[derive(Default)]
pub struct ArchiveWriter {
    groups: u64,
    records: u64,
}

impl ArchiveWriter {
    /// Appends the start.
    pub fn start(&mut self, seed: &[u8; 32], made: Timestamp, out: &mut Vec<u8>) {
        let mut item = Zeroizing::new(Vec::with_capacity(40));
        item.extend_from_slice(seed);
        item.extend_from_slice(&made.as_millis().to_be_bytes());
        put_item(START, &item, out);
    }

    /// Appends a group, without the state of keys.
    ///
    /// # Errors
    /// [`ArchiveError::TooLong`].
    pub fn group(&mut self, group: &KeptGroup, out: &mut Vec<u8>) -> Result<(), ArchiveError> {
        // Where each record of the group went.
        let mut places: Vec<usize> = Vec::with_capacity(group.records.len());
        let mut count = 0_usize;
        for kept in &group.records {
            places.push(count);
            if is_secret(&kept.record) {
                continue;
            }
            let mut item = Zeroizing::new(Vec::new());
            item.extend_from_slice(&kept.event.get().to_be_bytes());
            encode(&kept.record, &places, &mut item)?;
            if item.len() > MAX_ARCHIVE_ITEM {
                return Err(ArchiveError::TooLong { found: item.len() });
            }
            put_item(RECORD, &item, out);
            count = count.saturating_add(1);
        }
        let life = group.life.as_ref().map(|life| &life.as_bytes()[..]);
        put_item(GROUP, life.unwrap_or_default(), out);
        self.groups = self.groups.saturating_add(1);
        self.records = self.records.saturating_add(count as u64);
        Ok(())
    }

    /// Appends the end.
    pub fn end(self, out: &mut Vec<u8>) {
        let counts = [self.groups.to_be_bytes(), self.records.to_be_bytes()].concat();
        put_item(END, &counts, out);
    }
}

fn is_secret(record: &Record) -> bool {
    match record {
        Record::Put { table, .. } | Record::Delete { table, .. } => SECRET.contains(table),
        _ => false,
    }
}

fn put_item(kind: u8, item: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    // At most `MAX_ARCHIVE_ITEM`.
    let length = u32::try_from(item.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(item);
}

/// Kind, meta with its length, body.
fn encode(record: &Record, places: &[usize], out: &mut Vec<u8>) -> Result<(), ArchiveError> {
    let mut meta = Vec::new();
    let (kind, body): (u8, &[u8]) = match record {
        Record::Range { range } => {
            meta.extend_from_slice(range.head_block());
            (1, range.bodies())
        }
        Record::Content { of, plaintext, .. } => {
            let of = match *of {
                ContentOf::Entry { back, row, .. } => {
                    let here = places.len().saturating_sub(1);
                    let range = here.checked_sub(back.into());
                    let range = range.and_then(|range| places.get(range));
                    let now = places.last().zip(range);
                    let back = now.and_then(|(now, range)| now.checked_sub(*range));
                    let back = back.and_then(|back| u16::try_from(back).ok());
                    let back = back.ok_or(ArchiveError::Record)?;
                    ContentMeta::Entry { back, row }
                }
                ContentOf::Draft {
                    author,
                    space,
                    message,
                } => ContentMeta::Draft {
                    author,
                    space,
                    message,
                },
            };
            of.encode(&mut meta);
            (2, plaintext)
        }
        Record::Drop {
            feed,
            from,
            to,
            parts,
        } => {
            let (feed, from, to, parts) = (*feed, *from, *to, *parts);
            let span = Span {
                feed,
                from,
                to,
                parts,
            };
            span.encode(&mut meta);
            (3, &[])
        }
        Record::Put {
            table, key, value, ..
        } => {
            put_row_meta(*table, key, &mut meta);
            (4, value)
        }
        Record::Delete { table, key, .. } => {
            put_row_meta(*table, key, &mut meta);
            (5, &[])
        }
    };
    out.push(kind);
    let found = meta.len();
    let length = u32::try_from(found).map_err(|_| ArchiveError::TooLong { found })?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&meta);
    out.extend_from_slice(body);
    Ok(())
}

/// Decodes an archive, whatever pieces it comes in.
#[derive(Debug, Default)]
pub struct ArchiveReader {
    buffer: Zeroizing<Vec<u8>>,
    /// What was read of the buffer.
    at: usize,
    started: bool,
    ended: bool,
    group: Vec<KeptRecord>,
    group_bytes: usize,
    /// The headers of the range that was named last, by its place in the group.
    headers: Option<(usize, Vec<(Header, EntryId)>)>,
    keys: KeyCache,
    groups: u64,
    records: u64,
}

impl ArchiveReader {
    /// Takes in what comes next.
    pub fn push(&mut self, bytes: &[u8]) {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let mut buffer = Zeroizing::new(Vec::with_capacity(rest.len().saturating_add(bytes.len())));
        buffer.extend_from_slice(rest);
        buffer.extend_from_slice(bytes);
        self.buffer = buffer;
        self.at = 0;
    }

    /// The next part; `None`: more bytes are needed. Items that close no group give none.
    ///
    /// # Errors
    /// [`ArchiveError`].
    #[expect(
        clippy::should_implement_trait,
        reason = "it can fail, and go on later"
    )]
    pub fn next(&mut self) -> Result<Option<ArchiveItem>, ArchiveError> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let mut fields = Fields::new(rest);
            let (Some(kind), Some(length)) = (fields.u8(), fields.u32()) else {
                return Ok(None);
            };
            let found = length as usize;
            if found > MAX_ARCHIVE_ITEM {
                return Err(ArchiveError::TooLong { found });
            }
            let Some(item) = fields.rest().get(..found) else {
                return Ok(None);
            };
            let item = Zeroizing::new(item.to_vec());
            self.at = self.at.saturating_add(5).saturating_add(found);
            if self.ended || self.started == (kind == START) {
                return Err(ArchiveError::Order);
            }
            match kind {
                START => {
                    self.started = true;
                    return start(&item).map(Some).ok_or(ArchiveError::Record);
                }
                RECORD => self.record(&item)?,
                GROUP => return self.close(&item).map(Some),
                END => {
                    self.ended = true;
                    let counts = [self.groups.to_be_bytes(), self.records.to_be_bytes()].concat();
                    let whole = self.group.is_empty() && counts == **item;
                    return if whole {
                        Ok(Some(ArchiveItem::End))
                    } else {
                        Err(ArchiveError::Counts)
                    };
                }
                found => return Err(ArchiveError::Kind { found }),
            }
        }
    }

    /// All bytes were handed in.
    ///
    /// # Errors
    /// [`ArchiveError::Cut`]: there has to be more.
    pub fn finish(self) -> Result<(), ArchiveError> {
        if self.ended && self.at == self.buffer.len() {
            Ok(())
        } else {
            Err(ArchiveError::Cut)
        }
    }

    fn close(&mut self, item: &[u8]) -> Result<ArchiveItem, ArchiveError> {
        let life = match item {
            [] => None,
            life => Some(Incarnation::from_slice(life).ok_or(ArchiveError::Record)?),
        };
        let records = std::mem::take(&mut self.group);
        self.groups = self.groups.saturating_add(1);
        (self.group_bytes, self.headers) = (0, None);
        Ok(ArchiveItem::Group(KeptGroup { life, records }))
    }

    fn record(&mut self, item: &[u8]) -> Result<(), ArchiveError> {
        self.group_bytes = self.group_bytes.saturating_add(item.len());
        let full = self.group.len().saturating_add(1) >= MAX_GROUP_RECORDS;
        if full || self.group_bytes > MAX_GROUP_BYTES {
            let found = self.group_bytes;
            return Err(ArchiveError::TooLong { found });
        }
        let record = self.decode(item).ok_or(ArchiveError::Record)?;
        self.group.push(record);
        self.records = self.records.saturating_add(1);
        Ok(())
    }

    fn decode(&mut self, item: &[u8]) -> Option<KeptRecord> {
        let mut fields = Fields::new(item);
        let number = fields.u64()?;
        let kind = fields.u8()?;
        let length = fields.u32()? as usize;
        let (meta, body) = fields.rest().split_at_checked(length)?;
        let event = number != 0;
        let record = match kind {
            1 => {
                let (head, bodies) = (Bytes::copy_from_slice(meta), Bytes::copy_from_slice(body));
                let range = RawRange::from_parts(head, bodies, &mut self.keys).ok()?;
                Record::Range { range }
            }
            2 => {
                let of = match ContentMeta::decode(meta, &mut self.keys)? {
                    ContentMeta::Entry { back, row } => {
                        let id = self.entry(back, row)?;
                        ContentOf::Entry { back, row, id }
                    }
                    ContentMeta::Draft {
                        author,
                        space,
                        message,
                    } => ContentOf::Draft {
                        author,
                        space,
                        message,
                    },
                };
                let plaintext = Zeroizing::new(body.to_vec());
                Record::Content {
                    of,
                    event,
                    plaintext,
                }
            }
            3 => {
                let span = Span::decode(meta, &mut self.keys)?;
                span.into()
            }
            4 => {
                let (table, key) = row_meta(meta)?;
                let (key, value) = (key.to_vec(), body.to_vec());
                Record::Put {
                    table,
                    key,
                    value,
                    event,
                }
            }
            5 => {
                let (table, key) = row_meta(meta)?;
                let key = key.to_vec();
                Record::Delete { table, key, event }
            }
            _ => return None,
        };
        let foreign = match &record {
            Record::Put { table, .. } | Record::Delete { table, .. } => {
                is_own(*table) || SECRET.contains(table)
            }
            _ => false,
        };
        let bare = !matches!(kind, 1 | 2 | 4) && !body.is_empty();
        // Ranges and drops are no events.
        let odd = event && matches!(kind, 1 | 3);
        (!foreign && !bare && !odd).then_some(KeptRecord {
            event: EventSeq::new(number),
            record,
        })
    }

    /// The id of an entry of a range that stands so many records before.
    fn entry(&mut self, back: u16, row: u16) -> Option<EntryId> {
        let at = self.group.len().checked_sub(back.into())?;
        if self.headers.as_ref().is_none_or(|(place, _)| *place != at) {
            let Record::Range { range } = &self.group.get(at)?.record else {
                return None;
            };
            self.headers = Some((at, range.headers().collect()));
        }
        let (_, headers) = self.headers.as_ref()?;
        headers.get(usize::from(row)).map(|(_, id)| *id)
    }
}

fn start(item: &[u8]) -> Option<ArchiveItem> {
    let mut fields = Fields::new(item);
    let seed = Zeroizing::new(fields.array()?);
    let made = Timestamp::from_millis(fields.u64()?);
    fields.end()?;
    Some(ArchiveItem::Start { seed, made })
}

/// Why bytes are no archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// An item, or a group, that is longer than any.
    #[error("archive: found {found} bytes in one item or group, expected fewer")]
    TooLong {
        /// How many bytes.
        found: usize,
    },
    /// A type of item that is not known.
    #[error("archive: found an item of type {found}, expected 1 to 4")]
    Kind {
        /// The type.
        found: u8,
    },
    /// Not the start first, or something behind the end.
    #[error("archive: an item stands where it cannot")]
    Order,
    /// A record that is none.
    #[error("archive: an item is not valid")]
    Record,
    /// Other counts than those at the end.
    #[error("archive: it does not hold as much as it says at its end")]
    Counts,
    /// There is no end.
    #[error("archive: it ends before its end")]
    Cut,
}
