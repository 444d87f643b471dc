//! The task that reads, and that a link ends with.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::task::JoinHandle;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::counters::add;
use super::greet::Upper;
use super::pool::BufferPool;
use super::shared::Shared;
use super::ticks::Ticks;
use super::{CloseReason, Factory, Service, Timing};
use crate::{InBuffer, Receiver, Violation};

pub(super) struct Reader<F: Factory> {
    pub(super) shared: Arc<Shared>,
    pub(super) half: OwnedReadHalf,
    pub(super) receiver: Receiver,
    pub(super) upper: Upper<F>,
    pub(super) timing: Timing,
    pub(super) ticks: Ticks,
    pub(super) buffers: Arc<BufferPool>,
    /// Until when the hello has to be there.
    pub(super) hello_by: Instant,
}

impl<F: Factory> Reader<F> {
    /// Runs until the link is over, then winds it up.
    pub(super) fn run(self, writer: JoinHandle<()>) -> impl Future<Output = ()> + use<F> {
        // Captured as it is: an `async fn` would hold it twice, as its argument and as its variable,
        // and there is one for each link.
        let mut reader = self;
        async move {
            let reason = reader.read().await;
            if matches!(reason, CloseReason::Local(_) | CloseReason::Remote(_)) {
                // What is queued is still written.
                let finished = async {
                    while !reader.shared.is_finished() {
                        reader.shared.stop.notified().await;
                    }
                };
                let _late = timeout(reader.timing.drain, finished).await;
            }
            reader.shared.kill(reason);
            let reason = match writer.await {
                Ok(()) => reason,
                Err(_) => CloseReason::Failed,
            };
            // The socket is closed before anybody is told.
            drop(reader.half);
            reader.upper.end(reason);
        }
    }

    async fn read(&mut self) -> CloseReason {
        let mut state = Watch::new(Instant::now());
        let sleep = sleep_until(self.next(&state));
        let mut sleep = pin!(sleep);
        loop {
            consume_budget().await;
            let readable = tokio::select! {
                biased;
                readable = self.half.readable() => Some(readable),
                () = sleep.as_mut() => None,
            };
            let outcome = match readable {
                Some(Ok(())) => self.take(&mut state, sleep.as_mut()).await,
                Some(Err(error)) => Err(error.into()),
                None => self.tick(&mut state, sleep.as_mut()),
            };
            if let Err(reason) = outcome {
                return self.settle(reason);
            }
        }
    }

    /// The reason that is told: who said goodbye first, or else what was found first.
    fn settle(&self, found: CloseReason) -> CloseReason {
        let (_, cause) = self.shared.ending();
        match (self.upper.goodbye, cause) {
            (Some(goodbye), None | Some(CloseReason::Cut | CloseReason::Remote(_))) => {
                CloseReason::Remote(goodbye)
            }
            (_, Some(cause)) => cause,
            (_, None) => found,
        }
    }

    fn hello_by(&self) -> Option<Instant> {
        (!self.receiver.is_up()).then_some(self.hello_by)
    }

    /// Reads until there is nothing more for now.
    async fn take(
        &mut self,
        state: &mut Watch,
        mut sleep: Pin<&mut Sleep>,
    ) -> Result<(), CloseReason> {
        if !self.upper.buffer.has_buffer() {
            self.upper.buffer.lend(self.buffers.take());
        }
        while let Some(read) = read_now(&mut self.half, &mut self.upper.buffer).await {
            match read? {
                0 => return Err(CloseReason::Cut),
                bytes => {
                    add(&self.shared.counters.received_bytes, bytes as u64);
                    state.fresh = state.fresh.saturating_add(bytes);
                }
            }
            state.heard = Instant::now();
            self.shared.heard();
            let records = self.upper.receive(&mut self.receiver)?;
            if records > 0 {
                add(&self.shared.counters.received_records, records);
                state.record_since = None;
                self.flush(state, sleep.as_mut()).await?;
            }
        }
        match self.upper.buffer.take_back() {
            Some(buffer) => self.buffers.give_back(buffer),
            None => {
                state.record_since.get_or_insert(state.heard);
            }
        }
        let unfinished = state.record_since.is_some();
        let held = unfinished || state.fresh >= WORTH_TRIMMING;
        let to_trim = state.trimmed && (held || self.shared.keeps_memory());
        // Seldom: the deadlines of a busy link lie further ahead than the one that is set. And a
        // sign of life, on a link that is else quiet, puts off the question that was due.
        let put_off =
            state.heard.saturating_duration_since(state.set) >= self.timing.ping_after / 2;
        if to_trim || unfinished || put_off {
            state.trimmed &= !to_trim;
            let at = self.next(state);
            if put_off || at < sleep.deadline() {
                state.set = state.heard;
                sleep.reset(at);
            }
        }
        Ok(())
    }

    /// Lets the service take in what it was given. Meanwhile nothing is read, but the peer still
    /// hears of us.
    async fn flush(
        &mut self,
        state: &mut Watch,
        mut sleep: Pin<&mut Sleep>,
    ) -> Result<(), CloseReason> {
        let Some(service) = &mut self.upper.service else {
            return Ok(());
        };
        {
            let mut flush = pin!(service.flush());
            if poll_fn(|cx| Poll::Ready(flush.as_mut().poll(cx).is_ready())).await {
                return Ok(());
            }
            loop {
                tokio::select! {
                    biased;
                    () = flush.as_mut() => break,
                    () = self.shared.stop.notified() => {
                        if self.shared.is_finished() {
                            return Err(CloseReason::Aborted);
                        }
                    }
                    () = sleep.as_mut() => {
                        Upper::<F>::ping(&self.shared, &mut self.upper.ping);
                        let again = Instant::now() + self.timing.ping_after;
                        sleep.as_mut().reset(self.ticks.not_before(again));
                    }
                }
            }
        }
        state.heard = Instant::now();
        sleep.reset(self.next(state));
        Ok(())
    }

    /// The time has come for something.
    fn tick(&mut self, state: &mut Watch, sleep: Pin<&mut Sleep>) -> Result<(), CloseReason> {
        const SLOW: Violation = Violation::new("LINK-9", "a record that did not come in time");
        let now = Instant::now();
        let quiet = now.saturating_duration_since(state.heard);
        if self.hello_by().is_some_and(|by| by <= now) {
            return Err(CloseReason::NoHello);
        }
        if state.record_by(&self.timing).is_some_and(|by| by <= now) {
            return Err(SLOW.into());
        }
        if quiet >= self.timing.dead_after {
            return Err(CloseReason::Dead);
        }
        if quiet >= self.timing.trim_after && !state.trimmed {
            state.trimmed = true;
            state.fresh = 0;
            if let Some(buffer) = self.upper.buffer.shrink() {
                self.buffers.give_back(buffer);
            }
            self.receiver.trim();
            self.shared.trim();
        }
        if state.ping_at(&self.timing) <= now {
            state.pinged = Some(now);
            Upper::<F>::ping(&self.shared, &mut self.upper.ping);
        }
        sleep.reset(self.next(state));
        Ok(())
    }

    /// When to look next. What a quiet link waits for comes at a tick; what has to be there by a
    /// time is looked at then.
    fn next(&self, state: &Watch) -> Instant {
        let exact = [self.hello_by(), state.record_by(&self.timing)];
        let quiet = self.ticks.not_before(state.quiet_until(&self.timing));
        exact.into_iter().flatten().fold(quiet, Instant::min)
    }
}

/// So many bytes may leave memory behind that is worth giving up; what says that a peer is there
/// does not.
const WORTH_TRIMMING: usize = 1024;

/// What the reader keeps an eye on.
struct Watch {
    /// When the last byte came.
    heard: Instant,
    /// When the record began that is not whole yet.
    record_since: Option<Instant>,
    pinged: Option<Instant>,
    /// Memory was given up, and nothing is held since.
    trimmed: bool,
    /// Bytes that came since then.
    fresh: usize,
    /// When what the reader sleeps for was put off for the last time.
    set: Instant,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Watch {
            heard: now,
            record_since: None,
            pinged: None,
            trimmed: true,
            fresh: 0,
            set: now,
        }
    }

    fn ping_at(&self, timing: &Timing) -> Instant {
        let last = self.pinged.map_or(self.heard, |at| at.max(self.heard));
        last + timing.ping_after
    }

    /// Until when nothing is to be done for a peer that is quiet.
    fn quiet_until(&self, timing: &Timing) -> Instant {
        let until = self.ping_at(timing).min(self.heard + timing.dead_after);
        if self.trimmed {
            return until;
        }
        until.min(self.heard + timing.trim_after)
    }

    /// By when the record that has begun has to be whole.
    fn record_by(&self, timing: &Timing) -> Option<Instant> {
        self.record_since.map(|since| since + timing.record)
    }
}

/// One read, if there is something to read now. `None`: nothing is there, or the task has had its
/// turn.
async fn read_now(half: &mut OwnedReadHalf, buffer: &mut InBuffer) -> Option<io::Result<usize>> {
    let read = poll_fn(|cx| {
        let mut space = ReadBuf::new(buffer.space());
        Poll::Ready(match Pin::new(&mut *half).poll_read(cx, &mut space) {
            Poll::Ready(read) => Some(read.map(|()| space.filled().len())),
            Poll::Pending => None,
        })
    })
    .await?;
    if let Ok(bytes) = &read {
        buffer.filled(*bytes);
    }
    Some(read)
}
