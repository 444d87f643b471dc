//! A new store from what an old one said.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skychat_proto::ids::{BatchId, EventSeq, Incarnation};
use skychat_proto::record::{Batch, Record};

use crate::disk::Disk;
use crate::error::{OpenError, WriteError};
use crate::gather::KeptGroup;
use crate::open::{OpenOptions, Store};
use crate::writer::StoreWriter;

/// Writes a store anew: what [`gather`](crate::gather) gives, group by group.
///
/// Events keep their numbers and lives for as long as none is missing. From there on they are
/// events of a life of their own, [`OpenOptions::incarnation`]: no pair of a life and a number is
/// ever told of two events, so whoever reads on from an old cursor learns of the gap (EVENT-4).
#[derive(Debug)]
pub struct Rewriter {
    writer: StoreWriter,
    disk: SyncedLater,
    life: Incarnation,
    /// Whether something was written.
    begun: bool,
    /// Whether numbers are others than they were.
    moved: bool,
}

impl Rewriter {
    /// On a disk that has no store yet.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn create(disk: impl Disk + 'static, options: OpenOptions) -> Result<Self, OpenError> {
        let disk = SyncedLater(Arc::new(Inner {
            disk: Box::new(disk),
            late: Mutex::default(),
        }));
        let life = options.incarnation;
        let options = OpenOptions {
            tail: Some(0),
            ..options
        };
        let (writer, _, _) = Store::open(disk.clone(), options)?;
        Ok(Rewriter {
            writer,
            disk,
            life,
            begun: false,
            moved: false,
        })
    }

    /// Writes a group behind those before it.
    ///
    /// # Errors
    /// [`WriteError`]; the new store is of no use then.
    pub fn write(&mut self, group: KeptGroup) -> Result<(), WriteError> {
        if !self.moved {
            match group.life {
                Some(life) => self.writer.life = Some(life),
                None => self.moved = !self.begun,
            }
            let mut last = self.writer.last_event();
            let numbers = group.records.iter().map(|record| record.event);
            for event in numbers.filter(|event| *event != EventSeq::ZERO) {
                last = last.next();
                if event != last {
                    self.moved = true;
                    self.writer.life = Some(self.life);
                    break;
                }
            }
        }
        let records: Vec<Record> = group.records.into_iter().map(|kept| kept.record).collect();
        if records.is_empty() {
            return Ok(());
        }
        self.begun = true;
        let id = BatchId::new(0);
        self.writer.commit(vec![Batch { id, records }]).map(drop)
    }

    /// Returns when all of it would survive a loss of power.
    ///
    /// # Errors
    /// What the system said; the new store is of no use then.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.sync_head()?;
        drop(self.writer);
        self.disk.sync_all()
    }
}

/// A disk that syncs at the end: nobody is told of anything before.
#[derive(Clone, Debug)]
struct SyncedLater(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    disk: Box<dyn Disk>,
    late: Mutex<Late>,
}

#[derive(Debug, Default)]
struct Late {
    files: BTreeSet<String>,
    dirs: BTreeSet<String>,
}

impl SyncedLater {
    fn late(&self) -> MutexGuard<'_, Late> {
        self.0.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync_all(&self) -> io::Result<()> {
        let late = std::mem::take(&mut *self.late());
        for file in &late.files {
            self.0.disk.sync(file)?;
        }
        late.dirs
            .iter()
            .try_for_each(|dir| self.0.disk.sync_dir(dir))
    }
}

impl Disk for SyncedLater {
    fn create(&self, path: &str) -> io::Result<()> {
        self.0.disk.create(path)
    }

    fn write_at(&self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.disk.write_at(path, offset, bytes)
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.late().files.insert(path.to_owned());
        Ok(())
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.disk.read_at(path, offset, buffer)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.0.disk.len(path)
    }

    fn truncate(&self, path: &str, length: u64) -> io::Result<()> {
        self.0.disk.truncate(path, length)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.late().files.remove(path);
        self.0.disk.remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.0.disk.list(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.late().dirs.insert(dir.to_owned());
        Ok(())
    }

    fn room(&self) -> Option<u64> {
        self.0.disk.room()
    }
}

/// A disk that alters nothing, whatever it is asked: to see what opening a store would say.
#[derive(Debug)]
pub struct ReadOnly<D>(pub D);

impl<D: Disk> Disk for ReadOnly<D> {
    fn create(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn write_at(&self, _: &str, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(path, offset, buffer)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.0.len(path)
    }

    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}
