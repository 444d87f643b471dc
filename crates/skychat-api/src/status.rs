//! How a node is doing.

use serde::{Deserialize, Serialize};
use skychat_identity::PublicKey;
use skychat_proto::ids::{Incarnation, Timestamp};

use crate::words::{text, words};
use crate::{Cursor, Direction, V1};

words! {
    /// Where the identity came from.
    IdentitySource {
        /// The flag `--sk`.
        Flag = "flag",
        /// The environment.
        Environment = "environment",
        /// The JSON file named by `-c`.
        File = "file",
        /// The key file of the data directory.
        DataDir = "data_dir",
        /// Drawn for this run only.
        Ephemeral = "ephemeral",
        /// Given by the program that embeds the node.
        Embedded = "embedded",
    }
}

words! {
    /// What kind of writer a life is (INC-1).
    WriterKind {
        /// A node with its store on disk.
        Node = "node",
        /// A node whose store is memory.
        Memory = "memory",
        /// A program that sends one message and stops.
        OneShot = "one_shot",
    }
}

words! {
    /// Who may open a link to this node.
    Admission {
        /// Anybody.
        Open = "open",
        /// The keys of the whitelist, and members of group spaces we joined.
        Whitelist = "whitelist",
        /// The keys of the whitelist only.
        WhitelistStrict = "whitelist_strict",
    }
}

words! {
    /// What a peer limits us by (SYNC-4).
    LimitCause {
        /// Too much in a short time.
        Rate = "rate",
        /// What it keeps for us is full.
        Quota = "quota",
        /// Its disk is full.
        Disk = "disk",
        /// Nobody there consented to hear from us yet, and what it takes from strangers is used up.
        Consent = "consent",
        /// Its memory is short.
        Memory = "memory",
    }
}

/// Why what is owed to a peer has not arrived yet. Absence alone never fails a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitReason {
    /// A link is up and it is on its way.
    InFlight,
    /// No address of the peer is known, and it has not come to us.
    NoAddress,
    /// No link to the peer.
    Offline {
        /// Since when, in milliseconds since 1970; absent when it was never here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// The peer closes the link on us: it does not admit us.
    NotAdmitted,
    /// The peer asked us to wait.
    Limited {
        /// What it limits us by.
        cause: LimitCause,
    },
    /// No sealing key of the peer is known.
    NoKey,
}

impl WaitReason {
    /// The word in `why`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::NoAddress => "no_address",
            Self::Offline { .. } => "offline",
            Self::NotAdmitted => "not_admitted",
            Self::Limited { .. } => "limited",
            Self::NoKey => "no_key",
        }
    }
}

/// How a node is doing: identity, links, what is owed to whom, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the document.
    pub v: V1,
    /// Version of the program.
    pub version: String,
    /// The node's key.
    pub public_key: PublicKey,
    /// Where the identity came from.
    pub identity: IdentitySource,
    /// The life the node is in.
    pub incarnation: Incarnation,
    /// What kind of writer it is.
    pub writer: WriterKind,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// The number of its process.
    pub pid: u32,
    /// Tasks that are alive in its runtime, all of the program's; 0 when it was asked from outside of it.
    pub tasks: u64,
    /// Where it listens.
    pub listen: Vec<ListenStatus>,
    /// Who may open a link to it.
    pub admission: Admission,
    /// The links that are up.
    pub links: Vec<LinkStatus>,
    /// Everybody it has something to do with: configured, linked or owed something.
    pub peers: Vec<PeerStatus>,
    /// The store.
    pub store: StoreStatus,
    /// What is wrong, for people, a line each; empty when all is well.
    pub degraded: Vec<String>,
}

/// An address the node listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenStatus {
    /// What for: `tcp` takes links, `http` is the control surface.
    pub carrier: String,
    /// The address, `host:port`.
    pub addr: String,
    /// Whether it listens now; a listener that was lost is retried.
    pub up: bool,
}

/// A link that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The key proved at its other end.
    pub peer: PublicKey,
    /// The address of the other end, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr: Option<String>,
    /// Who opened it: `in` the peer, `out` this node.
    pub direction: Direction,
    /// The life of the peer.
    pub incarnation: Incarnation,
    /// Since when, in milliseconds since 1970.
    pub since: Timestamp,
    /// Bytes received over it.
    #[serde(with = "text")]
    pub received: u64,
    /// Bytes sent over it.
    #[serde(with = "text")]
    pub sent: u64,
}

/// What there is to say about a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its key.
    pub peer: PublicKey,
    /// Whether it is named in the configuration.
    pub configured: bool,
    /// Whether a link to it is up.
    pub linked: bool,
    /// The addresses it is tried at, `host:port`.
    pub addresses: Vec<String>,
    /// How many entries of ours its disk has not acknowledged: messages, and the one that opens the
    /// feed of each life.
    #[serde(with = "text")]
    pub owed: u64,
    /// Why they wait; absent when nothing is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<WaitReason>,
    /// What the last attempt to reach it ended with, for people; absent when it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The store in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// The data directory; absent when the store is memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Bytes of the journal.
    #[serde(with = "text")]
    pub bytes: u64,
    /// Groups committed in this life.
    #[serde(with = "text")]
    pub commits: u64,
    /// Where the event log stands.
    pub last_event: Cursor,
    /// Whether the index is still being opened or rebuilt.
    pub index_opening: bool,
}
