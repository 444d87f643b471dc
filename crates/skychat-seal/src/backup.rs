//! A file that opens with a passphrase: a header, then chunks.

use std::fmt;

use aead_stream::{DecryptorBE32, EncryptorBE32};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::Payload;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::kdf;

/// How every backup begins.
pub const BACKUP_MAGIC: &[u8; 14] = b"skychat backup";
/// The format version that is written, and the only one that is read.
pub const BACKUP_VERSION: u16 = 1;
/// Length of the header, in bytes.
pub const BACKUP_HEADER_LEN: usize = CHECK_END + 16;
/// Plaintext of every chunk but the last, which may have less, in bytes.
pub const BACKUP_CHUNK: usize = 64 * 1024;
/// How much longer a chunk is when it is sealed.
pub const BACKUP_OVERHEAD: usize = 16;

const SALT: usize = 16;
/// The nonce of a chunk is this ‖ its number u32 ‖ 1 if it is the last, else 0.
const PREFIX: usize = 19;
const COST_START: usize = BACKUP_MAGIC.len() + 2;
const SALT_START: usize = COST_START + 12;
const PREFIX_START: usize = SALT_START + SALT;
const CHECK_START: usize = PREFIX_START + PREFIX;
const CHECK_END: usize = CHECK_START + 16;

const SEAL_LABEL: &[u8] = b"skychat/v1/backup-seal";
const CHECK_LABEL: &[u8] = b"skychat/v1/backup-check";

/// What a guess at the passphrase costs (argon2id, RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupCost {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// 64 MiB, 3 passes, 1 lane: the second choice of RFC 9106, on one thread.
impl Default for BackupCost {
    fn default() -> Self {
        BackupCost {
            memory: 64 * 1024,
            passes: 3,
            lanes: 1,
        }
    }
}

impl BackupCost {
    /// The most that is spent on a file of somebody else: 1 GiB, 16 passes, 16 lanes.
    pub const MOST: BackupCost = BackupCost {
        memory: 1024 * 1024,
        passes: 16,
        lanes: 16,
    };

    fn params(self) -> Result<Params, BackupError> {
        let most = BackupCost::MOST;
        let within =
            self.memory <= most.memory && self.passes <= most.passes && self.lanes <= most.lanes;
        let params = Params::new(self.memory, self.passes, self.lanes, Some(32));
        params
            .ok()
            .filter(|_| within)
            .ok_or(BackupError::Cost { found: self })
    }
}

impl fmt::Display for BackupCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BackupCost {
            memory,
            passes,
            lanes,
        } = self;
        write!(f, "{memory} KiB, {passes} passes, {lanes} lanes")
    }
}

type Header = [u8; BACKUP_HEADER_LEN];

/// Writes a backup, chunk by chunk.
pub struct BackupSealer {
    stream: EncryptorBE32<XChaCha20Poly1305>,
    header: Header,
}

impl BackupSealer {
    /// Derives the key, which takes as long as `cost` says.
    ///
    /// # Errors
    /// [`BackupError::Cost`]: more than is ever read, or nothing argon2id can do.
    pub fn new(
        rng: &mut impl CryptoRng,
        passphrase: &[u8],
        cost: BackupCost,
    ) -> Result<Self, BackupError> {
        let (mut salt, mut prefix) = ([0; SALT], [0; PREFIX]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut prefix);
        let root = derive(passphrase, &salt, cost)?;
        let mut header = Vec::with_capacity(BACKUP_HEADER_LEN);
        header.extend_from_slice(BACKUP_MAGIC);
        header.extend_from_slice(&BACKUP_VERSION.to_be_bytes());
        for number in [cost.memory, cost.passes, cost.lanes] {
            header.extend_from_slice(&number.to_be_bytes());
        }
        header.extend_from_slice(&salt);
        header.extend_from_slice(&prefix);
        header.extend_from_slice(&check(&root));
        let sum = checksum(&header);
        header.extend_from_slice(&sum);
        let found = header.len();
        let header = header.try_into();
        Ok(BackupSealer {
            stream: EncryptorBE32::from_aead(cipher(&root), &prefix.into()),
            header: header.map_err(|_| BackupError::Length { found })?,
        })
    }

    /// What the file begins with.
    pub fn header(&self) -> &[u8; BACKUP_HEADER_LEN] {
        &self.header
    }

    /// The next chunk, sealed; it has [`BACKUP_CHUNK`] bytes, and is not the last.
    ///
    /// # Errors
    /// [`BackupError::TooLong`]: another length, or as many chunks as there can be.
    pub fn chunk(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, BackupError> {
        if plaintext.len() != BACKUP_CHUNK {
            return Err(BackupError::TooLong);
        }
        let payload = Payload {
            msg: plaintext,
            aad: &self.header,
        };
        let sealed = self.stream.encrypt_next(payload);
        sealed.map_err(|_| BackupError::TooLong)
    }

    /// The last chunk, sealed; it has at most [`BACKUP_CHUNK`] bytes.
    ///
    /// # Errors
    /// [`BackupError::TooLong`].
    pub fn last(self, plaintext: &[u8]) -> Result<Vec<u8>, BackupError> {
        if plaintext.len() > BACKUP_CHUNK {
            return Err(BackupError::TooLong);
        }
        let payload = Payload {
            msg: plaintext,
            aad: &self.header,
        };
        let sealed = self.stream.encrypt_last(payload);
        sealed.map_err(|_| BackupError::TooLong)
    }
}

impl fmt::Debug for BackupSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupSealer(..)")
    }
}

/// Reads a backup, chunk by chunk.
pub struct BackupOpener {
    stream: DecryptorBE32<XChaCha20Poly1305>,
    header: Header,
    chunk: u32,
}

impl BackupOpener {
    /// Reads the header, and derives the key.
    ///
    /// # Errors
    /// [`BackupError`]; in this order: length, magic, version, checksum, cost, passphrase. Nothing
    /// is spent on a header that was changed.
    pub fn new(header: &[u8], passphrase: &[u8]) -> Result<Self, BackupError> {
        let found = header.len();
        let cut = BackupError::Length { found };
        let (magic, rest) = header.split_first_chunk::<14>().ok_or(cut)?;
        if magic != BACKUP_MAGIC {
            return Err(BackupError::Magic);
        }
        let (version, rest) = rest.split_first_chunk().ok_or(cut)?;
        let version = u16::from_be_bytes(*version);
        if version != BACKUP_VERSION {
            return Err(BackupError::Version { found: version });
        }
        let header: &Header = header.try_into().map_err(|_| cut)?;
        let (summed, sum) = header.split_last_chunk::<16>().ok_or(cut)?;
        if checksum(summed) != *sum {
            return Err(BackupError::Checksum);
        }
        let (memory, rest) = rest.split_first_chunk().ok_or(cut)?;
        let (passes, rest) = rest.split_first_chunk().ok_or(cut)?;
        let (lanes, rest) = rest.split_first_chunk().ok_or(cut)?;
        let (salt, rest) = rest.split_first_chunk::<SALT>().ok_or(cut)?;
        let (prefix, rest) = rest.split_first_chunk::<PREFIX>().ok_or(cut)?;
        let (checked, _) = rest.split_first_chunk::<16>().ok_or(cut)?;
        let cost = BackupCost {
            memory: u32::from_be_bytes(*memory),
            passes: u32::from_be_bytes(*passes),
            lanes: u32::from_be_bytes(*lanes),
        };
        let root = derive(passphrase, salt, cost)?;
        if !bool::from(check(&root).ct_eq(checked)) {
            return Err(BackupError::WrongPassphrase);
        }
        Ok(BackupOpener {
            stream: DecryptorBE32::from_aead(cipher(&root), &(*prefix).into()),
            header: *header,
            chunk: 0,
        })
    }

    /// Opens the next chunk, which is not the last.
    ///
    /// # Errors
    /// [`BackupError::Damaged`].
    pub fn chunk(&mut self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let chunk = self.chunk;
        self.chunk = chunk.saturating_add(1);
        let payload = Payload {
            msg: sealed,
            aad: &self.header,
        };
        let opened = self.stream.decrypt_next(payload);
        opened
            .map(Zeroizing::new)
            .map_err(|_| BackupError::Damaged { chunk })
    }

    /// Opens the last chunk.
    ///
    /// # Errors
    /// [`BackupError::Damaged`]: it was changed, or it is not the last one.
    pub fn last(self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let chunk = self.chunk;
        let payload = Payload {
            msg: sealed,
            aad: &self.header,
        };
        let opened = self.stream.decrypt_last(payload);
        opened
            .map(Zeroizing::new)
            .map_err(|_| BackupError::Damaged { chunk })
    }
}

impl fmt::Debug for BackupOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupOpener(..)")
    }
}

fn derive(
    passphrase: &[u8],
    salt: &[u8; SALT],
    cost: BackupCost,
) -> Result<Zeroizing<[u8; 32]>, BackupError> {
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?);
    let mut root = Zeroizing::new([0; 32]);
    argon
        .hash_password_into(passphrase, salt, root.as_mut_slice())
        .map_err(|_| BackupError::Cost { found: cost })?;
    Ok(root)
}

fn cipher(root: &[u8; 32]) -> XChaCha20Poly1305 {
    let key = kdf::expand(root, &[SEAL_LABEL]);
    XChaCha20Poly1305::new((&*key).into())
}

fn check(root: &[u8; 32]) -> [u8; 16] {
    first_half(&kdf::expand(root, &[CHECK_LABEL]))
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

/// Why a backup was not written or read. Nothing of what it holds is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// It ends within the header.
    #[error("backup: found {found} bytes, expected at least {BACKUP_HEADER_LEN}")]
    Length {
        /// The length in bytes.
        found: usize,
    },
    /// It begins otherwise: some other file, or damage.
    #[error(
        "backup: it does not begin with `skychat backup`; this is another file, or it is damaged"
    )]
    Magic,
    /// A format version of a later Skychat, or damage.
    #[error("backup: found format version {found}, expected {BACKUP_VERSION}")]
    Version {
        /// The version it names.
        found: u16,
    },
    /// The checksum is not that of the header.
    #[error("backup: the checksum of the header does not match, the file is damaged")]
    Checksum,
    /// What a guess costs is nothing that is done.
    #[error(
        "backup: found a cost of {found}, expected at most {}",
        BackupCost::MOST
    )]
    Cost {
        /// The cost it names.
        found: BackupCost,
    },
    /// It was sealed with another passphrase.
    #[error("backup: the passphrase is another one")]
    WrongPassphrase,
    /// A chunk does not open.
    #[error("backup: chunk {chunk} does not open: the file was changed or cut")]
    Damaged {
        /// Which, from 0.
        chunk: u32,
    },
    /// A chunk of another length, or too many.
    #[error("backup: a chunk of another length than {BACKUP_CHUNK} bytes, or too many of them")]
    TooLong,
}
