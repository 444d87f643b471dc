//! A data directory that is not in use: looked at, mended, written out.
//!
//! [`check`] reads all of it and alters nothing. [`rebuild`] makes the index again and, if that is
//! asked for, a new store from what damage has left. [`export`] writes out what was said, which
//! [`import`] takes back, [`back_up`] all that is needed to go on elsewhere, which [`restore`] makes
//! a directory of. All of it blocks, and takes as long as reading the journal does; each holds the
//! lock of the directory meanwhile.
//!
//! ```no_run
//! use std::path::Path;
//! use skychat_core::upkeep;
//!
//! let found = upkeep::check(Path::new("/var/lib/skychat"), &mut |_| {})?;
//! if let Some(code) = found.code() {
//!     eprintln!("not in order: {}", code.word());
//! }
//! # Ok::<(), upkeep::UpkeepError>(())
//! ```

mod archive;
mod backup;
mod check;
mod draft;
mod export;
mod import;
mod rebuild;
pub(crate) mod swap;
mod verify;

use std::io;
use std::path::{Path, PathBuf};

use skychat_api::Code;
use skychat_store::OpenError;

use crate::datadir::{self, PrivateFileError, SecretFileError};
use crate::journal::open_code;

pub use archive::{ArchiveFileError, ArchiveRead, MAX_ARCHIVE_LINE, read_archive};
pub use backup::{Restored, back_up, restore};
pub use check::{Checked, FileState, check};
pub use export::{Exported, export};
pub use import::{Imported, import};
pub use rebuild::{Rebuilt, rebuild};
pub use skychat_seal::{BackupCost, BackupError};
pub use skychat_store::{CheckReport, IndexState, Loss, Progress, Warning};

/// Where the index is, in the data directory.
pub(crate) const INDEX: &str = "index";

/// Why a data directory was not dealt with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpkeepError {
    /// There is no such directory.
    #[error("there is no data directory {}", dir.display())]
    NoDirectory {
        /// Where it should be.
        dir: PathBuf,
    },
    /// Nothing was ever stored in it.
    #[error("nothing is stored in {}", dir.display())]
    Nothing {
        /// The directory.
        dir: PathBuf,
    },
    /// It is in use, or cannot be used.
    #[error("the data directory could not be opened")]
    DataDir(#[source] datadir::OpenError),
    /// The key of the journal cannot be used.
    #[error("the key of the store could not be read")]
    StoreKey(#[source] SecretFileError),
    /// The identity cannot be read.
    #[error("the identity could not be read")]
    Identity(#[source] datadir::IdentityError),
    /// The store is of somebody else, under another key, or cannot be read.
    #[error("the store could not be read")]
    Store(#[source] OpenError),
    /// The store is damaged, and nothing may be lost.
    #[error(
        "the store is damaged in {} places, the first is {}; nothing was altered. \
         `skychatd store check` names all; with --accept-loss a rebuild goes on without what is lost",
        report.losses.len(), first(report)
    )]
    Damaged {
        /// What was found.
        report: Box<CheckReport>,
    },
    /// A new store could not be written.
    #[error("the new store could not be written; the old one is as it was")]
    Write(#[source] skychat_store::WriteError),
    /// Something stored could not be read.
    #[error("a message could not be read")]
    Read(#[source] crate::ReadError),
    /// A directory that was used before is not restored over.
    #[error("{} is in use by an identity already; nothing is restored over it", dir.display())]
    Used {
        /// The directory.
        dir: PathBuf,
    },
    /// A history is imported only where there is none.
    #[error(
        "{} holds {} already, and histories are not merged; nothing was altered. With --replace the \
         archive takes its place, and what is there is put aside",
        dir.display(), held(*messages)
    )]
    Occupied {
        /// The directory.
        dir: PathBuf,
        /// How many messages can be read there; `None`: it cannot be read.
        messages: Option<u64>,
    },
    /// There is nobody whose archive it could be.
    #[error(
        "{} is not there, and no identity is given otherwise: an archive is imported by the identity \
         that exported it; put its key file there, or give it as to the daemon, before the command: \
         `skychatd -c FILE store import`", path.display()
    )]
    NoIdentity {
        /// Where the key file would be.
        path: PathBuf,
    },
    /// A backup cannot be opened, or made.
    #[error(transparent)]
    Backup(BackupError),
    /// What is in a backup is not what was written.
    #[error("the backup is damaged")]
    Archive(#[source] skychat_store::ArchiveError),
    /// A file is no archive, or not what its owner wrote.
    #[error("the archive was not taken in")]
    ArchiveFile(#[source] ArchiveFileError),
    /// A file says what somebody else did not sign.
    #[error("{what}: not what the author signed, whoever wrote the file")]
    Forged {
        /// What of it.
        what: String,
        /// Which rule is broken.
        #[source]
        source: skychat_feed::Violation,
    },
    /// A file says what no history does.
    #[error("the history in the file contradicts itself")]
    Contradiction(#[source] skychat_store::WriteError),
    /// What was to be written elsewhere was not taken.
    #[error("writing the output")]
    Output(#[source] io::Error),
    /// What was to be read from elsewhere was not given.
    #[error("reading the file")]
    Input(#[source] io::Error),
    /// The system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn held(messages: Option<u64>) -> String {
    match messages {
        Some(messages) => format!("a store with {messages} messages"),
        None => "a store that cannot be read".to_owned(),
    }
}

fn first(report: &CheckReport) -> String {
    report
        .losses
        .first()
        .map_or_else(|| "nowhere".to_owned(), ToString::to_string)
}

impl UpkeepError {
    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            UpkeepError::NoDirectory { .. }
            | UpkeepError::Nothing { .. }
            | UpkeepError::NoIdentity { .. } => Code::BadConfig,
            UpkeepError::DataDir(error) => error.code(),
            UpkeepError::StoreKey(error) => error.code(),
            UpkeepError::Identity(error) => error.code(),
            UpkeepError::Store(error) => open_code(error),
            UpkeepError::Damaged { .. } => Code::StoreDamaged,
            UpkeepError::Write(skychat_store::WriteError::Full(_)) => Code::StoreFull,
            UpkeepError::Write(_) => Code::StoreFailed,
            UpkeepError::Read(error) => error.code(),
            UpkeepError::Used { .. }
            | UpkeepError::Occupied { .. }
            | UpkeepError::ArchiveFile(ArchiveFileError::Owner { .. }) => Code::StoreOwner,
            UpkeepError::Backup(BackupError::WrongPassphrase) => Code::WrongPassphrase,
            UpkeepError::Backup(_)
            | UpkeepError::Archive(_)
            | UpkeepError::ArchiveFile(_)
            | UpkeepError::Forged { .. }
            | UpkeepError::Contradiction(_) => Code::BackupDamaged,
            UpkeepError::Output(source) if crate::journal::is_full(source) => Code::StoreFull,
            UpkeepError::Output(_) | UpkeepError::Input(_) => Code::StoreFailed,
            UpkeepError::Io { source, .. } if crate::journal::is_full(source) => Code::StoreFull,
            UpkeepError::Io { .. } => Code::StoreFailed,
        }
    }

    fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| UpkeepError::Io {
            action,
            path,
            source,
        }
    }
}

impl From<OpenError> for UpkeepError {
    fn from(error: OpenError) -> Self {
        UpkeepError::Store(error)
    }
}

impl From<ArchiveFileError> for UpkeepError {
    fn from(error: ArchiveFileError) -> Self {
        UpkeepError::ArchiveFile(error)
    }
}

impl From<skychat_store::WriteError> for UpkeepError {
    fn from(error: skychat_store::WriteError) -> Self {
        UpkeepError::Write(error)
    }
}

/// Takes the lock of a directory that has to be there.
fn open_dir(dir: &Path) -> Result<datadir::DataDir, UpkeepError> {
    match dir.try_exists() {
        Ok(false) => Err(UpkeepError::NoDirectory { dir: dir.into() }),
        _ => datadir::DataDir::open_unfinished(dir).map_err(UpkeepError::DataDir),
    }
}

/// No rebuild waits to be finished.
fn ended(dir: &Path) -> Result<(), UpkeepError> {
    if swap::is_pending(dir) {
        let dir = dir.into();
        let unfinished = datadir::OpenError::Unfinished { dir };
        return Err(UpkeepError::DataDir(unfinished));
    }
    Ok(())
}

/// A file that may be missing.
fn optional<T>(read: Result<T, PrivateFileError>) -> Result<Option<T>, PrivateFileError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(PrivateFileError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn random<const N: usize>() -> Result<[u8; N], UpkeepError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| UpkeepError::Io {
        action: "draw random bytes for",
        path: "the new store".into(),
        source: io::Error::other(error),
    })?;
    Ok(bytes)
}
