//! Rewriting (JRN-7): a full segment of which much is dead is written anew without it, beside the
//! commits, and takes the place of the one it was made from.

mod copy;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{debug, info, warn};

use crate::ballast::MARGIN;
use crate::disk::is_full;
use crate::index::Start;
use crate::layout::{
    HEADER_MAGIC, JOURNAL, REWRITTEN_LEN, RewrittenMark, SEGMENT_LEN, SegmentMark, rewritten_path,
    segment_path,
};
use crate::shared::Shared;
use crate::sweep::Round;
use copy::Copy;

/// Bytes of journal that are read in one step, unless one group has more.
const STEP: u64 = 1024 * 1024;

/// What is done beside the commits and alters segments, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Chores(Mutex<Slot>);

#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// The sweep that is under way.
    pub(crate) round: Option<Box<Round>>,
    /// The segment that is being rewritten.
    pub(crate) work: Option<Box<Work>>,
    /// What an earlier life left was removed.
    cleaned: bool,
    /// There was none when it was tried last.
    no_room: bool,
    /// Segments that are damaged.
    unfit: BTreeSet<u32>,
}

impl Chores {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One segment on its way.
#[derive(Debug)]
pub(crate) struct Work {
    start: Start,
    /// Where the last group of the old file ends.
    old_end: u64,
    old_length: u64,
    /// As at its end.
    footer: SegmentMark,
    copy: Copy,
}

/// Why a segment was not rewritten.
enum Failed {
    /// It is not what was written: it stays as it is.
    Damaged,
    Disk(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Failed::Disk(error)
    }
}

/// Rewrites segments, beside the one who writes and on a thread of its own.
///
/// At every moment, and after every crash, either the old file or the new one is the segment. What
/// is damaged is not rewritten. A full disk is no matter; after any other error of the disk the
/// writer writes nothing more, as after one of its own.
#[derive(Clone, Debug)]
pub struct SegmentRewriter {
    shared: Arc<Shared>,
}

impl SegmentRewriter {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        SegmentRewriter { shared }
    }

    /// Whether there is a segment that is worth it: more than a quarter of it is dead and
    /// overwritten; if it is `urgent`, a sixteenth.
    pub fn has_work(&self, urgent: bool) -> bool {
        let mut slot = self.shared.chores.lock();
        slot.no_room = false;
        slot.work.is_some() || self.pick(&slot, urgent).is_some()
    }

    /// Does a part of one rewriting, about 1 MiB of journal, or begins one. Whether it goes on.
    ///
    /// Sweeps wait until it is done. There has to be room for the segment and 16 MiB more.
    pub fn step(&self, urgent: bool) -> bool {
        let mut slot = self.shared.chores.lock();
        if self.shared.ahead.is_broken() || slot.round.is_some() {
            return false;
        }
        let mut work = match slot.work.take() {
            Some(work) => work,
            None => {
                let Some(segment) = self.pick(&slot, urgent) else {
                    return false;
                };
                let begun = self.clean(&mut slot).and_then(|()| self.begin(segment));
                return match begun {
                    Ok(work) => {
                        slot.work = Some(work);
                        true
                    }
                    Err(failed) => {
                        self.failed(&mut slot, segment, &failed);
                        false
                    }
                };
            }
        };
        let segment = work.start.segment;
        match self.go_on(&mut work) {
            Ok(true) => {
                slot.work = Some(work);
                true
            }
            Ok(false) => {
                if let Err(failed) = self.finish(&work) {
                    self.failed(&mut slot, segment, &failed);
                }
                false
            }
            Err(failed) => {
                self.failed(&mut slot, segment, &failed);
                false
            }
        }
    }

    /// Gives up the one that is under way.
    pub fn give_up(&self) {
        let mut slot = self.shared.chores.lock();
        if let Some(work) = slot.work.take() {
            let _ = self.shared.disk.remove(&rewritten_path(work.start.segment));
        }
    }

    /// The one with the most that is dead. Not the last two: `HEAD` has to lie behind it.
    fn pick(&self, slot: &Slot, urgent: bool) -> Option<u32> {
        let index = self.shared.read();
        // What is not overwritten yet is not found by going through a segment.
        if index.unswept.all.is_some() {
            return None;
        }
        let last = index.marks.last_segment();
        let fit = index.dead.iter().filter(|(segment, dead)| {
            let behind = segment.saturating_add(2) <= last;
            behind && **dead > 0 && !slot.unfit.contains(segment)
        });
        let (segment, dead) = fit.max_by_key(|(_, dead)| **dead)?;
        let (segment, dead) = (*segment, *dead);
        drop(index);
        let disk = &self.shared.disk;
        let length = disk.len(&segment_path(segment)).ok()?;
        let needed = length.saturating_add(MARGIN);
        if slot.no_room || disk.room().is_some_and(|room| room < needed) {
            return None;
        }
        let part = if urgent { 16 } else { 4 };
        (dead.saturating_mul(part) > length).then_some(segment)
    }

    /// Removes what a crash left.
    fn clean(&self, slot: &mut Slot) -> Result<(), Failed> {
        if !slot.cleaned {
            let names = self.shared.disk.list(JOURNAL)?;
            for name in names.iter().filter(|name| name.ends_with(".seg.new")) {
                self.shared.disk.remove(&format!("{JOURNAL}/{name}"))?;
            }
            slot.cleaned = true;
        }
        Ok(())
    }

    fn begin(&self, segment: u32) -> Result<Box<Work>, Failed> {
        let start = self.shared.read().marks.of_segment(segment);
        let start = start.ok_or(Failed::Damaged)?;
        let disk = &self.shared.disk;
        let path = segment_path(segment);
        let old_length = disk.len(&path)?;
        let mut header = [0; SEGMENT_LEN];
        disk.read_at(&path, 0, &mut header)?;
        let header = SegmentMark::decode(&header, HEADER_MAGIC).map_err(|_| Failed::Damaged)?;
        let footer_len = match start.generation {
            0 => SEGMENT_LEN,
            _ => REWRITTEN_LEN,
        };
        let old_end = old_length.saturating_sub(footer_len as u64);
        let mut footer = vec![0; footer_len];
        disk.read_at(&path, old_end, &mut footer)?;
        let footer = match start.generation {
            0 => SegmentMark::decode(&footer, crate::layout::FOOTER_MAGIC),
            _ => RewrittenMark::decode(&footer).map(|footer| footer.mark),
        };
        let footer = footer.map_err(|_| Failed::Damaged)?;
        let generation = start.generation.checked_add(1).ok_or(Failed::Damaged)?;
        let mut bytes = Vec::with_capacity(SEGMENT_LEN);
        SegmentMark {
            generation,
            ..header
        }
        .encode(HEADER_MAGIC, &mut bytes);
        let new = rewritten_path(segment);
        disk.create(&new)?;
        disk.write_at(&new, 0, &bytes)?;
        Ok(Box::new(Work {
            start,
            old_end,
            old_length,
            footer: SegmentMark {
                generation,
                ..footer
            },
            copy: Copy::new(start, generation),
        }))
    }

    fn go_on(&self, work: &mut Work) -> Result<bool, Failed> {
        let from = work.copy.at();
        while work.copy.at() < work.old_end {
            work.copy.group(&self.shared, work.old_end)?;
            if work.copy.at().saturating_sub(from) >= STEP {
                // A part at a time: commits are not to wait for all of it.
                self.shared.disk.sync(&rewritten_path(work.start.segment))?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn finish(&self, work: &Work) -> Result<(), Failed> {
        let segment = work.start.segment;
        let disk = &self.shared.disk;
        let new = rewritten_path(segment);
        let mut footer = Vec::with_capacity(REWRITTEN_LEN);
        work.copy.footer(work.footer).encode(&mut footer);
        let end = work.copy.written();
        let length = end.saturating_add(footer.len() as u64);
        if length.saturating_mul(16) > work.old_length.saturating_mul(15) {
            // Not worth it; what is dead in it is less than it seemed.
            self.shared.write().dead.remove(&segment);
            return Ok(disk.remove(&new)?);
        }
        disk.write_at(&new, end, &footer)?;
        disk.sync(&new)?;
        {
            let _swapping = self.shared.swapping();
            disk.rename(&new, &segment_path(segment))?;
            let mut index = self.shared.write();
            let (generation, marks) = (work.footer.generation, work.copy.marks());
            index.marks.rewritten(segment, generation, marks);
            index.bytes = index.bytes.saturating_sub(work.old_length);
            index.bytes = index.bytes.saturating_add(length);
            index.dead.remove(&segment);
        }
        disk.sync_dir(JOURNAL)?;
        info!(
            segment,
            before = work.old_length,
            length,
            "a segment was rewritten"
        );
        Ok(())
    }

    fn failed(&self, slot: &mut Slot, segment: u32, failed: &Failed) {
        match failed {
            Failed::Damaged => {
                warn!(segment, "damaged: it is not rewritten");
                slot.unfit.insert(segment);
                let _ = self.shared.disk.remove(&rewritten_path(segment));
            }
            Failed::Disk(error) if is_full(error) => {
                debug!(%error, segment, "there is no room to rewrite it");
                let _ = self.shared.disk.remove(&rewritten_path(segment));
                slot.no_room = true;
            }
            Failed::Disk(error) => {
                warn!(%error, segment, "it was not rewritten");
                self.shared.ahead.break_down();
            }
        }
    }
}
