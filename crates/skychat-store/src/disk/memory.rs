//! A disk in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Disk;

/// A disk in memory: gone with its last clone. A clone is the same disk, so a store on it can be
/// opened again.
///
/// For tests it can be told to fail ([`fail`](Self::fail)).
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    files: BTreeMap<String, Vec<u8>>,
    /// What fails, and how many calls that change something go well before.
    fault: Option<(DiskFault, u32)>,
    /// How many bytes there is room for; `None`: as many as there are.
    room: Option<usize>,
}

/// How a [`MemoryDisk`] fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskFault {
    /// There is no room: every write, creation and sync fails, a write having written half.
    /// Cutting and removing go well.
    Full,
    /// The device is broken: everything that changes something fails.
    Broken,
}

impl MemoryDisk {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, after `after` calls that change something, those calls fail; `None`: they go
    /// well again.
    pub fn fail(&self, fault: Option<DiskFault>, after: u32) {
        self.inner().fault = fault.map(|fault| (fault, after));
    }

    /// From now on there is room for so many bytes in all files together; `None`: without a limit.
    /// What does not fit is written as far as it does, and is [`io::ErrorKind::StorageFull`].
    pub fn limit(&self, room: Option<usize>) {
        self.inner().room = room;
    }

    /// All files with what is in them.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.inner().files.clone()
    }

    /// A disk with these files.
    pub fn with_files(files: BTreeMap<String, Vec<u8>>) -> Self {
        let inner = Inner {
            files,
            ..Inner::default()
        };
        MemoryDisk(Arc::new(Mutex::new(inner)))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The fault that this call meets.
    fn meet(&mut self) -> Option<DiskFault> {
        let (fault, after) = self.fault.as_mut()?;
        if *after == 0 {
            return Some(*fault);
        }
        *after = after.saturating_sub(1);
        None
    }

    /// How much of a write from `start` on there is room for.
    fn fits(&self, path: &str, start: usize, length: usize) -> usize {
        let Some(room) = self.room else {
            return length;
        };
        let used: usize = self.files.values().map(Vec::len).sum();
        let held = self.files.get(path).map_or(0, Vec::len);
        let end = held.saturating_add(room.saturating_sub(used));
        end.saturating_sub(start).min(length)
    }

    fn file(&mut self, path: &str) -> io::Result<&mut Vec<u8>> {
        self.files.get_mut(path).ok_or_else(missing)
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn error(fault: DiskFault) -> io::Error {
    match fault {
        DiskFault::Full => io::ErrorKind::StorageFull.into(),
        DiskFault::Broken => io::Error::other("input/output error"),
    }
}

fn place(offset: u64, length: usize) -> io::Result<(usize, usize)> {
    let start = usize::try_from(offset).ok();
    let end = start.and_then(|start| start.checked_add(length));
    start
        .zip(end)
        .ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}

impl Disk for MemoryDisk {
    fn create(&self, path: &str) -> io::Result<()> {
        let mut inner = self.inner();
        if let Some(fault) = inner.meet() {
            return Err(error(fault));
        }
        inner.files.insert(path.to_owned(), Vec::new());
        Ok(())
    }

    fn write_at(&self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        let fault = inner.meet();
        let written = match fault {
            None => bytes,
            Some(DiskFault::Full) => bytes.get(..bytes.len() / 2).unwrap_or_default(),
            Some(DiskFault::Broken) => &[],
        };
        let (start, _) = place(offset, written.len())?;
        let fits = inner.fits(path, start, written.len());
        let full = (fits < written.len()).then_some(DiskFault::Full);
        let written = written.get(..fits).unwrap_or_default();
        let end = start.saturating_add(fits);
        let file = inner.file(path)?;
        if file.len() < end {
            file.resize(end, 0);
        }
        if let Some(part) = file.get_mut(start..end) {
            part.copy_from_slice(written);
        }
        fault.or(full).map_or(Ok(()), |fault| Err(error(fault)))
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        let mut inner = self.inner();
        if let Some(fault) = inner.meet() {
            return Err(error(fault));
        }
        inner.file(path).map(|_| ())
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (start, end) = place(offset, buffer.len())?;
        let mut inner = self.inner();
        let file = inner.file(path)?;
        let part = file.get(start..end);
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.inner().file(path).map(|file| file.len() as u64)
    }

    fn truncate(&self, path: &str, length: u64) -> io::Result<()> {
        let (length, _) = place(length, 0)?;
        let mut inner = self.inner();
        // It makes room.
        if inner.meet() == Some(DiskFault::Broken) {
            return Err(error(DiskFault::Broken));
        }
        inner.file(path)?.truncate(length);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        if let Some(fault) = inner.meet() {
            return Err(error(fault));
        }
        let file = inner.files.remove(from).ok_or_else(missing)?;
        inner.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.meet() == Some(DiskFault::Broken) {
            return Err(error(DiskFault::Broken));
        }
        inner.files.remove(path).map(|_| ()).ok_or_else(missing)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let inner = self.inner();
        let names = inner.files.keys().filter_map(|path| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            (parent == dir).then(|| name.to_owned())
        });
        Ok(names.collect())
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        match self.inner().meet() {
            Some(fault) => Err(error(fault)),
            None => Ok(()),
        }
    }

    fn room(&self) -> Option<u64> {
        let inner = self.inner();
        let used: usize = inner.files.values().map(Vec::len).sum();
        let left = inner.room?.saturating_sub(used);
        u64::try_from(left).ok()
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.inner().files.len();
        f.debug_struct("MemoryDisk").field("files", &files).finish()
    }
}
