//! The data directory of a node: its lock, its secrets, and the file that says where it runs.
//!
//! | name | what it is |
//! |---|---|
//! | `lock` | held by the one process that has the directory |
//! | `identity.key` | the identity, unless it is given otherwise (`docs/protocol/identity.md`) |
//! | `store.key` | what the journal is sealed under |
//! | `token` | what the control surface asks for |
//! | `control.json` | process and addresses of the running node |
//! | `config.toml` | settings; the daemon reads it |
//! | `HEAD`, `journal/`, `checkpoint-N`, `index/`, `blobs/`, `ballast` | the store's |
//! | `rebuild.new/`, `rebuild/`, `damaged-N/`, `replaced-N/` | of a rebuild, restore or import: the new store, and the old files |
//!
//! The directory has mode 0700 and its files 0600, whatever the umask. A directory or a secret
//! that is open to others, or belongs to another user, is refused with the command that mends it.
//!
//! Everything here blocks on the disk, shortly. It is meant for start and stop.
//!
//! ```no_run
//! use skychat_core::datadir::{DataDir, IdentitySources};
//!
//! let dir = DataDir::open("/var/lib/skychat")?;               // until it is dropped, it is ours
//! let (secret, source) = dir.identity(IdentitySources::default())?;
//! println!("{} from {source}", secret.public());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod control;
mod identity;
pub(crate) mod keys;
mod lock;
mod mode;

use std::path::{Path, PathBuf};

use skychat_api::{Code, ControlFile};
use skychat_identity::SecretKey;
use skychat_seal::StoreKey;

use crate::upkeep;

pub use control::{ControlError, Running};
pub use identity::{
    CONFIG_LIMIT, IDENTITY_VARIABLE, IdentityError, IdentitySource, IdentitySources,
    resolve_identity,
};
pub use keys::{SecretFileError, Token};
pub use lock::LockError;
pub(crate) use mode::create as create_private;
pub use mode::{DIR_MODE, FILE_MODE, PrivateFileError, read_private, tighten_umask};

/// Name of the file that is locked.
pub const LOCK: &str = "lock";
/// Name of the file with the identity.
pub const IDENTITY_KEY: &str = "identity.key";
/// Name of the file with the key of the journal.
pub const STORE_KEY: &str = "store.key";
/// Name of the file with the token of the control surface.
pub const TOKEN: &str = ControlFile::TOKEN_NAME;
/// Name of the file that says where the node runs.
pub const CONTROL: &str = ControlFile::NAME;
/// Name of the file with the settings.
pub const CONFIG: &str = "config.toml";

/// A data directory that this process has: nobody else opens it while this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: lock::Lock,
}

impl DataDir {
    /// Opens the directory, or makes it, and takes its lock. What a killed process left behind
    /// (its `control.json`, half-written files) is removed.
    ///
    /// # Errors
    /// [`OpenError::Lock`] if another process has it; [`OpenError::File`] if it, or a secret in
    /// it, is open to others or belongs to somebody else; [`OpenError::Unfinished`] if a rebuild of
    /// its store was interrupted.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let dir = DataDir::open_unfinished(path.as_ref())?;
        if upkeep::swap::is_pending(&dir.path) {
            let dir = dir.path.clone();
            return Err(OpenError::Unfinished { dir });
        }
        Ok(dir)
    }

    /// The same, whether or not a rebuild of its store was interrupted.
    pub(crate) fn open_unfinished(path: &Path) -> Result<Self, OpenError> {
        mode::open_dir(path)?;
        let lock = lock::Lock::take(path)?;
        for name in [IDENTITY_KEY, STORE_KEY, TOKEN] {
            mode::check_if_there(&path.join(name))?;
        }
        mode::remove(&path.join(CONTROL))?;
        for name in [IDENTITY_KEY, STORE_KEY, TOKEN, CONTROL] {
            mode::remove(&mode::draft_of(path, name))?;
        }
        Ok(DataDir {
            path: path.into(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity of the node: from `given` by the rules of [`resolve_identity`], else from
    /// `identity.key`, which is made if this directory was never used.
    ///
    /// # Errors
    /// [`IdentityError`]. A missing key file beside a journal is
    /// [`KeyFileLost`](IdentityError::KeyFileLost): a new identity could not read it.
    pub fn identity(
        &self,
        given: IdentitySources<'_>,
    ) -> Result<(SecretKey, IdentitySource), IdentityError> {
        let path = self.path.join(IDENTITY_KEY);
        let file = match given.key_file {
            None => keys::read_identity(&self.path)?,
            Some(_) => None,
        };
        let key_file = file
            .as_deref()
            .map(|file| (path.as_path(), file.as_slice()));
        let all = IdentitySources {
            key_file: given.key_file.or(key_file),
            ..given
        };
        match resolve_identity(&all) {
            Err(IdentityError::NoIdentity) if self.has_journal() => {
                Err(IdentityError::KeyFileLost { path })
            }
            Err(IdentityError::NoIdentity) => {
                let secret = keys::create_identity(&self.path)?;
                Ok((secret, IdentitySource::KeyFile { path, new: true }))
            }
            other => other,
        }
    }

    /// The key of the journal: from `store.key`, which is made if there is no journal yet.
    ///
    /// # Errors
    /// [`SecretFileError::StoreKeyLost`] if there is a journal and no key;
    /// [`SecretFileError::StoreKey`] if the file is damaged.
    pub fn store_key(&self) -> Result<StoreKey, SecretFileError> {
        keys::store_key(&self.path, self.has_journal())
    }

    /// The key of the journal, if there is one.
    pub(crate) fn store_key_if_there(&self) -> Result<Option<StoreKey>, SecretFileError> {
        keys::store_key_if_there(&self.path)
    }

    /// The token of the control surface: from `token`, which is made if it is missing.
    ///
    /// # Errors
    /// [`SecretFileError`].
    pub fn token(&self) -> Result<Token, SecretFileError> {
        Token::read_or_create(&self.path)
    }

    /// Says in `control.json` where the node can be reached. Again, if that changes.
    ///
    /// # Errors
    /// [`ControlError`]; what was said before still stands.
    pub fn publish(&self, control: &ControlFile) -> Result<(), ControlError> {
        control::write(&self.path, control)
    }

    /// Removes `control.json`: the node is stopping. Dropping the value does it too.
    ///
    /// # Errors
    /// [`PrivateFileError::Io`].
    pub fn withdraw(&self) -> Result<(), PrivateFileError> {
        mode::remove(&self.path.join(CONTROL))
    }

    /// Whether something was ever stored here. What cannot be looked at counts as being there.
    pub(crate) fn has_journal(&self) -> bool {
        let there = |name: &str| self.path.join(name).try_exists().unwrap_or(true);
        let segments = match std::fs::read_dir(self.path.join("journal")) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        };
        segments || there("HEAD")
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // Before the lock goes: afterwards it may be somebody else's.
        let _ = self.withdraw();
    }
}

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It, or a file in it, cannot be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// It could not be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A rebuild of its store was interrupted.
    #[error(
        "{}: a rebuild of the store was interrupted; `skychatd store rebuild` finishes it",
        dir.display()
    )]
    Unfinished {
        /// The directory.
        dir: PathBuf,
    },
}

impl OpenError {
    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            OpenError::File(error) => error.code(),
            OpenError::Lock(error) => error.code(),
            OpenError::Unfinished { .. } => Code::StoreDamaged,
        }
    }
}

#[cfg(test)]
mod tests;
