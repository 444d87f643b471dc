//! One process at a time has a data directory.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use skychat_api::Code;

use super::mode::{self, PrivateFileError};
use super::{LOCK, control};

/// The advisory lock of a data directory, held until this is dropped or the process ends, however
/// it ends. The file stays where it is: removing it would let two processes hold two locks.
#[derive(Debug)]
pub(super) struct Lock {
    held: File,
}

impl Lock {
    pub(super) fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(LOCK);
        let file = mode::open_or_create(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { held: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held {
                dir: dir.into(),
                // Only to help: who has the lock may not have written it yet.
                pid: control::read(dir).ok().map(|control| control.pid),
            }),
            Err(TryLockError::Error(source)) => Err(LockError::Refused { path, source }),
        }
    }
}

impl Drop for Lock {
    /// Closing alone would leave it with every process that this one is starting just now: between `fork` and `exec`
    /// they have all its files.
    fn drop(&mut self) {
        // Refused, the lock still ends with the last of those files.
        let _ = self.held.unlock();
    }
}

/// Why a data directory could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error(
        "{} is in use by {}; stop that, or name another directory",
        dir.display(), Process(*pid)
    )]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The process, as far as its `control.json` can be read.
        pid: Option<u32>,
    },
    /// The file system does not lock.
    #[error("could not lock {}", path.display())]
    Refused {
        /// The lock file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

impl LockError {
    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            LockError::Held { .. } => Code::StoreLocked,
            LockError::Refused { .. } => Code::StoreFailed,
            LockError::File(error) => error.code(),
        }
    }
}

struct Process(Option<u32>);

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_when_dropped_though_a_process_being_started_has_the_file() {
        let temp = tempfile::tempdir().unwrap();
        let lock = Lock::take(temp.path()).unwrap();
        // Shares what is locked, as the files of a child do until its `exec`.
        let of_child = lock.held.try_clone().unwrap();
        assert!(matches!(
            Lock::take(temp.path()),
            Err(LockError::Held { .. })
        ));
        drop(lock);
        let again = Lock::take(temp.path()).unwrap();
        drop(of_child);
        assert!(matches!(
            Lock::take(temp.path()),
            Err(LockError::Held { .. })
        ));
        drop(again);
    }
}
