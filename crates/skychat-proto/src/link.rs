//! Messages of service 0: the link itself.
//!
//! Spec: `docs/protocol/link.md`; the layouts are in `docs/protocol/feed.md`, section 7.

mod convert;

use bytes::Bytes;
use skychat_identity::Signature;

use crate::error::DecodeError;
use crate::ids::{Incarnation, ServiceId};
use crate::open::WriterKind;

/// A message of service 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkMessage {
    /// Who speaks; the first message of each side, and again when something in it changes.
    Hello(Hello),
    /// Asks for a [`Pong`](LinkMessage::Pong) with the same number.
    Ping(u64),
    /// The answer to a ping.
    Pong(u64),
    /// The last message of a link that is ended in order.
    Goodbye(Goodbye),
    /// Asks for ancestors older than those in the hello (INC-6).
    LineRequest {
        /// Whose ancestors.
        incarnation: Incarnation,
    },
    /// The answer: ancestors.
    Line {
        /// Whose ancestors.
        incarnation: Incarnation,
        /// Newest first, without itself: at most [`MAX_LINE`](crate::limits::MAX_LINE).
        ancestors: Vec<Incarnation>,
        /// Whether they go back to the first life of that store.
        complete: bool,
    },
    /// The responder's proof of its key (LINK-1).
    Proof(Signature),
    /// A kind of message from a later version. Ignored; cannot be encoded.
    Unknown {
        /// Its number.
        kind: u32,
    },
}

impl LinkMessage {
    /// The message, encoded. Empty for [`LinkMessage::Unknown`].
    ///
    /// A value beyond the limits that its fields name is a mistake of the caller: it is caught in
    /// debug builds, and otherwise refused by the peer.
    pub fn encode(&self) -> Vec<u8> {
        convert::encode(self)
    }

    /// Reads a message. Unknown fields inside of one are skipped.
    ///
    /// # Errors
    /// [`DecodeError`]: the peer broke the protocol.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        convert::decode(bytes)
    }
}

/// Who speaks on this link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The life of the writer.
    pub incarnation: Incarnation,
    /// Its ancestors, newest first, without itself: at most
    /// [`MAX_HELLO_LINE`](crate::limits::MAX_HELLO_LINE).
    pub line: Vec<Incarnation>,
    /// Whether the line goes back to the first life of that store.
    pub line_complete: bool,
    /// What kind of writer it is.
    pub writer: WriterKind,
    /// What it serves, ascending: at most [`MAX_SERVICES`](crate::limits::MAX_SERVICES).
    pub services: Vec<ServiceId>,
    /// Name and version of the program, at most [`MAX_AGENT`](crate::limits::MAX_AGENT) bytes.
    /// Remote text: before it is shown, it passes [`one_line`](crate::text::one_line).
    pub agent: String,
    /// Encoded statements, reserved: at most
    /// [`MAX_HELLO_STATEMENTS`](crate::limits::MAX_HELLO_STATEMENTS) of at most
    /// [`MAX_STATEMENT`](crate::limits::MAX_STATEMENT) bytes.
    pub statements: Vec<Bytes>,
}

impl Hello {
    /// Whether this life descends from `ancestor`, as far as the line says.
    pub fn descends_from(&self, ancestor: &Incarnation) -> bool {
        self.line.contains(ancestor)
    }
}

/// Why a link is ended in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Goodbye {
    /// The node stops.
    Stopping,
    /// Another link of the same two lives is kept instead (LINK-3).
    Replaced,
    /// The socket took no byte for too long.
    Stalled,
    /// The other side broke a rule.
    Violation,
    /// The other side is no longer admitted.
    NotAdmitted,
    /// A bound on links is reached.
    Busy,
    /// What the link was made for is done.
    Done,
    /// A reason that this version does not know, or none.
    Other,
}

#[cfg(test)]
mod tests;
