//! A disk that loses power: what was not synced is lost or torn.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use skychat_store::Disk;

/// What reaches a disk as a whole or not at all, in bytes.
const SECTOR: usize = 512;

/// A disk that loses power at a chosen operation.
///
/// Until then it is a disk. The operation at which it happens fails, and so does every later one.
/// [`after_power_loss`](Self::after_power_loss) is what the disk holds then: all that was synced;
/// of what was not, each write and cut is there or not, a write in any part of its sectors, and
/// each name that was not synced is there or not. The same seed gives the same choice.
#[derive(Clone, Debug, Default)]
pub struct TornDisk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// As a process sees them.
    seen: BTreeMap<String, Vec<u8>>,
    /// As they were last synced.
    kept: BTreeMap<String, Vec<u8>>,
    /// Names that were synced.
    named: BTreeSet<String>,
    pending: Vec<(String, Change)>,
    operations: u64,
    dies_at: Option<u64>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => put(file, *offset, bytes),
            Change::Length(length) => file.resize(*length, 0),
        }
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset.saturating_add(bytes.len());
    if file.len() < end {
        file.resize(end, 0);
    }
    if let Some(place) = file.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}

impl TornDisk {
    /// Empty; it never loses power.
    pub fn new() -> Self {
        Self::default()
    }

    /// With these files, synced. It loses power at operation `dies_at`, counted from 0, of those
    /// that change something or sync.
    pub fn with_files(files: BTreeMap<String, Vec<u8>>, dies_at: Option<u64>) -> Self {
        TornDisk(Arc::new(Mutex::new(Inner {
            seen: files.clone(),
            named: files.keys().cloned().collect(),
            kept: files,
            dies_at,
            ..Inner::default()
        })))
    }

    /// How many operations there were that change something or sync.
    pub fn operations(&self) -> u64 {
        self.inner().operations
    }

    /// Whether it lost power.
    pub fn is_dead(&self) -> bool {
        let inner = self.inner();
        inner.dies_at.is_some_and(|at| inner.operations > at)
    }

    /// The files as a process sees them.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.inner().seen.clone()
    }

    /// The files that are there after the power is back.
    pub fn after_power_loss(&self, seed: u64) -> BTreeMap<String, Vec<u8>> {
        let mut state = [0; 32];
        let (start, _) = state.split_at_mut(8);
        start.copy_from_slice(&seed.to_be_bytes());
        let mut rng = ChaCha20Rng::from_seed(state);
        let mut coin = move || rng.next_u32() & 1 == 1;

        let inner = self.inner();
        let mut files = inner.kept.clone();
        for (path, change) in &inner.pending {
            if !coin() {
                continue;
            }
            let file = files.entry(path.clone()).or_default();
            match change {
                Change::Write { offset, bytes } if coin() => {
                    // Sectors are those of the file.
                    let mut at = 0_usize;
                    while at < bytes.len() {
                        let place = offset.saturating_add(at);
                        let room = SECTOR.saturating_sub(place % SECTOR);
                        let end = at.saturating_add(room).min(bytes.len());
                        if coin() {
                            put(file, place, bytes.get(at..end).unwrap_or_default());
                        }
                        at = end;
                    }
                }
                change => change.apply(file),
            }
        }
        // Of names that were not synced, the file may be gone.
        files.retain(|path, _| inner.named.contains(path) || coin());
        files
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn power_lost() -> io::Error {
    io::Error::other("the power is off")
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Inner {
    /// Counts an operation: whether it still happens for the process. The one at which the power
    /// goes may reach the disk, but nobody hears of it.
    fn count(&mut self) -> io::Result<bool> {
        let number = self.operations;
        self.operations = number.saturating_add(1);
        match self.dies_at {
            Some(at) if number > at => Err(power_lost()),
            Some(at) => Ok(number < at),
            None => Ok(true),
        }
    }

    fn change(&mut self, path: &str, change: Change) -> io::Result<()> {
        let lives = self.count()?;
        let file = self.seen.get_mut(path).ok_or_else(missing)?;
        change.apply(file);
        self.pending.push((path.to_owned(), change));
        if lives { Ok(()) } else { Err(power_lost()) }
    }
}

fn size(length: u64) -> io::Result<usize> {
    usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

impl Disk for TornDisk {
    fn create(&self, path: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.seen.entry(path.to_owned()).or_default();
        inner.kept.entry(path.to_owned()).or_default();
        inner.change(path, Change::Length(0))
    }

    fn write_at(&self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let change = Change::Write {
            offset: size(offset)?,
            bytes: bytes.to_vec(),
        };
        self.inner().change(path, change)
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        let mut inner = self.inner();
        let lives = inner.count()?;
        if !lives {
            return Err(power_lost());
        }
        let inner = &mut *inner;
        let seen = inner.seen.get(path).ok_or_else(missing)?;
        inner.kept.insert(path.to_owned(), seen.clone());
        inner.pending.retain(|(of, _)| of != path);
        Ok(())
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let inner = self.inner();
        let file = inner.seen.get(path).ok_or_else(missing)?;
        let start = size(offset)?;
        let part = file.get(start..start.saturating_add(buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        let inner = self.inner();
        let file = inner.seen.get(path).ok_or_else(missing)?;
        Ok(file.len() as u64)
    }

    fn truncate(&self, path: &str, length: u64) -> io::Result<()> {
        let change = Change::Length(size(length)?);
        self.inner().change(path, change)
    }

    /// At once and for good, as is its target's old content.
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        if !inner.count()? {
            return Err(power_lost());
        }
        let inner = &mut *inner;
        let file = inner.seen.remove(from).ok_or_else(missing)?;
        inner.seen.insert(to.to_owned(), file);
        let kept = inner.kept.remove(from).unwrap_or_default();
        inner.kept.insert(to.to_owned(), kept);
        inner.pending.retain(|(path, _)| path != to);
        for (path, _) in &mut inner.pending {
            if path == from {
                to.clone_into(path);
            }
        }
        if inner.named.remove(from) {
            inner.named.insert(to.to_owned());
        }
        Ok(())
    }

    /// At once and for good.
    fn remove(&self, path: &str) -> io::Result<()> {
        let mut inner = self.inner();
        if !inner.count()? {
            return Err(power_lost());
        }
        inner.seen.remove(path).ok_or_else(missing)?;
        inner.kept.remove(path);
        inner.named.remove(path);
        inner.pending.retain(|(of, _)| of != path);
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let inner = self.inner();
        let names = inner.seen.keys().filter_map(|path| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            (parent == dir).then(|| name.to_owned())
        });
        Ok(names.collect())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut inner = self.inner();
        if !inner.count()? {
            return Err(power_lost());
        }
        let inside = |path: &&String| path.rsplit_once('/').map_or("", |(parent, _)| parent) == dir;
        let names: Vec<String> = inner.seen.keys().filter(inside).cloned().collect();
        inner.named.extend(names);
        Ok(())
    }
}
