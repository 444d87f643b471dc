//! The way to the thread that writes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use skychat_identity::PublicKey;
use skychat_proto::ids::{MessageId, SpaceId};
use skychat_proto::limits::STORE_BATCHES;
use skychat_proto::record::Batch;
use tracing::error;

use crate::writer::{GROUP_BYTES, MAX_GROUP_RECORDS, batch_size};

/// Lookups that can wait.
const MAX_LOOKUPS: usize = 4096;

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// As much as it takes is waiting.
    #[error("the queue of the store is full")]
    Full,
    /// The thread has ended, or is about to.
    #[error("the store has stopped")]
    Stopped,
}

/// The way to the writing thread. When it is dropped, the thread writes what was handed in, and
/// ends.
pub struct WriterHandle {
    pub(super) lane: Arc<Lane>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for WriterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.lane.queue();
        f.debug_struct("WriterHandle")
            .field("batches", &queue.batches)
            .field("lookups", &queue.lookups)
            .finish_non_exhaustive()
    }
}

impl WriterHandle {
    /// Hands in a batch. At most [`STORE_BATCHES`] may be on their way.
    ///
    /// # Errors
    /// [`QueueError`], with the batch.
    pub fn commit(&self, batch: Batch) -> Result<(), (QueueError, Batch)> {
        let mut queue = self.lane.queue();
        if queue.stop {
            return Err((QueueError::Stopped, batch));
        }
        if queue.batches >= STORE_BATCHES {
            return Err((QueueError::Full, batch));
        }
        queue.batches = queue.batches.saturating_add(1);
        queue.requests.push_back(Request::Batch(batch));
        self.lane.more.notify_one();
        Ok(())
    }

    /// Asks whether content of these messages was taken. Answered when every batch handed in
    /// before is on disk, and the index can tell.
    ///
    /// # Errors
    /// [`QueueError`].
    pub fn lookup(
        &self,
        lookup: u64,
        author: PublicKey,
        space: SpaceId,
        messages: Vec<MessageId>,
    ) -> Result<(), QueueError> {
        let mut queue = self.lane.queue();
        if queue.stop {
            return Err(QueueError::Stopped);
        }
        if queue.lookups >= MAX_LOOKUPS {
            return Err(QueueError::Full);
        }
        queue.lookups = queue.lookups.saturating_add(1);
        queue.requests.push_back(Request::Lookup(Lookup {
            lookup,
            author,
            space,
            messages,
        }));
        self.lane.more.notify_one();
        Ok(())
    }

    /// Whether a batch would be taken.
    pub fn has_room(&self) -> bool {
        let queue = self.lane.queue();
        !queue.stop && queue.batches < STORE_BATCHES
    }

    /// Says whether the journal is larger than it should be. If so, segments are rewritten without
    /// waiting for a time when nothing is committed, and for less gain
    /// ([`StoreReader::usage`](crate::StoreReader::usage)).
    pub fn above_cap(&self, above: bool) {
        let mut queue = self.lane.queue();
        if queue.above_cap != above {
            (queue.above_cap, queue.nudge) = (above, true);
            self.lane.more.notify_one();
        }
    }

    /// Whether everything that was handed in is done.
    pub fn is_idle(&self) -> bool {
        let queue = self.lane.queue();
        queue.batches == 0 && queue.lookups == 0
    }

    /// Takes nothing more; what was handed in is still written.
    pub fn stop(&self) {
        self.lane.queue().stop = true;
        self.lane.more.notify_one();
    }

    /// Stops, and waits for the end of the thread.
    pub fn join(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread of the store panicked");
        }
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) lookup: u64,
    pub(super) author: PublicKey,
    pub(super) space: SpaceId,
    pub(super) messages: Vec<MessageId>,
}

pub(super) enum Request {
    Batch(Batch),
    Lookup(Lookup),
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) requests: VecDeque<Request>,
    /// Handed in, and neither on disk nor lost.
    pub(super) batches: usize,
    pub(super) lookups: usize,
    pub(super) stop: bool,
    /// The journal is larger than it should be.
    pub(super) above_cap: bool,
    /// That was said since.
    pub(super) nudge: bool,
}

#[derive(Default)]
pub(super) struct Lane {
    pub(super) queue: Mutex<Queue>,
    pub(super) more: Condvar,
}

impl Lane {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_above_cap(&self) -> bool {
        self.queue().above_cap
    }

    /// Has the thread look whether there is something to do.
    pub(super) fn wake(&self) {
        // Not between its look and its sleep.
        let _queue = self.queue();
        self.more.notify_one();
    }
}

/// Whatever ends the thread, nothing more is taken then.
pub(super) struct Closed(pub(super) Arc<Lane>);

impl Drop for Closed {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.stop = true;
        queue.requests.clear();
        (queue.batches, queue.lookups) = (0, 0);
    }
}

/// What goes together: everything that waits, as far as it fits into one group.
pub(super) fn take(queue: &mut Queue) -> Vec<Request> {
    let mut work = Vec::new();
    let (mut bytes, mut records) = (0_usize, 0_usize);
    while let Some(request) = queue.requests.pop_front() {
        if let Request::Batch(batch) = &request {
            bytes = bytes.saturating_add(batch_size(batch));
            records = records.saturating_add(batch.records.len());
            let too_much = bytes > GROUP_BYTES || records >= MAX_GROUP_RECORDS;
            if too_much && !work.is_empty() {
                queue.requests.push_front(request);
                break;
            }
        }
        work.push(request);
    }
    work
}
