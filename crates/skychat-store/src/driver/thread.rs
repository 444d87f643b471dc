//! The thread that writes.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use skychat_identity::PublicKey;
use skychat_proto::ids::{MessageId, SpaceId};
use skychat_proto::record::{Batch, Taken, tables};
use tracing::{debug, error, info, warn};

use super::filler::{Ahead, FillerThread};
use super::lane::{Closed, Lane, Lookup, Request, WriterHandle, take};
use crate::error::{ReadError, WriteError};
use crate::event::{Committed, Receipt, StoredEvent};
use crate::reader::StoreReader;
use crate::writer::StoreWriter;

/// How often `HEAD` is synced.
const HEAD_SYNC: Duration = Duration::from_secs(1);
/// How often it is tried whether there is room again.
const ROOM_LOOK: Duration = Duration::from_millis(500);
/// How often it is looked whether lookups that wait for the index can be answered.
const HELD: Duration = Duration::from_millis(20);

/// What the thread did, in the order of what it was handed.
#[derive(Debug)]
pub enum Done {
    /// These batches are on disk, and readers see them.
    Committed {
        /// One for each batch, in order.
        receipts: Vec<Receipt>,
        /// Their events.
        events: Committed<Vec<StoredEvent>>,
    },
    /// The answer to a lookup.
    Found {
        /// Its number.
        lookup: u64,
        /// For each message asked for: what is known of the content that was taken; `None`: none
        /// was.
        found: Vec<Option<Taken>>,
    },
    /// The disk is full. What was handed in is kept and tried again until there is room; nothing
    /// new should be handed in before [`Done::Room`].
    Full,
    /// There is room again.
    Room,
    /// Nothing was written, and nothing more will be. The batches of the group are lost, and
    /// whatever was in the queue behind them.
    Failed(WriteError),
    /// A lookup was not answered because the disk failed; as after [`Done::Failed`], nothing more
    /// is done.
    Unreadable(ReadError),
    /// The thread ends. Always the last.
    Stopped,
}

/// Starts the thread that writes. It takes everything that waits, makes one group of it, commits
/// it, and tells `on_event`, which must not block for long: nothing is written meanwhile.
///
/// # Errors
/// The system gave no thread.
pub fn spawn_writer(
    writer: StoreWriter,
    on_event: impl FnMut(Done) + Send + 'static,
) -> io::Result<WriterHandle> {
    spawn(writer, Behind::default(), on_event)
}

/// The same, with an index on disk for what is older than the tail of the store
/// ([`OpenOptions::tail`](crate::OpenOptions::tail)): in the directory `index`, which is its own,
/// and on a thread of its own. Whatever is wrong with that directory, it is made again.
///
/// # Errors
/// The system gave no thread.
#[cfg(feature = "sled")]
pub fn spawn_indexed_writer(
    writer: StoreWriter,
    index: impl Into<std::path::PathBuf>,
    on_event: impl FnMut(Done) + Send + 'static,
) -> io::Result<WriterHandle> {
    let shared = Arc::clone(&writer.shared);
    let behind = Behind {
        index: Some(crate::indexer::IndexThread::spawn(shared, index.into())?),
    };
    spawn(writer, behind, on_event)
}

/// What follows the commits.
#[derive(Debug, Default)]
struct Behind {
    #[cfg(feature = "sled")]
    index: Option<crate::indexer::IndexThread>,
}

impl Behind {
    fn nudge(&self) {
        #[cfg(feature = "sled")]
        if let Some(index) = &self.index {
            index.nudge();
        }
    }
}

fn spawn(
    writer: StoreWriter,
    behind: Behind,
    on_event: impl FnMut(Done) + Send + 'static,
) -> io::Result<WriterHandle> {
    let lane = Arc::new(Lane::default());
    let ahead = Ahead {
        filler: writer.filler(),
        maker: writer.checkpoint_maker(),
        sweeper: writer.sweeper(),
        rewriter: writer.rewriter(),
        lane: Arc::clone(&lane),
    };
    let worker = Worker {
        reader: StoreReader::new(Arc::clone(&writer.shared)),
        writer,
        lane: Arc::clone(&lane),
        on_event,
        head_synced: now(),
        ahead: FillerThread::spawn(ahead)?,
        behind,
        held: VecDeque::new(),
        full: false,
        ballast: Some(now()),
    };
    let thread = Builder::new()
        .name("skychat-store".to_owned())
        .spawn(move || worker.run())?;
    Ok(WriterHandle {
        lane,
        thread: Some(thread),
    })
}

#[expect(clippy::disallowed_methods, reason = "a driver reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

struct Worker<F> {
    /// First: they end before the directory is let go of.
    ahead: FillerThread,
    behind: Behind,
    writer: StoreWriter,
    reader: StoreReader,
    lane: Arc<Lane>,
    on_event: F,
    head_synced: Instant,
    /// Lookups that wait for the index.
    held: VecDeque<Lookup>,
    /// Whether it was said that the disk is full.
    full: bool,
    /// When the ballast may be worked at again; `None`: it is whole.
    ballast: Option<Instant>,
}

impl<F: FnMut(Done)> Worker<F> {
    fn run(mut self) {
        let closed = Closed(Arc::clone(&self.lane));
        while let Some(work) = self.next() {
            if let Err(failed) = self.work(work) {
                error!("the store failed: nothing more is written");
                // Whoever hears of it is not to find a queue that takes more.
                self.lane.queue().stop = true;
                (self.on_event)(failed);
                break;
            }
        }
        // A checkpoint that was under way still gets its name.
        self.ahead.end();
        if self.writer.has_checkpoint()
            && let Err(error) = self.writer.commit(Vec::new())
        {
            debug!(%error, "a checkpoint was not journalled");
        }
        self.sync_head();
        drop(closed);
        drop((self.ahead, self.behind));
        (self.on_event)(Done::Stopped);
    }

    fn sync_head(&mut self) {
        if let Err(error) = self.writer.sync_head() {
            warn!(%error, "HEAD was not synced");
        }
        self.head_synced = now();
    }

    /// Waits for something to do; `None`: the end.
    fn next(&mut self) -> Option<Vec<Request>> {
        loop {
            if !self.held.is_empty() && !self.reader.is_indexing() {
                return Some(Vec::new());
            }
            if self.writer.head_is_dirty() && self.head_synced.elapsed() >= HEAD_SYNC {
                self.sync_head();
            }
            let lane = Arc::clone(&self.lane);
            let mut queue = lane.queue();
            if !queue.requests.is_empty() {
                return Some(take(&mut queue));
            }
            if queue.stop {
                return None;
            }
            if std::mem::take(&mut queue.nudge) {
                self.ahead.hurry();
            }
            if self.writer.has_checkpoint() {
                return Some(Vec::new());
            }
            if self.ballast.is_some_and(|due| due <= now()) {
                drop(queue);
                self.work_at_ballast();
                continue;
            }
            let waits = [
                self.writer
                    .head_is_dirty()
                    .then(|| HEAD_SYNC.saturating_sub(self.head_synced.elapsed())),
                (!self.held.is_empty()).then_some(HELD),
                self.ballast.map(|due| due.saturating_duration_since(now())),
            ];
            let waited = match waits.into_iter().flatten().min() {
                Some(wait) => {
                    let waited = lane.more.wait_timeout(queue, wait);
                    waited.map(|(queue, _)| queue).map_err(|_| ())
                }
                None => lane.more.wait(queue).map_err(|_| ()),
            };
            drop(waited);
        }
    }

    fn work(&mut self, work: Vec<Request>) -> Result<(), Done> {
        self.answer()?;
        let mut group = Vec::new();
        for request in work {
            match request {
                Request::Batch(batch) => group.push(batch),
                Request::Lookup(lookup) => {
                    self.commit(std::mem::take(&mut group))?;
                    self.held.push_back(lookup);
                    self.answer()?;
                }
            }
        }
        self.commit(group)
    }

    /// Answers the lookups that can be answered.
    fn answer(&mut self) -> Result<(), Done> {
        for _ in 0..self.held.len() {
            let Some(next) = self.held.pop_front() else {
                break;
            };
            let ids = next.messages.iter();
            let found: Result<_, _> = ids
                .map(|id| self.taken(next.author, next.space, *id))
                .collect();
            match found {
                Ok(found) => {
                    {
                        let mut queue = self.lane.queue();
                        queue.lookups = queue.lookups.saturating_sub(1);
                    }
                    let lookup = next.lookup;
                    (self.on_event)(Done::Found { lookup, found });
                }
                Err(ReadError::Indexing) => self.held.push_back(next),
                Err(error) => return Err(Done::Unreadable(error)),
            }
        }
        Ok(())
    }

    fn commit(&mut self, group: Vec<Batch>) -> Result<(), Done> {
        let batches = group.len();
        if batches == 0 && !self.writer.has_checkpoint() {
            return Ok(());
        }
        let mut written = self.writer.commit(group);
        while let Err(WriteError::Full(error)) = written {
            if !self.writer.let_go() {
                self.tell_full();
                if !self.wait_for_room() {
                    return Err(Done::Failed(WriteError::Full(error)));
                }
            }
            written = self.writer.retry();
        }
        let (receipts, events) = written.map_err(Done::Failed)?;
        {
            let mut queue = self.lane.queue();
            queue.batches = queue.batches.saturating_sub(batches);
        }
        if batches > 0 {
            (self.on_event)(Done::Committed { receipts, events });
        }
        self.ahead.nudge();
        self.behind.nudge();
        if self.writer.is_full() {
            self.tell_full();
        }
        Ok(())
    }

    fn tell_full(&mut self) {
        self.ballast = Some(now() + ROOM_LOOK);
        if !std::mem::replace(&mut self.full, true) {
            warn!("the disk is full: nothing new is taken until there is room");
            (self.on_event)(Done::Full);
        }
    }

    /// Waits a little; `false`: it is time to end.
    fn wait_for_room(&self) -> bool {
        let queue = self.lane.queue();
        if queue.stop {
            return false;
        }
        let (queue, _) = self
            .lane
            .more
            .wait_timeout(queue, ROOM_LOOK)
            .unwrap_or_else(PoisonError::into_inner);
        !queue.stop
    }

    /// Makes a part of the ballast. When it is whole, there is room.
    fn work_at_ballast(&mut self) {
        match self.writer.restore_ballast() {
            Ok(true) => {}
            Ok(false) => {
                self.ballast = None;
                if std::mem::replace(&mut self.full, false) {
                    info!("there is room again");
                    (self.on_event)(Done::Room);
                }
            }
            Err(_) if self.writer.is_full() => self.tell_full(),
            Err(error) => {
                warn!(%error, "the ballast was not made");
                self.ballast = None;
            }
        }
    }

    fn taken(
        &self,
        author: PublicKey,
        space: SpaceId,
        message: MessageId,
    ) -> Result<Option<Taken>, ReadError> {
        let Some(place) = self.reader.find(author, space, message)? else {
            return Ok(None);
        };
        let content = self.reader.content(place.feed, place.seq)?;
        Ok(content.map(|found| match found.content {
            Some(stored) => {
                let content = tables::split_stored(&stored).map_or(&[][..], |(_, content)| content);
                Taken::Content(Sha256::digest(content).into())
            }
            None => Taken::Dropped,
        }))
    }
}
