//! Starting a node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use skychat_api::{Code, IdentitySource};
use skychat_identity::{Address, SecretKey};

use crate::datadir::{self, DataDir};
use crate::{Admission, Blame, Config, Node};

/// What a node is made from. [`Node::builder`] begins one.
#[derive(Debug)]
#[must_use = "nothing runs until `spawn`"]
pub struct NodeBuilder {
    pub(crate) identity: SecretKey,
    pub(crate) place: Place,
    pub(crate) config: Config,
}

/// Where the store of a node is.
#[derive(Debug)]
pub(crate) enum Place {
    /// In memory.
    Memory,
    /// In a directory that is still to be opened.
    Path(PathBuf),
    /// In a directory that was opened already.
    Opened(Arc<DataDir>),
    /// On a disk that can fail.
    #[cfg(test)]
    Disk(skychat_store::MemoryDisk),
}

impl NodeBuilder {
    pub(crate) fn new(identity: SecretKey) -> Self {
        NodeBuilder {
            identity,
            place: Place::Memory,
            config: Config::default(),
        }
    }

    /// Keeps everything in this directory, which is made if it is not there. The node has it,
    /// locked, until it has stopped.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Place::Path(path.into());
        self
    }

    /// The same with a directory that was opened already, as a program does that takes the
    /// identity from it. The directory stays locked until the node has stopped *and* the caller
    /// has dropped its own share of it.
    pub fn opened(mut self, dir: Arc<DataDir>) -> Self {
        self.place = Place::Opened(dir);
        self
    }

    /// Keeps everything in memory: what is accepted is lost when the node stops, and peers are
    /// told so. This is the default.
    pub fn memory(mut self) -> Self {
        self.place = Place::Memory;
        self
    }

    /// Takes links at this address too.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.config.listen.push(addr);
        self
    }

    /// Keeps a link to this peer too.
    pub fn peer(mut self, peer: Address) -> Self {
        self.config.peers.push(peer);
        self
    }

    /// Who may open a link to us. The default admits nobody.
    pub fn admission(mut self, admission: Admission) -> Self {
        self.config.admission = admission;
        self
    }

    /// Whether nobody is admitted but whom the admission names.
    pub fn strict(mut self, strict: bool) -> Self {
        self.config.strict = strict;
        self
    }

    /// What is kept, and for how long. The default keeps everything, up to 2 GiB.
    pub fn retention(mut self, retention: crate::Retention) -> Self {
        self.config.retention = retention;
        self
    }

    /// Where the identity came from, for `status`.
    pub fn identity_source(mut self, source: IdentitySource) -> Self {
        self.config.identity_source = source;
        self
    }

    /// All settings at once; replaces what was set before.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Starts the node: takes the directory, opens the store, binds every listener, then dials.
    /// Runs on the current tokio runtime, which needs its timer and its I/O enabled.
    ///
    /// # Errors
    /// [`StartError`]. Nothing is left behind: no lock, no listener, no task.
    ///
    /// # Cancel safety
    /// Dropped early, nothing is left behind once the store, if it was being opened, is closed
    /// again.
    pub async fn spawn(self) -> Result<Node, StartError> {
        crate::start::start(self).await
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory cannot be used, or another process has it.
    #[error("the data directory could not be opened")]
    DataDir(#[source] datadir::OpenError),
    /// The key of the journal cannot be used.
    #[error("the key of the store could not be read")]
    StoreKey(#[source] datadir::SecretFileError),
    /// The store could not be opened: it is damaged, of another identity, or cannot be read.
    #[error("the store could not be opened")]
    Store {
        /// What the store says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// Which code that is.
        code: Code,
    },
    /// A listener could not be bound.
    #[error("could not listen at {addr}")]
    Bind {
        /// Where.
        addr: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A peer to keep a link to has no address to dial.
    #[error("peer {} has no address to dial, expected at least one host:port", peer.short())]
    NoAddress {
        /// Which.
        peer: skychat_identity::PublicKey,
    },
    /// A peer to keep a link to is this node itself.
    #[error("a peer to keep a link to is this node's own key")]
    OwnKey,
    /// A thread could not be started, or the system gave no random bytes.
    #[error("could not start {what}")]
    System {
        /// What.
        what: &'static str,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl StartError {
    /// Whose doing it is.
    pub fn blame(&self) -> Blame {
        match self {
            StartError::NoAddress { .. } | StartError::OwnKey => Blame::Caller,
            _ => Blame::Environment,
        }
    }

    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            StartError::DataDir(error) => error.code(),
            StartError::StoreKey(error) => error.code(),
            StartError::Store { code, .. } => *code,
            StartError::Bind { .. } => Code::PortInUse,
            StartError::NoAddress { .. } => Code::MalformedAddress,
            StartError::OwnKey => Code::OwnKey,
            StartError::System { .. } => Code::Internal,
        }
    }
}
