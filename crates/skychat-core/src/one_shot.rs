//! Sending one message without a node (`send --via`).

use std::time::Duration;

use skychat_api::{Code, FailCause};
use skychat_identity::{Address, SecretKey};
use skychat_proto::content::Content;
use skychat_proto::ids::MessageId;

use crate::{Acknowledged, Blame};

/// Dials `address`, hands over one message, and waits until its recipient has acknowledged it.
/// Nothing is stored here: when this fails, the message may be repeated under the same id.
///
/// # Errors
/// [`OneShotError`]; the stage is the only evidence, since a link gives no reasons before both
/// sides are known.
///
/// # Cancel safety
/// Dropped early, the message may have been delivered.
pub async fn send(
    identity: &SecretKey,
    address: &Address,
    content: Content,
    message: Option<MessageId>,
    timeout: Duration,
) -> Result<Acknowledged, OneShotError> {
    let _ = (identity, address, content, message, timeout);
    unimplemented!()
}

/// How far a message that was sent without a node came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OneShotError {
    /// The recipient is the sender's own key.
    #[error("the recipient is the sender's own key")]
    OwnKey,
    /// The content does not fit.
    #[error("the content is {found} bytes, expected at most {limit}")]
    TooLarge {
        /// Encoded bytes of the content.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The address has no place to dial.
    #[error("the address has no host:port to dial")]
    NoAddress,
    /// Nothing answers there.
    #[error("the peer could not be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What answers there closed before it proved its key: it does not hold the key that was
    /// named, or it does not speak Skychat.
    #[error("what answers there does not hold the key that was named")]
    WrongKey,
    /// The peer closed after it knew our key: it does not admit us.
    #[error("the peer closed the link once it knew our key: we are not admitted")]
    NotAdmitted,
    /// The peer refused the message.
    #[error("the peer refused the message: {cause}")]
    Refused {
        /// Why.
        cause: FailCause,
    },
    /// It was not acknowledged in time. It may have arrived.
    #[error("the message was not acknowledged in time; it may have arrived")]
    TimedOut,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol")]
    Protocol(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system gave no random bytes, or sealing failed.
    #[error("the message could not be sealed")]
    Seal,
}

impl OneShotError {
    /// Whose doing it is.
    pub fn blame(&self) -> Blame {
        match self {
            OneShotError::OwnKey | OneShotError::TooLarge { .. } | OneShotError::NoAddress => {
                Blame::Caller
            }
            OneShotError::WrongKey
            | OneShotError::NotAdmitted
            | OneShotError::Refused { .. }
            | OneShotError::Protocol(_) => Blame::Peer,
            OneShotError::Unreachable(_) | OneShotError::TimedOut | OneShotError::Seal => {
                Blame::Environment
            }
        }
    }

    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            OneShotError::OwnKey => Code::OwnKey,
            OneShotError::TooLarge { .. } => Code::TooLarge,
            OneShotError::NoAddress => Code::MalformedAddress,
            OneShotError::Unreachable(_) => Code::Unreachable,
            OneShotError::WrongKey | OneShotError::Protocol(_) => Code::WrongKey,
            OneShotError::NotAdmitted | OneShotError::Refused { .. } => Code::Refused,
            OneShotError::TimedOut => Code::TimedOut,
            OneShotError::Seal => Code::Internal,
        }
    }
}
