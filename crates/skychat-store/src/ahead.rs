//! The segment that comes next, filled with zeros ahead of use, so that no commit has to wait
//! for it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::debug;

use crate::disk::{Disk, is_full};
use crate::layout::{JOURNAL, segment_path};
use crate::shared::Shared;

/// Zeros that are written at once.
const ZEROS: usize = 256 * 1024;
/// So many such writes are synced together. What is committed beside a sync waits for it, and a
/// sync of a file that grows costs as much as three of these writes.
const WRITES: usize = 4;
static ZERO: [u8; ZEROS] = [0; ZEROS];

/// How far the next segment is to be filled by now.
#[derive(Clone, Copy, Debug, Default)]
struct Aim {
    segment: u32,
    capacity: u64,
    filled: u64,
}

/// The next segment, as far as it is filled.
#[derive(Clone, Copy, Debug)]
struct Spare {
    segment: u32,
    /// So many zeros are written and synced.
    filled: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Filling,
    /// Its name is synced too.
    Done,
    /// There was no room for it.
    GivenUp,
}

/// The segment that comes next.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    aim: Mutex<Aim>,
    /// Held while zeros are written.
    spare: Mutex<Option<Spare>>,
    /// How far the spare segment is filled, for who does not wait until zeros are written; all of
    /// it, if it is not filled any further.
    reached: AtomicU64,
    broken: AtomicBool,
}

/// What there is of a segment that is to be used now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ready {
    /// So many zeros are written; `None`: there is no such file, or nobody knows what is in it.
    pub(crate) filled: Option<u64>,
    /// Its name is synced.
    pub(crate) named: bool,
}

impl Ahead {
    /// Says how full the segment before is: `used` of `size`. Filling begins when a quarter is
    /// used, and keeps pace, to be done at three quarters.
    pub(crate) fn aim(&self, segment: u32, capacity: u64, used: u64, size: u64) {
        let over = u128::from(used.saturating_sub(size / 4));
        let half = u128::from((size / 2).max(1));
        let filled = over.saturating_mul(capacity.into()) / half;
        let filled = u64::try_from(filled).unwrap_or(u64::MAX).min(capacity);
        *lock(&self.aim) = Aim {
            segment,
            capacity,
            filled,
        };
    }

    /// Hands the segment over to the one who writes to it; waits while zeros are being written.
    pub(crate) fn take(&self, segment: u32) -> Ready {
        // One who fills does not see the old aim once there is no spare: it would make the file anew
        // that is written to from now on.
        let mut held = lock(&self.spare);
        *lock(&self.aim) = Aim::default();
        let spare = held.take();
        self.reached.store(0, Ordering::Release);
        drop(held);
        match spare {
            Some(spare) if spare.segment == segment && spare.state != State::GivenUp => Ready {
                filled: Some(spare.filled),
                named: spare.state == State::Done,
            },
            _ => Ready::default(),
        }
    }

    /// Whether the disk failed: what it said of one file is true of the others.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// The disk failed, in another file than the next segment.
    pub(crate) fn break_down(&self) {
        self.broken.store(true, Ordering::Release);
    }

    fn is_behind(&self) -> bool {
        let filled = lock(&self.aim).filled;
        !self.is_broken() && self.reached.load(Ordering::Acquire) < filled
    }

    fn step(&self, disk: &dyn Disk) -> bool {
        let mut spare = lock(&self.spare);
        let aim = *lock(&self.aim);
        if self.is_broken() || aim.filled == 0 {
            return false;
        }
        let kept = spare.filter(|spare| spare.segment == aim.segment);
        if kept.is_some_and(|kept| kept.state != State::Filling || kept.filled >= aim.filled) {
            return false;
        }
        match fill(disk, kept, aim) {
            Ok(filled) => {
                self.reached.store(filled.filled, Ordering::Release);
                *spare = Some(filled);
                filled.state == State::Filling && filled.filled < aim.filled
            }
            Err(error) => {
                debug!(%error, "the next segment was not readied");
                if is_full(&error) {
                    // What it takes may be needed for something else.
                    let _ = disk.truncate(&segment_path(aim.segment), 0);
                    *spare = Some(Spare {
                        segment: aim.segment,
                        filled: 0,
                        state: State::GivenUp,
                    });
                    self.reached.store(u64::MAX, Ordering::Release);
                } else {
                    self.broken.store(true, Ordering::Release);
                }
                false
            }
        }
    }
}

/// One step towards the aim.
fn fill(disk: &dyn Disk, spare: Option<Spare>, aim: Aim) -> io::Result<Spare> {
    let path = segment_path(aim.segment);
    let mut spare = match spare {
        Some(spare) => spare,
        None => {
            disk.create(&path)?;
            Spare {
                segment: aim.segment,
                filled: 0,
                state: State::Filling,
            }
        }
    };
    for _ in 0..WRITES {
        if spare.filled < aim.capacity {
            spare.filled = write_zeros(disk, &path, spare.filled, aim.capacity)?;
        }
    }
    disk.sync(&path)?;
    if spare.filled >= aim.capacity {
        disk.sync_dir(JOURNAL)?;
        spare.state = State::Done;
    }
    Ok(spare)
}

/// Writes zeros from `offset` towards `end`; how far it got.
pub(crate) fn write_zeros(disk: &dyn Disk, path: &str, offset: u64, end: u64) -> io::Result<u64> {
    let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(ZEROS);
    let part = ZERO.get(..left).unwrap_or(&ZERO);
    disk.write_at(path, offset, part)?;
    Ok(offset.saturating_add(part.len() as u64))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Readies segments ahead of use, beside the one who writes and on a thread of its own.
///
/// Nobody needs it: what is missing when a segment is full is done then. So a full disk is no
/// matter here; after any other error the writer writes nothing more, as after one of its own.
#[derive(Clone, Debug)]
pub struct SegmentFiller {
    shared: Arc<Shared>,
}

impl SegmentFiller {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        SegmentFiller { shared }
    }

    /// Whether there is something to do now. It does not wait for a step that is under way.
    pub fn is_behind(&self) -> bool {
        self.shared.ahead.is_behind()
    }

    /// Fills and syncs up to 1 MiB of the next segment, if it is behind: it begins when a
    /// quarter of the one that is written to is used, and keeps pace, to be ready at three
    /// quarters. Whether there is more to do now.
    pub fn step(&self) -> bool {
        self.shared.ahead.step(&*self.shared.disk)
    }
}
