//! Files that nobody but their owner may read: made, read and replaced.
//!
//! What is checked is what was opened, not what a path led to a moment before. New files get
//! their mode whatever the umask, and appear whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use skychat_api::Code;
use zeroize::Zeroizing;

/// Mode of the data directory.
pub const DIR_MODE: u32 = 0o700;
/// Mode of every file in it.
pub const FILE_MODE: u32 = 0o600;

/// Takes the rights of group and others from every file this process makes from now on. Binaries
/// call it first of all; nothing here relies on it.
pub fn tighten_umask() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Reads a file that holds, or guards, a secret: at most `limit` bytes, and only if it is ours
/// and closed to everybody else. A pipe (`<(…)` of a shell) will do.
///
/// # Errors
/// [`PrivateFileError`]; [`PrivateFileError::Missing`] if there is no such file.
pub fn read_private(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let io = |action| move |source| PrivateFileError::io(action, path, source);
    let file = File::open(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => PrivateFileError::Missing { path: path.into() },
        _ => io("open")(source),
    })?;
    let found = file.metadata().map_err(io("look at"))?;
    if !found.is_file() && !found.file_type().is_fifo() {
        return Err(PrivateFileError::NotAFile { path: path.into() });
    }
    check(path, &found, FILE_MODE)?;

    // Room from the start: a vector that grows leaves copies behind.
    let length = usize::try_from(found.len()).unwrap_or(limit).min(limit);
    let most = limit.saturating_add(1);
    let mut content = Zeroizing::new(Vec::with_capacity(length.saturating_add(64)));
    file.take(u64::try_from(most).unwrap_or(u64::MAX))
        .read_to_end(&mut content)
        .map_err(io("read"))?;
    if content.len() > limit {
        return Err(PrivateFileError::TooLong {
            path: path.into(),
            limit,
        });
    }
    Ok(content)
}

/// Makes the directory, with those above it that are missing, or checks the one that is there.
pub(super) fn open_dir(path: &Path) -> Result<(), PrivateFileError> {
    let io = |action| move |source| PrivateFileError::io(action, path, source);
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            DirBuilder::new()
                .recursive(true)
                .mode(DIR_MODE)
                .create(path)
                .map_err(io("create"))?;
            std::fs::set_permissions(path, Permissions::from_mode(DIR_MODE))
                .map_err(io("set the mode of"))?;
            if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
                sync_dir(above)?;
            }
            std::fs::metadata(path).map_err(io("look at"))?
        }
        Err(error) => return Err(io("look at")(error)),
    };
    if !found.is_dir() {
        return Err(PrivateFileError::NotADirectory { path: path.into() });
    }
    check(path, &found, DIR_MODE)
}

/// Checks a file that may be there, without reading it.
pub(super) fn check_if_there(path: &Path) -> Result<(), PrivateFileError> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(PrivateFileError::NotAFile { path: path.into() }),
        Ok(found) => check(path, &found, FILE_MODE),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(PrivateFileError::io("look at", path, error)),
    }
}

/// Opens a file for locking, and makes it if it is not there.
pub(super) fn open_or_create(path: &Path) -> Result<File, PrivateFileError> {
    let io = |action| move |source| PrivateFileError::io(action, path, source);
    let new = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path);
    match new {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(FILE_MODE))
                .map_err(io("set the mode of"))?;
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .map_err(io("open"))?;
            check(path, &file.metadata().map_err(io("look at"))?, FILE_MODE)?;
            Ok(file)
        }
        Err(error) => Err(io("create")(error)),
    }
}

/// Makes a file that is not there yet, on disk when this returns. Never overwrites: an existing
/// file is [`PrivateFileError::Exists`].
pub(crate) fn create(dir: &Path, name: &str, content: &[u8]) -> Result<(), PrivateFileError> {
    let path = dir.join(name);
    let draft = write_draft(dir, name, content)?;
    // A second name for the finished file: this fails if the name is taken, where a rename would
    // replace what is there.
    let linked = std::fs::hard_link(&draft, &path);
    let linked = match linked {
        Err(error) if no_links(&error) => write_new(&path, content),
        linked => linked,
    };
    let removed = std::fs::remove_file(&draft);
    linked.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => PrivateFileError::Exists { path: path.clone() },
        _ => PrivateFileError::io("create", &path, source),
    })?;
    removed.map_err(|source| PrivateFileError::io("remove", &draft, source))?;
    sync_dir(dir)
}

/// Replaces a file, or makes it: readers see the old content or the new one, and so does a start
/// after a crash. Write, sync, rename, sync the directory.
pub(super) fn replace(dir: &Path, name: &str, content: &[u8]) -> Result<(), PrivateFileError> {
    let path = dir.join(name);
    let draft = write_draft(dir, name, content)?;
    std::fs::rename(&draft, &path).map_err(|source| {
        let _ = std::fs::remove_file(&draft);
        PrivateFileError::io("replace", &path, source)
    })?;
    sync_dir(dir)
}

/// Removes a file that may be there.
pub(super) fn remove(path: &Path) -> Result<(), PrivateFileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(PrivateFileError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// The name under which a file is written before it gets its own.
pub(super) fn draft_of(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!(".{name}.new"))
}

fn write_draft(dir: &Path, name: &str, content: &[u8]) -> Result<PathBuf, PrivateFileError> {
    let draft = draft_of(dir, name);
    // One that a crash left. Nobody else writes here: we hold the lock.
    remove(&draft)?;
    write_new(&draft, content).map_err(|source| {
        let _ = std::fs::remove_file(&draft);
        PrivateFileError::io("write", &draft, source)
    })?;
    Ok(draft)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Whether a file system has no hard links, or forbids them to us.
fn no_links(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unsupported | ErrorKind::PermissionDenied | ErrorKind::TooManyLinks
    )
}

fn sync_dir(dir: &Path) -> Result<(), PrivateFileError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| PrivateFileError::io("sync", dir, source))
}

fn check(path: &Path, found: &std::fs::Metadata, wanted: u32) -> Result<(), PrivateFileError> {
    let ours = rustix::process::geteuid().as_raw();
    if found.uid() != ours {
        return Err(PrivateFileError::OtherOwner {
            path: path.into(),
            found: found.uid(),
            expected: ours,
        });
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Loose {
            path: path.into(),
            mode,
            wanted,
        });
    }
    Ok(())
}

/// The path as a word for a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(plain) && !text.starts_with('-') {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Why a private file, or the directory, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    Missing {
        /// Its path.
        path: PathBuf,
    },
    /// Group or others have rights to it.
    #[error(
        "{} is open to others: found mode {mode:04o}, expected {wanted:04o}; fix it with `chmod {wanted:o} {}`",
        path.display(), shell_word(path)
    )]
    Loose {
        /// Its path.
        path: PathBuf,
        /// The mode it has.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// It belongs to another user.
    #[error("{} belongs to user id {found}, expected {expected}, which runs this", path.display())]
    OtherOwner {
        /// Its path.
        path: PathBuf,
        /// User id of its owner.
        found: u32,
        /// Our effective user id.
        expected: u32,
    },
    /// A directory or device where a file is expected.
    #[error("{} is no regular file", path.display())]
    NotAFile {
        /// Its path.
        path: PathBuf,
    },
    /// A file where the data directory is expected.
    #[error("{} is no directory", path.display())]
    NotADirectory {
        /// Its path.
        path: PathBuf,
    },
    /// More than can be in such a file.
    #[error("{} has more than {limit} bytes", path.display())]
    TooLong {
        /// Its path.
        path: PathBuf,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// It was to be made and is there already.
    #[error("{} is there already and is not overwritten", path.display())]
    Exists {
        /// Its path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was being done: `open`, `read`, `write`, …
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl PrivateFileError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.into();
        PrivateFileError::Io {
            action,
            path,
            source,
        }
    }

    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            PrivateFileError::Loose { .. } => Code::LooseFile,
            PrivateFileError::OtherOwner { .. } => Code::StoreOwner,
            PrivateFileError::Missing { .. }
            | PrivateFileError::NotAFile { .. }
            | PrivateFileError::NotADirectory { .. }
            | PrivateFileError::TooLong { .. } => Code::BadConfig,
            PrivateFileError::Exists { .. } | PrivateFileError::Io { .. } => Code::StoreFailed,
        }
    }
}

#[cfg(test)]
mod tests;
