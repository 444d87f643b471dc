//! The thread that readies the next segment, makes checkpoints, and sweeps.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tracing::error;

use super::lane::Lane;
use super::thread::now;
use crate::ahead::SegmentFiller;
use crate::checkpoint::CheckpointMaker;
use crate::sweep::Sweeper;

/// How long what is dead waits for a sweep, unless there is much of it.
const SWEEP_AFTER: Duration = Duration::from_secs(30);

/// The thread that readies the next segment, makes checkpoints, and sweeps.
pub(super) struct FillerThread {
    /// At most one nudge waits: it stands for all.
    nudges: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What it does.
pub(super) struct Ahead {
    pub(super) filler: SegmentFiller,
    pub(super) maker: CheckpointMaker,
    pub(super) sweeper: Sweeper,
    pub(super) lane: Arc<Lane>,
}

impl Ahead {
    fn run(self, nudged: &Receiver<()>) {
        // What a crash left is swept at once.
        let mut due = Some(now());
        loop {
            let heard = match due {
                Some(due) => nudged.recv_timeout(due.saturating_duration_since(now())),
                None => nudged.recv().map_err(RecvTimeoutError::from),
            };
            if heard == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            self.keep_ahead();
            if self.sweeper.is_pressing() || due.is_some_and(|due: Instant| due <= now()) {
                while self.sweeper.step() {
                    self.keep_ahead();
                }
                due = None;
            }
            if due.is_none() && self.sweeper.has_work() {
                due = Some(now() + SWEEP_AFTER);
            }
        }
        // One that was under way is ended, and there is one more of what came since.
        while self.sweeper.step() {}
        while self.sweeper.step() {}
    }

    fn keep_ahead(&self) {
        if self.maker.step() {
            self.lane.wake();
        }
        while self.filler.step() {}
    }
}

impl FillerThread {
    pub(super) fn spawn(work: Ahead) -> io::Result<Self> {
        let (nudges, nudged) = sync_channel(1);
        let thread = Builder::new()
            .name("skychat-ahead".to_owned())
            .spawn(move || work.run(&nudged))?;
        let thread = FillerThread {
            nudges: Some(nudges),
            thread: Some(thread),
        };
        // There may be a checkpoint to be made from the start.
        thread.nudge();
        Ok(thread)
    }

    /// Says that something was committed.
    pub(super) fn nudge(&self) {
        if let Some(nudges) = &self.nudges {
            // If it is full, the thread is about to look.
            let _ = nudges.try_send(());
        }
    }

    /// Waits for its end.
    pub(super) fn end(&mut self) {
        self.nudges = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread that readies segments panicked");
        }
    }
}

impl Drop for FillerThread {
    fn drop(&mut self) {
        self.end();
    }
}
