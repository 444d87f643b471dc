//! What the application says, and what it is told about it.

use std::time::Duration;

use skychat_api::{Delivery, FailCause, Kept};
use skychat_identity::PublicKey;
use skychat_proto::content::{Content, ContentError};
use skychat_proto::ids::{FeedId, MessageId, Seq};

use crate::Blame;

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The recipient.
    pub to: PublicKey,
    /// Its id and idempotency key: a second send with the same id to the same recipient is the
    /// same message, and answered as the first. `None`: the node draws one.
    pub message: Option<MessageId>,
    /// What to say.
    pub content: Content,
}

impl Draft {
    /// A text, with an id that the node draws.
    ///
    /// # Errors
    /// [`ContentError`]: empty, or longer than 64 KiB.
    pub fn text(to: PublicKey, text: impl Into<String>) -> Result<Self, ContentError> {
        Ok(Draft {
            to,
            message: None,
            content: Content::text(text)?,
        })
    }

    /// The same under this id.
    #[must_use]
    pub fn with_id(mut self, message: MessageId) -> Self {
        self.message = Some(message);
        self
    }
}

/// A message is ours to deliver: it is in our feed and on disk (or in memory, for a node without a
/// disk). It will arrive, or the application is told why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub message: MessageId,
    /// The recipient.
    pub to: PublicKey,
    /// The feed of ours it stands in.
    pub feed: FeedId,
    /// Its place there.
    pub seq: Seq,
    /// How far it has come: [`Delivery::Accepted`] for a new one.
    pub state: Delivery,
    /// Whether this call wrote it; `false` if the id was used before for the same message.
    pub new: bool,
}

/// The recipient acknowledged a message, and the acknowledgement was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The message.
    pub message: MessageId,
    /// The key that acknowledged it.
    pub by: PublicKey,
    /// Where the recipient keeps it.
    pub kept: Kept,
    /// From the call that waited until the acknowledgement was verified.
    pub elapsed: Duration,
    /// The carrier it came by; `None` if it came before the call.
    pub via: Option<&'static str>,
}

/// What [`Node::deliver`](crate::Node::deliver) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Where the message stands in our feed.
    pub accepted: Accepted,
    /// The acknowledgement, if one was waited for.
    pub acknowledged: Option<Acknowledged>,
}

/// Why a message was not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no conversation with oneself.
    #[error("the recipient is this node's own key")]
    OwnKey,
    /// The content does not fit.
    #[error("the content is {found} bytes, expected at most {limit}")]
    TooLarge {
        /// Encoded bytes of the content.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The id was used before, to the same recipient, for another content.
    #[error("message id {message} was used before for another content")]
    IdConflict {
        /// The id.
        message: MessageId,
    },
    /// The node has as much to do as it takes; nothing was written.
    #[error("the node has as many requests waiting as it takes; try again shortly")]
    Busy,
    /// The content could not be sealed; nothing was written.
    #[error("the content could not be sealed")]
    Seal,
    /// There is no room on the disk; nothing was written. As soon as there is, sends are taken
    /// again.
    #[error("the disk is full; nothing is taken until there is room")]
    StoreFull,
    /// The store holds as much as it may, and nothing can be given away yet; nothing was written.
    /// As soon as something can, sends are taken again.
    #[error("the store holds as much as it may; nothing is taken until something was given away")]
    Quota,
    /// The store could not be asked whether the id was used before; nothing was written.
    #[error("message id {message} could not be looked up in the store")]
    Lookup {
        /// The id.
        message: MessageId,
        /// What the store said.
        #[source]
        source: crate::ReadError,
    },
    /// The node stopped before it answered: the message was taken or it was not. Repeating the
    /// send with the same id is safe.
    #[error("the node is stopping")]
    Stopping,
}

impl SendError {
    /// Whose doing it is.
    pub fn blame(&self) -> Blame {
        match self {
            SendError::OwnKey | SendError::TooLarge { .. } | SendError::IdConflict { .. } => {
                Blame::Caller
            }
            SendError::Busy
            | SendError::Seal
            | SendError::StoreFull
            | SendError::Quota
            | SendError::Stopping
            | SendError::Lookup { .. } => Blame::Environment,
        }
    }

    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> skychat_api::Code {
        use skychat_api::Code;
        match self {
            SendError::OwnKey => Code::OwnKey,
            SendError::TooLarge { .. } => Code::TooLarge,
            SendError::IdConflict { .. } => Code::IdConflict,
            SendError::Busy => Code::Busy,
            SendError::Seal => Code::Internal,
            SendError::StoreFull | SendError::Quota => Code::StoreFull,
            SendError::Lookup { source, .. } => source.code(),
            SendError::Stopping => Code::Stopping,
        }
    }
}

/// Why a wait ended without the state that was waited for.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// It will not arrive.
    #[error("the message failed: {cause}")]
    Failed {
        /// Why.
        cause: FailCause,
    },
    /// The time is over. The message stays owed.
    #[error("the message is {} and was not acknowledged in time", state.word())]
    TimedOut {
        /// How far it had come.
        state: Delivery,
    },
    /// There is no message of ours with this id to this recipient.
    #[error("there is no message {message} to {}", to.short())]
    Unknown {
        /// The id.
        message: MessageId,
        /// The recipient.
        to: PublicKey,
    },
    /// As many waits as the node takes are under way.
    #[error("the node has as many waits under way as it takes; try again shortly")]
    Busy,
    /// The store could not be asked.
    #[error("the state of the message could not be read")]
    Read(#[source] crate::ReadError),
    /// The node stopped first. The message stays owed.
    #[error("the node is stopping")]
    Stopping,
}

impl WaitError {
    /// Whose doing it is.
    pub fn blame(&self) -> Blame {
        match self {
            WaitError::Unknown { .. } => Blame::Caller,
            _ => Blame::Environment,
        }
    }

    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> skychat_api::Code {
        use skychat_api::Code;
        match self {
            WaitError::Failed { .. } => Code::Refused,
            WaitError::TimedOut { .. } => Code::TimedOut,
            WaitError::Unknown { .. } => Code::UnknownMessage,
            WaitError::Busy => Code::Busy,
            WaitError::Read(source) => source.code(),
            WaitError::Stopping => Code::Stopping,
        }
    }
}

/// Why [`Node::deliver`](crate::Node::deliver) did not reach the state that was asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The message was not taken.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The message was taken, and the wait ended.
    #[error("message {} was accepted, but did not come as far as asked", accepted.message)]
    Wait {
        /// Where the message stands in our feed.
        accepted: Accepted,
        /// How the wait ended.
        source: WaitError,
    },
}

impl DeliverError {
    /// Whose doing it is.
    pub fn blame(&self) -> Blame {
        match self {
            DeliverError::Send(error) => error.blame(),
            DeliverError::Wait { source, .. } => source.blame(),
        }
    }

    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> skychat_api::Code {
        match self {
            DeliverError::Send(error) => error.code(),
            DeliverError::Wait { source, .. } => source.code(),
        }
    }
}
