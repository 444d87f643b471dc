//! What the handles of a node share with its tasks.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use skychat_api::{self as api, Cursor, WaitFor};
use skychat_identity::PublicKey;
use skychat_proto::ids::{FeedId, Incarnation, MessageId, Seq, SpaceId};
use skychat_proto::open::WriterKind;
use skychat_transport::LinkConfig;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::drive::{Command, Snapshot};
use crate::events::EventLog;
use crate::journal::StoreFacts;
use crate::links::{KeptPeer, Listening, Presence, Services};
use crate::messages::Messages;
use crate::retention::Room;
use crate::sends::UnderWay;
use crate::stop::Stopper;
use crate::waiters::{Asked, Outcome, Waiters, ends};
use crate::{Acknowledged, Admission, WaitError};

/// The carrier of every link so far.
pub(crate) const CARRIER: &str = "tcp";

/// What is shared. It holds no task alive and is held by many.
pub(crate) struct Shared {
    pub(crate) public_key: PublicKey,
    /// The life that began with this run.
    pub(crate) incarnation: Incarnation,
    /// What new links are told, with the life that writes now.
    pub(crate) hello: Arc<arc_swap::ArcSwap<skychat_proto::link::Hello>>,
    pub(crate) writer: WriterKind,
    pub(crate) clock: Clock,
    pub(crate) identity_source: api::IdentitySource,
    pub(crate) strict: bool,
    pub(crate) admission: Arc<ArcSwap<Admission>>,
    pub(crate) listening: Listening,
    pub(crate) kept: Vec<Arc<KeptPeer>>,
    pub(crate) config: LinkConfig,
    pub(crate) services: Arc<Services>,
    pub(crate) presence: Arc<Presence>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) under_way: UnderWay,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) messages: Arc<Messages>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) notices: broadcast::Sender<api::Event>,
    pub(crate) snapshot: watch::Receiver<Snapshot>,
    pub(crate) store: Arc<StoreFacts>,
    /// How much of it is in use.
    pub(crate) room: Arc<Room>,
    /// How much of it may be.
    pub(crate) total: u64,
    /// Tasks of handles: sends that were begun.
    pub(crate) tracker: TaskTracker,
    pub(crate) stopper: Arc<Stopper>,
}

impl Shared {
    /// The place of the newest event.
    pub(crate) fn last_event(&self) -> Cursor {
        self.messages.cursor(self.events.last())
    }

    /// Waits for a message of ours of which the place in our feed may be known already.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        to: PublicKey,
        message: MessageId,
        place: Option<(FeedId, Seq)>,
        until: WaitFor,
        time: Duration,
    ) -> Result<Option<Acknowledged>, WaitError> {
        let began = self.clock.now();
        let (feed, seq) = match place {
            Some(place) => place,
            None => self.find(to, message).await?,
        };
        if until == WaitFor::Accepted {
            return Ok(None);
        }
        let acknowledged = |outcome, via| match outcome {
            Outcome::Failed { cause } => Err(WaitError::Failed { cause }),
            Outcome::Stored { by, kept } => Ok(Some(Acknowledged {
                message,
                by,
                kept,
                elapsed: self.clock.now().saturating_since(began),
                via,
            })),
        };
        let mut wait = match self.waiters.ask(feed, seq, until) {
            Asked::Known(outcome) => return acknowledged(outcome, Some(CARRIER)),
            Asked::Busy => return Err(WaitError::Busy),
            Asked::Wait(wait) => wait,
        };
        // What was acknowledged in an earlier run is in the store. A new entry cannot be.
        if place.is_none() || feed.incarnation != self.incarnation {
            let messages = Arc::clone(&self.messages);
            let stored = crate::read::blocking(move || messages.outcome(feed, seq)).await;
            if let Some(outcome) = stored.map_err(WaitError::Read)?
                && ends(until, outcome)
            {
                return acknowledged(outcome, None);
            }
        }
        let stopping = self.stopper.requested();
        tokio::select! {
            biased;
            outcome = timeout(time, wait.outcome()) => match outcome {
                Ok(Some(outcome)) => acknowledged(outcome, Some(CARRIER)),
                Ok(None) => Err(WaitError::Stopping),
                Err(_) => Err(WaitError::TimedOut { state: self.state_after(feed, seq).await }),
            },
            () = stopping.cancelled() => Err(WaitError::Stopping),
        }
    }

    async fn find(
        self: &Arc<Self>,
        to: PublicKey,
        message: MessageId,
    ) -> Result<(FeedId, Seq), WaitError> {
        let unknown = WaitError::Unknown { message, to };
        let Ok(space) = SpaceId::direct(&self.public_key, &to) else {
            return Err(unknown);
        };
        let messages = Arc::clone(&self.messages);
        let found = crate::read::blocking(move || messages.place(space, message)).await;
        found.map_err(WaitError::Read)?.ok_or(unknown)
    }

    /// How far a message had come when the wait for it was over.
    async fn state_after(self: &Arc<Self>, feed: FeedId, seq: Seq) -> api::Delivery {
        let messages = Arc::clone(&self.messages);
        let stored = crate::read::blocking(move || messages.outcome(feed, seq)).await;
        let outcome = self.waiters.known(feed, seq).or(stored.unwrap_or_default());
        crate::messages::delivery(outcome)
    }
}
