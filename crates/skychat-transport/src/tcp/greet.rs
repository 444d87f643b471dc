//! From a finished handshake to a link that is up, and what happens above the records.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use skychat_identity::{PublicKey, Signature};
use skychat_proto::ids::{LinkId, ServiceId};
use skychat_proto::link::{Goodbye, Hello, LinkMessage};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;

use super::counters::add;
use super::reader::Reader;
use super::shared::{Facts, Shared};
use super::writer::Writer;
use super::{CloseReason, Factory, Link, LinkConfig, Links, Service};
use crate::handshake::AwaitProof;
use crate::registry::NotTaken;
use crate::{Handler, InBuffer, LinkKeys, Receiver, Role, Suite};

/// A connection whose handshake is done.
pub(super) struct Opened {
    /// Given when the connection was made: LINK-3 goes by it.
    pub(super) id: LinkId,
    pub(super) stream: TcpStream,
    pub(super) addr: SocketAddr,
    pub(super) peer: PublicKey,
    pub(super) suite: Suite,
    pub(super) keys: LinkKeys,
    pub(super) proof: Proof,
    /// Until when the hello has to be there.
    pub(super) hello_by: Instant,
}

/// The proof of the responder's key.
pub(super) enum Proof {
    /// We are the initiator and wait for it.
    Expected(Box<AwaitProof>),
    /// We are the responder and send it.
    Ours(Signature),
}

/// The side that dialled asks by this part of the time later than the one that was dialled, which
/// is more often the one with many links: its questions leave together, at a tick.
const PING_STAGGER: u32 = 16;

/// What a dialler waits for.
pub(super) type Up = oneshot::Sender<Result<Link, CloseReason>>;

/// Starts the two tasks of the link. They say hello, and `up` is told when the peer's is there.
pub(super) fn open<F: Factory>(
    config: &LinkConfig,
    factory: Arc<F>,
    opened: Opened,
    up: Option<Up>,
) {
    let hello = (config.hello)();
    let (read_half, write_half) = opened.stream.into_split();
    let write_half = Arc::new(write_half);
    let (role, expected, ours) = match opened.proof {
        Proof::Expected(proof) => (Role::Initiator, Some(*proof), None),
        Proof::Ours(proof) => (Role::Responder, None, Some(proof)),
    };
    let facts = Facts {
        id: opened.id,
        peer: opened.peer,
        suite: opened.suite,
        inbound: role == Role::Responder,
        addr: opened.addr,
        direct_pause: config.timing.direct_pause,
        budget: Arc::clone(&config.budget),
    };
    let mut timing = config.timing;
    let ticks = config.links.ticks(timing.ping_after);
    if role == Role::Initiator {
        // Both have heard of each other at the same moment: so that one asks, and not both.
        let later = timing.ping_after / PING_STAGGER;
        timing.ping_after = timing.ping_after.saturating_add(later);
    }
    let services = hello.services.clone();
    let shared = Shared::new(facts, opened.keys.seal, Arc::clone(&write_half));
    {
        let proof = ours.map(LinkMessage::Proof);
        let mut sending = shared.lock();
        for message in proof.into_iter().chain([LinkMessage::Hello(hello)]) {
            // An empty queue takes it.
            let _taken = sending.queue.push(ServiceId::LINK, &[&message.encode()]);
        }
    }
    let shared = Arc::new(shared);
    let writer = Writer {
        shared: Arc::clone(&shared),
        half: write_half,
        stall_after: config.timing.stall_after,
        drain: config.timing.drain,
        drain_by: None,
    };
    let reader = Reader {
        shared: Arc::clone(&shared),
        half: read_half,
        receiver: Receiver::new(opened.keys.open, expected, &services),
        upper: Upper {
            initiator: match role {
                Role::Initiator => config.identity.public(),
                Role::Responder => opened.peer,
            },
            link: Link(shared),
            links: config.links.clone(),
            factory,
            service: None,
            refused: false,
            goodbye: None,
            ping: Ping::default(),
            buffer: InBuffer::default(),
            up,
            ended: false,
        },
        timing,
        ticks,
        buffers: Arc::clone(&config.buffers),
        hello_by: opened.hello_by,
    };
    let writer = config.tracker.spawn(writer.run());
    config.tracker.spawn(reader.run(writer));
}

/// What stands above the records of one link: its service, and service 0.
pub(super) struct Upper<F: Factory> {
    link: Link,
    links: Links,
    factory: Arc<F>,
    /// There while the link is up.
    pub(super) service: Option<F::Service>,
    initiator: PublicKey,
    /// Another link stays in place of this one: nothing that comes is looked at.
    refused: bool,
    /// What the peer said last.
    pub(super) goodbye: Option<Goodbye>,
    pub(super) ping: Ping,
    pub(super) buffer: InBuffer,
    up: Option<Up>,
    ended: bool,
}

/// The ping under way.
#[derive(Debug, Default)]
pub(super) struct Ping {
    number: u64,
    sent: Option<Instant>,
}

impl<F: Factory> Upper<F> {
    /// Takes every whole record out of the buffer. Returns how many there were.
    pub(super) fn receive(&mut self, receiver: &mut Receiver) -> Result<u64, CloseReason> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let received = self.receive_from(receiver, &mut buffer);
        self.buffer = buffer;
        received
    }

    fn receive_from(
        &mut self,
        receiver: &mut Receiver,
        buffer: &mut InBuffer,
    ) -> Result<u64, CloseReason> {
        let (mut records, mut messages, mut unknown) = (0_u64, 0_u64, 0_u64);
        while let Some(record) = buffer.next_record()? {
            let received = receiver.record(record, self)?;
            records = records.saturating_add(1);
            messages = messages.saturating_add(received.messages.into());
            unknown = unknown.saturating_add(received.unknown.into());
        }
        let counters = &self.link.0.counters;
        add(&counters.received_messages, messages);
        if unknown > 0 {
            add(&counters.unknown_frames, unknown);
        }
        Ok(records)
    }

    /// Asks whether the peer is there.
    pub(super) fn ping(shared: &Shared, ping: &mut Ping) {
        ping.number = ping.number.wrapping_add(1);
        ping.sent = Some(Instant::now());
        send(shared, &LinkMessage::Ping(ping.number));
    }

    /// The last thing that happens to a link.
    pub(super) fn end(mut self, reason: CloseReason) {
        debug!(link = self.link.id().get(), peer = %self.link.peer().short(), %reason, "link closed");
        self.wind_up(reason);
    }

    fn wind_up(&mut self, reason: CloseReason) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.links.remove(&self.link);
        if let Some(mut service) = self.service.take() {
            service.closed(&reason);
        }
        let shared = &self.link.0;
        let _first = shared.reason.set(reason);
        shared.ended.notify_waiters();
        if let Some(up) = self.up.take() {
            // The dialler may have gone.
            let _gone = up.send(Err(reason));
        }
    }
}

/// The task ended without winding up: the service panicked.
impl<F: Factory> Drop for Upper<F> {
    fn drop(&mut self) {
        if !self.ended {
            self.service = None;
            self.link.0.kill(CloseReason::Failed);
            self.wind_up(CloseReason::Failed);
        }
    }
}

/// Sends a message of service 0. Where there is no room for it, the link has other troubles.
fn send(shared: &Shared, message: &LinkMessage) {
    let _full = shared.send(ServiceId::LINK, &[&message.encode()]);
}

impl<F: Factory> Handler for Upper<F> {
    type Error = CloseReason;

    fn proven(&mut self, peer: PublicKey) -> Result<(), CloseReason> {
        debug!(link = self.link.id().get(), peer = %peer.short(), "peer proven");
        Ok(())
    }

    fn hello(&mut self, hello: Hello) -> Result<(), CloseReason> {
        if self.up.as_ref().is_some_and(oneshot::Sender::is_closed) {
            // Whoever dialled does not want it any more.
            return Err(CloseReason::Aborted);
        }
        let incarnation = hello.incarnation;
        let _first = self.link.0.hello.set(hello);
        match self.links.admit(&self.link, incarnation, self.initiator) {
            Ok(()) => {
                self.service = Some(self.factory.service(&self.link));
                debug!(
                    link = self.link.id().get(),
                    peer = %self.link.peer().short(),
                    inbound = self.link.inbound(),
                    "link up"
                );
                if let Some(up) = self.up.take() {
                    let _gone = up.send(Ok(self.link.clone()));
                }
            }
            Err(not_taken) => {
                self.refused = true;
                self.link.close(match not_taken {
                    NotTaken::Duplicate => Goodbye::Replaced,
                    NotTaken::Full => Goodbye::Busy,
                });
            }
        }
        Ok(())
    }

    fn link(&mut self, message: LinkMessage, bytes: &[u8]) -> Result<(), CloseReason> {
        match message {
            LinkMessage::Ping(number) => send(&self.link.0, &LinkMessage::Pong(number)),
            LinkMessage::Pong(number) => {
                if number == self.ping.number
                    && let Some(sent) = self.ping.sent.take()
                {
                    let micros = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
                    let known = micros.saturating_add(1);
                    let round_trip = &self.link.0.counters.round_trip;
                    round_trip.store(known, Ordering::Relaxed);
                }
            }
            LinkMessage::Goodbye(goodbye) => {
                self.goodbye = Some(goodbye);
                self.link.0.peer_closes(goodbye);
            }
            LinkMessage::Hello(_) | LinkMessage::LineRequest { .. } | LinkMessage::Line { .. } => {
                self.message(ServiceId::LINK, bytes)?;
            }
            // The receiver lets neither through.
            LinkMessage::Proof(_) | LinkMessage::Unknown { .. } => {}
        }
        Ok(())
    }

    #[inline]
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), CloseReason> {
        match &mut self.service {
            Some(up) => up.message(service, message).map_err(CloseReason::from),
            // Refused: the peer may have sent something before it knew.
            None => Ok(()),
        }
    }
}
