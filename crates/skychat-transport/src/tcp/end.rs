//! How a link ends.

use std::io;

use skychat_proto::link::Goodbye;

use crate::Violation;

/// Why a link is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// We ended it in order.
    #[error("closed here: {0:?}")]
    Local(Goodbye),
    /// The peer ended it in order.
    #[error("closed by the peer: {0:?}")]
    Remote(Goodbye),
    /// The peer broke a rule.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The connection ended without a goodbye. What was under way may be lost.
    #[error("the connection was cut")]
    Cut,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(io::ErrorKind),
    /// The peer's hello did not come in time.
    #[error("no hello came in time")]
    NoHello,
    /// Nothing came for too long, pings were not answered.
    #[error("nothing was heard of the peer for too long")]
    Dead,
    /// The socket took nothing for too long while something was queued.
    #[error("the peer took nothing for too long")]
    Stalled,
    /// [`Link::abort`](super::Link::abort).
    #[error("aborted here")]
    Aborted,
    /// Our side failed: a panic in the service, or the cipher.
    #[error("this side of the link failed")]
    Failed,
}

impl From<io::Error> for CloseReason {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What the other end does to us, or its system for it.
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => CloseReason::Cut,
            // The system's own limit for what the peer does not take (TCP_USER_TIMEOUT).
            io::ErrorKind::TimedOut => CloseReason::Stalled,
            kind => CloseReason::Io(kind),
        }
    }
}
