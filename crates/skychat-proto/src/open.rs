//! The clear body of `open` and `control` entries: what a feed continues, and under which heads
//! and key epoch the entries that name it were written.
//!
//! Spec: `docs/protocol/feed.md`, section 5 (FEED-4, INC-2).

use crate::ids::{EntryId, Incarnation, Seq};
use crate::layout::Reader;
use crate::limits::{MAX_CONTINUES, MAX_HEADS, MAX_SEQ};

/// The version in the layout.
pub const OPEN_VERSION: u8 = 1;

/// What kind of writer a life is (INC-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriterKind {
    /// A node with its store on disk.
    Node,
    /// A node whose store is memory.
    Memory,
    /// A program that writes one message and stops.
    OneShot,
}

impl WriterKind {
    /// Its number in layouts and frames.
    pub const fn number(self) -> u8 {
        match self {
            WriterKind::Node => 0,
            WriterKind::Memory => 1,
            WriterKind::OneShot => 2,
        }
    }

    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(WriterKind::Node),
            1 => Some(WriterKind::Memory),
            2 => Some(WriterKind::OneShot),
            _ => None,
        }
    }
}

/// A head that a new feed goes on from: the last entry of a feed of the same author, space and
/// stream, from an earlier life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Continues {
    /// The earlier life.
    pub incarnation: Incarnation,
    /// The index of the last entry of it that the writer holds.
    pub seq: Seq,
    /// The id of that entry.
    pub hash: EntryId,
}

/// The clear body of an `open` or `control` entry.
///
/// In a direct space `epoch` is 0 and there are no heads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// What kind of writer this life is.
    pub writer: WriterKind,
    /// The life before this one in the same store; `None` for the first.
    pub parent: Option<Incarnation>,
    /// The epoch of the group key; 0 in direct spaces.
    pub epoch: u64,
    /// The control heads the author knows: at most [`MAX_HEADS`].
    pub heads: Vec<EntryId>,
    /// What this feed continues: at most [`MAX_CONTINUES`].
    pub continues: Vec<Continues>,
}

impl Open {
    /// The shortest encoding, in bytes.
    pub const MIN_LEN: usize = 1 + 1 + 1 + 8 + 8 + 1 + 1;

    /// The body.
    ///
    /// # Errors
    /// [`OpenError::TooMany`]: more heads or predecessors than one body holds.
    pub fn encode(&self) -> Result<Vec<u8>, OpenError> {
        let heads = count("heads", self.heads.len(), MAX_HEADS)?;
        let continues = count("predecessors", self.continues.len(), MAX_CONTINUES)?;
        let mut out = Vec::with_capacity(Self::MIN_LEN + MAX_HEADS * 32 + MAX_CONTINUES * 48);
        out.extend([OPEN_VERSION, self.writer.number()]);
        out.push(self.parent.is_some().into());
        out.extend(self.parent.unwrap_or(Incarnation::ZERO).as_bytes());
        out.extend(self.epoch.to_be_bytes());
        out.push(heads);
        for head in &self.heads {
            out.extend(head.as_bytes());
        }
        out.push(continues);
        for earlier in &self.continues {
            out.extend(earlier.incarnation.as_bytes());
            out.extend(earlier.seq.get().to_be_bytes());
            out.extend(earlier.hash.as_bytes());
        }
        Ok(out)
    }

    /// Reads a body: all of it, without trailing bytes. One body has one encoding.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn decode(body: &[u8]) -> Result<Self, OpenError> {
        let mut reader = Reader::new(body);
        let short = OpenError::Short { found: body.len() };
        let version = reader.u8().ok_or(short)?;
        if version != OPEN_VERSION {
            return Err(OpenError::Version { found: version });
        }
        let writer = reader.u8().ok_or(short)?;
        let writer = WriterKind::from_number(writer).ok_or(OpenError::Writer { found: writer })?;
        let has_parent = reader.u8().ok_or(short)?;
        let parent = Incarnation::from_bytes(reader.array().ok_or(short)?);
        let parent = match has_parent {
            0 if parent.is_zero() => None,
            1 => Some(parent),
            _ => return Err(OpenError::Parent),
        };
        let epoch = reader.u64().ok_or(short)?;

        let n = reader.u8().ok_or(short)?;
        count("heads", n.into(), MAX_HEADS)?;
        let mut heads = Vec::with_capacity(n.into());
        for _ in 0..n {
            heads.push(EntryId::from_bytes(reader.array().ok_or(short)?));
        }

        let n = reader.u8().ok_or(short)?;
        count("predecessors", n.into(), MAX_CONTINUES)?;
        let mut continues = Vec::with_capacity(n.into());
        for _ in 0..n {
            let incarnation = Incarnation::from_bytes(reader.array().ok_or(short)?);
            let seq = reader.u64().ok_or(short)?;
            if seq > MAX_SEQ {
                return Err(OpenError::Seq { found: seq });
            }
            let seq = Seq::new(seq);
            let hash = EntryId::from_bytes(reader.array().ok_or(short)?);
            continues.push(Continues {
                incarnation,
                seq,
                hash,
            });
        }
        match reader.rest().len() {
            0 => Ok(Open {
                writer,
                parent,
                epoch,
                heads,
                continues,
            }),
            found => Err(OpenError::Trailing { found }),
        }
    }
}

fn count(what: &'static str, found: usize, limit: usize) -> Result<u8, OpenError> {
    match u8::try_from(found) {
        Ok(n) if found <= limit => Ok(n),
        _ => Err(OpenError::TooMany { what, found, limit }),
    }
}

/// Why a body is not that of an `open` or `control` entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It ends too early.
    #[error("open body: found {found} bytes, expected more")]
    Short {
        /// How many there are.
        found: usize,
    },
    /// Something follows it.
    #[error("open body: found {found} bytes after its end, expected none")]
    Trailing {
        /// How many.
        found: usize,
    },
    /// A version that this node does not speak.
    #[error("open body: found version {found}, expected {OPEN_VERSION}")]
    Version {
        /// The version.
        found: u8,
    },
    /// A writer that is none of the three.
    #[error("open body: found writer kind {found}, expected 0, 1 or 2")]
    Writer {
        /// The number.
        found: u8,
    },
    /// The mark of the parent is neither 0 nor 1, or a parent stands beside a 0.
    #[error("open body: expected a parent marked by 1, or zeros marked by 0")]
    Parent,
    /// A list longer than allowed.
    #[error("open body: found {found} {what}, expected at most {limit}")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// How many it has.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// An index past the last possible one.
    #[error("open body: found seq {found}, expected at most {MAX_SEQ}")]
    Seq {
        /// The index.
        found: u64,
    },
}

#[cfg(test)]
mod tests;
