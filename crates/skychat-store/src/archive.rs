//! What a store says, item by item, to be kept elsewhere and written again.
//!
//! Records, each group of them closed by an item of its own. A record is as in the journal, with
//! what is sealed there in clear: whoever keeps these bytes seals or signs them. As one run of bytes
//! they stand between a start and an end ([`ArchiveWriter`], [`ArchiveReader`]); other files hold
//! the same items in their own way ([`HistoryWriter`], [`HistoryReader`]).
//!
//! Spec: `docs/protocol/backup.md`.

mod history;

use std::fmt;

use skychat_proto::ids::{Incarnation, TableId, Timestamp};
use zeroize::Zeroizing;

use crate::gather::KeptGroup;
use crate::layout::Fields;
pub use history::{HistoryItem, HistoryReader, HistoryWriter};

/// Bytes of one item at most.
pub const MAX_ARCHIVE_ITEM: usize = 16 * 1024 * 1024;

const START: u8 = 1;
const RECORD: u8 = 2;
const GROUP: u8 = 3;
const END: u8 = 4;

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
            .field("history", &self.history)
            .finish()
    }
}

/// Encodes an archive.
#[derive(Default)]
pub struct ArchiveWriter {
    history: HistoryWriter,
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
        self.history.group::<ArchiveError>(group, &mut |item| {
            match item {
                HistoryItem::Record(item) => put_item(RECORD, item, out),
                HistoryItem::Group(life) => {
                    let life = life.as_ref().map(|life| &life.as_bytes()[..]);
                    put_item(GROUP, life.unwrap_or_default(), out);
                }
            }
            Ok(())
        })
    }

    /// Appends the end.
    pub fn end(self, out: &mut Vec<u8>) {
        let counts = [self.history.groups(), self.history.records()];
        put_item(END, &counts.map(u64::to_be_bytes).concat(), out);
    }
}

fn put_item(kind: u8, item: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    // At most `MAX_ARCHIVE_ITEM`.
    let length = u32::try_from(item.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(item);
}

/// Decodes an archive, whatever pieces it comes in.
#[derive(Debug, Default)]
pub struct ArchiveReader {
    buffer: Zeroizing<Vec<u8>>,
    /// What was read of the buffer.
    at: usize,
    started: bool,
    ended: bool,
    history: HistoryReader,
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
                RECORD => self.history.record(&item)?,
                GROUP => {
                    let life = match &item[..] {
                        [] => None,
                        life => Some(Incarnation::from_slice(life).ok_or(ArchiveError::Record)?),
                    };
                    return Ok(Some(ArchiveItem::Group(self.history.group(life))));
                }
                END => {
                    self.ended = true;
                    let counts = counts(&item).ok_or(ArchiveError::Counts)?;
                    self.history.end(counts)?;
                    return Ok(Some(ArchiveItem::End));
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
}

/// Groups and records.
fn counts(item: &[u8]) -> Option<(u64, u64)> {
    let mut fields = Fields::new(item);
    let counts = (fields.u64()?, fields.u64()?);
    fields.end()?;
    Some(counts)
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
    /// A row of a table that is in no archive: of the state of keys, or the store's own.
    #[error("archive: found a row of table {}, expected one below 128", found.get())]
    Table {
        /// The table.
        found: TableId,
    },
    /// Other counts than those at the end.
    #[error("archive: it does not hold as much as it says at its end")]
    Counts,
    /// There is no end.
    #[error("archive: it ends before its end")]
    Cut,
}
