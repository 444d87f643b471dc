//! The secrets of a data directory: `identity.key`, `store.key` and `token`. Each is made once,
//! by the first start that needs it, and never written again.

use std::fmt;
use std::path::{Path, PathBuf};

use getrandom::SysRng;
use rand_core::UnwrapErr;
use skychat_api::Code;
use skychat_identity::{SecretKey, keyfile};
use skychat_seal::{StoreKey, StoreKeyError};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::mode::{self, PrivateFileError};
use super::{IDENTITY_KEY, STORE_KEY, TOKEN};

/// Most bytes of a key file that are read; more are damage, and need not be read to know.
pub(crate) const KEY_FILE_LIMIT: usize = 4096;

/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;

/// The bytes of `identity.key`, if it is there.
pub(super) fn read_identity(dir: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFileError> {
    read_if_there(&dir.join(IDENTITY_KEY))
}

/// Draws a new identity and writes it to `identity.key`.
pub(super) fn create_identity(dir: &Path) -> Result<SecretKey, SecretFileError> {
    let secret = SecretKey::from_seed(*random()?);
    mode::create(dir, IDENTITY_KEY, &keyfile::encode(&secret))?;
    Ok(secret)
}

/// Reads `store.key`, or makes it if nothing was ever sealed under one.
pub(crate) fn store_key(dir: &Path, has_journal: bool) -> Result<StoreKey, SecretFileError> {
    if let Some(key) = store_key_if_there(dir)? {
        return Ok(key);
    }
    if has_journal {
        let path = dir.join(STORE_KEY);
        return Err(SecretFileError::StoreKeyLost { path });
    }
    // Asked once before: a system without randomness is an error here, not a panic below.
    random()?;
    let key = StoreKey::generate(&mut UnwrapErr(SysRng));
    mode::create(dir, STORE_KEY, &key.to_file_bytes())?;
    Ok(key)
}

/// Reads `store.key`, if it is there.
pub(super) fn store_key_if_there(dir: &Path) -> Result<Option<StoreKey>, SecretFileError> {
    let path = dir.join(STORE_KEY);
    let Some(file) = read_if_there(&path)? else {
        return Ok(None);
    };
    match StoreKey::from_file_bytes(&file) {
        Ok(key) => Ok(Some(key)),
        Err(source) => Err(SecretFileError::StoreKey { path, source }),
    }
}

fn read_if_there(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFileError> {
    match mode::read_private(path, KEY_FILE_LIMIT) {
        Ok(content) => Ok(Some(content)),
        Err(PrivateFileError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn random() -> Result<Zeroizing<[u8; 32]>, SecretFileError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(|source| SecretFileError::Random { source })?;
    Ok(bytes)
}

/// The token that the control surface asks for: 32 random bytes as 64 lower-case hex digits.
pub struct Token(Zeroizing<String>);

impl Token {
    /// Reads the token in `dir`.
    ///
    /// # Errors
    /// [`SecretFileError::File`] if it is missing or loose, [`SecretFileError::BadToken`] if it
    /// is no token.
    pub fn read(dir: &Path) -> Result<Self, SecretFileError> {
        let path = dir.join(TOKEN);
        let content = mode::read_private(&path, KEY_FILE_LIMIT)?;
        let text = content.strip_suffix(b"\n").unwrap_or(&content);
        let is_digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        match std::str::from_utf8(text) {
            Ok(text) if text.len() == 2 * TOKEN_BYTES && text.bytes().all(|b| is_digit(&b)) => {
                Ok(Token(Zeroizing::new(text.to_owned())))
            }
            _ => Err(SecretFileError::BadToken { path }),
        }
    }

    /// Reads the token in `dir`, or makes it.
    pub(super) fn read_or_create(dir: &Path) -> Result<Self, SecretFileError> {
        match Token::read(dir) {
            Err(SecretFileError::File(PrivateFileError::Missing { .. })) => {}
            other => return other,
        }
        let bytes = random()?;
        let mut text = Zeroizing::new(String::with_capacity(2 * TOKEN_BYTES + 1));
        for byte in bytes.iter() {
            for digit in [byte >> 4, byte & 0xf] {
                text.extend(char::from_digit(digit.into(), 16));
            }
        }
        mode::create(dir, TOKEN, text.as_bytes())?;
        Ok(Token(text))
    }

    /// The 64 digits, for an `Authorization: Bearer` header.
    pub fn expose_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Token {}

/// Why a secret of the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// `store.key` is damaged, or another file.
    #[error("{} cannot be used; restore it from a backup, the journal cannot be read without it", path.display())]
    StoreKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StoreKeyError,
    },
    /// There is a journal and no key to read it with. A new key would make an empty history of it.
    #[error("{} is missing, and the journal beside it cannot be read without it; restore it from a backup", path.display())]
    StoreKeyLost {
        /// Where it should be.
        path: PathBuf,
    },
    /// The token is malformed.
    #[error("{} holds no token, expected 64 lower-case hex digits; remove it and the next start makes a new one", path.display())]
    BadToken {
        /// The file.
        path: PathBuf,
    },
    /// The system has no randomness.
    #[error("the operating system gave no random bytes")]
    Random {
        /// Its answer.
        source: getrandom::Error,
    },
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

impl SecretFileError {
    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            SecretFileError::StoreKey { .. } | SecretFileError::StoreKeyLost { .. } => {
                Code::StoreDamaged
            }
            SecretFileError::BadToken { .. } => Code::BadConfig,
            SecretFileError::Random { .. } => Code::Internal,
            SecretFileError::File(error) => error.code(),
        }
    }
}
