//! What a link needs to know of its node.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use skychat_identity::PublicKey;
use skychat_proto::ids::ServiceId;
use skychat_proto::limits;
use skychat_proto::link::Hello;
use tokio_util::task::TaskTracker;

use super::pool::BufferPool;
use super::{CloseReason, Link, Links};
use crate::{LinkIdentity, OutboundBudget, RekeyLimits, Suite, Violation};

/// What all links of a node share. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct LinkConfig {
    /// Who we are.
    pub identity: LinkIdentity,
    /// What is spoken on links we dial: suite 1, unless the peer is known to speak another one.
    /// What a dialled peer speaks is for the caller to know (LINK-1): a clone of the configuration
    /// with another suite serves the dials to those peers. On links that are dialled to us every
    /// suite of our backend is spoken.
    pub suite: Suite,
    /// Gives the hello of the moment; asked once for each link. The services it names are those
    /// whose messages reach the [`Service`].
    pub hello: Arc<dyn Fn() -> Hello + Send + Sync>,
    /// Who may open a link to us. Judged once, when the key is proven.
    pub admission: Arc<dyn Admission>,
    /// The links that are up.
    pub links: Links,
    /// Where every task is spawned, so that a node can wait for all of them.
    pub tracker: TaskTracker,
    /// Bounds what all links queue together.
    pub budget: Arc<OutboundBudget>,
    /// How long things may take.
    pub timing: Timing,
    /// When keys are renewed. Both ends have to use the same: leave it alone but in tests.
    pub rekey: RekeyLimits,
    pub(super) buffers: Arc<BufferPool>,
}

impl LinkConfig {
    /// The protocol's limits, and a registry of its own.
    pub fn new(
        identity: LinkIdentity,
        hello: impl Fn() -> Hello + Send + Sync + 'static,
        admission: impl Admission,
    ) -> Self {
        LinkConfig {
            identity,
            suite: Suite::default(),
            hello: Arc::new(hello),
            admission: Arc::new(admission),
            links: Links::default(),
            tracker: TaskTracker::new(),
            budget: Arc::default(),
            timing: Timing::default(),
            rekey: RekeyLimits::default(),
            buffers: Arc::default(),
        }
    }
}

impl std::fmt::Debug for LinkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkConfig")
            .field("identity", &self.identity)
            .field("links", &self.links)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

/// Who may open a link to us.
pub trait Admission: Send + Sync + 'static {
    /// Whether a link from `peer`, whose key is proven, is taken. It must not block.
    fn admits(&self, peer: &PublicKey) -> bool;
}

/// Everybody who proves a key.
#[derive(Debug, Clone, Copy)]
pub struct Anyone;

/// Nobody; links are made by dialling only.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Admission for Anyone {
    fn admits(&self, _: &PublicKey) -> bool {
        true
    }
}

impl Admission for Nobody {
    fn admits(&self, _: &PublicKey) -> bool {
        false
    }
}

impl<F: Fn(&PublicKey) -> bool + Send + Sync + 'static> Admission for F {
    fn admits(&self, peer: &PublicKey) -> bool {
        self(peer)
    }
}

/// How long things may take. The default is the protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Until a dialled address answers: 10 s.
    pub connect: Duration,
    /// From the connection to the peer's hello: 5 s.
    pub handshake: Duration,
    /// Without a byte received: ask whether the peer is still there. 30 s; on a link that we
    /// dialled a sixteenth more, so that one side asks and not both. What a quiet link waits for
    /// comes at a tick of the node, of which there are 120 in this time: this, `dead_after` and
    /// `trim_after` may take so much longer, 250 ms.
    pub ping_after: Duration,
    /// Without a byte received: the link is dead. 90 s.
    pub dead_after: Duration,
    /// With something to send and the socket taking no byte: the link is closed. 30 s.
    pub stall_after: Duration,
    /// A record that has begun must have come whole: 30 s.
    pub record: Duration,
    /// A link that is being closed may take so long to finish what is queued: 5 s.
    pub drain: Duration,
    /// The memory of a quiet link is given up: 1 s.
    pub trim_after: Duration,
    /// A message that finds the queue empty is written by the task that sends it, but after such a
    /// write the next one is left to the writer for so long, unless something arrived in between:
    /// 50 us. So a conversation has no task between, and a stream of messages is coalesced.
    pub direct_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            connect: Duration::from_secs(10),
            handshake: limits::HANDSHAKE_TIMEOUT,
            ping_after: limits::PING_AFTER,
            dead_after: limits::DEAD_AFTER,
            stall_after: limits::STALL_AFTER,
            record: Duration::from_secs(30),
            drain: Duration::from_secs(5),
            trim_after: Duration::from_secs(1),
            direct_pause: Duration::from_micros(50),
        }
    }
}

/// What receives the messages of one link. It is made when the link is up, and runs in the task
/// that reads the socket.
pub trait Service: Send + 'static {
    /// A message, whole. It is borrowed from the buffer it arrived in.
    ///
    /// Messages of service 0 that the transport does not answer itself come here too: a further
    /// hello, a request for older ancestors, and the answer to one.
    ///
    /// # Errors
    /// A [`Violation`] closes the link at once.
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation>;

    /// Called after each read. Until it is done the socket is not read, so TCP slows the peer:
    /// this is where back-pressure is made.
    ///
    /// # Cancel safety
    /// It is dropped when the link ends.
    fn flush(&mut self) -> impl Future<Output = ()> + Send;

    /// The link is over. The last call.
    fn closed(&mut self, reason: &CloseReason);
}

/// Makes the [`Service`] of each link that comes up.
pub trait Factory: Send + Sync + 'static {
    /// What it makes.
    type Service: Service;

    /// The link is up: the peer's key is proven and its hello is there ([`Link::hello`]).
    fn service(&self, link: &Link) -> Self::Service;
}

impl<S: Service, F: Fn(&Link) -> S + Send + Sync + 'static> Factory for F {
    type Service = S;

    fn service(&self, link: &Link) -> S {
        self(link)
    }
}
