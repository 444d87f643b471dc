//! An exported history as a file: lines of JSON that people read and an import takes back.
//!
//! First a line that says whose it is, then the messages for readers, then the history itself, item
//! by item, and last a line with counts, hash and signature over all the lines before it.
//!
//! Spec: `docs/protocol/archive.md`.

mod error;
mod lines;
mod read;
mod write;

use serde::{Deserialize, Serialize};
use skychat_api::V1;
use skychat_identity::{Domain, PublicKey, SecretKey, Signature, Tagged, WrongTag};
use skychat_proto::ids::Timestamp;
use skychat_store::MAX_ARCHIVE_ITEM;

pub use error::ArchiveFileError;
pub(super) use read::ArchiveFile;
pub use read::{ArchiveRead, read_archive};
pub(super) use write::ArchiveLines;

/// Bytes of a line at most, without its end: a record of 16 MiB as base64.
pub const MAX_ARCHIVE_LINE: usize =
    MAX_ARCHIVE_ITEM.div_ceil(3) * 4 + RECORD_START.len() + STRING_END.len();

/// The version of the format.
const VERSION: u64 = 1;
/// How the first line says that it is one.
const KIND: &str = "skychat-export";

const MESSAGE_START: &[u8] = br#"{"type":"message","#;
const RECORD_START: &[u8] = br#"{"type":"record","data":""#;
const GROUP: &[u8] = br#"{"type":"group"}"#;
const GROUP_START: &[u8] = br#"{"type":"group","life":""#;
const STRING_END: &[u8] = br#""}"#;

/// The first line. Lines have one writing: these fields, in this order, without spaces.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    #[serde(rename = "type")]
    kind: String,
    v: V1,
    archive: u64,
    public_key: PublicKey,
    exported: Timestamp,
}

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    #[serde(rename = "type")]
    kind: String,
    messages: String,
    groups: String,
    records: String,
    sha256: String,
    /// Absent: it was exported without the identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

impl End {
    const KIND: &str = "end";
}

/// What is signed: the SHA-256 of all lines but the last.
fn signed(sha256: &[u8; 32]) -> Vec<u8> {
    [Domain::Archive.tag(), sha256].concat()
}

fn sign(secret: &SecretKey, sha256: &[u8; 32]) -> Result<Signature, WrongTag> {
    Ok(secret.sign(Tagged::new(Domain::Archive, &signed(sha256))?))
}

fn is_signed_by(owner: &PublicKey, sha256: &[u8; 32], signature: &Signature) -> bool {
    Tagged::new(Domain::Archive, &signed(sha256))
        .is_ok_and(|tagged| owner.verify(tagged, signature).is_ok())
}
