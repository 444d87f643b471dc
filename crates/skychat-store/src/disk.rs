//! What the journal asks of a disk.

mod memory;

use std::fmt;
use std::io;

pub use memory::{DiskFault, MemoryDisk};

/// The files of one store. Paths are relative to its directory, with `/` between their parts.
///
/// One [`StoreWriter`](crate::StoreWriter) writes; readers use [`read_at`](Self::read_at) at the
/// same time. What was written counts as kept once [`sync`](Self::sync) of that file returned,
/// and its name once [`sync_dir`](Self::sync_dir) of its directory did.
///
/// # Errors
/// Of every function: what the system said. [`io::ErrorKind::StorageFull`] and
/// [`io::ErrorKind::QuotaExceeded`] mean that it can be tried again when there is room;
/// [`io::ErrorKind::NotFound`], that there is no such file.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes an empty file, in place of one that may be there.
    fn create(&self, path: &str) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`; the file grows as needed.
    fn write_at(&self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written to this file, and its length, would survive a loss of
    /// power.
    fn sync(&self, path: &str) -> io::Result<()>;

    /// Fills `buffer` from `offset` on; [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Length of the file in bytes.
    fn len(&self, path: &str) -> io::Result<u64>;

    /// Cuts the file to `length` bytes.
    fn truncate(&self, path: &str, length: u64) -> io::Result<()>;

    /// Gives a file another name, in place of one that may be there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a file away.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// The names of the files in a directory, sorted; none if there is no such directory.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Returns when the names in this directory would survive a loss of power.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// How many bytes there is room for; `None`: nobody knows.
    fn room(&self) -> Option<u64> {
        None
    }
}

/// Whether it is worth trying again when there is room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

impl<D: Disk + ?Sized> Disk for Box<D> {
    fn create(&self, path: &str) -> io::Result<()> {
        (**self).create(path)
    }

    fn write_at(&self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write_at(path, offset, bytes)
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        (**self).sync(path)
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(path, offset, buffer)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        (**self).len(path)
    }

    fn truncate(&self, path: &str, length: u64) -> io::Result<()> {
        (**self).truncate(path, length)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        (**self).remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        (**self).list(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        (**self).sync_dir(dir)
    }

    fn room(&self) -> Option<u64> {
        (**self).room()
    }
}
