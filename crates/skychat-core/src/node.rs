//! The handle of a running node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use skychat_api::{Conversations, Cursor, History, RecordId, Status, WaitFor};
use skychat_identity::{Address, Host, HostPort, MAX_HINTS, PublicKey, SecretKey};
use skychat_proto::ids::{Incarnation, MessageId};
use tokio::sync::oneshot;

use crate::drive::Command;
use crate::sends::{self, Room};
use crate::shared::Shared;
use crate::{
    Accepted, Acknowledged, Admission, DeliverError, Delivered, Draft, EventReader, NodeBuilder,
    Notices, ReadError, SendError, ShutdownReport, StopError, WaitError,
};
use crate::{read, status, stop};

/// A running node. A clone is cheap and stands for the same node.
///
/// Dropping the last handle stops the node as [`shutdown`](Node::shutdown) does, but waits for
/// nothing: what was accepted is on disk by then, and is delivered by the next life of the node.
/// A program that wants its peers told and its directory free calls `shutdown` first.
#[derive(Clone)]
pub struct Node(Arc<Alive>);

/// The handles of a node, together.
struct Alive {
    shared: Arc<Shared>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.shared.stopper.request(stop::DEFAULT_DEADLINE);
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shared = self.shared();
        f.debug_struct("Node")
            .field("public_key", &shared.public_key.short())
            .field("incarnation", &shared.incarnation)
            .field("listening", &shared.listening.addrs())
            .finish_non_exhaustive()
    }
}

/// How long [`Node::deliver`] waits for room.
const ROOM: Duration = Duration::from_millis(100);

impl Node {
    /// Begins a node with this identity.
    pub fn builder(identity: SecretKey) -> NodeBuilder {
        NodeBuilder::new(identity)
    }

    /// The key the node is known by.
    pub fn public_key(&self) -> PublicKey {
        self.shared().public_key
    }

    /// The life the node is in (INC-1). It can change while it runs: when the machine was set back together with its
    /// memory (INC-8).
    pub fn incarnation(&self) -> Incarnation {
        self.shared().hello.load().incarnation
    }

    /// Where links are taken, with the ports that were bound.
    pub fn listen_addrs(&self) -> Vec<SocketAddr> {
        self.shared().listening.addrs()
    }

    /// The key with the addresses links are taken at: what to hand to a peer.
    pub fn address(&self) -> Address {
        let shared = self.shared();
        let hints = shared.listening.addrs().into_iter().filter_map(|addr| {
            // An unspecified address says nothing to a peer; loopback does to one on this machine.
            let ip = addr.ip();
            (!ip.is_unspecified()).then(|| HostPort::new(Host::Ip(ip), addr.port()).ok())?
        });
        let full = Address::new(shared.public_key, hints.take(MAX_HINTS));
        full.unwrap_or_else(|_| shared.public_key.into())
    }

    /// Says something. Waits for room if the node is busy, and returns when the message is on
    /// disk. Messages sent one after the other arrive in that order.
    ///
    /// # Errors
    /// [`SendError`]; nothing was written, but for [`SendError::Stopping`].
    ///
    /// # Cancel safety
    /// Dropped early, the message may still be sent. To be able to repeat the call, give the
    /// draft an id.
    pub async fn send(&self, draft: Draft) -> Result<Accepted, SendError> {
        sends::send(self.shared(), draft, Room::Wait).await
    }

    /// The same, but waits for room at most this long, then answers [`SendError::Busy`].
    ///
    /// # Errors
    /// [`SendError`].
    ///
    /// # Cancel safety
    /// As [`send`](Node::send).
    pub async fn send_within(&self, draft: Draft, room: Duration) -> Result<Accepted, SendError> {
        sends::send(self.shared(), draft, Room::Within(room)).await
    }

    /// The same, but answers [`SendError::Busy`] at once if there is no room.
    ///
    /// # Errors
    /// [`SendError`].
    ///
    /// # Cancel safety
    /// As [`send`](Node::send).
    pub async fn try_send(&self, draft: Draft) -> Result<Accepted, SendError> {
        sends::send(self.shared(), draft, Room::Now).await
    }

    /// Waits until a message of ours was acknowledged by `to`: with [`WaitFor::Acked`] by its disk
    /// or its memory, with [`WaitFor::Stored`] by its disk. [`WaitFor::Accepted`] returns as soon
    /// as the message is found. A message id is unique for one recipient only, so both are named.
    ///
    /// # Errors
    /// [`WaitError`]. After [`WaitError::TimedOut`] the message stays owed.
    ///
    /// # Cancel safety
    /// Safe: nothing but the wait is lost.
    pub async fn wait(
        &self,
        to: PublicKey,
        message: MessageId,
        until: WaitFor,
        timeout: Duration,
    ) -> Result<Option<Acknowledged>, WaitError> {
        self.shared().wait(to, message, None, until, timeout).await
    }

    /// Sends and waits: [`send_within`](Node::send_within) 100 ms of room, then
    /// [`wait`](Node::wait) for what is left of `timeout`, with the time measured from this call.
    ///
    /// # Errors
    /// [`DeliverError`].
    ///
    /// # Cancel safety
    /// As [`send`](Node::send).
    pub async fn deliver(
        &self,
        draft: Draft,
        until: WaitFor,
        timeout: Duration,
    ) -> Result<Delivered, DeliverError> {
        let shared = self.shared();
        let began = shared.clock.now();
        let to = draft.to;
        let accepted = sends::send(shared, draft, Room::Within(ROOM.min(timeout))).await?;
        let place = Some((accepted.feed, accepted.seq));
        let spent = shared.clock.now().saturating_since(began);
        let left = timeout.saturating_sub(spent);
        match shared.wait(to, accepted.message, place, until, left).await {
            Ok(acknowledged) => Ok(Delivered {
                accepted,
                acknowledged: acknowledged.map(|acknowledged| Acknowledged {
                    elapsed: acknowledged.elapsed.saturating_add(spent),
                    ..acknowledged
                }),
            }),
            Err(source) => Err(DeliverError::Wait { accepted, source }),
        }
    }

    /// The durable events after this place, in order, each once; `None`: those yet to come. Events
    /// that are kept begin after a cursor with number 0.
    ///
    /// A place that is not in the log, or no longer, is answered with a gap event first.
    pub fn events(&self, after: Option<Cursor>) -> EventReader {
        EventReader::new(Arc::clone(&self.shared().events), after)
    }

    /// The place of the newest event.
    pub fn last_event(&self) -> Cursor {
        self.shared().last_event()
    }

    /// Passing news: links that come and go, catch-up, limits. Nothing is replayed.
    pub fn notices(&self) -> Notices {
        let shared = self.shared();
        Notices::new(shared.notices.subscribe(), shared.events.ended().clone())
    }

    /// A page of the conversation with `peer`, newest first, at most `limit` (1 to 256) messages.
    ///
    /// # Errors
    /// [`ReadError`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn history(
        &self,
        peer: PublicKey,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<History, ReadError> {
        let messages = Arc::clone(&self.shared().messages);
        read::blocking(move || messages.history(peer, before, limit)).await
    }

    /// All conversations, the one with the newest message first.
    ///
    /// # Errors
    /// [`ReadError`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn conversations(&self) -> Result<Conversations, ReadError> {
        let messages = Arc::clone(&self.shared().messages);
        read::blocking(move || messages.conversations()).await
    }

    /// How the node is doing. Costs no I/O; what it says of peers is at most a second old.
    pub fn status(&self) -> Status {
        status::status(self.shared())
    }

    /// Lifts the quota of strangers for this key.
    ///
    /// # Errors
    /// [`SendError::Stopping`].
    ///
    /// # Cancel safety
    /// Dropped early, consent may still be given.
    pub async fn consent(&self, peer: PublicKey) -> Result<(), SendError> {
        let (done, given) = oneshot::channel();
        let command = Command::Consent { peer, done };
        let sent = self.shared().commands.send(command).await;
        sent.map_err(|_| SendError::Stopping)?;
        given.await.map_err(|_| SendError::Stopping)
    }

    /// Changes who may open a link. Links that are up stay.
    pub fn set_admission(&self, admission: Admission) {
        self.shared().admission.store(Arc::new(admission));
    }

    /// Stops the node: nothing new is taken, peers are told, links drain, the store writes what is
    /// queued, readers end. What does not end by the deadline is aborted and named in the report.
    ///
    /// # Cancel safety
    /// Dropped early, the node stops all the same.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        self.shared().stopper.request(deadline);
        self.shared().stopper.outcome().await.report
    }

    /// Waits until the node has stopped, for whatever reason.
    ///
    /// # Errors
    /// [`StopError`]: why it stopped by itself.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn stopped(&self) -> Result<(), StopError> {
        self.shared().stopper.outcome().await.result
    }

    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Node(Arc::new(Alive { shared }))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}
