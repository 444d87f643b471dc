//! Writing groups.

use std::io;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use skychat_proto::ids::{EventSeq, Incarnation};
use skychat_proto::record::Batch;
use tracing::warn;

use crate::ahead::{SegmentFiller, write_zeros};
use crate::ballast::Ballast;
use crate::checkpoint::{CheckpointMaker, State};
use crate::disk::{Disk, is_full};
use crate::error::WriteError;
use crate::event::{Committed, Receipt, StoredEvent};
use crate::index::Start;
use crate::layout::{
    Counts, FOOTER_MAGIC, HEAD_FILE, HEADER_MAGIC, HeadFile, JOURNAL, SEGMENT_LEN, SegmentMark,
    segment_path, store_prefix,
};
use crate::rewrite::SegmentRewriter;
use crate::shared::Shared;
use crate::stage::{Stage, record_size};
use crate::sweep::Sweeper;

mod carry;

/// Bytes of records that the writer's thread puts into one group, unless one batch has more.
pub const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Bytes that a group can have at most.
pub const MAX_GROUP_BYTES: usize = 256 * 1024 * 1024;
/// Records that batches for one group have to be fewer than.
pub const MAX_GROUP_RECORDS: usize = u16::MAX as usize - OWN_RECORDS;
/// Records that the store may add to a group.
const OWN_RECORDS: usize = 16;

/// Bytes of the buffer that is kept from one group to the next, at most: memory that was used is
/// there, while new memory comes page by page.
const KEPT_BUFFER: usize = 1024 * 1024;

/// Small segments are whole blocks of this size.
const BLOCK: u64 = 4096;

/// How large segments are made. Each is twice the one before, up to the largest; and larger if
/// its first group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSizes {
    /// Of the first segment, in bytes.
    pub first: u32,
    /// Of the largest, in bytes.
    pub largest: u32,
}

/// 1 MiB, doubling to 64 MiB.
impl Default for SegmentSizes {
    fn default() -> Self {
        SegmentSizes {
            first: 1024 * 1024,
            largest: 64 * 1024 * 1024,
        }
    }
}

impl SegmentSizes {
    fn of(self, segment: u32) -> u64 {
        let doublings = segment.saturating_sub(1).min(31);
        u64::from(self.first)
            .saturating_mul(1 << doublings)
            .min(self.largest.into())
    }
}

/// Where the next group goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) segment: u32,
    pub(crate) generation: u32,
    pub(crate) offset: u64,
    /// Length of the file.
    pub(crate) capacity: u64,
    /// Up to here there may be something else than zeros.
    pub(crate) dirty: u64,
}

/// The segment that is written to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Current {
    Open(At),
    /// The one before ends with a footer, or there is none: this one is to be made.
    Next {
        segment: u32,
        length: u64,
    },
}

/// The one who writes a journal.
///
/// It is not `Clone`, and every write goes through `&mut self`: group *n + 1* is not written
/// before the sync of group *n* has returned (JRN-4).
#[derive(Debug)]
pub struct StoreWriter {
    pub(crate) shared: Arc<Shared>,
    pub(crate) owner: [u8; 32],
    pub(crate) sizes: SegmentSizes,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) counts: Counts,
    pub(crate) current: Current,
    /// This life, until its first event number is on disk.
    pub(crate) life: Option<Incarnation>,
    pub(crate) head_made: bool,
    pub(crate) head_dirty: bool,
    pub(crate) poisoned: bool,
    /// Secret rows are to be put again before anything else.
    pub(crate) carry: bool,
    /// Checkpoints that the one that is being journalled takes the place of.
    pub(crate) stale: Vec<u32>,
    /// A group that found no room.
    pub(crate) waiting: Option<(Stage, Vec<Receipt>)>,
    pub(crate) ballast: Ballast,
    /// What the last group was put together in.
    pub(crate) buffer: Vec<u8>,
}

/// What a commit gives.
pub(crate) type Done = (Vec<Receipt>, Committed<Vec<StoredEvent>>);

impl StoreWriter {
    /// Commits batches as one group: one write, one sync. When it returns, all of them are on
    /// disk and readers see them; the receipts are in the order of the batches.
    ///
    /// # Errors
    /// [`WriteError`]: none of the batches is seen. After [`WriteError::Full`] they are kept, and
    /// [`retry`](Self::retry) writes them; nothing else is taken before. After
    /// [`WriteError::Failed`] they may still be there when the store is opened again, all of them
    /// or none.
    pub fn commit(
        &mut self,
        batches: Vec<Batch>,
    ) -> Result<(Vec<Receipt>, Committed<Vec<StoredEvent>>), WriteError> {
        if self.poisoned || self.shared.ahead.is_broken() {
            return Err(WriteError::Poisoned);
        }
        if self.waiting.is_some() {
            return Err(WriteError::Full(io::ErrorKind::StorageFull.into()));
        }
        let (stage, receipts) = self.stage(batches)?;
        if stage.is_empty() {
            return Ok((receipts, Committed::new(Vec::new())));
        }
        self.finish(stage, receipts)
    }

    /// Tries once more to write what found no room; nothing to do if there is nothing.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn retry(&mut self) -> Result<(Vec<Receipt>, Committed<Vec<StoredEvent>>), WriteError> {
        if self.poisoned || self.shared.ahead.is_broken() {
            return Err(WriteError::Poisoned);
        }
        match self.waiting.take() {
            Some((stage, receipts)) => self.finish(stage, receipts),
            None => Ok((Vec::new(), Committed::new(Vec::new()))),
        }
    }

    fn finish(&mut self, mut stage: Stage, receipts: Vec<Receipt>) -> Result<Done, WriteError> {
        let at = match self.put_down(&mut stage) {
            Ok(at) => at,
            Err(error) if is_full(&error) => {
                self.waiting = Some((stage, receipts));
                return Err(WriteError::Full(error));
            }
            Err(error) => {
                self.poisoned = true;
                return Err(WriteError::Failed(error));
            }
        };
        let life = self.life.take();
        if let Some(life) = life {
            let mut index = self.shared.write();
            let next = index.last_event().next();
            index.lives.push((next, life));
        }
        let events = self.enter(stage, at);
        self.named();
        self.aim();
        Ok((receipts, Committed::new(events)))
    }

    /// A group is on disk.
    fn enter(&mut self, stage: Stage, at: At) -> Vec<StoredEvent> {
        self.counts = stage.counts();
        let shared = Arc::clone(&self.shared);
        let (events, buffer) = {
            let mut index = shared.write();
            index.bytes = index.bytes.saturating_add(stage.len() as u64);
            stage.enter(&mut index, at.segment, at.generation, at.offset)
        };
        if buffer.capacity() <= KEPT_BUFFER {
            self.buffer = buffer;
        }
        self.write_head();
        events
    }

    /// Makes sure that `HEAD` survives a loss of power: to be called once a second and at stop.
    ///
    /// # Errors
    /// What the system said. Nothing is lost by it: `HEAD` is a lower bound.
    pub fn sync_head(&mut self) -> io::Result<()> {
        if self.head_dirty {
            self.shared.disk.sync(HEAD_FILE)?;
            self.head_dirty = false;
        }
        Ok(())
    }

    /// Whether `HEAD` was written since it was last synced.
    pub const fn head_is_dirty(&self) -> bool {
        self.head_dirty
    }

    fn stage(&mut self, batches: Vec<Batch>) -> Result<(Stage, Vec<Receipt>), WriteError> {
        let records: usize = batches.iter().map(|batch| batch.records.len()).sum();
        let bytes = batches.iter().map(batch_size).sum();
        if records >= MAX_GROUP_RECORDS || bytes > MAX_GROUP_BYTES {
            return Err(WriteError::TooLarge { records, bytes });
        }
        let buffer = std::mem::take(&mut self.buffer);
        let mut stage = Stage::new(self.counts, records, bytes.saturating_add(128), buffer);
        let mut receipts = Vec::with_capacity(batches.len());
        let index = self.shared.read();
        let name = self.shared.checkpoints.written();
        // These are shorter than any limit.
        if let (Some(life), true) = (self.life, records > 0 || name.is_some()) {
            let first = stage.last_event().next();
            let _ = stage.push_life(&self.shared.key, &mut self.rng, life.as_bytes(), first);
        }
        if let Some((segment, hash)) = name {
            let _ = stage.push_checkpoint(&self.shared.key, &mut self.rng, segment, &hash);
            self.stale = carry::stale(&index, segment);
            for old in &self.stale {
                let _ = stage.drop_checkpoint(*old);
            }
        }
        for batch in batches {
            let before = stage.last_event();
            for (number, record) in batch.records.into_iter().enumerate() {
                stage
                    .push(&index, &self.shared.key, &mut self.rng, record)
                    .map_err(|what| WriteError::Refused {
                        batch: batch.id,
                        record: number,
                        what,
                    })?;
            }
            let events = stage.last_event().get().saturating_sub(before.get());
            receipts.push(Receipt {
                batch: batch.id,
                first_event: (events > 0).then(|| before.next()),
                events: u32::try_from(events).unwrap_or(u32::MAX),
            });
        }
        Ok((stage, receipts))
    }

    /// Ends a segment that is full.
    fn close(&mut self, at: At) -> io::Result<()> {
        let path = segment_path(at.segment);
        let mut footer = Vec::with_capacity(SEGMENT_LEN);
        self.mark(at.segment, at.generation)
            .encode(FOOTER_MAGIC, &mut footer);
        let end = at.offset.saturating_add(footer.len() as u64);
        let disk = &self.shared.disk;
        disk.write_at(&path, at.offset, &footer)?;
        disk.truncate(&path, end)?;
        disk.sync(&path)?;
        self.shared.grow(SEGMENT_LEN);
        self.current = Current::Next {
            segment: at.segment.saturating_add(1),
            length: end,
        };
        Ok(())
    }

    /// Makes a segment with room for so many bytes behind its header.
    pub(crate) fn create(&mut self, segment: u32, needed: u64) -> io::Result<At> {
        let path = segment_path(segment);
        let mut header = Vec::with_capacity(SEGMENT_LEN);
        self.mark(segment, 0).encode(HEADER_MAGIC, &mut header);
        let start = header.len() as u64;
        let capacity = self.sizes.of(segment).max(start.saturating_add(needed));
        let ready = self.shared.ahead.take(segment);
        let disk = &self.shared.disk;
        if ready.filled.is_none() {
            disk.create(&path)?;
        }
        let filled = ready.filled.unwrap_or(0);
        disk.write_at(&path, 0, &header)?;
        // Where there is no room for one of the usual size, a small one does.
        let least = start.saturating_add(needed).next_multiple_of(BLOCK);
        let small = self.sizes.of(1).max(least).min(capacity);
        let wanted = if self.ballast.is_let_go() {
            small
        } else {
            capacity
        };
        let mut capacity = wanted.max(filled);
        if let Err(error) = fill(&**disk, &path, filled.max(start), capacity) {
            if !is_full(&error) || filled >= small {
                return Err(error);
            }
            disk.truncate(&path, filled.max(start))?;
            capacity = small;
            fill(&**disk, &path, filled.max(start), capacity)?;
        }
        disk.sync(&path)?;
        if !ready.named {
            disk.sync_dir(JOURNAL)?;
        }
        self.begin(segment);
        let at = At {
            segment,
            generation: 0,
            offset: start,
            capacity,
            dirty: start,
        };
        self.current = Current::Open(at);
        Ok(at)
    }

    /// A segment has its header: the state there is what a checkpoint of it says.
    fn begin(&mut self, segment: u32) {
        let mark = self.mark(segment, 0);
        {
            let mut index = self.shared.write();
            index.bytes = index.bytes.saturating_add(SEGMENT_LEN as u64);
            index.marks.begin(Start {
                segment,
                generation: 0,
                groups: self.counts.groups,
                events: self.counts.events,
            });
        }
        if self.shared.checkpoints.are_wanted() && segment > 1 {
            let state = State::of(mark, &self.shared.read());
            self.order(state);
        }
    }

    /// Who makes checkpoints while this one writes.
    pub fn checkpoint_maker(&self) -> CheckpointMaker {
        CheckpointMaker::new(Arc::clone(&self.shared))
    }

    /// Who overwrites what is dead while this one writes.
    pub fn sweeper(&self) -> Sweeper {
        Sweeper::new(Arc::clone(&self.shared))
    }

    /// Who rewrites segments while this one writes.
    pub fn rewriter(&self) -> SegmentRewriter {
        SegmentRewriter::new(Arc::clone(&self.shared))
    }

    /// Who readies the next segment while this one is written to.
    pub fn filler(&self) -> SegmentFiller {
        SegmentFiller::new(Arc::clone(&self.shared))
    }

    /// Says how far the next segment should be by now.
    fn aim(&self) {
        if let Current::Open(at) = self.current {
            let next = at.segment.saturating_add(1);
            let capacity = self.sizes.of(next);
            self.shared
                .ahead
                .aim(next, capacity, at.offset, at.capacity);
        }
    }

    /// Writes the group, and syncs it. The place of the next one moves only if both went well.
    fn write(&mut self, stage: &mut Stage) -> io::Result<At> {
        let Current::Open(at) = self.current else {
            return Err(io::ErrorKind::NotFound.into());
        };
        stage.seal(self.shared.store, at.segment, at.generation, at.offset);
        let end = at.offset.saturating_add(stage.len() as u64);
        // What is left there of a group that was cut goes with the same write.
        let dirty = at.dirty.min(at.capacity).saturating_sub(at.offset);
        let length = stage.len();
        stage.pad(usize::try_from(dirty).unwrap_or(length));
        let written = At {
            dirty: at.dirty.max(end),
            ..at
        };
        self.current = Current::Open(written);
        let path = segment_path(at.segment);
        let disk = &self.shared.disk;
        let synced = disk
            .write_at(&path, at.offset, stage.bytes())
            .and_then(|()| disk.sync(&path));
        stage.cut(length);
        synced?;
        self.current = Current::Open(At {
            offset: end,
            dirty: end,
            ..at
        });
        Ok(at)
    }

    /// Writes `HEAD`. It is a lower bound, so it may fail.
    pub(crate) fn write_head(&mut self) {
        if let Err(error) = self.try_write_head() {
            warn!(%error, "HEAD was not written");
        }
    }

    fn try_write_head(&mut self) -> io::Result<()> {
        let (segment, length) = match self.current {
            Current::Open(at) => (at.segment, at.offset),
            Current::Next { segment, length } => (segment.saturating_sub(1), length),
        };
        let head = HeadFile {
            store: store_prefix(&self.shared.store),
            segment,
            length: u32::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?,
            chain: self.counts.chain,
            records: self.counts.records,
        };
        let disk = &self.shared.disk;
        if !self.head_made {
            disk.create(HEAD_FILE)?;
            disk.write_at(HEAD_FILE, 0, &head.encode())?;
            disk.sync(HEAD_FILE)?;
            disk.sync_dir("")?;
            self.head_made = true;
            return Ok(());
        }
        self.head_dirty = true;
        disk.write_at(HEAD_FILE, 0, &head.encode())
    }

    fn mark(&self, segment: u32, generation: u32) -> SegmentMark {
        SegmentMark {
            store: self.shared.store,
            owner: self.owner,
            segment,
            generation,
            counts: self.counts,
            check: self.shared.key.check(),
        }
    }

    /// The number of the last event on disk.
    pub fn last_event(&self) -> EventSeq {
        EventSeq::new(self.counts.events)
    }
}

/// Zeros from `offset` to `end`.
fn fill(disk: &dyn Disk, path: &str, mut offset: u64, end: u64) -> io::Result<()> {
    while offset < end {
        offset = write_zeros(disk, path, offset, end)?;
    }
    Ok(())
}

/// How many bytes of a group a batch takes, about.
pub fn batch_size(batch: &Batch) -> usize {
    let sizes = batch.records.iter().map(record_size);
    sizes.fold(0, usize::saturating_add)
}
