//! Message ids in the index: sorted runs that are written once. Ids are random, so a tree with a
//! key for each would be written all over for every message.

#[cfg(feature = "sled")]
use super::record_bytes;
use super::{DeepError, KeyValues, RECORD_BYTES, TAG, Tag, record_of};
use crate::index::RecordId;

/// Items of runs, many under one key.
pub(crate) const MESSAGES: u8 = b'm';
/// One key for each run that is whole.
pub(crate) const RUNS: u8 = b'r';

/// A tag and its record.
pub(crate) const ITEM_BYTES: usize = TAG + RECORD_BYTES;
/// Kind, groups, and the first item.
const CHUNK_KEY: usize = RUN_KEY + ITEM_BYTES;
/// Kind and groups.
const RUN_KEY: usize = 1 + 8 + 8;

/// What leads from a message id to a record. Ordered as in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) tag: Tag,
    pub(crate) record: RecordId,
}

impl Item {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, record) = bytes.split_first_chunk::<TAG>()?;
        if record.len() != RECORD_BYTES {
            return None;
        }
        Some(Item {
            tag: *tag,
            record: record_of(record)?,
        })
    }
}

/// The ids in some groups, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The group before the first one.
    pub(crate) from: u64,
    /// The last group.
    pub(crate) to: u64,
    pub(crate) items: u64,
}

impl Run {
    fn key_of(self, kind: u8, item: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(CHUNK_KEY);
        key.push(kind);
        key.extend_from_slice(&self.to.to_be_bytes());
        key.extend_from_slice(&self.from.to_be_bytes());
        key.extend_from_slice(item);
        key
    }

    /// From its key and value.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        if key.len() != RUN_KEY || value.len() != 8 {
            return None;
        }
        let (to, from) = groups_of(key)?;
        Some(Run {
            from,
            to,
            items: u64::from_be_bytes(*value.first_chunk()?),
        })
    }

    fn find(self, index: &dyn KeyValues, tag: &Tag) -> Result<Option<RecordId>, DeepError> {
        let mut last = [0xFF; ITEM_BYTES];
        for (to, from) in last.iter_mut().zip(tag) {
            *to = *from;
        }
        let (start, end) = (self.key_of(MESSAGES, &[]), self.key_of(MESSAGES, &last));
        let mut found = None;
        // The last chunk that does not begin behind it.
        index.scan(&start, &end, true, &mut |_, value| {
            found = items(value).find(|item| item.tag == *tag);
            false
        })?;
        Ok(found.map(|item| item.record))
    }
}

/// For the one who writes runs.
#[cfg(feature = "sled")]
impl Item {
    pub(crate) fn to_bytes(self) -> [u8; ITEM_BYTES] {
        let mut bytes = [0; ITEM_BYTES];
        let parts = self.tag.into_iter().chain(record_bytes(self.record));
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }
}

/// For the one who writes them.
#[cfg(feature = "sled")]
impl Run {
    pub(crate) fn key(self) -> Vec<u8> {
        self.key_of(RUNS, &[])
    }

    pub(crate) fn chunk_key(self, first: Item) -> Vec<u8> {
        self.key_of(MESSAGES, &first.to_bytes())
    }

    /// The keys of its chunks stand between these.
    pub(crate) fn chunk_keys(self) -> (Vec<u8>, Vec<u8>) {
        (
            self.key_of(MESSAGES, &[]),
            self.key_of(MESSAGES, &[0xFF; ITEM_BYTES]),
        )
    }

    /// Whether all groups of another one are in this one.
    pub(crate) const fn covers(self, other: Run) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

/// Last group and group before the first, of a key of a run or of a chunk.
pub(crate) fn groups_of(key: &[u8]) -> Option<(u64, u64)> {
    let (to, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    let from = rest.first_chunk::<8>()?;
    Some((u64::from_be_bytes(*to), u64::from_be_bytes(*from)))
}

/// The items of a chunk.
pub(crate) fn items(value: &[u8]) -> impl Iterator<Item = Item> {
    value.chunks(ITEM_BYTES).filter_map(Item::from_bytes)
}

/// The runs that are whole, the oldest first.
pub(crate) fn runs(index: &dyn KeyValues) -> Result<Vec<Run>, DeepError> {
    let mut found = Vec::new();
    let mut bad = false;
    let mut end = [0xFF; RUN_KEY];
    if let Some(kind) = end.first_mut() {
        *kind = RUNS;
    }
    index.scan(&[RUNS], &end, false, &mut |key, value| {
        let run = Run::decode(key, value);
        bad |= run.is_none();
        found.extend(run);
        !bad
    })?;
    if bad {
        return Err(DeepError("a run that is none".to_owned()));
    }
    Ok(found)
}

/// The record of the content that was taken under an id: one of them, if there are several.
pub(crate) fn find(index: &dyn KeyValues, tag: &Tag) -> Result<Option<RecordId>, DeepError> {
    let mut there = runs(index)?;
    loop {
        for run in there.iter().rev() {
            if let Some(record) = run.find(index, tag)? {
                return Ok(Some(record));
            }
        }
        // One may have been merged into another and taken away while it was looked at.
        let now = runs(index)?;
        if there.iter().all(|run| now.contains(run)) {
            return Ok(None);
        }
        there = now;
    }
}
