//! What the driver is connected to.

use std::sync::Arc;

use skychat_engine::{GivenAway, PeerStatus, SendRejected};
use skychat_identity::PublicKey;
use skychat_proto::content::Content;
use skychat_proto::ids::{FeedId, MessageId, Seq};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::events::EventLog;
use crate::journal::{StoreLink, StoreReply};
use crate::links::Arrival;
use crate::waiters::Waiters;

/// What the application asks of the engine.
pub(crate) enum Command {
    /// To say something.
    Send {
        to: PublicKey,
        message: Option<MessageId>,
        content: Content,
        /// Answered when it is durable.
        answer: oneshot::Sender<Result<Placed, SendRejected>>,
    },
    /// To lift the quota of strangers for a key.
    Consent {
        peer: PublicKey,
        done: oneshot::Sender<()>,
    },
    /// To take nothing new for now, or again.
    OverQuota { over: bool },
    /// To give text away.
    GiveAway {
        drops: Vec<GivenAway>,
        rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        /// Answered when that is durable.
        done: oneshot::Sender<()>,
    },
    /// To fail.
    #[cfg(test)]
    Panic,
}

/// Where a message stands in our feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) message: MessageId,
    pub(crate) feed: FeedId,
    pub(crate) seq: Seq,
}

/// What the engine says of itself, for `status`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) peers: Vec<PeerStatus>,
    /// There is no room on the disk.
    pub(crate) store_full: bool,
}

/// What the driver reads from and writes to.
pub(crate) struct Ports {
    pub(crate) clock: Clock,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) arrivals: mpsc::Receiver<Arrival>,
    pub(crate) store: StoreLink,
    pub(crate) replies: mpsc::Receiver<StoreReply>,
    pub(crate) reader: skychat_store::StoreReader,
    pub(crate) events: Arc<EventLog>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) notices: broadcast::Sender<skychat_api::Event>,
    pub(crate) snapshot: watch::Sender<Snapshot>,
    pub(crate) hello: Arc<arc_swap::ArcSwap<skychat_proto::link::Hello>>,
    pub(crate) tracker: TaskTracker,
    /// Nothing more is taken from outside: what is under way is brought to disk, then it ends.
    pub(crate) stop: CancellationToken,
}
