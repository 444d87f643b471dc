//! What goes into the journal, in memory: batches of records, which are committed as one.
//!
//! Spec: `docs/protocol/journal.md` (JRN-2, JRN-3).

use std::fmt;

use skychat_identity::PublicKey;
use zeroize::Zeroizing;

use crate::ids::{BatchId, EntryId, FeedId, MessageId, Position, SpaceId, TableId};
use crate::range::RawRange;

pub mod tables;

/// Records that are committed together or not at all, in this order.
#[derive(Debug)]
pub struct Batch {
    /// Comes back in the receipt.
    pub id: BatchId,
    /// What to write.
    pub records: Vec<Record>,
}

/// One fact for the journal.
#[derive(Clone)]
pub enum Record {
    /// Entries: our own, or verified and authorized ones of others.
    Range {
        /// Encoded as it flows.
        range: RawRange,
    },
    /// What an entry says, or a draft will say; the store seals it under its own key.
    Content {
        /// Whose content it is.
        of: ContentOf,
        /// Whether it is an event, and gets a number.
        event: bool,
        /// The encoding of [`Content`](crate::content::Content).
        plaintext: Zeroizing<Vec<u8>>,
    },
    /// Something of these entries is given away for good, and overwritten with zeros. What lies
    /// behind the head of the feed is not touched.
    Drop {
        /// Which feed.
        feed: FeedId,
        /// From here …
        from: Position,
        /// … to here, exclusive.
        to: Position,
        /// What of them.
        parts: Parts,
    },
    /// A row of machine state; replaces the older one with the same key.
    Put {
        /// Which table.
        table: TableId,
        /// Which row.
        key: Vec<u8>,
        /// The row; the store seals it under its own key.
        value: Vec<u8>,
        /// Whether it is an event, and gets a number.
        event: bool,
    },
    /// Takes a row of machine state away.
    Delete {
        /// Which table.
        table: TableId,
        /// Which row.
        key: Vec<u8>,
        /// Whether it is an event, and gets a number.
        event: bool,
    },
}

/// Without what people say and machines keep: lengths only.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Range { range } => f.debug_struct("Range").field("range", range).finish(),
            Record::Content {
                of,
                event,
                plaintext,
            } => f
                .debug_struct("Content")
                .field("of", of)
                .field("event", event)
                .field("plaintext", &format_args!("{} bytes", plaintext.len()))
                .finish(),
            Record::Drop {
                feed,
                from,
                to,
                parts,
            } => f
                .debug_struct("Drop")
                .field("feed", feed)
                .field("from", from)
                .field("to", to)
                .field("parts", parts)
                .finish(),
            Record::Put {
                table,
                key,
                value,
                event,
            } => f
                .debug_struct("Put")
                .field("table", table)
                .field("key", &format_args!("{} bytes", key.len()))
                .field("value", &format_args!("{} bytes", value.len()))
                .field("event", event)
                .finish(),
            Record::Delete { table, key, event } => f
                .debug_struct("Delete")
                .field("table", table)
                .field("key", &format_args!("{} bytes", key.len()))
                .field("event", event)
                .finish(),
        }
    }
}

/// What a [`Record::Drop`] drops. Bodies of `open` and `control` entries stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parts {
    /// The bodies as they flow, sealed for whom they are for.
    Bodies,
    /// What the entries say, as it was handed in here.
    Contents,
    /// Both.
    Both,
}

impl Parts {
    /// Whether bodies are among them.
    pub const fn has_bodies(self) -> bool {
        matches!(self, Parts::Bodies | Parts::Both)
    }

    /// Whether contents are among them.
    pub const fn has_contents(self) -> bool {
        matches!(self, Parts::Contents | Parts::Both)
    }

    /// Bit 0: the bodies; bit 1: the contents.
    pub const fn bits(self) -> u8 {
        match self {
            Parts::Bodies => 1,
            Parts::Contents => 2,
            Parts::Both => 3,
        }
    }

    /// `None`: no bit, or one that is not known.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            1 => Some(Parts::Bodies),
            2 => Some(Parts::Contents),
            3 => Some(Parts::Both),
            _ => None,
        }
    }
}

/// What is known of a content that was taken under an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The SHA-256 of the content, without the marks that are stored in front of it.
    Content([u8; 32]),
    /// It was dropped: nobody knows what it said.
    Dropped,
}

/// Whose content a [`Record::Content`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentOf {
    /// Of an entry whose range stands earlier in the same batch.
    Entry {
        /// How many records before this one the range stands: at least 1.
        back: u16,
        /// Which entry of that range, from 0.
        row: u16,
        /// The id of that entry.
        id: EntryId,
    },
    /// Of a message that is not in a feed yet.
    Draft {
        /// Who says it.
        author: PublicKey,
        /// Where.
        space: SpaceId,
        /// Its id.
        message: MessageId,
    },
}
