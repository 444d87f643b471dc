//! The task that writes what is queued.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout, timeout_at};

use super::CloseReason;
use super::shared::{Done, Phase, Shared, Step};
use super::wire::Wire;
use crate::TURN_RECORDS;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) half: Arc<OwnedWriteHalf>,
    pub(super) stall_after: Duration,
    pub(super) drain: Duration,
    /// When a link that is being closed has to be done with what is queued.
    pub(super) drain_by: Option<Instant>,
}

impl Writer {
    /// Runs until the link is over. The connection ends with it.
    pub(super) fn run(self) -> impl Future<Output = ()> {
        // See `Reader::run`.
        let mut writer = self;
        async move {
            let _guard = EndGuard {
                shared: Arc::clone(&writer.shared),
                half: Arc::clone(&writer.half),
            };
            let mut turn = Vec::with_capacity(TURN_RECORDS);
            let mut done = None;
            loop {
                match writer.shared.step(done.take(), &mut turn) {
                    Step::Wait => writer.shared.wake.notified().await,
                    Step::Write { wire, last } => {
                        if last && writer.drain_until() <= Instant::now() {
                            writer.shared.kill(CloseReason::Stalled);
                            break;
                        }
                        let records = turn.len();
                        match writer.write(wire, &mut turn).await {
                            Ok(wrote) => {
                                writer.shared.count_sent(records as u64, wrote.bytes);
                                done = Some(wrote);
                            }
                            Err(reason) => {
                                writer.shared.kill(reason);
                                break;
                            }
                        }
                        consume_budget().await;
                    }
                    Step::Finish => {
                        // A failure shows at the reader.
                        let _failed = shutdown(&writer.half, Shutdown::Write);
                        writer.shared.finish();
                        // The peer still has so long to finish on its side.
                        let _late = timeout(writer.drain, writer.dead()).await;
                        break;
                    }
                    Step::Stop => break,
                }
            }
        }
    }

    /// Waits until the link is over.
    async fn dead(&self) {
        while self.shared.ending().0 != Phase::Dead {
            self.shared.wake.notified().await;
        }
    }

    /// The link is being closed: what is queued may take so long and no longer.
    fn drain_until(&mut self) -> Instant {
        *self
            .drain_by
            .get_or_insert_with(|| Instant::now() + self.drain)
    }

    /// Seals the turn and writes it, behind what was left of a direct write.
    async fn write(
        &mut self,
        mut wire: Box<Wire>,
        turn: &mut [Vec<u8>],
    ) -> Result<Done, CloseReason> {
        for record in turn.iter_mut() {
            wire.seal(record).map_err(|_| CloseReason::Failed)?;
        }
        let rest = wire.left();
        let total = turn.iter().map(Vec::len).fold(rest, usize::saturating_add);
        let mut done = 0;
        let mut blocked: Option<Instant> = None;
        let mut at_once = true;
        while done < total {
            let first = wire.rest.get(wire.at..).unwrap_or_default();
            match self.try_write(first, turn, done) {
                Ok(0) => return Err(CloseReason::Cut),
                Ok(taken) => {
                    done = done.saturating_add(taken);
                    blocked = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    at_once = false;
                    let since = *blocked.get_or_insert_with(Instant::now);
                    self.writable(since + self.stall_after).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        wire.rest.clear();
        wire.at = 0;
        Ok(Done {
            wire,
            bytes: total,
            at_once,
        })
    }

    /// Offers the socket everything after the first `done` bytes of `first` and `turn`.
    fn try_write(&self, first: &[u8], turn: &[Vec<u8>], done: usize) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); TURN_RECORDS + 2];
        let mut skip = done;
        let mut used = 0;
        let pieces = std::iter::once(first).chain(turn.iter().map(Vec::as_slice));
        for piece in pieces {
            let kept = piece.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(piece.len());
            if kept.is_empty() {
                continue;
            }
            if let Some(slot) = slices.get_mut(used) {
                *slot = IoSlice::new(kept);
                used = used.saturating_add(1);
            }
        }
        match slices.get(..used) {
            Some([one]) => self.half.try_write(one),
            Some(several) => self.half.try_write_vectored(several),
            None => Ok(0),
        }
    }

    /// Waits until the socket takes more.
    async fn writable(&mut self, stalled: Instant) -> Result<(), CloseReason> {
        loop {
            let deadline = self.drain_by.map_or(stalled, |by| by.min(stalled));
            tokio::select! {
                biased;
                ready = timeout_at(deadline, self.half.writable()) => {
                    return match ready {
                        Ok(ready) => ready.map_err(CloseReason::from),
                        Err(_) => Err(CloseReason::Stalled),
                    };
                }
                () = self.shared.wake.notified() => match self.shared.ending() {
                    (Phase::Dead, reason) => return Err(reason.unwrap_or(CloseReason::Aborted)),
                    (Phase::Draining, _) => {
                        self.drain_until();
                    }
                    (Phase::Open, _) => {}
                }
            }
        }
    }
}

fn shutdown(half: &OwnedWriteHalf, how: Shutdown) -> io::Result<()> {
    SockRef::from(half.as_ref()).shutdown(how)
}

/// Ends both directions of the connection when the writer ends, also by a panic: so the reader
/// ends too.
struct EndGuard {
    shared: Arc<Shared>,
    half: Arc<OwnedWriteHalf>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.shared.kill(CloseReason::Failed);
        // It may be closed already.
        let _closed = shutdown(&self.half, Shutdown::Both);
    }
}
