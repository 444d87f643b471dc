//! Our store.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use skychat_proto::record::Batch;
use skychat_store::{
    Done, FileDisk, QueueError, SegmentFiller, Store, StoreReader, StoreWriter, WriterHandle,
    spawn_writer,
};

use crate::author::Author;
use crate::journal::Journal;

/// The next so many, made by another thread: what this one used would be held against it when it
/// waits for the disk beside others.
fn batches(author: &mut Author, entries: u64, commits: usize) -> Vec<Batch> {
    let make = || (0..commits).map(|_| author.batch(entries)).collect();
    std::thread::scope(|scope| scope.spawn(make).join().unwrap())
}

/// Called where the record is made, as the peers are. Segments are readied by a thread beside it.
pub(crate) struct Direct {
    author: Author,
    writer: StoreWriter,
    reader: StoreReader,
    ready: VecDeque<Batch>,
    entries: u64,
    ahead: Ahead,
}

impl Direct {
    pub(crate) fn new(dir: &Path, entries: usize) -> Self {
        let author = Author::new();
        let (writer, reader, _) = Store::open(FileDisk::new(dir), author.options()).unwrap();
        Direct {
            ahead: Ahead::new(&writer),
            author,
            writer,
            reader,
            ready: VecDeque::new(),
            entries: entries as u64,
        }
    }

    /// Bytes of journal that a commit adds, on average of some.
    pub(crate) fn bytes_of_commit(&mut self) -> usize {
        const SOME: usize = 16;
        self.ready(1);
        self.commit();
        let before = self.reader.size().bytes;
        self.ready(SOME);
        (0..SOME).for_each(|_| self.commit());
        usize::try_from(self.reader.size().bytes - before).unwrap() / SOME
    }
}

impl Journal for Direct {
    fn ready(&mut self, commits: usize) {
        self.ready
            .extend(batches(&mut self.author, self.entries, commits));
    }

    fn commit(&mut self) {
        let batch = self.ready.pop_front().unwrap();
        let (receipts, _) = self.writer.commit(vec![batch]).unwrap();
        assert_eq!(receipts.len(), 1);
        self.ahead.nudge();
    }
}

/// The thread that readies segments, as the one of the driver.
struct Ahead {
    filler: SegmentFiller,
    nudges: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    fn new(writer: &StoreWriter) -> Self {
        let filler = writer.filler();
        let (nudges, nudged) = sync_channel(1);
        let fills = filler.clone();
        let thread = std::thread::spawn(move || {
            for () in nudged {
                while fills.step() {}
            }
        });
        Ahead {
            filler,
            nudges: Some(nudges),
            thread: Some(thread),
        }
    }

    fn nudge(&self) {
        if self.filler.is_behind() {
            // If one waits already, it stands for this one too.
            let _ = self.nudges.as_ref().map(|nudges| nudges.try_send(()));
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.nudges = None;
        self.thread.take().map(JoinHandle::join);
    }
}

/// By way of the thread that writes, as a node uses it: every commit goes there and back.
pub(crate) struct Threaded {
    author: Author,
    handle: Option<WriterHandle>,
    told: Receiver<Done>,
    reader: StoreReader,
    ready: VecDeque<Batch>,
    entries: u64,
}

/// What a run with a queue that is never empty took.
pub(crate) struct Run {
    pub(crate) seconds: f64,
    /// Bytes of journal of each group, in order.
    pub(crate) groups: Vec<usize>,
}

impl Threaded {
    pub(crate) fn new(dir: &Path, entries: usize) -> Self {
        let author = Author::new();
        let (writer, reader, _) = Store::open(FileDisk::new(dir), author.options()).unwrap();
        // More than there are batches on their way: the writer never waits for us.
        let (tell, told) = sync_channel(1024);
        let handle = spawn_writer(writer, move |done| tell.send(done).unwrap()).unwrap();
        Threaded {
            author,
            handle: Some(handle),
            told,
            reader,
            ready: VecDeque::new(),
            entries: entries as u64,
        }
    }

    /// Receipts of the next group.
    fn committed(&self) -> usize {
        match self.told.recv().unwrap() {
            Done::Committed { receipts, .. } => receipts.len(),
            other => panic!("a commit was expected, not {other:?}"),
        }
    }

    /// Hands in everything that is ready, as fast as it is taken.
    pub(crate) fn saturate(&mut self) -> Run {
        let all = self.ready.len();
        let before = self.reader.size().bytes;
        let (mut groups, mut done) = (Vec::new(), 0);
        let handle = self.handle.as_ref().unwrap();
        let start = Instant::now();
        while let Some(batch) = self.ready.pop_front() {
            if let Err((error, batch)) = handle.commit(batch) {
                assert_eq!(error, QueueError::Full);
                self.ready.push_front(batch);
                groups.push(self.committed());
            }
        }
        done += groups.iter().sum::<usize>();
        while done < all {
            let group = self.committed();
            groups.push(group);
            done += group;
        }
        let seconds = start.elapsed().as_secs_f64();
        let bytes = usize::try_from(self.reader.size().bytes - before).unwrap();
        let groups = groups.into_iter().map(|batches| bytes * batches / all);
        Run {
            seconds,
            groups: groups.collect(),
        }
    }
}

impl Journal for Threaded {
    fn ready(&mut self, commits: usize) {
        self.ready
            .extend(batches(&mut self.author, self.entries, commits));
    }

    fn commit(&mut self) {
        let batch = self.ready.pop_front().unwrap();
        let handle = self.handle.as_ref().unwrap();
        assert!(handle.commit(batch).is_ok(), "the queue was empty");
        assert_eq!(self.committed(), 1);
    }
}

impl Drop for Threaded {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            // Its directory is about to be removed.
            handle.join();
        }
    }
}
