//! Messages and conversations, as history rows and in events alike.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use skychat_identity::PublicKey;
use skychat_proto::ids::{Incarnation, MessageId, Seq, SpaceId, Timestamp};

use crate::words::{text, words};
use crate::{Cursor, RecordId, V1};

words! {
    /// Which way a message went.
    Direction {
        /// From a peer to this node.
        In = "in",
        /// From this node.
        Out = "out",
    }
}

words! {
    /// Where the one that acknowledged keeps what it took.
    Kept {
        /// On disk, synced.
        Disk = "disk",
        /// In memory only: gone when that node stops.
        Memory = "memory",
    }
}

words! {
    /// What else there is to know about a message.
    Mark {
        /// It came after one that was to follow it, because the wait for it was over (INC-4).
        Late = "late",
        /// It is ours, from an earlier life that this store had lost; a peer gave it back (INC-7).
        Recovered = "recovered",
        /// Its author is a stranger: nobody here consented to hear from that key yet.
        Unconsented = "unconsented",
        /// Its author used this message id before, for another content.
        Conflicting = "conflicting",
    }
}

words! {
    /// Why a message has no body to show.
    Missing {
        /// Retention dropped it.
        Dropped = "dropped",
        /// It cannot be opened here: it was sealed to somebody else, by a life we no longer have.
        Sealed = "sealed",
    }
}

words! {
    /// Why a message failed. The first ten are refusals by its recipient (ACK-2).
    FailCause {
        /// Larger than the recipient takes.
        TooLarge = "too_large",
        /// The recipient blocks the author.
        Blocked = "blocked",
        /// The recipient declined to hear from the author.
        Declined = "declined",
        /// The author is no member of the space.
        NotAMember = "not_a_member",
        /// The author may not write in the space.
        Muted = "muted",
        /// Its time to live was over.
        Expired = "expired",
        /// It came without its body too often.
        Absent = "absent",
        /// The recipient cannot open it, sealed again or not.
        Unopenable = "unopenable",
        /// The recipient does not know its suite or its flags.
        Unsupported = "unsupported",
        /// It stands beyond a fork of its author's feed.
        Forked = "forked",
        /// The user cancelled it.
        Cancelled = "cancelled",
        /// The space ended.
        SpaceEnded = "space_ended",
    }
}

/// How far a message has come, never more than was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delivery {
    /// On disk here, not sealed yet: no key of the recipient is known.
    Queued,
    /// In our feed and on disk here; owed to the recipient until its disk has it.
    Accepted,
    /// A named relay signed that it keeps it for the recipient.
    Relayed,
    /// The recipient acknowledged it. For an inbound message the recipient is this node.
    Stored {
        /// Where the recipient keeps it.
        kept: Kept,
    },
    /// The recipient says it was read.
    Read,
    /// It will not arrive.
    Failed {
        /// Why.
        cause: FailCause,
    },
}

impl Delivery {
    /// The word for the state, as in JSON.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Accepted => "accepted",
            Self::Relayed => "relayed",
            Self::Stored { .. } => "stored",
            Self::Read => "read",
            Self::Failed { .. } => "failed",
        }
    }
}

/// What a message says. In JSON it is one field of the message: `text`, `unsupported` or
/// `missing`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// Text as its author wrote it: exact, not sanitized. Never empty, at most 64 KiB.
    Text(String),
    /// A content kind this version does not know; kept and acknowledged, not shown.
    Unsupported(u16),
    /// There is nothing to show, and why.
    Missing(Missing),
}

/// The place of a message in its author's feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The life of the author that wrote it.
    pub incarnation: Incarnation,
    /// Index of the entry in that life's feed of this space.
    #[serde(with = "text")]
    pub seq: Seq,
}

/// One message: a row of the history and the content of a `message` event have this one shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Where the event log stands with the event of this message. Absent in rows that made no
    /// event (history from before this node joined).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// The journal row, to page the history by. Absent in a message that has no row yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// Which way it went.
    pub direction: Direction,
    /// The verified signer.
    pub from: PublicKey,
    /// The recipient, in a direct conversation; absent in a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<PublicKey>,
    /// The conversation.
    pub space: SpaceId,
    /// The id its author gave it; unique for this author only.
    pub message_id: MessageId,
    /// What it says: `text`, `unsupported` or `missing`.
    #[serde(flatten)]
    pub body: Body,
    /// The author's clock, in milliseconds since 1970: a label, it orders nothing.
    pub time: Timestamp,
    /// How far it has come: `state`, with `kept` or `cause`.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// What else there is to know; absent when there is nothing.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub marks: BTreeSet<Mark>,
    /// Its place in the author's feed. Absent while it is `queued`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A message a recipient refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RefusedEntry {
    /// Its index in the feed.
    #[serde(with = "text")]
    pub seq: Seq,
    /// Its id; absent when the entry is no message or is no longer held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// Why it was refused.
    pub cause: FailCause,
}

/// A page of one conversation's history, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Version of the document.
    pub v: V1,
    /// The messages, newest first.
    pub messages: Vec<Message>,
    /// What to pass as `before` for the next older page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<RecordId>,
}

/// A conversation in the list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its space.
    pub space: SpaceId,
    /// The other one, in a direct conversation; absent in a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PublicKey>,
    /// How many messages of it are stored here.
    #[serde(with = "text")]
    pub messages: u64,
    /// The newest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Message>,
}

/// The list of conversations, the one with the newest message first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversations {
    /// Version of the document.
    pub v: V1,
    /// The conversations.
    pub conversations: Vec<Conversation>,
}
