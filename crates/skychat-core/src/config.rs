//! What a node runs with.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use skychat_identity::{Address, PublicKey};

/// Who may open a link to us. An empty set admits nobody; "everybody" has to be said.
///
/// It judges inbound links only: a peer we dial is one we chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Every key. Strangers are held to the quota of D12.
    Anyone,
    /// These keys. They count as configured: no quota is held against them.
    Only(BTreeSet<PublicKey>),
}

impl Admission {
    /// Whether this key may open a link.
    pub fn admits(&self, key: &PublicKey) -> bool {
        match self {
            Admission::Anyone => true,
            Admission::Only(keys) => keys.contains(key),
        }
    }
}

/// The settings of a node. The default listens nowhere, keeps no links and admits nobody.
///
/// ```
/// use skychat_core::{Admission, Config};
///
/// let config = Config {
///     listen: vec!["127.0.0.1:0".parse()?],
///     admission: Admission::Anyone,
///     ..Config::default()
/// };
/// assert!(config.peers.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Where links are taken. Every one must bind, else the node does not start. Port 0 is a
    /// free port; [`Node::listen_addrs`](crate::Node::listen_addrs) says which.
    pub listen: Vec<SocketAddr>,
    /// Peers to which a link is kept: dialled at their addresses, again and again, until one is
    /// up. They count as configured: no quota is held against them.
    pub peers: Vec<Address>,
    /// Who may open a link to us.
    pub admission: Admission,
    /// Nobody is admitted but whom `admission` names: not even members of group spaces we joined.
    pub strict: bool,
    /// What is kept, and for how long.
    pub retention: crate::Retention,
    /// Name and version of the program, told to every peer; at most 64 bytes, the rest is cut off.
    pub agent: String,
    /// Where the identity came from, for `status`.
    pub identity_source: skychat_api::IdentitySource,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: Vec::new(),
            peers: Vec::new(),
            admission: Admission::Only(BTreeSet::new()),
            strict: false,
            retention: crate::Retention::default(),
            agent: concat!("skychat/", env!("CARGO_PKG_VERSION")).into(),
            identity_source: skychat_api::IdentitySource::Embedded,
        }
    }
}
