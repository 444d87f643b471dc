//! The handle of a running node.
#![allow(unused_variables)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use skychat_api::{Conversations, Cursor, History, RecordId, Status, WaitFor};
use skychat_identity::{Address, PublicKey, SecretKey};
use skychat_proto::ids::{Incarnation, MessageId};

use crate::{
    Accepted, Acknowledged, Admission, DeliverError, Delivered, Draft, EventReader, Notices,
    NodeBuilder, ReadError, SendError, ShutdownReport, StopError, WaitError,
};

/// A running node. A clone is cheap and stands for the same node.
#[derive(Clone, Debug)]
pub struct Node(Arc<()>);

impl Node {
    /// Begins a node with this identity.
    pub fn builder(identity: SecretKey) -> NodeBuilder {
        unimplemented!()
    }

    /// The key the node is known by.
    pub fn public_key(&self) -> PublicKey {
        unimplemented!()
    }

    /// The life the node is in (INC-1).
    pub fn incarnation(&self) -> Incarnation {
        unimplemented!()
    }

    /// Where links are taken, with the ports that were bound.
    pub fn listen_addrs(&self) -> Vec<SocketAddr> {
        unimplemented!()
    }

    /// The key with the addresses links are taken at: what to hand to a peer.
    pub fn address(&self) -> Address {
        unimplemented!()
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
        unimplemented!()
    }

    /// The same, but waits for room at most this long, then answers [`SendError::Busy`].
    ///
    /// # Errors
    /// [`SendError`].
    ///
    /// # Cancel safety
    /// As [`send`](Node::send).
    pub async fn send_within(&self, draft: Draft, room: Duration) -> Result<Accepted, SendError> {
        unimplemented!()
    }

    /// The same, but answers [`SendError::Busy`] at once if there is no room.
    ///
    /// # Errors
    /// [`SendError`].
    ///
    /// # Cancel safety
    /// As [`send`](Node::send).
    pub async fn try_send(&self, draft: Draft) -> Result<Accepted, SendError> {
        unimplemented!()
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
        unimplemented!()
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
        unimplemented!()
    }

    /// The durable events after this place, in order, each once; `None`: those yet to come. Events
    /// that are kept begin after a cursor with number 0.
    ///
    /// A place that is not in the log, or no longer, is answered with a gap event first.
    pub fn events(&self, after: Option<Cursor>) -> EventReader {
        unimplemented!()
    }

    /// The place of the newest event.
    pub fn last_event(&self) -> Cursor {
        unimplemented!()
    }

    /// Passing news: links that come and go, catch-up, limits. Nothing is replayed.
    pub fn notices(&self) -> Notices {
        unimplemented!()
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
        unimplemented!()
    }

    /// All conversations, the one with the newest message first.
    ///
    /// # Errors
    /// [`ReadError`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn conversations(&self) -> Result<Conversations, ReadError> {
        unimplemented!()
    }

    /// How the node is doing. Costs no I/O; what it says of peers is at most a second old.
    pub fn status(&self) -> Status {
        unimplemented!()
    }

    /// Lifts the quota of strangers for this key.
    ///
    /// # Errors
    /// [`SendError::Stopping`].
    ///
    /// # Cancel safety
    /// Dropped early, consent may still be given.
    pub async fn consent(&self, peer: PublicKey) -> Result<(), SendError> {
        unimplemented!()
    }

    /// Changes who may open a link. Links that are up stay.
    pub fn set_admission(&self, admission: Admission) {
        unimplemented!()
    }

    /// Stops the node: nothing new is taken, peers are told, links drain, the store writes what is
    /// queued, readers end. What does not end by the deadline is aborted and named in the report.
    ///
    /// # Cancel safety
    /// Dropped early, the node stops all the same.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        unimplemented!()
    }

    /// Waits until the node has stopped, for whatever reason.
    ///
    /// # Errors
    /// [`StopError`]: why it stopped by itself.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn stopped(&self) -> Result<(), StopError> {
        unimplemented!()
    }

}
