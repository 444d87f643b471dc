//! The thread that readies the next segment, and makes checkpoints.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use tracing::error;

use super::lane::Lane;
use crate::ahead::SegmentFiller;
use crate::checkpoint::CheckpointMaker;

/// The thread that readies the next segment, and makes checkpoints.
pub(super) struct FillerThread {
    /// At most one nudge waits: it stands for all.
    nudges: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FillerThread {
    pub(super) fn spawn(
        filler: SegmentFiller,
        maker: CheckpointMaker,
        lane: Arc<Lane>,
    ) -> io::Result<Self> {
        let (nudges, nudged) = sync_channel(1);
        let thread = Builder::new()
            .name("skychat-ahead".to_owned())
            .spawn(move || {
                while let Ok(()) = nudged.recv() {
                    if maker.step() {
                        lane.wake();
                    }
                    while filler.step() {}
                }
            })?;
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
