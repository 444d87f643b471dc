//! What can go wrong.

use std::fmt;
use std::io;

use skychat_identity::PublicKey;
use skychat_proto::ids::BatchId;

use crate::layout::VERSION;

/// What is wrong with a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// A segment is missing.
    Missing,
    /// The header of a segment is not valid, or does not follow the segment before it.
    Header,
    /// A segment that others follow does not end as one.
    Footer,
    /// A group header is not valid, or does not follow the group before it.
    Group,
    /// A record is not valid.
    Record,
    /// The bytes of a body are not those that were written.
    Body,
    /// The running hash is another one.
    Chain,
    /// Entries do not follow those before them.
    Range,
    /// The entry of a content is not there.
    Orphan,
    /// A row does not open.
    Row,
    /// The journal is shorter than `HEAD` says, or another one.
    Head,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Missing => "the segment is missing",
            Damage::Header => "the header of the segment is not valid here",
            Damage::Footer => "the segment does not end as one that others follow",
            Damage::Group => "no valid group where one has to be",
            Damage::Record => "a record is not valid",
            Damage::Body => "a body is not what was written",
            Damage::Chain => "the running hash is another one",
            Damage::Range => "entries do not follow those before them",
            Damage::Orphan => "the entry of a content is not there",
            Damage::Row => "a row does not open",
            Damage::Head => "the journal is shorter than HEAD says, or another one",
        })
    }
}

/// Why a store was not opened. Nothing on disk was altered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Something committed is lost or altered.
    #[error("the journal is damaged: segment {segment} at {offset}: {what}")]
    Damaged {
        /// Which segment.
        segment: u32,
        /// Where in it, in bytes.
        offset: u64,
        /// What was found.
        what: Damage,
    },
    /// The store of somebody else.
    #[error("the store belongs to {found}, expected {expected}")]
    Owner {
        /// Whose it is.
        found: PublicKey,
        /// Who opens it.
        expected: PublicKey,
    },
    /// The store key is not the one this store was made with.
    #[error("the store was sealed under another store key")]
    StoreKey,
    /// Written by a later version.
    #[error("the journal has version {found}, expected {VERSION}: segment {segment}")]
    Version {
        /// Which segment.
        segment: u32,
        /// Its version.
        found: u16,
    },
    /// The disk failed.
    #[error("the store was not opened: {path}")]
    Disk {
        /// Which file or directory of the store.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The disk is full. What was to be committed is kept, and can be tried again.
    #[error("the journal was not written: the disk is full")]
    Full(#[source] io::Error),
    /// The disk failed. Whether the records are on it will be known when the store is opened
    /// again; this writer writes nothing more.
    #[error("the journal was not written: the disk failed")]
    Failed(#[source] io::Error),
    /// It failed before.
    #[error("the journal was not written: the disk failed before")]
    Poisoned,
    /// A batch says what cannot be. The writer is as before.
    #[error("batch {batch:?}, record {record}: {what}")]
    Refused {
        /// Which batch.
        batch: BatchId,
        /// Which record of it, from 0.
        record: usize,
        /// What is wrong.
        what: Refused,
    },
    /// More than a group may hold. The writer is as before.
    #[error("found {records} records of {bytes} bytes for one group")]
    TooLarge {
        /// How many records.
        records: usize,
        /// Their bytes.
        bytes: usize,
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// A range that does not begin where its feed ends, by position or hash.
    Range,
    /// A content whose range, row or id is not there.
    Content,
    /// A span that ends before it begins.
    Span,
    /// A table of the store's own.
    Table,
    /// More than 4 GiB.
    Length,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Range => "the range does not begin where its feed ends",
            Refused::Content => "the entry of the content is not where it is said to be",
            Refused::Span => "the span ends before it begins",
            Refused::Table => "the table is the store's own",
            Refused::Length => "too long for a record",
        })
    }
}

/// Why something stored was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The disk failed.
    #[error("segment {segment} was not read at {offset}")]
    Disk {
        /// Which segment.
        segment: u32,
        /// Where in it, in bytes.
        offset: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What was read is not what was written.
    #[error("segment {segment} is damaged at {offset}: {what}")]
    Damaged {
        /// Which segment.
        segment: u32,
        /// Where in it, in bytes.
        offset: u64,
        /// What was found.
        what: Damage,
    },
    /// The index of what is older is being opened, or made: it is known when that is done.
    #[error("the index of older messages is being opened; try again shortly")]
    Indexing,
}

/// What was not as expected at start, and did not keep the store from being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// `HEAD` is missing or not valid: a journal that was cut would not be noticed.
    NoHead,
    /// A group that was being written when the store went down was cut; nobody was told of it.
    TornTail {
        /// In which segment.
        segment: u32,
        /// Where it began, in bytes.
        offset: u64,
    },
    /// A checkpoint that was journalled is missing or not valid: more of the journal was read.
    Checkpoint {
        /// Of which segment.
        segment: u32,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::NoHead => f.write_str("HEAD is missing or not valid"),
            Warning::TornTail { segment, offset } => write!(
                f,
                "a group that was not finished was cut: segment {segment} at {offset}"
            ),
            Warning::Checkpoint { segment } => write!(
                f,
                "the checkpoint of segment {segment} is missing or not valid: more of the journal was read"
            ),
        }
    }
}
