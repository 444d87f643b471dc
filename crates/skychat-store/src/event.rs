//! What comes out of a store.

use std::fmt;
use std::ops::Deref;

use skychat_identity::PublicKey;
use skychat_proto::entry::Header;
use skychat_proto::ids::{BatchId, EventSeq, MessageId, SpaceId, TableId};
use zeroize::Zeroizing;

use crate::index::RecordId;

/// That something is on disk. Only this crate makes one, after the sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<T>(T);

impl<T> Committed<T> {
    pub(crate) const fn new(value: T) -> Self {
        Committed(value)
    }

    /// What is on disk.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Committed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// That a batch is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which one.
    pub batch: BatchId,
    /// The number of its first event; `None` if it has none.
    pub first_event: Option<EventSeq>,
    /// How many events it has.
    pub events: u32,
}

impl Receipt {
    /// The number of its last event; `None` if it has none.
    pub fn last_event(&self) -> Option<EventSeq> {
        let first = self.first_event?;
        Some(first.saturating_add(u64::from(self.events.saturating_sub(1))))
    }
}

/// A durable event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number; the first one is 1, none is missing.
    pub seq: EventSeq,
    /// What it is.
    pub view: EventView,
}

/// The record that is an event.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventView {
    /// The content of an entry was taken.
    Message {
        /// Of the entry.
        header: Header,
        /// The record of its content.
        record: RecordId,
        /// As it was handed in; `None`: dropped.
        plaintext: Option<Zeroizing<Vec<u8>>>,
    },
    /// Something was said that is not in a feed yet.
    Draft {
        /// Who says it.
        author: PublicKey,
        /// Where.
        space: SpaceId,
        /// Its id.
        message: MessageId,
        /// The record.
        record: RecordId,
        /// As it was handed in; `None`: dropped.
        plaintext: Option<Zeroizing<Vec<u8>>>,
    },
    /// A row was put.
    Row {
        /// In which table.
        table: TableId,
        /// Which row.
        key: Vec<u8>,
        /// The row; `None`: a later one dropped it.
        value: Option<Vec<u8>>,
    },
    /// A row was taken away.
    Deleted {
        /// From which table.
        table: TableId,
        /// Which row.
        key: Vec<u8>,
    },
}

/// Without what people say and machines keep.
impl fmt::Debug for EventView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventView::Message { header, record, .. } => f
                .debug_struct("Message")
                .field("feed", &header.feed)
                .field("seq", &header.seq)
                .field("record", record)
                .finish_non_exhaustive(),
            EventView::Draft {
                message, record, ..
            } => f
                .debug_struct("Draft")
                .field("message", message)
                .field("record", record)
                .finish_non_exhaustive(),
            EventView::Row { table, .. } => f
                .debug_struct("Row")
                .field("table", table)
                .finish_non_exhaustive(),
            EventView::Deleted { table, .. } => f
                .debug_struct("Deleted")
                .field("table", table)
                .finish_non_exhaustive(),
        }
    }
}

/// A message in the history of a space.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// The record of its content: where history goes on from.
    pub record: RecordId,
    /// Of its entry.
    pub header: Header,
    /// As it was handed in; `None`: dropped.
    pub content: Option<Zeroizing<Vec<u8>>>,
    /// The number of its event; `None` if it was none.
    pub event: Option<EventSeq>,
}

impl fmt::Debug for StoredMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredMessage")
            .field("record", &self.record)
            .field("feed", &self.header.feed)
            .field("seq", &self.header.seq)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// The content that was taken of an entry.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredContent {
    /// The id of the message.
    pub message: MessageId,
    /// As it was handed in; `None`: dropped.
    pub content: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for StoredContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredContent")
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

/// A space with messages in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredConversation {
    /// Which one.
    pub space: SpaceId,
    /// How many messages.
    pub messages: u64,
    /// The newest one.
    pub last: RecordId,
}
