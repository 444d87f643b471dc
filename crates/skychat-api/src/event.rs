//! What a node tells while it runs: durable events, which have a cursor, and passing notices,
//! which have none.

use serde::{Deserialize, Serialize};
use skychat_identity::PublicKey;
use skychat_proto::ids::{Incarnation, MessageId, Position, Seq, SpaceId};

use crate::words::{text, words};
use crate::{Cursor, Delivery, Direction, LimitCause, Message, RefusedEntry, V1};

/// One event or notice, as it stands in a line of NDJSON or in the `data` of a server-sent event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Version of the document.
    pub v: V1,
    /// What happened, with its fields; `type` says which.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// An event of this kind.
    #[must_use]
    pub const fn new(kind: EventKind) -> Self {
        Self { v: V1, kind }
    }

    /// Where the log stands with this event. `None` for a notice and for a gap in the log itself.
    #[must_use]
    pub const fn cursor(&self) -> Option<Cursor> {
        match &self.kind {
            EventKind::Message(message) => message.cursor,
            EventKind::State(state) => Some(state.cursor),
            EventKind::Incarnation(branch) => Some(branch.cursor),
            EventKind::Clone(clone) => Some(clone.cursor),
            EventKind::Gap(gap) => gap.cursor,
            EventKind::Fork(fork) => Some(fork.cursor),
            EventKind::Recovered(recovered) => Some(recovered.cursor),
            EventKind::Link(_)
            | EventKind::Sync(_)
            | EventKind::Limited(_)
            | EventKind::Missed(_)
            | EventKind::Ready(_)
            | EventKind::Stopping(_)
            | EventKind::Unknown => None,
        }
    }

    /// Whether it is a passing notice: no number, no replay.
    #[must_use]
    pub const fn is_notice(&self) -> bool {
        matches!(
            self.kind,
            EventKind::Link(_)
                | EventKind::Sync(_)
                | EventKind::Limited(_)
                | EventKind::Missed(_)
                | EventKind::Ready(_)
                | EventKind::Stopping(_)
        )
    }
}

/// What happened. The first seven are durable, the others are notices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A message, in or out, is stored here.
    Message(Message),
    /// Messages of ours came further, or failed.
    State(StateChange),
    /// A peer continues from an older life than the newest one known: a backup was restored, or
    /// the directory was copied.
    Incarnation(Branch),
    /// Two lives of one peer are writing at the same time.
    Clone(Cloned),
    /// Something is missing: of a peer's feed, or of this log.
    Gap(Gap),
    /// A feed was written twice; it is frozen at the last common entry.
    Fork(Fork),
    /// Entries of ours from earlier lives came back from a peer.
    Recovered(Recovered),
    /// Notice: a link came up or went down.
    Link(LinkChange),
    /// Notice: how catching up with a peer proceeds.
    Sync(SyncProgress),
    /// Notice: a peer asked this node to wait.
    Limited(Limited),
    /// Notice: this reader was too slow for some notices; `status` has what holds now.
    Missed(Missed),
    /// Notice: the node is ready. Also the first line of every stream that asked for notices.
    Ready(Ready),
    /// Notice: the node is stopping; the stream ends after this.
    Stopping(Stopping),
    /// A type this version does not know. Never sent; a reader of a newer node gets it.
    #[serde(other)]
    Unknown,
}

impl EventKind {
    /// The words of the durable types, which a stream can be limited to.
    pub const DURABLE: [&'static str; 7] = [
        "message",
        "state",
        "incarnation",
        "clone",
        "gap",
        "fork",
        "recovered",
    ];

    /// The word in `type`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::State(_) => "state",
            Self::Incarnation(_) => "incarnation",
            Self::Clone(_) => "clone",
            Self::Gap(_) => "gap",
            Self::Fork(_) => "fork",
            Self::Recovered(_) => "recovered",
            Self::Link(_) => "link",
            Self::Sync(_) => "sync",
            Self::Limited(_) => "limited",
            Self::Missed(_) => "missed",
            Self::Ready(_) => "ready",
            Self::Stopping(_) => "stopping",
            Self::Unknown => "unknown",
        }
    }
}

/// Messages of ours came further: one acknowledgement, one event (EVENT-2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// Where the log stands with this event.
    pub cursor: Cursor,
    /// The conversation.
    pub space: SpaceId,
    /// Whose acknowledgement it was, or whom the messages were for.
    pub member: PublicKey,
    /// The life of ours whose feed it speaks of.
    pub incarnation: Incarnation,
    /// First entry of the span.
    #[serde(with = "text")]
    pub from: Position,
    /// End of the span: the count of entries the member has.
    #[serde(with = "text")]
    pub to: Position,
    /// The state the messages of the span are in now, but for the refused ones.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Ids of the messages in the span that came to this state, at most 256, in order.
    pub message_ids: Vec<MessageId>,
    /// What was refused in the span; those messages failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedEntry>,
}

/// A peer's new life does not descend from the newest one known (INC-6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Where the log stands with this event.
    pub cursor: Cursor,
    /// The peer.
    pub peer: PublicKey,
    /// Its new life.
    pub incarnation: Incarnation,
    /// The newest life of it that was known before.
    pub known: Incarnation,
}

/// Two lives of one peer write at the same time (INC-6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cloned {
    /// Where the log stands with this event.
    pub cursor: Cursor,
    /// The peer.
    pub peer: PublicKey,
    /// The two lives.
    pub incarnations: [Incarnation; 2],
}

/// Something is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Where the log stands with this event. Absent when the gap is in the log itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// What is missing, and why; `cause` says which.
    #[serde(flatten)]
    pub cause: GapCause,
}

/// Why something is missing, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GapCause {
    /// Messages whose bodies were dropped before we had them (INC-5).
    Dropped {
        /// Their author.
        author: PublicKey,
        /// The conversation.
        space: SpaceId,
        /// The life of the author they belong to.
        incarnation: Incarnation,
        /// The first of them.
        #[serde(with = "text")]
        from: Position,
        /// Behind the last of them.
        #[serde(with = "text")]
        to: Position,
    },
    /// What a feed continues did not come in time; should it come, it is marked `late` (INC-4).
    Unavailable {
        /// The author.
        author: PublicKey,
        /// The conversation.
        space: SpaceId,
        /// The life that is missing.
        incarnation: Incarnation,
        /// What we have of it.
        #[serde(with = "text")]
        from: Position,
        /// What the successor names of it.
        #[serde(with = "text")]
        to: Position,
    },
    /// What a feed says it continues is not what we hold (INC-3).
    Mismatch {
        /// The author.
        author: PublicKey,
        /// The conversation.
        space: SpaceId,
        /// The life in question.
        incarnation: Incarnation,
        /// The entry whose hash differs.
        #[serde(with = "text")]
        seq: Seq,
    },
    /// The log no longer reaches back to the place asked for (EVENT-3).
    Retention {
        /// The place asked for.
        after: Cursor,
        /// Where reading goes on: what follows this place comes next.
        resume: Cursor,
    },
    /// The place asked for is not in this log: the directory was rolled back, or it is another
    /// node (EVENT-4).
    UnknownCursor {
        /// The place asked for.
        after: Cursor,
        /// Where reading goes on: what follows this place comes next.
        resume: Cursor,
    },
}

impl GapCause {
    /// The word in `cause`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Dropped { .. } => "dropped",
            Self::Unavailable { .. } => "unavailable",
            Self::Mismatch { .. } => "mismatch",
            Self::Retention { .. } => "retention",
            Self::UnknownCursor { .. } => "unknown_cursor",
        }
    }
}

/// A feed was written twice (RANGE-5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// Where the log stands with this event.
    pub cursor: Cursor,
    /// Whose feed.
    pub author: PublicKey,
    /// The conversation.
    pub space: SpaceId,
    /// The life.
    pub incarnation: Incarnation,
    /// How many entries both branches have in common; the feed ends there.
    #[serde(with = "text")]
    pub common: Position,
}

/// Entries of ours from earlier lives came back (INC-7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// Where the log stands with this event.
    pub cursor: Cursor,
    /// The conversation.
    pub space: SpaceId,
    /// The life that wrote them.
    pub incarnation: Incarnation,
    /// The first of them.
    #[serde(with = "text")]
    pub from: Position,
    /// Behind the last of them.
    #[serde(with = "text")]
    pub to: Position,
    /// Whether no store of ours wrote them: a one-shot writer, or a copy of the key.
    pub foreign: bool,
}

words! {
    /// What became of a link.
    LinkState {
        /// It is up.
        Up = "up",
        /// It is down.
        Down = "down",
    }
}

/// Notice: a link came up or went down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkChange {
    /// The peer at its other end.
    pub peer: PublicKey,
    /// What became of it.
    pub link: LinkState,
    /// Who opened it: `in` the peer, `out` this node.
    pub direction: Direction,
    /// The address of the other end, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr: Option<String>,
    /// Why it went down, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Notice: how catching up with a peer proceeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncProgress {
    /// The peer.
    pub peer: PublicKey,
    /// The conversation.
    pub space: SpaceId,
    /// Entries held of what the peer has to offer there.
    #[serde(with = "text")]
    pub held: u64,
    /// Entries the peer offered.
    #[serde(with = "text")]
    pub offered: u64,
}

/// Notice: a peer asked this node to wait (SYNC-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// The peer.
    pub peer: PublicKey,
    /// What it limits this node by.
    pub cause: LimitCause,
}

/// Notice: some notices were passed over because this reader was slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// How many.
    #[serde(with = "text")]
    pub notices: u64,
}

/// Notice: the node is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Its key.
    pub public_key: PublicKey,
    /// The life it is in.
    pub incarnation: Incarnation,
    /// The last event written before: what follows it is yet to come.
    pub last: Cursor,
}

/// Notice: the node is stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {}
