//! The thread that enters the journal into the index on disk.

mod runs;
mod sled;

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

use tracing::{debug, error, info, warn};

use self::sled::SledIndex;
use crate::ballast::MARGIN;
use crate::deep::{DeepError, DeepIndex, DeepIndexMut, FollowError, Follower, IndexMark};
use crate::driver::{Bell, Heard, Listener, now};
use crate::error::ReadError;
use crate::shared::Shared;

/// Records that are entered at once.
const STEP: usize = 512;
/// Message ids that are merged at once.
const MERGE_STEP: usize = 16 * 1024;
/// How often what was entered is written, if it is little, and the mark.
const MARK_EVERY: Duration = Duration::from_secs(5);
/// How long the thread rests between two looks while something is committed: not at all, so that
/// it enters what comes in small portions.
const LOOK: Duration = Duration::ZERO;
/// How long the thread waits without a word from the one who writes: it may be a reader who found
/// that the index is of no use.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long it waits to make the index again when that failed, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The thread.
#[derive(Debug)]
pub(crate) struct IndexThread {
    bell: Bell,
    thread: Option<JoinHandle<()>>,
}

impl IndexThread {
    /// `dir` is its own.
    pub(crate) fn spawn(shared: Arc<Shared>, dir: PathBuf) -> io::Result<Self> {
        let (listener, rope) = Listener::new(LOOK);
        let indexer = Indexer {
            shared,
            dir,
            listener,
        };
        let thread = Builder::new()
            .name("skychat-index".to_owned())
            .spawn(move || indexer.run())?;
        Ok(IndexThread {
            bell: Bell::new(rope, thread.thread()),
            thread: Some(thread),
        })
    }

    /// Says that something was committed.
    pub(crate) fn nudge(&self) {
        self.bell.ring();
    }
}

impl Drop for IndexThread {
    fn drop(&mut self) {
        self.bell.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread of the index panicked");
        }
    }
}

struct Indexer {
    shared: Arc<Shared>,
    dir: PathBuf,
    listener: Listener,
}

impl Indexer {
    fn run(mut self) {
        self.follow_again_and_again();
        self.shared.close_deep();
    }

    fn follow_again_and_again(&mut self) {
        let mut pause = Duration::from_millis(100);
        loop {
            let began = now();
            let followed = catch_unwind(AssertUnwindSafe(|| self.follow()));
            let error = match followed {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => DeepError("its thread panicked".to_owned()).into(),
            };
            self.shared.lose_deep(&DeepError(error.to_string()));
            if let FollowError::Journal(ReadError::Damaged {
                segment,
                offset,
                what,
            }) = error
            {
                // Making it again would come to the same place.
                error!(%error, "there is no index: what is older than the newest messages is not found");
                self.shared.is_damaged(segment, offset, what);
                return;
            }
            warn!(
                error = &error as &dyn std::error::Error,
                "the index is made again"
            );
            if let Err(error) = remove(&self.dir) {
                warn!(%error, "the index was not removed");
            }
            pause = if began.elapsed() > LONGEST_PAUSE {
                Duration::from_millis(100)
            } else {
                pause.saturating_mul(2).min(LONGEST_PAUSE)
            };
            if !self.listener.rest(pause) {
                return;
            }
        }
    }

    /// Follows the journal until there is nobody any more who writes.
    fn follow(&mut self) -> Result<(), FollowError> {
        let began = now();
        let (values, mut follower) = self.open()?;
        let readers: Arc<dyn DeepIndex> = values.clone();
        let mut marked = follower.mark();
        let mut marked_at = now();
        let mut whole = false;
        self.indexed(&readers, marked.group);
        loop {
            if !self.shared.has_deep() {
                return Err(DeepError("a reader found it of no use".to_owned()).into());
            }
            // sled does not live through a full disk: while there is little room, it is read only.
            let room = self.shared.disk.room();
            if room.is_some_and(|room| room < MARGIN / 2) {
                if !self.listener.rest(LOOK_EVERY) {
                    return Ok(());
                }
                continue;
            }
            let more = follower.step(&*values, &self.shared, STEP)?;
            let is_time = marked_at.elapsed() >= MARK_EVERY;
            let first = !more && !whole;
            // Nobody finds what has left the tail and is not written.
            let missed = !more && self.shared.is_indexing();
            let due = follower.is_due() || is_time || missed;
            let flushed = first || (due && follower.has_fresh());
            if flushed {
                follower.flush(&*values)?;
                // With what it speaks of: nothing that is written has to be cut at the next start,
                // for which there may be no room.
                marked = follower.mark();
                self.keep(&*values, &marked)?;
                marked_at = now();
                if self.shared.has_deep() {
                    self.indexed(&readers, marked.group);
                }
            }
            if first {
                whole = true;
                let mark = follower.mark();
                info!(groups = mark.group, items = mark.items, took = ?began.elapsed(), "the index is whole");
            }
            let merging =
                (flushed || !more) && follower.merge(&*values, marked.group, MERGE_STEP)?;
            if more {
                continue;
            }
            let wait = if merging { Duration::ZERO } else { LOOK_EVERY };
            match self.listener.wait(Some(wait)) {
                Heard::Word | Heard::Nothing => {}
                Heard::End => {
                    while follower.step(&*values, &self.shared, STEP)? {}
                    follower.flush(&*values)?;
                    return self.keep(&*values, &follower.mark());
                }
            }
        }
    }

    fn indexed(&self, readers: &Arc<dyn DeepIndex>, group: u64) {
        self.shared.indexed(readers, group);
        while self.shared.forget(group) {
            thread::yield_now();
        }
    }

    /// What there is, if it is whole and of this journal; else an empty one.
    fn open(&self) -> Result<(Arc<SledIndex>, Follower), FollowError> {
        let mark = fs::read(self.mark_path()).ok();
        let mark = mark.as_deref().and_then(IndexMark::decode);
        let mark = mark.filter(|mark| mark.store == self.shared.store);
        if let Some(mark) = mark {
            let resumed = SledIndex::open(&self.dir).map_err(FollowError::from);
            let resumed = resumed.and_then(|values| {
                let follower = Follower::resume(&values, &self.shared, mark)?;
                Ok((values, follower))
            });
            match resumed {
                Ok((values, follower)) => return Ok((Arc::new(values), follower)),
                Err(FollowError::Journal(error)) => return Err(error.into()),
                Err(error) => warn!(%error, "it is made again from the journal"),
            }
        }
        remove(&self.dir).map_err(disk_error)?;
        fs::create_dir_all(&self.dir).map_err(disk_error)?;
        let values = SledIndex::open(&self.dir)?;
        debug!("an empty index");
        Ok((Arc::new(values), Follower::new(self.shared.store)))
    }

    fn mark_path(&self) -> PathBuf {
        self.dir.join("mark")
    }

    /// Writes the mark, once what it speaks of was handed to the system. Nobody waits for the disk:
    /// what a crash takes away is counted, and made again.
    fn keep(&self, values: &dyn DeepIndexMut, mark: &IndexMark) -> Result<(), FollowError> {
        values.flush()?;
        let new = self.dir.join("mark.new");
        let write = || {
            fs::write(&new, mark.encode())?;
            fs::rename(&new, self.mark_path())
        };
        write().map_err(disk_error).map_err(FollowError::from)
    }
}

fn disk_error(error: io::Error) -> DeepError {
    DeepError(error.to_string())
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
