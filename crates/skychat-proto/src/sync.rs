//! Messages of service 1: control of synchronisation.
//!
//! Each type is checked when it is read: lengths, counts, order, and what fields say of each
//! other. What a message means, and when it may be sent, is for the feed.
//!
//! Spec: `docs/protocol/feed.md`; the layouts are in section 7, the behaviour in
//! "Synchronisation" (SYNC, ACK, RANGE-5).

mod decode;
mod encode;
mod have;
mod shape;
mod statement;
mod words;

use std::time::Duration;

use skychat_identity::{KeyCache, Signature};

use crate::entry::Header;
use crate::error::DecodeError;
use crate::ids::{EntryId, FeedId, Position, Seq, SpaceId};

pub use have::{Have, HaveHash, HaveRow};
pub use statement::{Statement, StatementKind};
pub use words::{HoldCause, Kept, Refusal};

/// A message of service 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncMessage {
    /// A hash over the rows of a have-list (SYNC-1).
    HaveHash(HaveHash),
    /// A page of a have-list, or new tips.
    Have(Have),
    /// Asks for entries (SYNC-2).
    Want(Want),
    /// The answer to a want for a feed that is not held.
    NotHeld {
        /// Which feed.
        feed: FeedId,
    },
    /// The author of a feed states the acknowledged position it has on disk (ACK-3).
    Owed {
        /// A feed of the sender's own key.
        feed: FeedId,
        /// What was acknowledged by the receiver, as the sender knows.
        acked: Position,
    },
    /// What the sender keeps and what it refused (ACK-1).
    Ack(Ack),
    /// The sender takes no more until it asks again (SYNC-4).
    Hold(Hold),
    /// Two entries that cannot both be (RANGE-5).
    ForkProof(Box<ForkProof>),
    /// Something stated outside of the feeds (SYNC-7).
    Statement(Statement),
    /// A kind of message from a later version. Ignored; cannot be encoded.
    Unknown {
        /// Its number.
        kind: u32,
    },
}

impl SyncMessage {
    /// The message, encoded. Empty for [`SyncMessage::Unknown`].
    ///
    /// A value beyond the limits that its fields name is a mistake of the caller: it is caught in
    /// debug builds, and otherwise refused by the peer.
    pub fn encode(&self) -> Vec<u8> {
        encode::encode(self)
    }

    /// Reads a message. Unknown fields inside of one are skipped.
    ///
    /// # Errors
    /// [`DecodeError`]: the peer broke the protocol.
    pub fn decode(bytes: &[u8], keys: &mut KeyCache) -> Result<Self, DecodeError> {
        decode::decode(bytes, keys)
    }
}

/// Asks for the entries of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Which feed.
    pub feed: FeedId,
    /// What the sender has: the first entry wanted is the one that begins here.
    pub from: Position,
    /// Up to here, exclusive, and more than `from`; `None`: all there are and will be.
    pub limit: Option<Position>,
}

/// Entries `from` to `head` (exclusive) are kept by the sender, but for those refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Which feed.
    pub feed: FeedId,
    /// Where the span begins.
    pub from: Position,
    /// Where it ends: at `from` or later.
    pub head: Position,
    /// The id of entry `head - 1`; zeros exactly if `head` is 0.
    pub hash: EntryId,
    /// Where they are kept.
    pub kept: Kept,
    /// Every refusal in the span, ascending: at most
    /// [`MAX_REFUSALS`](crate::limits::MAX_REFUSALS).
    pub refused: Vec<(Seq, Refusal)>,
    /// Everything before it was read by a person (ACK-6); `None`: nothing is said of that.
    pub read_up_to: Option<Position>,
}

/// The sender takes no more of a space or feed until it asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Of what.
    pub scope: Scope,
    /// Why.
    pub cause: HoldCause,
    /// When it expects to take more, in milliseconds.
    pub retry_after_ms: u32,
}

impl Hold {
    /// When the sender expects to take more.
    pub const fn retry_after(&self) -> Duration {
        Duration::from_millis(self.retry_after_ms as u64)
    }
}

/// What a [`Hold`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All feeds of a space.
    Space(SpaceId),
    /// One feed.
    Feed(FeedId),
}

/// Two anchors of one feed that cannot both be.
///
/// Each branch was checked to be consecutive headers of that feed. That they chain, differ, and
/// that the signatures hold, is for the feed to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkProof {
    /// Which feed.
    pub feed: FeedId,
    /// The two sides.
    pub branches: [Branch; 2],
}

/// One side of a fork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Headers from the first difference to an anchor: 1 to
    /// [`MAX_FORK_HEADERS`](crate::limits::MAX_FORK_HEADERS).
    pub headers: Vec<Header>,
    /// Of the last of them.
    pub signature: Signature,
}

#[cfg(test)]
mod tests;
