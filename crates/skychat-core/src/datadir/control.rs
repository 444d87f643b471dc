//! `control.json`: where a running node can be reached, for clients on the same machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use skychat_api::Code;
use skychat_identity::PublicKey;
use skychat_proto::ids::Timestamp;

use super::mode::{self, PrivateFileError};
use super::{CONTROL, SecretFileError, Token};

/// Most bytes of a `control.json` that are read.
const LIMIT: usize = 64 * 1024;

/// What a running node says of itself in `control.json`. Written when it is up, removed when it
/// stops. A killed node leaves one behind: whoever finds nobody at its address takes the node for
/// stopped. The truth is in the lock.
///
/// Members that are not known here are passed over, so that a later node can say more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Its process.
    pub pid: u32,
    /// Whose node it is.
    pub key: PublicKey,
    /// When it started, in milliseconds since 1970.
    pub started: Timestamp,
    /// The address of the control surface, if it has one.
    #[serde(default)]
    pub http: Option<SocketAddr>,
    /// Where it listens for links.
    #[serde(default)]
    pub links: Vec<SocketAddr>,
    /// The UNIX socket of the control surface, if it has one.
    #[serde(default)]
    pub socket: Option<PathBuf>,
}

impl Control {
    /// Reads the file in `dir`.
    ///
    /// # Errors
    /// [`ControlError::NotRunning`] if there is none.
    pub fn read(dir: &Path) -> Result<Self, ControlError> {
        let path = dir.join(CONTROL);
        let text = mode::read_private(&path, LIMIT).map_err(|error| match error {
            PrivateFileError::Missing { .. } => ControlError::NotRunning { dir: dir.into() },
            other => ControlError::File(other),
        })?;
        serde_json::from_slice(&text).map_err(|source| ControlError::Malformed { path, source })
    }

    pub(super) fn write(&self, dir: &Path) -> Result<(), ControlError> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|source| ControlError::Malformed {
                path: dir.join(CONTROL),
                source,
            })?;
        text.push(b'\n');
        mode::replace(dir, CONTROL, &text)?;
        Ok(())
    }
}

/// What a client on the same machine needs to talk to a running node.
#[derive(Debug)]
pub struct Running {
    /// Where it is.
    pub control: Control,
    /// What it asks for.
    pub token: Token,
}

impl Running {
    /// Looks into the data directory of a node. No lock is taken and nothing is written.
    ///
    /// # Errors
    /// [`ControlError::NotRunning`] if no node has said that it runs there.
    pub fn find(dir: &Path) -> Result<Self, ControlError> {
        let control = Control::read(dir)?;
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
    /// The file is no such file, or a path in it is no text.
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
