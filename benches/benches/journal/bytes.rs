//! A disk that counts what is written to it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use skychat_store::{Disk, MemoryDisk};

use crate::author::{Author, Failure, open};

#[derive(Clone, Debug)]
struct Counting {
    disk: MemoryDisk,
    bytes: Arc<AtomicU64>,
}

/// How many bytes the store writes for a commit of so many messages.
pub(crate) fn of_a_commit(messages: u64) -> Result<usize, Failure> {
    let disk = Counting {
        disk: MemoryDisk::new(),
        bytes: Arc::default(),
    };
    let bytes = Arc::clone(&disk.bytes);
    let (mut author, (mut writer, _)) = (Author::new()?, open(disk)?);
    let mut least = u64::MAX;
    // Now and then a commit begins a segment too: that is not counted.
    for _ in 0..8 {
        let before = bytes.load(Ordering::Relaxed);
        writer.commit(vec![author.batch(messages)?])?;
        least = least.min(bytes.load(Ordering::Relaxed) - before);
    }
    Ok(usize::try_from(least)?)
}

impl Disk for Counting {
    fn create(&self, path: &str) -> io::Result<()> {
        self.disk.create(path)
    }

    fn write_at(&self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.disk.write_at(path, offset, bytes)
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.disk.sync(path)
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(path, offset, buffer)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.disk.len(path)
    }

    fn truncate(&self, path: &str, length: u64) -> io::Result<()> {
        self.disk.truncate(path, length)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
}
