//! The bytes of a key file (`identity.key`): a secret key that knows when it was damaged.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 16 | magic: `skychat identity` in ASCII |
//! | 16 | 2 | format version, big-endian: 1 |
//! | 18 | 32 | the seed of the Ed25519 key |
//! | 50 | 16 | checksum: the first 16 bytes of SHA-256 of the 50 bytes before it |
//!
//! The checksum is against accidents. Against people there are the permissions of the file, which
//! are for whoever opens it to check.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::SecretKey;

/// How every key file begins.
pub const MAGIC: &[u8; 16] = b"skychat identity";
/// The format version that is written, and the only one that is read.
pub const VERSION: u16 = 1;
/// Length of a key file in bytes.
pub const LEN: usize = SEED_END + 16;

const VERSION_END: usize = MAGIC.len() + 2;
const SEED_END: usize = VERSION_END + 32;

/// The bytes of the key file that holds `key`; [`LEN`] of them.
pub fn encode(key: &SecretKey) -> Zeroizing<Vec<u8>> {
    // Allocated once: a vector that grows would leave copies behind.
    let mut file = Zeroizing::new(Vec::with_capacity(LEN));
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&VERSION.to_be_bytes());
    file.extend_from_slice(key.expose_bytes());
    let check = checksum(&file);
    file.extend_from_slice(&check);
    file
}

/// Reads a key file.
///
/// # Errors
/// [`KeyFileError`]. Every change of a single byte, and every other length, is one of them.
pub fn decode(file: &[u8]) -> Result<SecretKey, KeyFileError> {
    let found = file.len();
    let (magic, rest) = file
        .split_first_chunk::<16>()
        .ok_or(KeyFileError::Length { found })?;
    if magic != MAGIC {
        return Err(KeyFileError::Magic);
    }
    let (version, rest) = rest
        .split_first_chunk()
        .ok_or(KeyFileError::Length { found })?;
    let version = u16::from_be_bytes(*version);
    if version != VERSION {
        return Err(KeyFileError::Version { found: version });
    }
    let (seed, check) = rest
        .split_first_chunk::<32>()
        .ok_or(KeyFileError::Length { found })?;
    let check: &[u8; 16] = check
        .try_into()
        .map_err(|_| KeyFileError::Length { found })?;
    let body = file.get(..SEED_END).ok_or(KeyFileError::Length { found })?;
    if !bool::from(checksum(body).ct_eq(check)) {
        return Err(KeyFileError::Checksum);
    }
    Ok(SecretKey::from_seed(*seed))
}

fn checksum(body: &[u8]) -> [u8; 16] {
    let mut check = [0; 16];
    for (kept, byte) in check.iter_mut().zip(Sha256::digest(body)) {
        *kept = byte;
    }
    check
}

/// Why bytes are no key file. Nothing of what they hold is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Another length.
    #[error("key file: found {found} bytes, expected {LEN}")]
    Length {
        /// The length in bytes.
        found: usize,
    },
    /// It begins otherwise: some other file, or damage.
    #[error(
        "key file: it does not begin with `skychat identity`; this is another file, or it is damaged"
    )]
    Magic,
    /// A format version of a later Skychat, or damage.
    #[error("key file: found format version {found}, expected {VERSION}")]
    Version {
        /// The version it names.
        found: u16,
    },
    /// The checksum is not that of the content.
    #[error("key file: the checksum does not match, the file is damaged")]
    Checksum,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file() -> Vec<u8> {
        encode(&SecretKey::from_seed([7; 32])).to_vec()
    }

    #[test]
    fn what_is_written_is_read() {
        let key = SecretKey::from_seed(std::array::from_fn(|n| n as u8));
        let file = encode(&key);
        assert_eq!(file.len(), LEN);
        assert_eq!(file.capacity(), LEN);
        assert_eq!(decode(&file).unwrap(), key);
    }

    #[test]
    fn every_change_of_a_byte_is_a_named_error() {
        for at in 0..LEN {
            for change in 1..=255u8 {
                let mut file = file();
                file[at] ^= change;
                let error = decode(&file).unwrap_err();
                match at {
                    0..16 => assert_eq!(error, KeyFileError::Magic),
                    16..18 => assert!(matches!(error, KeyFileError::Version { .. })),
                    _ => assert_eq!(error, KeyFileError::Checksum),
                }
            }
        }
    }

    #[test]
    fn every_other_length_is_refused() {
        let long = [file(), vec![0; 40]].concat();
        for found in (0..long.len()).filter(|n| *n != LEN) {
            assert_eq!(decode(&long[..found]), Err(KeyFileError::Length { found }));
        }
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes: Vec<u8>, tail: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = decode(&[MAGIC.as_slice(), &bytes].concat());
            let _ = decode(&[MAGIC.as_slice(), &[0, 1], &tail].concat());
        }
    }
}
