//! A run as it stands in its file: chunks of items, each with a checksum.

use super::runs::{CHUNK, Item, Run};
use super::{RECORD_BYTES, TAG, record_bytes, record_of};

/// A tag and its record.
const ITEM_BYTES: usize = TAG + RECORD_BYTES;
/// Items, and a checksum.
pub(crate) const CHUNK_BYTES: usize = CHUNK * ITEM_BYTES + SUM_BYTES;
const SUM_BYTES: usize = 4;

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

impl Run {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::RecordId;

    #[test]
    fn a_length_says_how_many_items_there_are() {
        let lengths: Vec<u64> = (1..200).map(Run::length).collect();
        for length in 0..Run::length(199) {
            let items = lengths.iter().position(|one| *one == length);
            let items = items.map(|at| at as u64 + 1);
            assert_eq!(Run::items_in(length), items, "{length} bytes");
        }
    }

    #[test]
    fn a_chunk_is_of_one_place_in_one_run() {
        let run = Run {
            from: 3,
            to: 9,
            items: 70,
        };
        let record = RecordId { group: 5, index: 2 };
        let item = |n| Item {
            tag: [n; TAG],
            record,
        };
        let items: Vec<Item> = (0..6).map(item).collect();
        let bytes = run.encode(1, &items);
        assert_eq!(run.decode(1, &bytes), Some(items));
        assert_eq!(run.decode(0, &bytes), None);
        assert_eq!(Run { to: 8, ..run }.decode(1, &bytes), None);
        assert_eq!(run.decode(1, &[]), None);
        assert_eq!(run.decode(1, &run.encode(1, &[])), None);
        for byte in 0..bytes.len() {
            let mut changed = bytes.clone();
            if let Some(byte) = changed.get_mut(byte) {
                *byte ^= 1;
            }
            assert_eq!(run.decode(1, &changed), None);
        }
    }
}
