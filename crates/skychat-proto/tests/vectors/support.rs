//! The form of the files, and how they are compared.

use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skychat_identity::SecretKey;
use skychat_proto::ids::{FeedId, Incarnation, SpaceId, Stream};

/// One file.
#[derive(Serialize)]
struct Document {
    format: &'static str,
    page: &'static str,
    /// Name, seed and public key of everybody who signs.
    keys: Value,
    accept: Vec<Accept>,
    reject: Vec<Reject>,
}

/// Bytes that have to be read as `value`, and written the same.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct Accept {
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) hex: String,
}

/// Bytes that have to be refused.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct Reject {
    pub(crate) name: String,
    pub(crate) hex: String,
}

pub(crate) fn accept(name: &str, value: Value, bytes: &[u8]) -> Accept {
    let hex = hex(bytes);
    let name = name.to_owned();
    Accept { name, value, hex }
}

pub(crate) fn reject(name: &str, bytes: &[u8]) -> Reject {
    let hex = hex(bytes);
    let name = name.to_owned();
    Reject { name, hex }
}

/// The format and its vectors, checked against its decoder: `read` gives what the bytes encode to
/// after they were decoded, or `None` if they are refused.
pub(crate) fn check(
    file: &str,
    format: &'static str,
    section: &'static str,
    accept: Vec<Accept>,
    reject: Vec<Reject>,
    mut read: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) {
    assert!(
        reject.len() >= 5,
        "{file}: at least five have to be refused"
    );
    for Accept { name, hex, .. } in &accept {
        let bytes = unhex(hex);
        assert_eq!(read(&bytes).as_ref(), Some(&bytes), "{file}: {name}");
    }
    for Reject { name, hex } in &reject {
        assert_eq!(read(&unhex(hex)), None, "{file}: {name}");
    }
    let document = Document {
        format,
        page: section,
        keys: json!({ "ann": key(&ann()), "bob": key(&bob()) }),
        accept,
        reject,
    };
    let made = serde_json::to_string_pretty(&document).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file);
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some() {
        fs::write(path, made).unwrap();
    } else {
        let kept = fs::read_to_string(path).unwrap();
        assert!(kept == made, "{file} is not what the code makes");
    }
}

fn key(secret: &SecretKey) -> Value {
    json!({ "seed": hex(secret.expose_bytes()), "public": secret.public() })
}

pub(crate) fn ann() -> SecretKey {
    SecretKey::from_seed([0xa1; 32])
}

pub(crate) fn bob() -> SecretKey {
    SecretKey::from_seed([0xb0; 32])
}

pub(crate) fn space() -> SpaceId {
    SpaceId::direct(&ann().public(), &bob().public()).unwrap()
}

/// Ann's feed in the direct space of the two.
pub(crate) fn feed() -> FeedId {
    FeedId {
        author: ann().public(),
        space: space(),
        stream: Stream::MESSAGES,
        incarnation: Incarnation::from_bytes([1, 2, 3, 4, 5, 6, 7, 8]),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// The same bytes with some replaced.
pub(crate) fn with(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}
