//! What can go wrong between a program and its daemon.

use std::io;
use std::path::PathBuf;

use skychat_api::{Code, ErrorBody};

/// A request that was not answered as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No daemon announced itself in the data directory.
    #[error("no daemon runs for {}: start one with `skychatd --data-dir {}`", dir.display(), dir.display())]
    NotRunning {
        /// The data directory.
        dir: PathBuf,
    },
    /// The daemon of the data directory has its control surface switched off.
    #[error("the daemon of {} has no HTTP address", dir.display())]
    NoAddress {
        /// The data directory.
        dir: PathBuf,
    },
    /// A file of the data directory could not be used.
    #[error("reading {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file of the data directory holds something else than it should.
    #[error("{} is not {expected}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// The token file can be read by others.
    #[error("{} can be read by others (mode {mode:03o}): chmod 600 {}", path.display(), path.display())]
    Loose {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Nobody takes connections at the announced address.
    #[error("no daemon answers at {addr}")]
    Unreachable {
        /// The address, `host:port`.
        addr: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The connection broke, or the daemon did not answer in time.
    #[error("speaking to the daemon at {addr}: {what}")]
    Broken {
        /// The address, `host:port`.
        addr: String,
        /// What happened.
        what: String,
    },
    /// What answers is not a daemon of this version.
    #[error("the answer of {addr} was not understood: {what}")]
    NotUnderstood {
        /// The address, `host:port`.
        addr: String,
        /// What was wrong with it.
        what: String,
    },
    /// The daemon answered with an error.
    #[error(transparent)]
    Answer(Box<ErrorBody>),
}

impl ClientError {
    /// The code of the one table that this error stands for.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotRunning { .. } | Self::NoAddress { .. } | Self::Unreachable { .. } => {
                Code::NoDaemon
            }
            Self::File { .. } | Self::Content { .. } => Code::BadConfig,
            Self::Loose { .. } => Code::LooseFile,
            Self::Broken { .. } => Code::NoDaemon,
            Self::NotUnderstood { .. } => Code::Internal,
            Self::Answer(body) => body.code,
        }
    }

    /// Whether trying again later may help: the daemon is away, starting or busy.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NotRunning { .. } | Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Answer(body) => body.code.is_temporary(),
            _ => false,
        }
    }
}
