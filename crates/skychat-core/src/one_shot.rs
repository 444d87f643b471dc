//! Sending one message without a node (`send --via`).

use std::time::Duration;

use skychat_api::{Code, FailCause, WaitFor};
use skychat_identity::{Address, SecretKey};
use skychat_proto::content::Content;
use skychat_proto::ids::MessageId;
use skychat_proto::link::Goodbye;
use skychat_proto::open::WriterKind;
use skychat_transport::{CloseReason, DialError, Stage};

use crate::links::dial_once;
use crate::{
    Acknowledged, Blame, DeliverError, Delivered, Draft, Node, NodeBuilder, SendError, WaitError,
    start,
};

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
    let to = address.key();
    if to == identity.public() {
        return Err(OneShotError::OwnKey);
    }
    if address.hints().is_empty() {
        return Err(OneShotError::NoAddress);
    }
    let builder = NodeBuilder::new(SecretKey::from_seed(*identity.expose_bytes()));
    let started = start::start_as(builder, WriterKind::OneShot).await;
    let node = started.map_err(|error| OneShotError::Failed(Box::new(error)))?;
    let draft = Draft {
        to,
        message,
        content,
    };
    let sent = tokio::time::timeout(timeout, hand_over(&node, address, draft, timeout)).await;
    node.shutdown(GOODBYE).await;
    sent.unwrap_or(Err(OneShotError::TimedOut))
}

/// How long the end of the link is waited for when all is said.
const GOODBYE: Duration = Duration::from_secs(1);

async fn hand_over(
    node: &Node,
    address: &Address,
    draft: Draft,
    timeout: Duration,
) -> Result<Acknowledged, OneShotError> {
    let shared = node.shared();
    let link = dial_once(address, &shared.config, &shared.services).await?;
    tokio::select! {
        biased;
        delivered = node.deliver(draft, WaitFor::Acked, timeout) => match delivered {
            Ok(Delivered { acknowledged: Some(acknowledged), .. }) => Ok(acknowledged),
            // It waits for the acknowledgement.
            Ok(_) => Err(OneShotError::TimedOut),
            Err(error) => Err(error.into()),
        },
        reason = link.closed() => Err(after_link(reason)),
    }
}

/// What the end of a link before the acknowledgement means.
fn after_link(reason: CloseReason) -> OneShotError {
    match reason {
        CloseReason::Violation(violation) => OneShotError::Protocol(Box::new(violation)),
        CloseReason::Remote(Goodbye::Busy | Goodbye::Stopping)
        | CloseReason::Dead
        | CloseReason::Stalled => OneShotError::Unreachable(Box::new(reason)),
        _ => OneShotError::NotAdmitted,
    }
}

impl From<DialError> for OneShotError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::OwnKey => OneShotError::OwnKey,
            DialError::ClosedBeforeMessage2 | DialError::WrongAnswer => OneShotError::WrongKey,
            DialError::ClosedAfterMessage3 => OneShotError::NotAdmitted,
            DialError::TimedOut {
                stage: Stage::Message2 | Stage::Hello,
            } => OneShotError::TimedOut,
            DialError::Goodbye(goodbye) => after_link(CloseReason::Remote(goodbye)),
            DialError::Violation(violation) => OneShotError::Protocol(Box::new(violation)),
            error => OneShotError::Unreachable(Box::new(error)),
        }
    }
}

impl From<DeliverError> for OneShotError {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::Send(SendError::OwnKey) => OneShotError::OwnKey,
            DeliverError::Send(SendError::TooLarge { found, limit }) => {
                OneShotError::TooLarge { found, limit }
            }
            DeliverError::Wait {
                source: WaitError::Failed { cause },
                ..
            } => OneShotError::Refused { cause },
            DeliverError::Wait {
                source: WaitError::TimedOut { .. },
                ..
            } => OneShotError::TimedOut,
            error => OneShotError::Failed(Box::new(error)),
        }
    }
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
    /// Our own side failed.
    #[error("the message could not be prepared")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
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
            OneShotError::Unreachable(_) | OneShotError::TimedOut | OneShotError::Failed(_) => {
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
            OneShotError::Failed(_) => Code::Internal,
        }
    }
}
