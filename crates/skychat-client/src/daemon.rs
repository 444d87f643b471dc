//! Finding a daemon by its data directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use skychat_api::ControlFile;

use crate::ClientError;

/// A file of the data directory is at most this long; what is longer is none of ours.
const MAX_FILE: u64 = 64 * 1024;

/// Where a daemon listens, and the token that opens it.
#[derive(Clone)]
pub struct Daemon {
    addr: String,
    token: String,
    dir: Option<PathBuf>,
}

impl Daemon {
    /// The daemon of a data directory, from its `control.json` and `token`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when there is no `control.json`; others when a file cannot be
    /// read, holds something else, or the token can be read by others.
    pub fn find(dir: &Path) -> Result<Self, ClientError> {
        let path = dir.join(ControlFile::NAME);
        let control = match read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ClientError::NotRunning { dir: dir.into() });
            }
            Err(source) => return Err(ClientError::File { path, source }),
        };
        let control: ControlFile =
            serde_json::from_str(&control).map_err(|_| ClientError::Content {
                path,
                expected: "a control file of version 1",
            })?;
        let addr = control
            .http
            .ok_or_else(|| ClientError::NoAddress { dir: dir.into() })?;
        let path = dir.join(ControlFile::TOKEN_NAME);
        tight(&path)?;
        let token = read(&path).map_err(|source| ClientError::File {
            path: path.clone(),
            source,
        })?;
        let token = checked(token.trim()).ok_or(ClientError::Content {
            path,
            expected: "a token: 32 or more hex digits",
        })?;
        Ok(Self {
            addr: addr.to_string(),
            token,
            dir: Some(dir.into()),
        })
    }

    /// A daemon whose address and token are known otherwise.
    ///
    /// # Errors
    /// [`ClientError::NotUnderstood`] when the token cannot be one.
    pub fn at(addr: &str, token: &str) -> Result<Self, ClientError> {
        let token = checked(token.trim()).ok_or_else(|| ClientError::NotUnderstood {
            addr: addr.into(),
            what: "the token cannot stand in a header".into(),
        })?;
        Ok(Self {
            addr: addr.into(),
            token,
            dir: None,
        })
    }

    /// Where it listens, `host:port`.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// The value of the `Authorization` header.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// The same daemon, found again: after a restart it may listen elsewhere.
    pub(crate) fn again(&self) -> Result<Self, ClientError> {
        self.dir
            .as_deref()
            .map_or_else(|| Ok(self.clone()), Self::find)
    }
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon")
            .field("addr", &self.addr)
            .field("dir", &self.dir)
            .finish()
    }
}

fn checked(token: &str) -> Option<String> {
    let fits = (32..=256).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| token.to_owned())
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is too long",
        ));
    }
    fs::read_to_string(path)
}

/// Refuses a secret that others may read.
#[cfg(unix)]
fn tight(path: &Path) -> Result<(), ClientError> {
    use std::os::unix::fs::PermissionsExt;
    let file = |source| ClientError::File {
        path: path.into(),
        source,
    };
    let mode = fs::metadata(path).map_err(file)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(ClientError::Loose {
            path: path.into(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn tight(_: &Path) -> Result<(), ClientError> {
    Ok(())
}

#[cfg(test)]
mod tests;
