//! The key of a store: what seals message text and secret rows on disk.

use std::fmt;

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::aead::{Cipher, NONCE, TAG};
use crate::kdf;

/// How every file with a store key begins.
pub const STORE_KEY_MAGIC: &[u8; 16] = b"skychat storekey";
/// The format version of the file that is written, and the only one that is read.
pub const STORE_KEY_VERSION: u16 = 1;
/// Length of the file with a store key, in bytes.
pub const STORE_KEY_LEN: usize = CHECK_END + 16;
/// How much longer something sealed under a store key is than its plaintext.
pub const STORE_OVERHEAD: usize = NONCE + TAG;

const KEY_START: usize = STORE_KEY_MAGIC.len() + 2;
const KEY_END: usize = KEY_START + 32;
const CHECK_END: usize = KEY_END + 16;

/// Expands the root key into the key of the cipher.
const SEAL_LABEL: &[u8] = b"skychat/v1/store-seal";
/// Expands the root key into the check value.
const CHECK_LABEL: &[u8] = b"skychat/v1/store-check";

/// The secret under which one store seals its content records and the values of its rows
/// (XChaCha20-Poly1305, a random nonce each).
///
/// The 32 bytes of the key file are a root: what seals, and the [check value](Self::check), are
/// expanded from it with HKDF-SHA256 under labels of their own.
///
/// Spec: `docs/protocol/direct.md`, STOREKEY-1 and STOREKEY-2 (rule JRN-3).
pub struct StoreKey {
    root: Box<Zeroizing<[u8; 32]>>,
    cipher: Cipher,
    check: [u8; 16],
}

impl StoreKey {
    /// A new key, for a new store.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut root = Box::new(Zeroizing::new([0; 32]));
        rng.fill_bytes(root.as_mut_slice());
        StoreKey::of_root(root)
    }

    /// Reads the bytes of a key file.
    ///
    /// # Errors
    /// [`StoreKeyError`]. Every change of a byte, and every other length, is one of them.
    pub fn from_file_bytes(file: &[u8]) -> Result<Self, StoreKeyError> {
        let found = file.len();
        let (magic, rest) = file
            .split_first_chunk::<16>()
            .ok_or(StoreKeyError::Length { found })?;
        if magic != STORE_KEY_MAGIC {
            return Err(StoreKeyError::Magic);
        }
        let (version, rest) = rest
            .split_first_chunk()
            .ok_or(StoreKeyError::Length { found })?;
        let version = u16::from_be_bytes(*version);
        if version != STORE_KEY_VERSION {
            return Err(StoreKeyError::Version { found: version });
        }
        let (root, rest) = rest
            .split_first_chunk::<32>()
            .ok_or(StoreKeyError::Length { found })?;
        let (check, rest) = rest
            .split_first_chunk::<16>()
            .ok_or(StoreKeyError::Length { found })?;
        let sum: &[u8; 16] = rest
            .try_into()
            .map_err(|_| StoreKeyError::Length { found })?;
        let summed = file
            .get(..CHECK_END)
            .ok_or(StoreKeyError::Length { found })?;
        if !bool::from(checksum(summed).ct_eq(sum)) {
            return Err(StoreKeyError::Checksum);
        }
        let mut heap = Box::new(Zeroizing::new([0; 32]));
        heap.copy_from_slice(root);
        let key = StoreKey::of_root(heap);
        if !key.has_check(check) {
            return Err(StoreKeyError::Check);
        }
        Ok(key)
    }

    /// The bytes of the key file; [`STORE_KEY_LEN`] of them.
    pub fn to_file_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Allocated once: a vector that grows would leave copies behind.
        let mut file = Zeroizing::new(Vec::with_capacity(STORE_KEY_LEN));
        file.extend_from_slice(STORE_KEY_MAGIC);
        file.extend_from_slice(&STORE_KEY_VERSION.to_be_bytes());
        file.extend_from_slice(self.root.as_slice());
        file.extend_from_slice(&self.check);
        let sum = checksum(&file);
        file.extend_from_slice(&sum);
        file
    }

    /// The check value: 16 bytes that say nothing about the key, and are others for every other
    /// key. A store keeps them in its journal as well; so the key of another store is known
    /// before anything is opened with it ([`has_check`](Self::has_check)).
    pub fn check(&self) -> [u8; 16] {
        self.check
    }

    /// Whether `check` is the check value of this key.
    pub fn has_check(&self, check: &[u8; 16]) -> bool {
        self.check.ct_eq(check).into()
    }

    /// Seals `plaintext` for the place that `place` names, and appends nonce ‖ ciphertext ‖ tag
    /// to `out`: [`STORE_OVERHEAD`] bytes more than the plaintext.
    ///
    /// `place` is bound as it is, part by part: `["ab", "c"]` is another place than
    /// `["a", "bc"]`. Its first part says what kind of record this is, so that a content never
    /// stands for a row.
    ///
    /// # Errors
    /// [`StoreSealTooLarge`]; `out` is as before.
    pub fn seal(
        &self,
        rng: &mut impl CryptoRng,
        place: &[&[u8]],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), StoreSealTooLarge> {
        self.cipher
            .seal(rng, &aad(place), plaintext, out)
            .map_err(|_| StoreSealTooLarge)
    }

    /// Opens what was sealed for the same place.
    ///
    /// # Errors
    /// [`BadStoreSeal`]: sealed for another place, under another key, or damaged.
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadStoreSeal> {
        self.cipher
            .open(&aad(place), sealed)
            .map_err(|_| BadStoreSeal)
    }

    fn of_root(root: Box<Zeroizing<[u8; 32]>>) -> Self {
        StoreKey {
            cipher: Cipher::new(&kdf::expand(&root, &[SEAL_LABEL])),
            check: first_half(&kdf::expand(&root, &[CHECK_LABEL])),
            root,
        }
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// Every part behind its length (u32, big-endian), so that no two places give the same bytes.
fn aad(place: &[&[u8]]) -> Vec<u8> {
    let length = place.iter().fold(0usize, |sum, part| {
        sum.saturating_add(4).saturating_add(part.len())
    });
    let mut aad = Vec::with_capacity(length);
    for part in place {
        // A part of 4 GiB does not occur; if it did, it would only fail to be told apart.
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        aad.extend_from_slice(&length.to_be_bytes());
        aad.extend_from_slice(part);
    }
    aad
}

fn checksum(summed: &[u8]) -> [u8; 16] {
    first_half(&Sha256::digest(summed).into())
}

fn first_half(bytes: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(bytes) {
        *to = *from;
    }
    half
}

/// Why bytes are no file with a store key. Nothing of what they hold is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreKeyError {
    /// Another length.
    #[error("store key: found {found} bytes, expected {STORE_KEY_LEN}")]
    Length {
        /// The length in bytes.
        found: usize,
    },
    /// It begins otherwise: some other file, or damage.
    #[error(
        "store key: it does not begin with `skychat storekey`; this is another file, or it is damaged"
    )]
    Magic,
    /// A format version of a later Skychat, or damage.
    #[error("store key: found format version {found}, expected {STORE_KEY_VERSION}")]
    Version {
        /// The version it names.
        found: u16,
    },
    /// The checksum is not that of the content.
    #[error("store key: the checksum does not match, the file is damaged")]
    Checksum,
    /// The check value is not that of the key beside it.
    #[error("store key: the check value is that of another key")]
    Check,
}

/// What was read cannot be opened: it was sealed for another place, under another key, or it is
/// damaged. There is no finer cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed record: it does not open at this place under this store key")]
pub struct BadStoreSeal;

/// The plaintext is longer than the cipher can take (256 GiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed record: the plaintext is longer than 256 GiB")]
pub struct StoreSealTooLarge;
