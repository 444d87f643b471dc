//! The items of a history: records and groups, without what stands around them.

use bytes::Bytes;
use skychat_identity::KeyCache;
use skychat_proto::entry::Header;
use skychat_proto::ids::{EntryId, EventSeq, Incarnation, TableId};
use skychat_proto::range::RawRange;
use skychat_proto::record::{ContentOf, Record};
use zeroize::Zeroizing;

use super::{ArchiveError, MAX_ARCHIVE_ITEM};
use crate::gather::{KeptGroup, KeptRecord};
use crate::layout::Fields;
use crate::record::{ContentMeta, Span, is_own, is_secret, put_row_meta, row_meta};
use crate::writer::{MAX_GROUP_BYTES, MAX_GROUP_RECORDS};

/// What a history is written down as.
#[derive(Clone, Copy)]
pub enum HistoryItem<'a> {
    /// A record, encoded; at most [`MAX_ARCHIVE_ITEM`] bytes.
    Record(&'a [u8]),
    /// Closes the records since the last one: they were committed together. The life whose events
    /// begin with them, if one does.
    Group(Option<Incarnation>),
}

/// Encodes a history, and counts what is in it.
#[derive(Debug, Default)]
pub struct HistoryWriter {
    groups: u64,
    records: u64,
}

impl HistoryWriter {
    /// Hands over the items of a group, without the state of keys.
    ///
    /// # Errors
    /// [`ArchiveError::TooLong`], and what `each` says.
    pub fn group<E: From<ArchiveError>>(
        &mut self,
        group: &KeptGroup,
        each: &mut dyn FnMut(HistoryItem<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Where each record of the group went.
        let mut places: Vec<usize> = Vec::with_capacity(group.records.len());
        let mut count = 0_usize;
        for kept in &group.records {
            places.push(count);
            if table(&kept.record).is_some_and(is_secret) {
                continue;
            }
            let mut item = Zeroizing::new(Vec::new());
            item.extend_from_slice(&kept.event.get().to_be_bytes());
            encode(&kept.record, &places, &mut item)?;
            let found = item.len();
            if found > MAX_ARCHIVE_ITEM {
                return Err(ArchiveError::TooLong { found }.into());
            }
            each(HistoryItem::Record(&item))?;
            count = count.saturating_add(1);
        }
        each(HistoryItem::Group(group.life))?;
        self.groups = self.groups.saturating_add(1);
        self.records = self.records.saturating_add(count as u64);
        Ok(())
    }

    /// Groups so far.
    pub const fn groups(&self) -> u64 {
        self.groups
    }

    /// Records so far.
    pub const fn records(&self) -> u64 {
        self.records
    }
}

/// The table of a row.
const fn table(record: &Record) -> Option<TableId> {
    match record {
        Record::Put { table, .. } | Record::Delete { table, .. } => Some(*table),
        _ => None,
    }
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

/// Decodes a history. It holds one group at most, of as many records and bytes as a store commits
/// together: fewer than 65,535, and 256 MiB.
#[derive(Debug, Default)]
pub struct HistoryReader {
    group: Vec<KeptRecord>,
    group_bytes: usize,
    /// The headers of the range that was named last, by its place in the group.
    headers: Option<(usize, Vec<(Header, EntryId)>)>,
    keys: KeyCache,
    groups: u64,
    records: u64,
}

impl HistoryReader {
    /// Takes in the next record.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn record(&mut self, item: &[u8]) -> Result<(), ArchiveError> {
        let found = item.len();
        if found > MAX_ARCHIVE_ITEM {
            return Err(ArchiveError::TooLong { found });
        }
        self.group_bytes = self.group_bytes.saturating_add(found);
        let full = self.group.len().saturating_add(1) >= MAX_GROUP_RECORDS;
        if full || self.group_bytes > MAX_GROUP_BYTES {
            let found = self.group_bytes;
            return Err(ArchiveError::TooLong { found });
        }
        let kept = self.decode(item).ok_or(ArchiveError::Record)?;
        if let Some(found) = table(&kept.record).filter(|table| is_secret(*table) || is_own(*table))
        {
            return Err(ArchiveError::Table { found });
        }
        self.group.push(kept);
        self.records = self.records.saturating_add(1);
        Ok(())
    }

    /// The records since the last one were committed together.
    pub fn group(&mut self, life: Option<Incarnation>) -> KeptGroup {
        let records = std::mem::take(&mut self.group);
        self.groups = self.groups.saturating_add(1);
        (self.group_bytes, self.headers) = (0, None);
        KeptGroup { life, records }
    }

    /// That was all, and there should have been so many groups and records.
    ///
    /// # Errors
    /// [`ArchiveError::Counts`]: there were more or fewer, or records that no group closed.
    pub fn end(&self, counts: (u64, u64)) -> Result<(), ArchiveError> {
        if self.group.is_empty() && counts == (self.groups, self.records) {
            Ok(())
        } else {
            Err(ArchiveError::Counts)
        }
    }

    /// Groups so far.
    pub const fn groups(&self) -> u64 {
        self.groups
    }

    /// Records so far.
    pub const fn records(&self) -> u64 {
        self.records
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
        let bare = !matches!(kind, 1 | 2 | 4) && !body.is_empty();
        // Ranges and drops are no events.
        let odd = event && matches!(kind, 1 | 3);
        (!bare && !odd).then_some(KeptRecord {
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
