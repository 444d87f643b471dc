//! The disk of the system.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;
use crate::layout::JOURNAL;

/// Files that are kept open. Beyond it the oldest segment is closed.
const MAX_OPEN: usize = 8;

/// A directory of the file system. Files are readable by their owner only. Syncing is
/// `fdatasync`.
#[derive(Debug)]
pub struct FileDisk {
    root: PathBuf,
    open: Mutex<BTreeMap<String, Arc<File>>>,
}

impl FileDisk {
    /// The files below `root`, which has to exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        FileDisk {
            root: root.into(),
            open: Mutex::default(),
        }
    }

    /// Where the files are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Arc<File>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, path: &str, file: File) -> Arc<File> {
        let file = Arc::new(file);
        let mut open = self.open();
        if open.len() >= MAX_OPEN {
            let oldest = open.keys().find(|path| path.starts_with(JOURNAL));
            if let Some(oldest) = oldest.or(open.keys().next()).cloned() {
                open.remove(&oldest);
            }
        }
        open.insert(path.to_owned(), Arc::clone(&file));
        file
    }

    fn file(&self, path: &str) -> io::Result<Arc<File>> {
        if let Some(file) = self.open().get(path) {
            return Ok(Arc::clone(file));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path(path))?;
        Ok(self.keep(path, file))
    }
}

impl Disk for FileDisk {
    fn create(&self, path: &str) -> io::Result<()> {
        let full = self.path(path);
        if let Some(dir) = full.parent().filter(|dir| !dir.exists()) {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            // The name of the new directory.
            if let Some(above) = dir.parent() {
                File::open(above)?.sync_all()?;
            }
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(full)?;
        self.keep(path, file);
        Ok(())
    }

    fn write_at(&self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(path)?.write_all_at(bytes, offset)
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.file(path)?.sync_data()
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file(path)?.read_exact_at(buffer, offset)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        Ok(self.file(path)?.metadata()?.len())
    }

    fn truncate(&self, path: &str, length: u64) -> io::Result<()> {
        self.file(path)?.set_len(length)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut open = self.open();
        open.remove(from);
        open.remove(to);
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.open().remove(path);
        fs::remove_file(self.path(path))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(dir)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            // A name that is no text is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.path(dir))?.sync_all()
    }

    fn room(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.root).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
