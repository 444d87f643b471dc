//! Up to where the index on disk goes, and what has to be in it: a small file beside it.

use crate::layout::{Chain, Fields, STORE_LEN, StoreId};

const MAGIC: &[u8; 4] = b"SKYI";
/// Of the index and this file; another one is made again.
const VERSION: u16 = 3;
const SUM_LEN: usize = 4;

/// What the index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexMark {
    pub(crate) store: StoreId,
    /// The last group that is in it.
    pub(crate) group: u64,
    /// The running hash of the journal there.
    pub(crate) chain: Chain,
    /// How many items.
    pub(crate) items: u64,
    /// Sum of the hashes of all items, whatever their order.
    pub(crate) sum: u128,
}

impl IndexMark {
    /// One more item.
    pub(crate) fn count(&mut self, sum: u128) {
        self.items = self.items.wrapping_add(1);
        self.sum = self.sum.wrapping_add(sum);
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.store);
        out.extend_from_slice(&self.group.to_be_bytes());
        out.extend_from_slice(&self.chain.0);
        out.extend_from_slice(&self.items.to_be_bytes());
        out.extend_from_slice(&self.sum.to_be_bytes());
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_be_bytes());
        out
    }

    /// `None`: not one, or of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_LEN)?)?;
        if crc32c::crc32c(fields).to_be_bytes() != *sum {
            return None;
        }
        let mut fields = Fields::new(fields);
        if fields.array::<4>()? != *MAGIC || fields.u16()? != VERSION {
            return None;
        }
        let mark = IndexMark {
            store: fields.array::<STORE_LEN>()?,
            group: fields.u64()?,
            chain: Chain(fields.array()?),
            items: fields.u64()?,
            sum: u128::from_be_bytes(fields.array()?),
        };
        fields.end()?;
        Some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_and_length_is_refused() {
        let mark = IndexMark {
            store: [3; STORE_LEN],
            group: 7,
            chain: Chain([9; 32]),
            items: 11,
            sum: u128::MAX - 4,
        };
        let bytes = mark.encode();
        assert_eq!(IndexMark::decode(&bytes), Some(mark));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1;
            }
            assert_eq!(IndexMark::decode(&changed), None);
            assert_eq!(IndexMark::decode(bytes.get(..at).unwrap_or_default()), None);
        }
    }
}
