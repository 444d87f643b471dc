//! How large a store is.

use super::StoreReader;
use crate::sweep::Sweeps;

/// How much of the journal is of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of journal that are in use.
    pub total: u64,
    /// How many of them would be left if all that is dead, and overwritten, were left out; about.
    pub live: u64,
    /// Nothing is dead that is not overwritten.
    pub is_swept: bool,
    /// The sweeps that overwrite it.
    pub sweeps: Sweeps,
}

/// How large a store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// Groups so far: commits.
    pub groups: u64,
    /// Records so far.
    pub records: u64,
    /// Bytes of journal that are in use.
    pub bytes: u64,
}

impl StoreReader {
    /// How large the store is.
    pub fn size(&self) -> StoreSize {
        let index = self.index();
        StoreSize {
            groups: index.groups,
            records: index.records,
            bytes: index.bytes,
        }
    }

    /// How much of the journal is of use.
    pub fn usage(&self) -> Usage {
        let index = self.index();
        let dead = index
            .dead
            .values()
            .fold(0, |sum: u64, dead| sum.saturating_add(*dead));
        Usage {
            total: index.bytes,
            live: index.bytes.saturating_sub(dead),
            is_swept: index.unswept.is_empty(),
            sweeps: index.sweeps,
        }
    }
}
