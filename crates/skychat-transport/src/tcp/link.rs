//! The handle of a link.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use skychat_identity::PublicKey;
use skychat_proto::ids::{Incarnation, LinkId, ServiceId};
use skychat_proto::link::{Goodbye, Hello};
use skychat_proto::open::WriterKind;

use super::CloseReason;
use super::shared::Shared;
use crate::{SendError, Suite};

/// A link that is up. Cheap to clone; dropping every handle does not close it, [`close`] does.
///
/// [`close`]: Link::close
#[derive(Clone)]
pub struct Link(pub(super) Arc<Shared>);

impl Link {
    /// The key of the peer, proven.
    pub fn peer(&self) -> PublicKey {
        self.0.peer
    }

    /// Its name in this process; never used twice.
    pub fn id(&self) -> LinkId {
        self.0.id
    }

    /// What is spoken on it.
    pub fn suite(&self) -> Suite {
        self.0.suite
    }

    /// The first hello of the peer. Later ones go to the [`Service`](super::Service).
    pub fn hello(&self) -> &Hello {
        // A handle is given out when the hello is there.
        self.0.hello.get_or_init(|| Hello {
            incarnation: Incarnation::ZERO,
            line: Vec::new(),
            line_complete: false,
            writer: WriterKind::Node,
            services: Vec::new(),
            agent: String::new(),
            statements: Vec::new(),
        })
    }

    /// Whether the peer dialled.
    pub fn inbound(&self) -> bool {
        self.0.inbound
    }

    /// The address at the other end.
    pub fn remote_addr(&self) -> SocketAddr {
        self.0.addr
    }

    /// How long the handshake is ago.
    pub fn age(&self) -> Duration {
        self.0.since.elapsed()
    }

    /// Sends the message made of `parts` (joined, without a copy before the one into the queue).
    ///
    /// It never waits. A message that finds nothing under way is sealed and given to the socket
    /// here; otherwise it joins what the writer takes next, which is how small messages come to
    /// share records. Services 0 and 1 overtake the others. Messages of one service stay in order
    /// and arrive whole; they are lost, with everything after them, when the link is cut.
    ///
    /// # Errors
    /// [`SendError::Full`]: nothing was taken; wait with [`ready`](Self::ready).
    /// [`SendError::Closed`], [`SendError::TooLarge`].
    #[inline]
    pub fn try_send(&self, service: ServiceId, parts: &[&[u8]]) -> Result<(), SendError> {
        self.0.send(service, parts)
    }

    /// Waits until the queue is below its low-water mark ([`LOW_WATER`](crate::LOW_WATER)), or the
    /// link is over. Whoever waits before each message keeps what is under way in the processor's
    /// cache; whoever waits after [`SendError::Full`] only, uses all of the queue.
    ///
    /// # Cancel safety
    /// It has no effect of its own, and can be dropped at any time.
    pub async fn ready(&self) {
        while !self.0.has_room() {
            let room = self.0.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.0.has_room() {
                return;
            }
            room.await;
        }
    }

    /// Ends the link in order: what is queued is still sent, then the goodbye; nothing more is
    /// taken. What the peer has under way is still received, for 5 s.
    pub fn close(&self, goodbye: Goodbye) {
        self.0.close(goodbye);
    }

    /// Ends the link at once. What is queued is lost.
    pub fn abort(&self) {
        self.0.kill(CloseReason::Aborted);
    }

    /// Waits until the link is over: its service had its last call, and it is not in the registry.
    ///
    /// # Cancel safety
    /// It has no effect of its own, and can be dropped at any time.
    pub async fn closed(&self) -> CloseReason {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if let Some(reason) = self.0.reason.get() {
                return *reason;
            }
            ended.await;
        }
    }

    /// What it has carried so far.
    pub fn stats(&self) -> LinkStats {
        let counters = &self.0.counters;
        let (sent_messages, queued) = self.0.queued();
        let round_trip = counters.round_trip.load(Ordering::Relaxed);
        LinkStats {
            age: self.age(),
            sent_bytes: counters.sent_bytes.load(Ordering::Relaxed),
            sent_records: counters.sent_records.load(Ordering::Relaxed),
            sent_messages,
            received_bytes: counters.received_bytes.load(Ordering::Relaxed),
            received_records: counters.received_records.load(Ordering::Relaxed),
            received_messages: counters.received_messages.load(Ordering::Relaxed),
            unknown_frames: counters.unknown_frames.load(Ordering::Relaxed),
            queued,
            round_trip: round_trip.checked_sub(1).map(Duration::from_micros),
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("id", &self.0.id.get())
            .field("peer", &self.0.peer.short())
            .field("inbound", &self.0.inbound)
            .finish_non_exhaustive()
    }
}

/// Two handles of one link are equal.
impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Link {}

/// What a link has carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Time since the handshake.
    pub age: Duration,
    /// Bytes given to the socket, of records.
    pub sent_bytes: u64,
    /// Records sealed.
    pub sent_records: u64,
    /// Messages taken for sending.
    pub sent_messages: u64,
    /// Bytes read.
    pub received_bytes: u64,
    /// Records opened.
    pub received_records: u64,
    /// Messages handed to the service, those of service 0 not counted.
    pub received_messages: u64,
    /// Frames of services that nobody here knows.
    pub unknown_frames: u64,
    /// Bytes that wait to be sent.
    pub queued: usize,
    /// The last ping's round trip.
    pub round_trip: Option<Duration>,
}
