//! What a body is bound to: the HPKE `info` and the associated data, as bytes.

use std::fmt;

use sha2::{Digest, Sha256};
use skychat_identity::PublicKey;

/// The number of suite 1 in a header, and in the `info`.
pub const SUITE_HPKE_X25519: u8 = 1;
/// Length of [`SealInfo`] as bytes.
pub const INFO_LEN: usize = INFO_TAG.len() + 1 + 32 + 32 + 32 + 8 + KeyId::LEN;
/// Length of [`EntryAad`] as bytes, feed and recipient included.
pub const AAD_LEN: usize = 73 + 8 + 16 + 1 + 32;

/// How every `info` begins. No signed bytes begin with it, nor it with a tag of signed bytes.
const INFO_TAG: &[u8] = b"skychat/v1/seal-info";

/// Names a sealing key: the first 8 bytes of the SHA-256 of its 32 X25519 bytes.
///
/// It is a hint which secret to take, not a proof; the tag of the body is the proof.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// The id of an X25519 public key.
    pub fn of(x25519: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(x25519));
        KeyId([a, b, c, d, e, f, g, h])
    }

    /// An id as it was read.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        KeyId(bytes)
    }

    /// Its 8 bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// 16 lower-case hex digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// What one encapsulation is made for: a conversation in one direction, in one life of its
/// author. Both sides take it from the signed header and from who they are.
///
/// As HPKE `info` it is 133 bytes: tag `skychat/v1/seal-info` ‖ suite (1 byte) ‖ space ‖ author
/// ‖ recipient ‖ incarnation ‖ key id of the recipient's sealing key.
///
/// Spec: `docs/protocol/direct.md`, DIRECT-3 (rule SEAL-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealInfo {
    /// The id of the space.
    pub space: [u8; 32],
    /// Who writes: the signer of the header.
    pub author: PublicKey,
    /// Who is to read.
    pub recipient: PublicKey,
    /// The incarnation of the author's feed.
    pub incarnation: [u8; 8],
}

impl SealInfo {
    /// The HPKE `info`, for a recipient whose sealing key has this id.
    pub fn to_bytes(&self, key_id: KeyId) -> [u8; INFO_LEN] {
        join(&[
            INFO_TAG,
            &[SUITE_HPKE_X25519],
            &self.space,
            self.author.as_bytes(),
            self.recipient.as_bytes(),
            &self.incarnation,
            key_id.as_bytes(),
        ])
    }
}

/// What one body is made for: a position and a message within what [`SealInfo`] names.
///
/// As associated data it is 130 bytes: feed id (author ‖ space ‖ stream ‖ incarnation, 73 bytes)
/// ‖ seq (u64, big-endian) ‖ MessageId ‖ kind ‖ recipient. Author, space, incarnation and
/// recipient are those of the [`SealInfo`], so the two cannot speak of different feeds.
///
/// Spec: `docs/protocol/direct.md`, DIRECT-4 (rule SEAL-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryAad {
    /// The stream of the feed.
    pub stream: u8,
    /// The index of the entry in its feed.
    pub seq: u64,
    /// The MessageId.
    pub message: [u8; 16],
    /// The kind, as in the header.
    pub kind: u8,
}

impl EntryAad {
    /// The associated data.
    pub fn to_bytes(&self, info: &SealInfo) -> [u8; AAD_LEN] {
        join(&[
            info.author.as_bytes(),
            &info.space,
            &[self.stream],
            &info.incarnation,
            &self.seq.to_be_bytes(),
            &self.message,
            &[self.kind],
            info.recipient.as_bytes(),
        ])
    }
}

/// The parts one after another; their lengths add up to `N`.
fn join<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(parts.iter().copied().flatten()) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use skychat_identity::{Domain, SecretKey};

    fn info() -> SealInfo {
        SealInfo {
            space: [0xaa; 32],
            author: SecretKey::from_seed([1; 32]).public(),
            recipient: SecretKey::from_seed([2; 32]).public(),
            incarnation: [0xcc; 8],
        }
    }

    #[test]
    fn direct_3_the_info_has_its_fields_in_their_places() {
        let info = info();
        let bytes = info.to_bytes(KeyId([0xdd; 8]));
        assert_eq!(INFO_LEN, 133);
        assert_eq!(&bytes[..20], b"skychat/v1/seal-info");
        assert_eq!(bytes[20], 1);
        assert_eq!(bytes[21..53], [0xaa; 32]);
        assert_eq!(&bytes[53..85], info.author.as_bytes());
        assert_eq!(&bytes[85..117], info.recipient.as_bytes());
        assert_eq!(bytes[117..125], [0xcc; 8]);
        assert_eq!(bytes[125..], [0xdd; 8]);
    }

    #[test]
    fn direct_4_the_associated_data_has_its_fields_in_their_places() {
        let info = info();
        let aad = EntryAad {
            stream: 1,
            seq: 0x0102_0304_0506_0708,
            message: [0xee; 16],
            kind: 7,
        };
        let bytes = aad.to_bytes(&info);
        assert_eq!(AAD_LEN, 130);
        assert_eq!(&bytes[..32], info.author.as_bytes());
        assert_eq!(bytes[32..64], [0xaa; 32]);
        assert_eq!(bytes[64], 1);
        assert_eq!(bytes[65..73], [0xcc; 8]);
        assert_eq!(bytes[73..81], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bytes[81..97], [0xee; 16]);
        assert_eq!(bytes[97], 7);
        assert_eq!(&bytes[98..], info.recipient.as_bytes());
    }

    #[test]
    fn the_tag_of_the_info_is_apart_from_the_tags_of_signed_bytes() {
        for domain in Domain::ALL {
            assert!(!domain.tag().starts_with(INFO_TAG), "{domain}");
            assert!(!INFO_TAG.starts_with(domain.tag()), "{domain}");
        }
    }

    #[test]
    fn direct_3_a_key_id_is_the_beginning_of_the_hash_of_the_x25519_key() {
        let key = info().recipient.x25519();
        let id = KeyId::of(&key);
        assert_eq!(id.as_bytes()[..], Sha256::digest(key)[..8]);
        assert_eq!(KeyId::from_bytes(*id.as_bytes()), id);
        assert_eq!(
            KeyId([0, 1, 2, 3, 4, 5, 6, 0xff]).to_string(),
            "00010203040506ff"
        );
    }
}
