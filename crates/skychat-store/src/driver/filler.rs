//! The thread that readies the next segment.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use tracing::error;

use crate::ahead::SegmentFiller;

/// The thread that readies the next segment.
pub(super) struct FillerThread {
    /// At most one nudge waits: it stands for all.
    nudges: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FillerThread {
    pub(super) fn spawn(filler: SegmentFiller) -> io::Result<Self> {
        let (nudges, nudged) = sync_channel(1);
        let thread = Builder::new()
            .name("skychat-ahead".to_owned())
            .spawn(move || {
                while let Ok(()) = nudged.recv() {
                    while filler.step() {}
                }
            })?;
        Ok(FillerThread {
            nudges: Some(nudges),
            thread: Some(thread),
        })
    }

    /// Says that something was committed.
    pub(super) fn nudge(&self) {
        if let Some(nudges) = &self.nudges {
            // If it is full, the thread is about to look.
            let _ = nudges.try_send(());
        }
    }
}

impl Drop for FillerThread {
    fn drop(&mut self) {
        self.nudges = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread that readies segments panicked");
        }
    }
}
