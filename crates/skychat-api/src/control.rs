//! How a running daemon is found.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};
use skychat_identity::PublicKey;
use skychat_proto::ids::Timestamp;

use crate::V1;

/// The file `control.json` of a data directory: written by a daemon when it is ready, removed when
/// it stops. It says where to look and proves nothing: the lock of the directory is the truth, and
/// the token beside it opens the control surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlFile {
    /// Version of the document.
    #[serde(default)]
    pub v: V1,
    /// The number of the daemon's process.
    pub pid: u32,
    /// The node's key.
    pub key: PublicKey,
    /// When it started, in milliseconds since 1970: tells a process number that was used again.
    pub started: Timestamp,
    /// Where its control surface listens; absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// Where it takes links.
    #[serde(default)]
    pub links: Vec<SocketAddr>,
    /// The path of the control surface's socket; absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
}

impl ControlFile {
    /// Name of the file in a data directory.
    pub const NAME: &'static str = "control.json";
    /// Name of the token file beside it.
    pub const TOKEN_NAME: &'static str = "token";
}
