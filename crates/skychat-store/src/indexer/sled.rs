//! The index on disk in sled. sled says little about damage, and panics: whatever it does, the
//! index is made again.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::runs::RunFiles;
use crate::deep::{DeepError, DeepIndex, DeepIndexMut, GoOn, Item, Run};

/// Bytes of the tree that sled keeps in memory, about.
const CACHE: u64 = 4 * 1024 * 1024;

/// A tree of sled, and files with runs of message ids beside it.
pub(super) struct SledIndex {
    tree: sled::Db,
    runs: RunFiles,
}

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
    /// In this directory, which is there.
    pub(super) fn open(dir: &Path) -> Result<Self, DeepError> {
        let tree = contained(|| {
            sled::Config::new()
                .path(dir.join("sled"))
                .cache_capacity(CACHE)
                .flush_every_ms(None)
                .open()
        })?;
        let runs = RunFiles::open(&dir.join("runs"))?;
        Ok(SledIndex { tree, runs })
    }
}

impl DeepIndex for SledIndex {
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        backwards: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> GoOn,
    ) -> Result<(), DeepError> {
        contained(|| {
            let mut found = self.tree.range(from..=to);
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

    fn runs(&self) -> Vec<Run> {
        self.runs.runs()
    }

    fn chunk(&self, run: Run, at: u64) -> Result<Option<Vec<Item>>, DeepError> {
        self.runs.chunk(run, at)
    }
}

impl DeepIndexMut for SledIndex {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), DeepError> {
        contained(|| self.tree.insert(key, value).map(drop))
    }

    fn remove(&self, key: &[u8]) -> Result<(), DeepError> {
        contained(|| self.tree.remove(key).map(drop))
    }

    fn flush(&self) -> Result<(), DeepError> {
        contained(|| self.tree.flush().map(drop))
    }

    fn append_chunk(&self, run: Run, at: u64, chunk: &[u8]) -> Result<(), DeepError> {
        self.runs.append(run, at, chunk)
    }

    fn finish_run(&self, run: Run) -> Result<(), DeepError> {
        self.runs.finish(run)
    }

    fn remove_run(&self, run: Run) -> Result<(), DeepError> {
        self.runs.remove(run)
    }
}
