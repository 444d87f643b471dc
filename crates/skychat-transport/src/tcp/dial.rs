//! Dialling a peer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use skychat_identity::PublicKey;
use skychat_proto::ids::LinkId;
use skychat_proto::link::Goodbye;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::greet::{self, Opened, Proof};
use super::{CloseReason, Factory, Link, LinkConfig, socket};
use crate::handshake::{HandshakeError, Initiator, MESSAGE_1, MESSAGE_2, MESSAGE_3};
use crate::{Suite, Violation};

/// How far a dial had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Connecting.
    Connect,
    /// Message 1 is sent, message 2 is not there.
    Message2,
    /// Message 3 is sent, the peer's hello is not there.
    Hello,
}

/// Why there is no link. The peer never says why it closes; the stage is the only evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The key dialled is our own.
    #[error("the key dialled is this node's own")]
    OwnKey,
    /// The suite to dial with is not to be had on this side; nothing was sent.
    #[error("suite {} cannot be dialled: this backend or processor does not have it", .0.number())]
    NotOffered(Suite),
    /// Nothing answers at the address.
    #[error("nothing answers at {addr}")]
    Unreachable {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The peer closed before message 2: it has another key than the one dialled, speaks something
    /// else (another suite, if it was dialled with one that not everybody has), or takes no more
    /// connections.
    #[error("closed before message 2: another key is there, or no Skychat")]
    ClosedBeforeMessage2,
    /// What came as message 2 does not authenticate: whoever answers does not have the key dialled.
    #[error("the answer is not from the key dialled")]
    WrongAnswer,
    /// The peer closed after message 3, when it knew who dialled: it does not admit us.
    #[error("closed after message 3: this key is not admitted there")]
    ClosedAfterMessage3,
    /// The time for the handshake was over.
    #[error("timed out at stage {stage:?}")]
    TimedOut {
        /// Where.
        stage: Stage,
    },
    /// Another link to the same life of the peer stays instead.
    #[error("another link to the peer is kept instead")]
    Duplicate,
    /// The peer ended the link in order as soon as it was there.
    #[error("the peer said goodbye: {0:?}")]
    Goodbye(Goodbye),
    /// The peer broke a rule; one is that it did not prove its Ed25519 key.
    #[error(transparent)]
    Violation(Violation),
    /// This node holds as many links as it may.
    #[error("this node holds as many links as it may")]
    Full,
    /// This side failed.
    #[error("this side of the handshake failed")]
    Failed,
}

impl DialError {
    /// Whether the peer could be reached at all.
    pub fn reached(&self) -> bool {
        !matches!(
            self,
            DialError::OwnKey
                | DialError::NotOffered(_)
                | DialError::Unreachable { .. }
                | DialError::TimedOut {
                    stage: Stage::Connect
                }
        )
    }
}

/// Dials `addr`, where the node with the key `expect` is believed to be. `factory` makes the
/// service of the link when it is up.
///
/// It speaks [`LinkConfig::suite`], and tries no other: after
/// [`ClosedBeforeMessage2`](DialError::ClosedBeforeMessage2) with a suite that not everybody has,
/// the caller may dial again with suite 1 (LINK-1 says what that costs).
///
/// # Errors
/// [`DialError`], by stage.
///
/// # Cancel safety
/// Dropped early, the connection is closed and no link comes up.
pub async fn dial<F: Factory>(
    addr: SocketAddr,
    expect: PublicKey,
    config: &LinkConfig,
    factory: Arc<F>,
) -> Result<Link, DialError> {
    if expect == config.identity.public() {
        return Err(DialError::OwnKey);
    }
    if !config.suite.is_in(config.identity.primitives()) {
        return Err(DialError::NotOffered(config.suite));
    }
    let unreachable = |source| DialError::Unreachable { addr, source };
    let connected = timeout(config.timing.connect, TcpStream::connect(addr)).await;
    let stream = connected
        .map_err(|_| timed_out(Stage::Connect))?
        .map_err(unreachable)?;
    let id = config.links.next_id();
    socket::prepare(&stream, addr, &config.timing).map_err(unreachable)?;
    let hello_by = Instant::now() + config.timing.handshake;
    let opened = timeout_at(
        hello_by,
        handshake(stream, id, addr, expect, config, hello_by),
    )
    .await
    .map_err(|_| timed_out(Stage::Message2))??;
    let (up, is_up) = oneshot::channel();
    greet::open(config, factory, opened, Some(up));
    match is_up.await {
        Ok(Ok(link)) => Ok(link),
        Ok(Err(reason)) => Err(after_message_3(reason)),
        Err(_) => Err(DialError::Failed),
    }
}

const fn timed_out(stage: Stage) -> DialError {
    DialError::TimedOut { stage }
}

async fn handshake(
    mut stream: TcpStream,
    id: LinkId,
    addr: SocketAddr,
    expect: PublicKey,
    config: &LinkConfig,
    hello_by: Instant,
) -> Result<Opened, DialError> {
    let mut first = [0; MESSAGE_1];
    let initiator = Initiator {
        identity: &config.identity,
        peer: expect,
        suite: config.suite,
        limits: config.rekey,
    };
    let seed = socket::seed().map_err(|_| DialError::Failed)?;
    let state = initiator
        .start(seed, &mut first)
        .map_err(|_| DialError::Failed)?;
    let closed = |_| DialError::ClosedBeforeMessage2;
    stream.write_all(&first).await.map_err(closed)?;
    let mut reply = [0; MESSAGE_2];
    stream.read_exact(&mut reply).await.map_err(closed)?;
    let mut third = [0; MESSAGE_3];
    let (keys, proof) = state
        .finish(&reply, &mut third)
        .map_err(|error| match error {
            HandshakeError::Message { .. } => DialError::WrongAnswer,
            _ => DialError::Failed,
        })?;
    let refused = |_| DialError::ClosedAfterMessage3;
    stream.write_all(&third).await.map_err(refused)?;
    Ok(Opened {
        id,
        stream,
        addr,
        peer: expect,
        suite: config.suite,
        keys,
        proof: Proof::Expected(Box::new(proof)),
        hello_by,
    })
}

fn after_message_3(reason: CloseReason) -> DialError {
    match reason {
        CloseReason::Cut | CloseReason::Io(_) | CloseReason::Dead => DialError::ClosedAfterMessage3,
        CloseReason::NoHello | CloseReason::Stalled => timed_out(Stage::Hello),
        CloseReason::Local(Goodbye::Busy) => DialError::Full,
        CloseReason::Local(_) => DialError::Duplicate,
        CloseReason::Remote(goodbye) => DialError::Goodbye(goodbye),
        CloseReason::Violation(violation) => DialError::Violation(violation),
        CloseReason::Aborted | CloseReason::Failed => DialError::Failed,
    }
}
