//! Entering the journal into the index on disk, behind the commits: one way for what was just
//! written, for what was missed, and for all of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use skychat_identity::KeyCache;
use skychat_proto::range::RawRange;

use super::{
    BLOCK_BYTES, BLOCKS, DeepError, IndexMark, KeyValues, MESSAGES, OldBlock, PAGES, RECORD_BYTES,
    Tag, feed_tag, key, message_key, record_bytes, record_of, space_tag,
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
pub(crate) trait KeyValuesMut: KeyValues {
    /// Sets a value.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), DeepError>;

    /// Sets a value, if the key has none; whether it had none.
    fn put_new(&self, key: &[u8], value: &[u8]) -> Result<bool, DeepError>;

    /// Takes a key away.
    fn remove(&self, key: &[u8]) -> Result<(), DeepError>;

    /// Hands what was set to the system.
    fn flush(&self) -> Result<(), DeepError>;
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
    mark: IndexMark,
    chunks: BTreeMap<(u8, Tag), Chunk>,
    keys: KeyCache,
    steps: u64,
}

/// The hash of one item under its key, to be summed up.
fn item_sum(key: &[u8], item: &[u8]) -> u128 {
    let mut hash = Sha256::new_with_prefix(key);
    hash.update(item);
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk()
        .map_or(0, |half| u128::from_be_bytes(*half))
}

impl Follower {
    /// At the start of a journal: for an empty index.
    pub(crate) fn new(store: StoreId) -> Self {
        Follower::at(IndexMark {
            store,
            group: 0,
            chain: Chain([0; 32]),
            items: 0,
            sum: 0,
        })
    }

    fn at(mark: IndexMark) -> Self {
        Follower {
            mark,
            chunks: BTreeMap::new(),
            keys: KeyCache::new(),
            steps: 0,
        }
    }

    /// Up to where the index goes.
    pub(crate) const fn mark(&self) -> IndexMark {
        self.mark
    }

    /// Goes on from a mark, if the index is what it says and the journal is the one it was made
    /// from. What is behind the mark is taken away: it is entered again.
    pub(crate) fn resume(
        index: &dyn KeyValuesMut,
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
        let (items, sum) = count(index, mark.group)?;
        if (items, sum) != (mark.items, mark.sum) {
            return bad("it does not hold what was entered");
        }
        Ok(Follower::at(mark))
    }

    /// Enters groups, at least one if there is one and about `records` records; whether there are
    /// more. After an error the index is of no more use.
    pub(crate) fn step(
        &mut self,
        index: &dyn KeyValuesMut,
        shared: &Arc<Shared>,
        records: usize,
    ) -> Result<bool, FollowError> {
        self.steps = self.steps.wrapping_add(1);
        let first = RecordId {
            group: self.mark.group.saturating_add(1),
            index: 0,
        };
        if shared.read().groups < first.group {
            return Ok(false);
        }
        let Some(mut walk) = Walk::before(shared, first)? else {
            return Ok(false);
        };
        let mut group = self.mark.group;
        let mut chain = None;
        let mut ranges: BTreeMap<u16, RawRange> = BTreeMap::new();
        let mut count = 0_usize;
        let mut more = false;
        while let Some(passed) = walk.next()? {
            let id = passed.place.record;
            if id.group < first.group {
                continue;
            }
            if id.group > group {
                if count >= records {
                    more = true;
                    break;
                }
                (group, chain) = (id.group, walk.chain());
                ranges.clear();
            }
            count = count.saturating_add(1);
            self.enter(index, &passed, &mut ranges)?;
        }
        self.write(index)?;
        self.mark.group = group;
        if let Some(chain) = chain {
            self.mark.chain = chain;
        }
        Ok(more)
    }

    fn enter(
        &mut self,
        index: &dyn KeyValuesMut,
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
                let message = message_key(&feed.author, &feed.space, &row.message);
                if index.put_new(&message, &found)? {
                    self.mark.count(item_sum(&message, &found));
                }
                let tag = space_tag(&feed.space);
                self.append(index, PAGES, &tag, &found, &found)?;
            }
            RecordKind::Drop | RecordKind::Put | RecordKind::Delete => {}
        }
        Ok(())
    }

    /// Adds an item behind the others of its tag; `start` is the end of the key if it begins a new
    /// chunk.
    fn append(
        &mut self,
        index: &dyn KeyValuesMut,
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
        self.mark.count(item_sum(&chunk.key, item));
        chunk.value.extend_from_slice(item);
        chunk.is_new = true;
        chunk.used = self.steps;
        Ok(())
    }

    /// Writes the chunks that were appended to.
    fn write(&mut self, index: &dyn KeyValuesMut) -> Result<(), DeepError> {
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
fn last_chunk(index: &dyn KeyValuesMut, kind: u8, tag: &Tag) -> Result<Chunk, DeepError> {
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
    let record = RecordId {
        group: mark.group,
        index: 0,
    };
    let Some(mut walk) = Walk::before(shared, record)? else {
        return Ok(false);
    };
    while let Some(passed) = walk.next()? {
        if passed.place.record >= record {
            return Ok(passed.place.record == record && walk.chain() == Some(mark.chain));
        }
    }
    Ok(false)
}

/// Counts the items up to a group, and takes those behind it away.
fn count(index: &dyn KeyValuesMut, group: u64) -> Result<(u64, u128), DeepError> {
    let (mut items, mut sum) = (0_u64, 0_u128);
    let mut changes: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut foreign = false;
    index.scan(&[0], &[0xFF; 64], false, &mut |key, value| {
        let kind = key.first().copied().unwrap_or(0);
        let (size, record_at) = match kind {
            BLOCKS => (BLOCK_BYTES, BLOCK_BYTES - RECORD_BYTES),
            MESSAGES | PAGES => (RECORD_BYTES, 0),
            _ => {
                foreign = true;
                return false;
            }
        };
        let mut kept = 0_usize;
        for item in value.chunks(size) {
            let record = item.get(record_at..).and_then(record_of);
            let Some(record) = record.filter(|_| item.len() == size) else {
                foreign = true;
                return false;
            };
            if record.group > group {
                break;
            }
            kept = kept.saturating_add(size);
            items = items.wrapping_add(1);
            sum = sum.wrapping_add(item_sum(key, item));
        }
        if kept < value.len() {
            let value = value.get(..kept).unwrap_or_default();
            changes.push((key.to_vec(), value.to_vec()));
        }
        true
    })?;
    if foreign {
        return Err(DeepError("there is something else in it".to_owned()));
    }
    for (key, value) in changes {
        if value.is_empty() {
            index.remove(&key)?;
        } else {
            index.put(&key, &value)?;
        }
    }
    Ok((items, sum))
}

#[cfg(test)]
mod tests;
