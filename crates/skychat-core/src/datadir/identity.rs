//! Which identity a node has, out of the places where one can be given.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use skychat_api::Code;
use skychat_identity::{KeyFileError, SecretKey, SecretKeyError, keyfile};
use zeroize::Zeroizing;

use super::{PrivateFileError, SecretFileError};

/// The environment variable that may hold a secret key, as 64 hex digits.
pub const IDENTITY_VARIABLE: &str = "DMSGCURL_SK";

/// Most bytes of the file of `-c` that are read.
pub const CONFIG_LIMIT: usize = 1024 * 1024;

/// All the places where an identity is given. What is `None` was not given at all: an empty flag
/// or variable is something, and malformed.
#[derive(Default)]
pub struct IdentitySources<'a> {
    /// The value of `--sk`: 64 hex digits.
    pub flag: Option<&'a str>,
    /// The value of the variable [`IDENTITY_VARIABLE`]: 64 hex digits.
    pub environment: Option<&'a OsStr>,
    /// Path and content of the file of `-c`: JSON with a member `sk`.
    pub config: Option<(&'a Path, &'a [u8])>,
    /// Path and content of the key file of the data directory.
    pub key_file: Option<(&'a Path, &'a [u8])>,
    /// `--ephemeral` was given, and these random bytes were drawn for it.
    pub ephemeral: Option<Zeroizing<[u8; 32]>>,
}

/// Where an identity came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentitySource {
    /// `--sk`.
    Flag,
    /// The variable [`IDENTITY_VARIABLE`].
    Environment,
    /// The file of `-c`.
    Config {
        /// Its path.
        path: PathBuf,
    },
    /// The key file of the data directory.
    KeyFile {
        /// Its path.
        path: PathBuf,
        /// It was made just now.
        new: bool,
    },
    /// Drawn for this run only.
    Ephemeral,
}

impl IdentitySource {
    /// What to tell the person who chose this source, if there is something to tell.
    pub fn warning(&self) -> Option<&'static str> {
        match self {
            IdentitySource::Flag => Some(
                "the secret key was given as an argument, which other programs can see; a key file or -c is safer",
            ),
            IdentitySource::Environment => Some(
                "the secret key was given in the environment, which stays readable under /proc; a key file or -c is safer",
            ),
            IdentitySource::Ephemeral => {
                Some("this identity is for this run only; nobody can reach it afterwards")
            }
            IdentitySource::Config { .. } | IdentitySource::KeyFile { .. } => None,
        }
    }
}

impl fmt::Display for IdentitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentitySource::Flag => f.write_str("--sk"),
            IdentitySource::Environment => write!(f, "the variable {IDENTITY_VARIABLE}"),
            IdentitySource::Config { path } => write!(f, "-c {}", path.display()),
            IdentitySource::KeyFile { path, new: false } => write!(f, "{}", path.display()),
            IdentitySource::KeyFile { path, new: true } => write!(f, "{} (new)", path.display()),
            IdentitySource::Ephemeral => f.write_str("--ephemeral"),
        }
    }
}

/// Chooses the identity: `--sk` before the environment, before `-c`, before the key file.
///
/// Every source that was given is read, whichever wins: a malformed one is an error, and never
/// leads to the next. A throw-away identity is made only for `--ephemeral`, which goes with none
/// of the first three.
///
/// # Errors
/// [`IdentityError`]; [`IdentityError::NoIdentity`] if no source was given.
pub fn resolve_identity(
    sources: &IdentitySources<'_>,
) -> Result<(SecretKey, IdentitySource), IdentityError> {
    let flag = sources.flag.map(from_flag).transpose()?;
    let environment = sources.environment.map(from_environment).transpose()?;
    let config = sources.config.map(from_config).transpose()?;
    let given = flag.or(environment).or(config);
    if let Some(seed) = &sources.ephemeral {
        return match given {
            Some((_, source)) => Err(IdentityError::NotEphemeral { found: source }),
            None => Ok((SecretKey::from_seed(**seed), IdentitySource::Ephemeral)),
        };
    }
    let key_file = sources.key_file.map(from_key_file).transpose()?;
    given.or(key_file).ok_or(IdentityError::NoIdentity)
}

type Found = Result<(SecretKey, IdentitySource), IdentityError>;

fn from_flag(text: &str) -> Found {
    let secret = SecretKey::from_hex(text).map_err(|source| IdentityError::Malformed {
        given: IdentitySource::Flag,
        source,
    })?;
    Ok((secret, IdentitySource::Flag))
}

fn from_environment(text: &OsStr) -> Found {
    let given = IdentitySource::Environment;
    let text = text.to_str().ok_or(IdentityError::NotText)?;
    match SecretKey::from_hex(text) {
        Ok(secret) => Ok((secret, given)),
        Err(source) => Err(IdentityError::Malformed { given, source }),
    }
}

fn from_config((path, json): (&Path, &[u8])) -> Found {
    let given = IdentitySource::Config { path: path.into() };
    match sk_from_json(json) {
        Ok(secret) => Ok((secret, given)),
        Err(SkFieldError::Malformed(source)) => Err(IdentityError::Malformed { given, source }),
        Err(SkFieldError::Json { line, column }) => Err(IdentityError::ConfigNotJson {
            path: path.into(),
            line,
            column,
        }),
        Err(SkFieldError::Absent) => Err(IdentityError::ConfigWithoutKey { path: path.into() }),
    }
}

fn from_key_file((path, file): (&Path, &[u8])) -> Found {
    let path = PathBuf::from(path);
    match keyfile::decode(file) {
        Ok(secret) => Ok((secret, IdentitySource::KeyFile { path, new: false })),
        Err(source) => Err(IdentityError::KeyFile { path, source }),
    }
}

enum SkFieldError {
    Json { line: usize, column: usize },
    Absent,
    Malformed(SecretKeyError),
}

/// The member `sk` of a JSON object. The messages of `serde_json` quote what they found, so only
/// the place of an error is kept.
fn sk_from_json(json: &[u8]) -> Result<SecretKey, SkFieldError> {
    #[derive(Deserialize)]
    struct OnlySk<'a> {
        // Borrowed: hex digits need no escapes, and so no copy of the key is made.
        sk: Option<&'a str>,
    }
    let found: OnlySk<'_> = serde_json::from_slice(json).map_err(|error| SkFieldError::Json {
        line: error.line(),
        column: error.column(),
    })?;
    let text = found.sk.ok_or(SkFieldError::Absent)?;
    SecretKey::from_hex(text).map_err(SkFieldError::Malformed)
}

/// Why there is no identity. Nothing of a secret is shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The text of a key is none.
    #[error("the secret key of {given} is malformed")]
    Malformed {
        /// Where it was given.
        given: IdentitySource,
        /// What is wrong with it.
        source: SecretKeyError,
    },
    /// The variable is not UTF-8.
    #[error(
        "the variable {IDENTITY_VARIABLE} is malformed: found bytes that are no text, expected 64 hex digits"
    )]
    NotText,
    /// The file of `-c` is no JSON object, or its `sk` no plain string.
    #[error("-c {}: line {line}, column {column}: expected a JSON object with a string `sk`", path.display())]
    ConfigNotJson {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The file of `-c` says nothing of an identity.
    #[error("-c {}: found no `sk`, expected 64 hex digits there", path.display())]
    ConfigWithoutKey {
        /// The file.
        path: PathBuf,
    },
    /// The key file is damaged, or another file.
    #[error("{} cannot be used; restore it from a backup, nothing else has this identity", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyFileError,
    },
    /// `--ephemeral` beside an identity.
    #[error("found both --ephemeral and an identity from {found}, expected one of them")]
    NotEphemeral {
        /// Where the other one was given.
        found: IdentitySource,
    },
    /// None was given.
    #[error(
        "no identity: expected --sk, the variable {IDENTITY_VARIABLE}, -c, a key file in the data directory, or --ephemeral"
    )]
    NoIdentity,
    /// There is a journal, and no key file to say whose it is.
    #[error("{} is missing, and there is a journal beside it; restore it from a backup, or give the identity with --sk or -c", path.display())]
    KeyFileLost {
        /// Where it should be.
        path: PathBuf,
    },
    /// The key file could not be made.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The key file could not be read.
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

impl IdentityError {
    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            IdentityError::Malformed { .. } | IdentityError::NotText => Code::MalformedKey,
            IdentityError::ConfigNotJson { .. }
            | IdentityError::ConfigWithoutKey { .. }
            | IdentityError::NotEphemeral { .. }
            | IdentityError::NoIdentity => Code::BadConfig,
            IdentityError::KeyFile { .. } | IdentityError::KeyFileLost { .. } => Code::StoreDamaged,
            IdentityError::Secret(error) => error.code(),
            IdentityError::File(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests;
