//! Entering the journal into the index on disk, behind the commits: one way for what was just
//! written, for what was missed, and for all of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use skychat_identity::KeyCache;
use skychat_proto::range::RawRange;

use super::merge::{Merge, RUN, RunWriter, read};
use super::resume::{count, runs_up_to};
use super::runs::{Item, Run};
use super::{
    BLOCK_BYTES, BLOCKS, DeepError, DeepIndex, IndexMark, MESSAGES, OldBlock, PAGES, RECORD_BYTES,
    Tag, feed_tag, key, message_tag, record_bytes, space_tag,
};
use crate::error::ReadError;
use crate::index::RecordId;
use crate::layout::{Chain, RecordKind, StoreId};
use crate::record::{ContentMeta, without_bodies};
use crate::shared::Shared;
use crate::walk::{Passed, Walk};

/// Chunks that are remembered, so that they need not be read again to be appended to.
const OPEN_CHUNKS: usize = 1024;

/// Items under one key.
const CHUNK: usize = 64;

/// An index that can be written. Durability is not asked of it.
pub(crate) trait DeepIndexMut: DeepIndex {
    /// Sets a value.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), DeepError>;

    /// Takes a key away.
    fn remove(&self, key: &[u8]) -> Result<(), DeepError>;

    /// Hands what was set to the system.
    fn flush(&self) -> Result<(), DeepError>;

    /// Writes the chunk `at` of a run, the first or the one behind the last. The run is not there
    /// before it is finished.
    fn append_chunk(&self, run: Run, at: u64, chunk: &[u8]) -> Result<(), DeepError>;

    /// From now on a run is there.
    fn finish_run(&self, run: Run) -> Result<(), DeepError>;

    /// Takes a run away.
    fn remove_run(&self, run: Run) -> Result<(), DeepError>;
}

/// Why the index does not follow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error(transparent)]
    Index(#[from] DeepError),
    #[error("the journal behind the index")]
    Journal(#[from] ReadError),
}

/// Items under the last key of a feed or a space.
#[derive(Debug)]
struct Chunk {
    key: Vec<u8>,
    value: Vec<u8>,
    is_new: bool,
    used: u64,
}

/// The one who enters.
#[derive(Debug)]
pub(crate) struct Follower {
    /// Up to where all is written.
    mark: IndexMark,
    /// Up to where it was entered.
    ahead: IndexMark,
    /// Message ids that were entered since.
    fresh: Vec<Item>,
    /// The runs of message ids that are written, the oldest first.
    runs: Vec<Run>,
    merge: Option<(Range<usize>, Merge)>,
    chunks: BTreeMap<(u8, Tag), Chunk>,
    keys: KeyCache,
    steps: u64,
    /// Where the last step ended, if it ended well.
    walk: Option<Walk>,
}

/// The hash of one item under its key, to be summed up.
pub(super) fn item_sum(key: &[u8], item: &[u8]) -> u128 {
    let mut hash = Sha256::new_with_prefix(key);
    hash.update(item);
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk()
        .map_or(0, |half| u128::from_be_bytes(*half))
}

impl Follower {
    /// At the start of a journal: for an empty index.
    pub(crate) fn new(store: StoreId) -> Self {
        let mark = IndexMark {
            store,
            group: 0,
            chain: Chain([0; 32]),
            items: 0,
            sum: 0,
        };
        Follower::at(mark, Vec::new())
    }

    fn at(mark: IndexMark, runs: Vec<Run>) -> Self {
        Follower {
            mark,
            ahead: mark,
            fresh: Vec::new(),
            runs,
            merge: None,
            chunks: BTreeMap::new(),
            keys: KeyCache::new(),
            steps: 0,
            walk: None,
        }
    }

    /// Up to where the index goes: what was entered since is not written yet.
    pub(crate) const fn mark(&self) -> IndexMark {
        self.mark
    }

    /// Goes on from a mark, if the index is what it says and the journal is the one it was made
    /// from. What is behind the mark is taken away: it is entered again.
    pub(crate) fn resume(
        index: &dyn DeepIndexMut,
        shared: &Arc<Shared>,
        mark: IndexMark,
    ) -> Result<Self, FollowError> {
        let bad = |what: &str| Err(DeepError(what.to_owned()).into());
        if mark.group > shared.read().groups {
            return bad("it goes further than the journal");
        }
        if !joins(shared, &mark)? {
            return bad("it is of another journal");
        }
        let runs = runs_up_to(index, mark.group)?;
        let (items, sum) = count(index, mark.group)?;
        if (items, sum) != (mark.items, mark.sum) {
            return bad("it does not hold what was entered");
        }
        Ok(Follower::at(mark, runs))
    }

    /// Enters groups, at least one if there is one and about `records` records; whether there are
    /// more. They are not there before they are written. After an error the index is of no more use.
    pub(crate) fn step(
        &mut self,
        index: &dyn DeepIndexMut,
        shared: &Arc<Shared>,
        records: usize,
    ) -> Result<bool, FollowError> {
        self.steps = self.steps.wrapping_add(1);
        let _reading = shared.reading();
        let first = RecordId {
            group: self.ahead.group.saturating_add(1),
            index: 0,
        };
        if shared.read().groups < first.group {
            return Ok(false);
        }
        let mut kept = self.walk.take();
        if let Some(walk) = &mut kept
            && !walk.go_on()?
        {
            kept = None;
        }
        let mut walk = match kept {
            Some(walk) => walk,
            None => match Walk::before(shared, first)? {
                Some(walk) => walk,
                None => return Ok(false),
            },
        };
        let mut ranges: BTreeMap<u16, RawRange> = BTreeMap::new();
        let mut group = 0;
        let mut count = 0_usize;
        let more = loop {
            let Some(passed) = walk.next()? else {
                break false;
            };
            let id = passed.place.record;
            if id.group < first.group {
                continue;
            }
            if id.group != group {
                group = id.group;
                ranges.clear();
            }
            count = count.saturating_add(1);
            self.enter(index, &passed, &mut ranges)?;
            if walk.at_end_of_group() {
                self.ahead.group = id.group;
                self.ahead.chain = walk.chain().unwrap_or(self.ahead.chain);
                if count >= records {
                    break walk.has_more();
                }
            }
        };
        self.walk = Some(walk);
        Ok(more)
    }

    /// Whether something was entered and is not written.
    pub(crate) fn has_fresh(&self) -> bool {
        self.ahead != self.mark
    }

    /// Whether as much was entered as should be written at once.
    pub(crate) fn is_due(&self) -> bool {
        // A message of its own range is three: its id, its place in its space, and its range.
        self.ahead.items.saturating_sub(self.mark.items) >= RUN * 3
    }

    /// Writes what was entered.
    pub(crate) fn flush(&mut self, index: &dyn DeepIndexMut) -> Result<(), DeepError> {
        self.write(index)?;
        if !self.fresh.is_empty() {
            self.write_run(index)?;
        }
        self.mark = self.ahead;
        Ok(())
    }

    fn write_run(&mut self, index: &dyn DeepIndexMut) -> Result<(), DeepError> {
        // One that is small is written again with the new ones.
        let small = self.runs.pop_if(|run| run.items < RUN);
        let mut from = self.runs.last().map_or(0, |run| run.to);
        if let Some(small) = small {
            from = small.from;
            self.fresh.extend(read(index, small)?);
        }
        self.fresh.sort_unstable();
        let mut run = RunWriter::new(from, self.ahead.group);
        for item in self.fresh.drain(..) {
            run.push(index, item)?;
        }
        self.runs.extend(run.finish(index)?);
        small.map_or(Ok(()), |small| index.remove_run(small))
    }

    /// Makes one of several runs if it is time to, about so many items of them; whether there is
    /// more to do. `marked` is the group of the mark that was kept last.
    pub(crate) fn merge(
        &mut self,
        index: &dyn DeepIndexMut,
        marked: u64,
        most: usize,
    ) -> Result<bool, DeepError> {
        if self.merge.is_none()
            && let Some(sources) = Merge::plan(&self.runs, marked)
        {
            let merge = Merge::new(self.runs.get(sources.clone()).unwrap_or_default());
            self.merge = Some((sources, merge));
        }
        let Some((_, merge)) = &mut self.merge else {
            return Ok(false);
        };
        if merge.go_on(index, most)?
            && let Some((sources, merge)) = self.merge.take()
        {
            let run = merge.finish(index)?;
            self.runs.splice(sources, [run]);
        }
        Ok(true)
    }

    fn enter(
        &mut self,
        index: &dyn DeepIndexMut,
        passed: &Passed,
        ranges: &mut BTreeMap<u16, RawRange>,
    ) -> Result<(), FollowError> {
        let record = passed.place.record;
        let damaged = || ReadError::Damaged {
            segment: passed.place.segment,
            offset: passed.place.offset,
            what: crate::error::Damage::Record,
        };
        match passed.kind {
            RecordKind::Entry => {
                let head = without_bodies(&passed.meta);
                let range = RawRange::from_parts(head, Bytes::new(), &mut self.keys)
                    .map_err(|_| damaged())?;
                let block = OldBlock {
                    end: range.end(),
                    record,
                };
                let start = range.start().get().to_be_bytes();
                let tag = feed_tag(&range.feed());
                self.append(index, BLOCKS, &tag, &start, &block_bytes(block))?;
                ranges.insert(record.index, range);
            }
            RecordKind::Content => {
                let meta = ContentMeta::decode(&passed.meta, &mut self.keys);
                let ContentMeta::Entry { back, row } = meta.ok_or_else(damaged)? else {
                    return Ok(());
                };
                let range = record.back(back).and_then(|id| ranges.get(&id.index));
                let (range, row) = range
                    .and_then(|range| Some((range, range.row(row.into())?)))
                    .ok_or_else(damaged)?;
                let feed = range.feed();
                let found = record_bytes(record);
                let tag = message_tag(&feed.author, &feed.space, &row.message);
                self.ahead
                    .count(item_sum(&key(MESSAGES, &tag, &[]), &found));
                self.fresh.push(Item { tag, record });
                let tag = space_tag(&feed.space);
                self.append(index, PAGES, &tag, &found, &found)?;
            }
            RecordKind::Drop | RecordKind::Put | RecordKind::Delete | RecordKind::Gone => {}
        }
        Ok(())
    }

    /// Adds an item behind the others of its tag; `start` is the end of the key if it begins a new
    /// chunk.
    fn append(
        &mut self,
        index: &dyn DeepIndexMut,
        kind: u8,
        tag: &Tag,
        start: &[u8],
        item: &[u8],
    ) -> Result<(), DeepError> {
        let full = CHUNK.saturating_mul(item.len());
        if !self.chunks.contains_key(&(kind, *tag)) {
            if self.chunks.len() >= OPEN_CHUNKS {
                self.write(index)?;
                self.forget_oldest();
            }
            let chunk = last_chunk(index, kind, tag)?;
            self.chunks.insert((kind, *tag), chunk);
        }
        let Some(chunk) = self.chunks.get_mut(&(kind, *tag)) else {
            return Ok(());
        };
        if chunk.key.is_empty() || chunk.value.len() >= full {
            if chunk.is_new {
                index.put(&chunk.key, &chunk.value)?;
            }
            chunk.key = key(kind, tag, start);
            chunk.value.clear();
        }
        self.ahead.count(item_sum(&chunk.key, item));
        chunk.value.extend_from_slice(item);
        chunk.is_new = true;
        chunk.used = self.steps;
        Ok(())
    }

    /// Writes the chunks that were appended to.
    fn write(&mut self, index: &dyn DeepIndexMut) -> Result<(), DeepError> {
        for chunk in self.chunks.values_mut().filter(|chunk| chunk.is_new) {
            index.put(&chunk.key, &chunk.value)?;
            chunk.is_new = false;
        }
        Ok(())
    }

    /// Forgets the half that was not appended to for longest.
    fn forget_oldest(&mut self) {
        let mut used: Vec<u64> = self.chunks.values().map(|chunk| chunk.used).collect();
        used.sort_unstable();
        let middle = used.get(used.len() / 2).copied().unwrap_or(u64::MAX);
        self.chunks.retain(|_, chunk| chunk.used > middle);
    }
}

fn block_bytes(block: OldBlock) -> [u8; BLOCK_BYTES] {
    let mut bytes = [0; BLOCK_BYTES];
    let end = block.end.get().to_be_bytes().into_iter();
    for (to, from) in bytes.iter_mut().zip(end.chain(record_bytes(block.record))) {
        *to = from;
    }
    bytes
}

/// The last chunk of a feed or a space.
fn last_chunk(index: &dyn DeepIndexMut, kind: u8, tag: &Tag) -> Result<Chunk, DeepError> {
    let mut chunk = Chunk {
        key: Vec::new(),
        value: Vec::new(),
        is_new: false,
        used: 0,
    };
    let from = key(kind, tag, &[]);
    let to = key(kind, tag, &[0xFF; RECORD_BYTES]);
    index.scan(&from, &to, true, &mut |key, value| {
        chunk.key = key.to_vec();
        chunk.value = value.to_vec();
        false
    })?;
    Ok(chunk)
}

/// Whether the journal has this running hash at the mark.
fn joins(shared: &Arc<Shared>, mark: &IndexMark) -> Result<bool, ReadError> {
    if mark.group == 0 {
        return Ok(true);
    }
    let _reading = shared.reading();
    let record = RecordId {
        group: mark.group,
        index: 0,
    };
    let Some(mut walk) = Walk::before(shared, record)? else {
        return Ok(false);
    };
    while let Some(passed) = walk.next()? {
        if passed.place.record >= record {
            let same = passed.place.record.group == mark.group;
            return Ok(same && walk.chain() == Some(mark.chain));
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
