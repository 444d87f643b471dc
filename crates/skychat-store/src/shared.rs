//! What the writer, readers and the index on disk share.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use skychat_seal::StoreKey;
use tracing::warn;

use crate::ahead::Ahead;
use crate::checkpoint::Checkpoints;
use crate::deep::{DeepError, DeepIndex};
use crate::disk::Disk;
use crate::error::{Damage, ReadError};
use crate::index::Index;
use crate::layout::StoreId;
use crate::rewrite::Chores;
use crate::seek::OldMarks;

/// Items of the tail that are forgotten at once.
#[cfg(feature = "sled")]
const FORGET: usize = 128;

/// The index on disk, as far as it goes.
#[derive(Clone, Debug)]
struct Deep {
    values: Arc<dyn DeepIndex>,
    /// The last group that is in it.
    group: u64,
}

/// What the writer and all readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) key: StoreKey,
    pub(crate) store: StoreId,
    pub(crate) ahead: Ahead,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) old_marks: OldMarks,
    pub(crate) chores: Chores,
    /// Held by readers; for writing while a segment takes the place of the one it was made from.
    swap: RwLock<()>,
    index: RwLock<Index>,
    deep: RwLock<Option<Deep>>,
    /// Where the journal is damaged, if that is why there is no index.
    damage: OnceLock<(u32, u64, Damage)>,
}

impl Shared {
    pub(crate) fn new(
        disk: Box<dyn Disk>,
        key: StoreKey,
        store: StoreId,
        checkpoints: Checkpoints,
        index: Index,
    ) -> Self {
        Shared {
            disk,
            key,
            store,
            ahead: Ahead::default(),
            checkpoints,
            old_marks: OldMarks::default(),
            chores: Chores::default(),
            swap: RwLock::new(()),
            index: RwLock::new(index),
            deep: RwLock::new(None),
            damage: OnceLock::new(),
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// While this is held, no segment takes the place of another: places stay what they are.
    pub(crate) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.swap.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for all who read.
    pub(crate) fn swapping(&self) -> RwLockWriteGuard<'_, ()> {
        self.swap.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many more bytes of journal are in use.
    pub(crate) fn grow(&self, bytes: usize) {
        let mut index = self.write();
        index.bytes = index.bytes.saturating_add(bytes as u64);
    }

    /// Where to look for what the tail of `index` does not have; `None`: the tail has all there is.
    pub(crate) fn deep(&self, index: &Index) -> Result<Option<Arc<dyn DeepIndex>>, ReadError> {
        let from = index.tail.from();
        if from <= 1 {
            return Ok(None);
        }
        let deep = self.deep.read().unwrap_or_else(PoisonError::into_inner);
        let whole = deep
            .as_ref()
            .filter(|deep| deep.group.saturating_add(1) >= from);
        let values = whole.map(|deep| Arc::clone(&deep.values));
        values.map(Some).ok_or_else(|| self.no_deep())
    }

    /// Why what is older is not found.
    fn no_deep(&self) -> ReadError {
        match self.damage.get() {
            Some(&(segment, offset, what)) => ReadError::Damaged {
                segment,
                offset,
                what,
            },
            None => ReadError::Indexing,
        }
    }

    /// Whether some of what is older is not found for now.
    pub(crate) fn is_indexing(&self) -> bool {
        matches!(self.deep(&self.read()), Err(ReadError::Indexing))
    }

    /// The index on disk is of no use: it will be made again.
    pub(crate) fn lose_deep(&self, error: &DeepError) -> ReadError {
        let mut deep = self.deep.write().unwrap_or_else(PoisonError::into_inner);
        if deep.take().is_some() {
            warn!(%error, "it is made again from the journal");
        }
        ReadError::Indexing
    }
}

/// For the one who makes the index on disk.
#[cfg(feature = "sled")]
impl Shared {
    /// There will be no index: what it is made from is damaged here.
    pub(crate) fn is_damaged(&self, segment: u32, offset: u64, what: Damage) {
        let _ = self.damage.set((segment, offset, what));
    }

    /// The index on disk goes up to this group.
    pub(crate) fn indexed(&self, values: &Arc<dyn DeepIndex>, group: u64) {
        let deep = Deep {
            values: Arc::clone(values),
            group,
        };
        *self.deep.write().unwrap_or_else(PoisonError::into_inner) = Some(deep);
    }

    /// Lets go of some of the tail that the index on disk has up to this group; whether there may
    /// be more. In parts, so that commits go on in between.
    pub(crate) fn forget(&self, group: u64) -> bool {
        self.write().tail.forget(group, FORGET)
    }

    /// Nobody follows the journal any more: the index on disk is closed.
    pub(crate) fn close_deep(&self) {
        let mut deep = self.deep.write().unwrap_or_else(PoisonError::into_inner);
        *deep = None;
    }

    /// Whether there is an index on disk that readers use.
    pub(crate) fn has_deep(&self) -> bool {
        let deep = self.deep.read().unwrap_or_else(PoisonError::into_inner);
        deep.is_some()
    }
}
