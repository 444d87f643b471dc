//! `control.json`: where a running node can be reached, for clients on the same machine.

use std::path::{Path, PathBuf};

use skychat_api::{Code, ControlFile};

use super::mode::{self, PrivateFileError};
use super::{CONTROL, SecretFileError, Token};

/// Most bytes of a `control.json` that are read.
const LIMIT: usize = 64 * 1024;

/// Reads `control.json` in `dir`. A killed node leaves one behind: whoever finds nobody at its
/// address takes the node for stopped. The truth is in the lock.
pub(super) fn read(dir: &Path) -> Result<ControlFile, ControlError> {
    let path = dir.join(CONTROL);
    let text = mode::read_private(&path, LIMIT).map_err(|error| match error {
        PrivateFileError::Missing { .. } => ControlError::NotRunning { dir: dir.into() },
        other => ControlError::File(other),
    })?;
    serde_json::from_slice(&text).map_err(|source| ControlError::Malformed { path, source })
}

/// Writes it, in place of what was there.
pub(super) fn write(dir: &Path, control: &ControlFile) -> Result<(), ControlError> {
    let mut text =
        serde_json::to_vec_pretty(control).map_err(|source| ControlError::Malformed {
            path: dir.join(CONTROL),
            source,
        })?;
    text.push(b'\n');
    mode::replace(dir, CONTROL, &text)?;
    Ok(())
}

/// What a client on the same machine needs to talk to a running node.
#[derive(Debug)]
pub struct Running {
    /// Where it is.
    pub control: ControlFile,
    /// What it asks for.
    pub token: Token,
}

impl Running {
    /// Looks into the data directory of a node. No lock is taken and nothing is written.
    ///
    /// # Errors
    /// [`ControlError::NotRunning`] if no node has said that it runs there.
    pub fn find(dir: &Path) -> Result<Self, ControlError> {
        let control = read(dir)?;
        let token = Token::read(dir)?;
        Ok(Running { control, token })
    }
}

/// Why a running node was not found, or could not say that it runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No node runs there, or it has not come up yet.
    #[error("no node is running in {}: there is no {CONTROL}", dir.display())]
    NotRunning {
        /// The data directory.
        dir: PathBuf,
    },
    /// The file is no such file.
    #[error("{} is malformed", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, and what was expected.
        source: serde_json::Error,
    },
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The token beside it cannot be used.
    #[error(transparent)]
    Token(#[from] SecretFileError),
}

impl ControlError {
    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            ControlError::NotRunning { .. } => Code::NoDaemon,
            ControlError::Malformed { .. } => Code::BadConfig,
            ControlError::File(error) => error.code(),
            ControlError::Token(error) => error.code(),
        }
    }
}
