//! What the two tasks of a link and its handles share.
//!
//! The right to seal and write is one value, [`Wire`]. Whoever holds it writes; everybody else
//! appends to the queue. It rests here while nothing is under way, so that a message that finds
//! the queue empty can be sealed and written by the task that sends it, without another task
//! between. It is never held while waiting for the lock, and the lock is never held while sealing
//! or writing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use skychat_identity::PublicKey;
use skychat_proto::ids::{LinkId, ServiceId};
use skychat_proto::limits::MAX_FRAME;
use skychat_proto::link::{Goodbye, Hello, LinkMessage};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::CloseReason;
use super::counters::{Counters, add};
use super::wire::Wire;
use crate::outbound::{LOW_WATER, message_len};
use crate::{Outbound, OutboundBudget, SealingKey, SendError, Suite};

pub(super) struct Shared {
    pub(super) id: LinkId,
    pub(super) peer: PublicKey,
    pub(super) suite: Suite,
    pub(super) inbound: bool,
    pub(super) addr: SocketAddr,
    pub(super) since: Instant,
    pub(super) hello: OnceLock<Hello>,
    pub(super) counters: Counters,
    /// Wakes the writer: there is something to write, or the link is over.
    pub(super) wake: Notify,
    /// Wakes those who wait for room.
    pub(super) room: Notify,
    /// Ends the waiting of the reader for its service.
    pub(super) stop: Notify,
    /// Wakes those who wait for the end.
    pub(super) ended: Notify,
    pub(super) reason: OnceLock<CloseReason>,
    /// Something arrived since the last direct write.
    heard: AtomicBool,
    direct_pause: Duration,
    sending: Mutex<Sending>,
}

/// What is guarded by the lock: held for a copy of one message at most.
pub(super) struct Sending {
    pub(super) queue: Outbound,
    wire: Option<Box<Wire>>,
    phase: Phase,
    /// Why the phase is no longer [`Phase::Open`].
    cause: Option<CloseReason>,
    /// The writer waits to be woken.
    writer_waits: bool,
    /// Somebody waits for room.
    room_wanted: bool,
    /// After an orderly end: everything is written.
    finished: bool,
    last_direct: Option<Instant>,
    messages: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Messages are taken.
    Open,
    /// What is queued is still written, then the sending half ends.
    Draining,
    /// Nothing more is written.
    Dead,
}

/// What the writer does next.
pub(super) enum Step {
    /// Seal the turn and write it.
    Write {
        /// With this.
        wire: Box<Wire>,
        /// The link is being closed.
        last: bool,
    },
    /// Wait for [`Shared::wake`].
    Wait,
    /// Everything is written: end the sending half.
    Finish,
    /// The link is over.
    Stop,
}

/// What the writer has done.
pub(super) struct Done {
    pub(super) wire: Box<Wire>,
    /// Written.
    pub(super) bytes: usize,
    /// The socket took all of them without a wait.
    pub(super) at_once: bool,
}

/// What is fixed when a link is made.
pub(super) struct Facts {
    pub(super) id: LinkId,
    pub(super) peer: PublicKey,
    pub(super) suite: Suite,
    pub(super) inbound: bool,
    pub(super) addr: SocketAddr,
    pub(super) direct_pause: Duration,
    pub(super) budget: Arc<OutboundBudget>,
}

impl Shared {
    pub(super) fn new(facts: Facts, key: SealingKey, half: Arc<OwnedWriteHalf>) -> Self {
        Shared {
            id: facts.id,
            peer: facts.peer,
            suite: facts.suite,
            inbound: facts.inbound,
            addr: facts.addr,
            since: Instant::now(),
            hello: OnceLock::new(),
            counters: Counters::default(),
            wake: Notify::new(),
            room: Notify::new(),
            stop: Notify::new(),
            ended: Notify::new(),
            reason: OnceLock::new(),
            heard: AtomicBool::new(false),
            direct_pause: facts.direct_pause,
            sending: Mutex::new(Sending {
                queue: Outbound::new(facts.budget),
                wire: Some(Box::new(Wire::new(key, half))),
                phase: Phase::Open,
                cause: None,
                writer_waits: false,
                room_wanted: false,
                finished: false,
                last_direct: None,
                messages: 0,
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The public send.
    #[inline]
    pub(super) fn send(&self, service: ServiceId, parts: &[&[u8]]) -> Result<(), SendError> {
        let mut sending = self.lock();
        if sending.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        if sending.queue.queued() == 0 && sending.wire.is_some() {
            let length = message_len(parts);
            if length <= MAX_FRAME && self.may_write_directly(&mut sending) {
                return self.write_directly(sending, service, length, parts);
            }
        }
        sending.queue.push(service, parts)?;
        sending.messages = sending.messages.wrapping_add(1);
        // While somebody writes directly it is up to them to wake the writer.
        if sending.writer_waits && sending.wire.is_some() {
            sending.writer_waits = false;
            drop(sending);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Something arrived: the answer may be written directly.
    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    #[inline]
    fn may_write_directly(&self, sending: &mut Sending) -> bool {
        if self.heard.swap(false, Ordering::Relaxed) {
            return true;
        }
        let now = Instant::now();
        let rested = sending
            .last_direct
            .is_none_or(|last| now.saturating_duration_since(last) >= self.direct_pause);
        if rested {
            sending.last_direct = Some(now);
        }
        rested
    }

    /// Seals one message and gives it to the socket, without the lock.
    fn write_directly(
        &self,
        mut sending: MutexGuard<'_, Sending>,
        service: ServiceId,
        length: usize,
        parts: &[&[u8]],
    ) -> Result<(), SendError> {
        let Some(mut wire) = sending.wire.take() else {
            return Err(SendError::Closed);
        };
        // Under way: whoever sends now queues behind it.
        sending.queue.begin_direct(length);
        sending.messages = sending.messages.wrapping_add(1);
        drop(sending);

        let outcome = wire.seal_one(service, length, parts);
        let outcome = outcome.map_err(|_| CloseReason::Failed);
        let outcome = outcome.and_then(|()| wire.write_rest().map_err(CloseReason::from));

        let mut sending = self.lock();
        sending.queue.written(length);
        match outcome {
            Ok(bytes) => {
                self.count_sent(1, bytes);
                let left = wire.left();
                sending.queue.begin_direct(left);
                let work = left > 0 || !sending.queue.is_empty() || sending.phase != Phase::Open;
                sending.give_back(wire);
                if work && sending.writer_waits {
                    sending.writer_waits = false;
                    drop(sending);
                    self.wake.notify_one();
                }
                Ok(())
            }
            Err(reason) => {
                drop(sending);
                drop(wire);
                self.kill(reason);
                Err(SendError::Closed)
            }
        }
    }

    /// What the writer does next. It brings back what it did, and the records written.
    pub(super) fn step(&self, done: Option<Done>, turn: &mut Vec<Vec<u8>>) -> Step {
        let mut sending = self.lock();
        if let Some(done) = done {
            sending.queue.written(done.bytes);
            sending.queue.pace(done.at_once);
            sending.queue.recycle(turn);
            sending.give_back(done.wire);
        }
        if sending.room_wanted && sending.queue.queued() < LOW_WATER {
            sending.room_wanted = false;
            self.room.notify_waiters();
        }
        if sending.phase == Phase::Dead {
            return Step::Stop;
        }
        let Some(wire) = sending.wire.take() else {
            // Somebody is writing directly, and will wake us if there is more to do.
            sending.writer_waits = true;
            return Step::Wait;
        };
        let bytes = sending.queue.take(turn);
        if bytes > 0 || wire.left() > 0 {
            let last = sending.phase == Phase::Draining;
            return Step::Write { wire, last };
        }
        if sending.phase == Phase::Draining {
            return Step::Finish;
        }
        sending.wire = Some(wire);
        sending.writer_waits = true;
        Step::Wait
    }

    /// Everything is written, and the sending direction ended.
    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.stop.notify_one();
    }

    /// Whether nothing more will be written.
    pub(super) fn is_finished(&self) -> bool {
        let sending = self.lock();
        sending.finished || sending.phase == Phase::Dead
    }

    /// Begins the orderly end: a last goodbye behind what is queued. Nothing more is taken.
    pub(super) fn close(&self, goodbye: Goodbye) {
        let message = LinkMessage::Goodbye(goodbye).encode();
        let mut sending = self.lock();
        if sending.phase != Phase::Open {
            return;
        }
        sending.phase = Phase::Draining;
        sending.cause = Some(CloseReason::Local(goodbye));
        // Cannot fail: it is short, and the last message is always taken.
        let _taken = sending.queue.push_last(ServiceId::LINK, &[&message]);
        self.rouse(sending);
    }

    /// The peer has said goodbye: what is queued is written, nothing more is taken.
    pub(super) fn peer_closes(&self, goodbye: Goodbye) {
        let mut sending = self.lock();
        if sending.phase == Phase::Open {
            sending.phase = Phase::Draining;
            sending.cause = Some(CloseReason::Remote(goodbye));
            self.rouse(sending);
        }
    }

    /// Ends the link at once. The first cause stands.
    pub(super) fn kill(&self, reason: CloseReason) {
        let mut sending = self.lock();
        if sending.phase != Phase::Dead {
            sending.phase = Phase::Dead;
            sending.cause.get_or_insert(reason);
            sending.wire = None;
            sending.queue.clear();
        }
        sending.writer_waits = false;
        drop(sending);
        self.wake.notify_one();
        self.stop.notify_one();
        self.room.notify_waiters();
    }

    fn rouse(&self, mut sending: MutexGuard<'_, Sending>) {
        sending.writer_waits = false;
        drop(sending);
        self.wake.notify_one();
        self.room.notify_waiters();
    }

    /// The phase, and why the link is ending.
    pub(super) fn ending(&self) -> (Phase, Option<CloseReason>) {
        let sending = self.lock();
        (sending.phase, sending.cause)
    }

    /// Whether the queue is below its low-water mark, or the link over; else the next room is
    /// announced through [`Shared::room`].
    pub(super) fn has_room(&self) -> bool {
        let mut sending = self.lock();
        if sending.phase != Phase::Open || sending.queue.queued() < LOW_WATER {
            return true;
        }
        sending.room_wanted = true;
        false
    }

    /// Messages taken, and bytes that wait.
    pub(super) fn queued(&self) -> (u64, usize) {
        let sending = self.lock();
        (sending.messages, sending.queue.queued())
    }

    /// Whether it has memory that a quiet link does not need.
    pub(super) fn keeps_memory(&self) -> bool {
        let sending = self.lock();
        let wire = sending.wire.as_ref();
        sending.queue.spare() > 0 || wire.is_some_and(|wire| wire.keeps_memory())
    }

    /// Gives up memory that a quiet link does not need.
    pub(super) fn trim(&self) {
        let mut sending = self.lock();
        if sending.queue.queued() == 0 {
            sending.queue.trim();
            if let Some(wire) = &mut sending.wire {
                wire.trim();
            }
        }
    }

    pub(super) fn count_sent(&self, records: u64, bytes: usize) {
        add(&self.counters.sent_records, records);
        add(&self.counters.sent_bytes, bytes as u64);
    }
}

impl Sending {
    fn give_back(&mut self, wire: Box<Wire>) {
        if self.phase != Phase::Dead {
            self.wire = Some(wire);
        }
    }
}
