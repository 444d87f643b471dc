//! Making checkpoints, off the way of the commits.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chacha20::ChaCha20Rng;
use tracing::{debug, info};

use super::{FileHash, State, file};
use crate::disk::is_full;
use crate::layout::checkpoint_path;
use crate::shared::Shared;

/// A state that a checkpoint is to be made of.
#[derive(Debug)]
struct Due {
    state: State,
    rng: ChaCha20Rng,
}

#[derive(Debug, Default)]
struct Slot {
    /// The newest one only: it stands for those before it.
    due: Option<Box<Due>>,
    /// Written and synced; its name is not journalled yet.
    written: Option<(u32, FileHash)>,
    /// Files that nobody needs any more.
    stale: BTreeSet<u32>,
}

/// The checkpoints of a store, between the one who writes the journal and the one who makes them.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    /// Whether the store is to have any.
    wanted: bool,
    slot: Mutex<Slot>,
    /// Held while a file is made.
    making: Mutex<()>,
}

impl Checkpoints {
    pub(crate) fn new(wanted: bool) -> Self {
        Checkpoints {
            wanted,
            ..Checkpoints::default()
        }
    }

    pub(crate) const fn are_wanted(&self) -> bool {
        self.wanted
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a checkpoint made of this state, in place of one that was not begun.
    pub(crate) fn order(&self, state: State, rng: ChaCha20Rng) {
        self.slot().due = Some(Box::new(Due { state, rng }));
    }

    /// The one whose name is to be journalled.
    pub(crate) fn written(&self) -> Option<(u32, FileHash)> {
        self.slot().written
    }

    /// Its name is on disk; `stale` are not needed any more.
    pub(crate) fn named(&self, name: (u32, FileHash), stale: impl IntoIterator<Item = u32>) {
        let mut slot = self.slot();
        if slot.written == Some(name) {
            slot.written = None;
        }
        slot.stale.extend(stale);
    }

    /// These files are not needed.
    pub(crate) fn discard(&self, stale: impl IntoIterator<Item = u32>) {
        self.slot().stale.extend(stale);
    }
}

/// Makes checkpoints beside the one who writes, and on a thread of its own.
///
/// Nobody waits for it: without a checkpoint a start reads more of the journal. So a full disk is
/// no matter here; after any other error the writer writes nothing more, as after one of its own.
#[derive(Clone, Debug)]
pub struct CheckpointMaker {
    shared: Arc<Shared>,
}

impl CheckpointMaker {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        CheckpointMaker { shared }
    }

    /// Writes and syncs the checkpoint that is due, and removes files that are not needed any
    /// more. Whether a checkpoint waits for its name to be journalled: the next
    /// [`commit`](crate::StoreWriter::commit) does it, one without batches too.
    pub fn step(&self) -> bool {
        let checkpoints = &self.shared.checkpoints;
        let making = checkpoints.making.lock();
        let making = making.unwrap_or_else(PoisonError::into_inner);
        if !self.shared.ahead.is_broken() {
            self.remove_stale();
            self.make();
        }
        drop(making);
        checkpoints.written().is_some()
    }

    fn remove_stale(&self) {
        let stale = std::mem::take(&mut self.shared.checkpoints.slot().stale);
        for segment in stale {
            // It may not be there; and if it stays, the next start tries again.
            let _ = self.shared.disk.remove(&checkpoint_path(segment));
        }
    }

    fn make(&self) {
        let checkpoints = &self.shared.checkpoints;
        let due = {
            let mut slot = checkpoints.slot();
            // One after the other: what is written may be on its way into the journal.
            if slot.written.is_some() {
                return;
            }
            slot.due.take()
        };
        let Some(mut due) = due else { return };
        let segment = due.state.mark.segment;
        let disk = &*self.shared.disk;
        match file::write(disk, &self.shared.key, &mut due.rng, &due.state) {
            Ok(hash) => {
                info!(segment, "a checkpoint was written");
                checkpoints.slot().written = Some((segment, hash));
            }
            Err(error) => self.failed(segment, &error),
        }
    }

    fn failed(&self, segment: u32, error: &io::Error) {
        debug!(%error, segment, "a checkpoint was not written");
        if is_full(error) {
            // What it takes may be needed for something else. There is another one to come.
            let _ = self.shared.disk.remove(&checkpoint_path(segment));
        } else {
            self.shared.ahead.break_down();
        }
    }
}
