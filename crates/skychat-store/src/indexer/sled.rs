//! The index on disk in sled. sled says little about damage, and panics: whatever it does, the
//! index is made again.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::deep::{DeepError, GoOn, KeyValues, KeyValuesMut};

/// Bytes of the tree that sled keeps in memory, about.
const CACHE: u64 = 8 * 1024 * 1024;

/// A tree of sled.
pub(super) struct SledIndex(sled::Db);

impl fmt::Debug for SledIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SledIndex")
    }
}

/// What sled does, without its panics.
fn contained<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, DeepError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| DeepError(error.to_string())),
        Err(_) => Err(DeepError("sled panicked".to_owned())),
    }
}

impl SledIndex {
    pub(super) fn open(path: &Path) -> Result<Self, DeepError> {
        contained(|| {
            sled::Config::new()
                .path(path)
                .cache_capacity(CACHE)
                .flush_every_ms(None)
                .open()
        })
        .map(SledIndex)
    }
}

impl KeyValues for SledIndex {
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        backwards: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> GoOn,
    ) -> Result<(), DeepError> {
        contained(|| {
            let mut found = self.0.range(from..=to);
            while let Some(item) = if backwards {
                found.next_back()
            } else {
                found.next()
            } {
                let (key, value) = item?;
                if !each(&key, &value) {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl KeyValuesMut for SledIndex {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), DeepError> {
        contained(|| self.0.insert(key, value).map(drop))
    }

    fn remove(&self, key: &[u8]) -> Result<(), DeepError> {
        contained(|| self.0.remove(key).map(drop))
    }

    fn flush(&self) -> Result<(), DeepError> {
        contained(|| self.0.flush().map(drop))
    }
}
