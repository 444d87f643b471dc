//! Message ids in the index: sorted runs that are written once, each a file. Ids are random, so a
//! tree with a key for each would be written all over for every message.

#[cfg(feature = "sled")]
use super::record_bytes;
use super::{DeepError, DeepIndex, RECORD_BYTES, TAG, Tag, record_of};
use crate::index::RecordId;

/// A tag and its record.
const ITEM_BYTES: usize = TAG + RECORD_BYTES;
/// Items that are read at once, under one checksum.
pub(crate) const CHUNK: usize = 64;
/// Items, and a checksum.
pub(crate) const CHUNK_BYTES: usize = CHUNK * ITEM_BYTES + SUM_BYTES;
const SUM_BYTES: usize = 4;
/// Chunks that are guessed before the search halves what is left.
const GUESSES: u32 = 4;

/// What leads from a message id to a record. Ordered as in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) tag: Tag,
    pub(crate) record: RecordId,
}

impl Item {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
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
    /// How many chunks it has.
    pub(crate) const fn chunks(self) -> u64 {
        self.items.div_ceil(CHUNK as u64)
    }

    /// The checksum of a chunk, which is bound to its place.
    fn sum(self, at: u64, items: &[u8]) -> [u8; SUM_BYTES] {
        let place = [self.to, self.from, at].map(u64::to_be_bytes);
        let sum = crc32c::crc32c(place.as_flattened());
        crc32c::crc32c_append(sum, items).to_be_bytes()
    }

    /// The items of its chunk `at`; `None`: it is not what was written.
    pub(crate) fn decode(self, at: u64, chunk: &[u8]) -> Option<Vec<Item>> {
        let (items, sum) = chunk.split_at_checked(chunk.len().checked_sub(SUM_BYTES)?)?;
        let is_sound = items.len() % ITEM_BYTES == 0 && *sum == self.sum(at, items);
        if !is_sound || items.is_empty() {
            return None;
        }
        items.chunks(ITEM_BYTES).map(Item::from_bytes).collect()
    }

    fn find(self, index: &dyn DeepIndex, tag: &Tag) -> Result<Found, DeepError> {
        let key = number(tag);
        let (mut low, mut high) = ((0, 0), (self.chunks(), u64::MAX));
        let mut guesses = 0;
        while low.0 < high.0 {
            let at = if guesses < GUESSES {
                guess(key, low, high)
            } else {
                low.0.midpoint(high.0)
            };
            guesses = guesses.saturating_add(1);
            let Some(items) = index.chunk(self, at)? else {
                return Ok(Found::Gone);
            };
            let (Some(first), Some(last)) = (items.first(), items.last()) else {
                return Err(DeepError("a run with an empty chunk".to_owned()));
            };
            if *tag < first.tag {
                high = (at, number(&first.tag));
            } else if *tag > last.tag {
                low = (at.saturating_add(1), number(&last.tag));
            } else {
                let found = items.binary_search_by(|item| item.tag.cmp(tag));
                let item = found.ok().and_then(|at| items.get(at));
                return Ok(item.map_or(Found::Not, |item| Found::At(item.record)));
            }
        }
        Ok(Found::Not)
    }
}

enum Found {
    At(RecordId),
    Not,
    /// The run is not there any more.
    Gone,
}

fn number(tag: &Tag) -> u64 {
    tag.first_chunk()
        .map_or(0, |half| u64::from_be_bytes(*half))
}

/// Which chunk to look at, from `low` on and before `high`: tags are spread evenly.
fn guess(key: u64, low: (u64, u64), high: (u64, u64)) -> u64 {
    let ((first, from), (end, to)) = (low, high);
    let chunks = u128::from(end.saturating_sub(first));
    let span = u128::from(to.saturating_sub(from)).saturating_add(1);
    let part = u128::from(key.saturating_sub(from));
    let ahead = chunks.saturating_mul(part).checked_div(span).unwrap_or(0);
    let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
    first.saturating_add(ahead).min(end.saturating_sub(1))
}

/// For the one who writes runs.
#[cfg(feature = "sled")]
impl Run {
    /// A chunk of it as it is written.
    pub(crate) fn encode(self, at: u64, items: &[Item]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        for item in items {
            bytes.extend_from_slice(&item.tag);
            bytes.extend_from_slice(&record_bytes(item.record));
        }
        let sum = self.sum(at, &bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    /// How many bytes so many items take.
    pub(crate) const fn length(items: u64) -> u64 {
        let chunks = items.div_ceil(CHUNK as u64);
        let sums = chunks.saturating_mul(SUM_BYTES as u64);
        items.saturating_mul(ITEM_BYTES as u64).saturating_add(sums)
    }

    /// How many items are in so many bytes; `None`: none would take just as many.
    pub(crate) const fn items_in(length: u64) -> Option<u64> {
        let whole = length / CHUNK_BYTES as u64;
        let rest = (length % CHUNK_BYTES as u64).saturating_sub(SUM_BYTES as u64);
        let items = whole.saturating_mul(CHUNK as u64);
        let items = items.saturating_add(rest / ITEM_BYTES as u64);
        if Run::length(items) == length && items > 0 {
            Some(items)
        } else {
            None
        }
    }

    /// Whether all groups of another one are in this one.
    pub(crate) const fn covers(self, other: Run) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

/// The record of the content that was taken under an id: one of them, if there are several.
pub(crate) fn find(index: &dyn DeepIndex, tag: &Tag) -> Result<Option<RecordId>, DeepError> {
    loop {
        let mut gone = false;
        for run in index.runs().into_iter().rev() {
            match run.find(index, tag)? {
                Found::At(record) => return Ok(Some(record)),
                Found::Not => {}
                Found::Gone => gone = true,
            }
        }
        // It was merged into another one, and taken away, while it was looked at.
        if !gone {
            return Ok(None);
        }
    }
}
