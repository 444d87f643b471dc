//! The thread that readies the next segment, makes checkpoints, sweeps, and rewrites segments.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tracing::error;

use super::bell::{Bell, Heard, Listener};
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

/// How long nothing is committed before a segment is rewritten at once.
const IDLE: Duration = Duration::from_secs(2);

/// How often it looks while something is committed, if nothing is urgent.
const LOOK: Duration = Duration::from_millis(20);

/// How often a part of a segment is rewritten while something is committed, unless the store is
/// above its cap: about 10 MiB a second.
const PACE: Duration = Duration::from_millis(100);

/// The thread that readies the next segment, makes checkpoints, sweeps, and rewrites segments.
pub(super) struct FillerThread {
    bell: Bell,
    filler: SegmentFiller,
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
    fn run(self, mut listener: Listener) {
        let mut agenda = Agenda::new();
        loop {
            match listener.wait(agenda.wait()) {
                Heard::End => break,
                Heard::Nothing => {}
                Heard::Word => agenda.heard = now(),
            }
            self.work(&mut agenda);
        }
        // A sweep that was under way is ended, and there is one more of what came since.
        self.rewriter.give_up();
        while self.sweeper.step() {}
        while self.sweeper.step() {}
    }

    /// Does what is due.
    fn work(&self, agenda: &mut Agenda) {
        self.keep_ahead();
        let quiet = agenda.is_quiet();
        let urgent = self.lane.is_above_cap();
        // One that copies a segment is not to miss what is overwritten meanwhile.
        if agenda.rewriting != Rewriting::UnderWay {
            if urgent {
                // What is overwritten can be left out.
                agenda.sweep = agenda.sweep.map(|due| due.min(now() + SWEEP_SOON));
            }
            let presses = agenda.rested <= now() && self.sweeper.is_pressing();
            if presses || agenda.sweep.is_some_and(|due| due <= now()) {
                while self.sweeper.step() {
                    self.keep_ahead();
                }
                agenda.sweep = None;
                agenda.rested = now() + REST;
                agenda.rewrite = now();
            }
        }
        if urgent || quiet {
            self.rewrite();
        }
        if quiet || agenda.rewrite <= now() {
            agenda.rewriting = self.rewrite_part(urgent);
            agenda.rewrite = now() + PACE;
        }
        if agenda.sweep.is_none() && self.sweeper.has_work() {
            agenda.sweep = Some(now() + SWEEP_AFTER);
        }
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

    /// Rewrites a part of a segment.
    fn rewrite_part(&self, urgent: bool) -> Rewriting {
        if self.rewriter.step(urgent) {
            Rewriting::UnderWay
        } else if self.rewriter.has_work(urgent) {
            Rewriting::Worthwhile
        } else {
            Rewriting::Nothing
        }
    }

    fn keep_ahead(&self) {
        if self.maker.step() {
            self.lane.wake();
        }
        while self.filler.step() {}
    }
}

/// Whether there is something to be rewritten, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rewriting {
    Nothing,
    Worthwhile,
    UnderWay,
}

/// When there is something to do.
struct Agenda {
    /// When something was committed last.
    heard: Instant,
    /// The next sweep.
    sweep: Option<Instant>,
    /// No sweep before, however much is listed.
    rested: Instant,
    /// The next part of a rewriting.
    rewrite: Instant,
    rewriting: Rewriting,
}

impl Agenda {
    fn new() -> Self {
        let now = now();
        Agenda {
            heard: now,
            // What a crash left is swept at once.
            sweep: Some(now),
            rested: now,
            rewrite: now,
            rewriting: Rewriting::Nothing,
        }
    }

    /// Whether nothing was committed for a while.
    fn is_quiet(&self) -> bool {
        let enough = match self.rewriting {
            Rewriting::UnderWay => PACE,
            _ => IDLE,
        };
        self.heard.elapsed() >= enough
    }

    /// How long to wait for a word that something was committed; `None`: for ever.
    fn wait(&self) -> Option<Duration> {
        let rewrite = match self.rewriting {
            // A sweep waits for it.
            Rewriting::UnderWay => return Some(PACE),
            Rewriting::Worthwhile => Some(IDLE),
            Rewriting::Nothing => None,
        };
        let sweep = self.sweep.map(|due| due.saturating_duration_since(now()));
        sweep.into_iter().chain(rewrite).min()
    }
}

impl FillerThread {
    pub(super) fn spawn(work: Ahead) -> io::Result<Self> {
        let (listener, rope) = Listener::new(LOOK);
        let filler = work.filler.clone();
        let thread = Builder::new()
            .name("skychat-ahead".to_owned())
            .spawn(move || work.run(listener))?;
        let thread = FillerThread {
            bell: Bell::new(rope, thread.thread()),
            filler,
            thread: Some(thread),
        };
        // There may be a checkpoint to be made from the start.
        thread.hurry();
        Ok(thread)
    }

    /// Says that something was committed.
    pub(super) fn nudge(&self) {
        if self.filler.is_behind() {
            self.bell.ring_now();
        } else {
            self.bell.ring();
        }
    }

    /// Says that there is something to do now.
    pub(super) fn hurry(&self) {
        self.bell.ring_now();
    }

    /// Waits for its end.
    pub(super) fn end(&mut self) {
        self.bell.end();
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
