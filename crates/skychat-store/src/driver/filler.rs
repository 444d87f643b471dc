//! The thread that readies the next segment, makes checkpoints, sweeps, and rewrites segments.

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
use crate::rewrite::SegmentRewriter;
use crate::sweep::Sweeper;

/// How long what is dead waits for a sweep, unless there is much of it.
const SWEEP_AFTER: Duration = Duration::from_secs(30);

/// How long after a sweep there is none, however much is listed.
const REST: Duration = Duration::from_secs(1);

/// The same while the store is above its cap.
const SWEEP_SOON: Duration = Duration::from_secs(5);

/// How long nothing is committed before a segment is rewritten, unless the store is above its cap.
const IDLE: Duration = Duration::from_secs(2);

/// The thread that readies the next segment, makes checkpoints, sweeps, and rewrites segments.
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
    pub(super) rewriter: SegmentRewriter,
    pub(super) lane: Arc<Lane>,
}

impl Ahead {
    fn run(self, nudged: &Receiver<()>) {
        // What a crash left is swept at once.
        let mut due = Some(now());
        let mut rested = now();
        loop {
            let idle = self.rewriter.has_work(self.lane.is_above_cap());
            let idle = idle.then_some(IDLE);
            let left = due.map(|due: Instant| due.saturating_duration_since(now()));
            let heard = match left.into_iter().chain(idle).min() {
                Some(wait) => nudged.recv_timeout(wait),
                None => nudged.recv().map_err(RecvTimeoutError::from),
            };
            if heard == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            self.keep_ahead();
            if heard.is_err() || self.lane.is_above_cap() {
                self.rewrite();
            }
            if self.lane.is_above_cap() {
                // What is overwritten can be left out.
                due = due.map(|due| due.min(now() + SWEEP_SOON));
            }
            let presses = rested <= now() && self.sweeper.is_pressing();
            if presses || due.is_some_and(|due| due <= now()) {
                while self.sweeper.step() {
                    self.keep_ahead();
                }
                due = None;
                rested = now() + REST;
            }
            if due.is_none() && self.sweeper.has_work() {
                due = Some(now() + SWEEP_AFTER);
            }
        }
        // One that was under way is ended, and there is one more of what came since.
        while self.sweeper.step() {}
        while self.sweeper.step() {}
    }

    /// Rewrites one segment; if the store is above its cap, all that are worth it.
    fn rewrite(&self) {
        loop {
            let urgent = self.lane.is_above_cap();
            let mut steps = 0_u64;
            while self.rewriter.step(urgent) {
                steps = steps.saturating_add(1);
                self.keep_ahead();
                if self.lane.queue().stop {
                    self.rewriter.give_up();
                    return;
                }
            }
            if steps == 0 || !urgent || self.lane.queue().stop {
                break;
            }
        }
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
