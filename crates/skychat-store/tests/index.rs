//! The index on disk: a store with one says what a store without says, or that it does not know
//! yet; whatever happens to it.

#![cfg(feature = "sled")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test that panics is a test that fails"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use common::*;
use rand_core::{Rng, SeedableRng};
use skychat_proto::ids::*;
use skychat_store::*;

/// Ranges and messages in memory: far fewer than there are.
const TAIL: usize = 20;
const PATIENCE: Duration = Duration::from_secs(30);

fn bounded() -> OpenOptions {
    OpenOptions {
        tail: Some(TAIL),
        ..options()
    }
}

/// Everything, told without an index.
fn truth(dir: &Path) -> Said {
    look(FileDisk::new(dir)).unwrap().0
}

struct Open {
    handle: WriterHandle,
    told: Receiver<Done>,
    reader: StoreReader,
    recovered: Recovered,
}

fn open(dir: &Path) -> Open {
    let (writer, reader, recovered) = Store::open(FileDisk::new(dir), bounded()).unwrap();
    let (tell, told) = sync_channel(100_000);
    let index = dir.join("index");
    let handle = spawn_indexed_writer(writer, index, move |done| tell.send(done).unwrap()).unwrap();
    Open {
        handle,
        told,
        reader,
        recovered,
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Open {
    fn commit(&self, batches: Vec<skychat_proto::record::Batch>) {
        let count = batches.len();
        for batch in batches {
            let mut batch = Some(batch);
            until("room in the queue", || {
                match self.handle.commit(batch.take().unwrap()) {
                    Ok(()) => true,
                    Err((_, back)) => {
                        batch = Some(back);
                        false
                    }
                }
            });
        }
        let mut committed = 0;
        while committed < count {
            match self.told.recv_timeout(PATIENCE).unwrap() {
                Done::Committed { receipts, .. } => committed += receipts.len(),
                other => panic!("{other:?}"),
            }
        }
    }

    fn whole(&self) {
        until("the index is whole", || !self.reader.is_indexing());
    }

    /// What it says, when the index is whole.
    fn says(&self) -> Said {
        self.whole();
        said(&self.reader, &self.recovered).unwrap()
    }

    fn close(self) {
        self.handle.join();
    }
}

/// Pages of a few messages, put together.
fn paged(reader: &StoreReader) -> Vec<StoredMessage> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let mut page = reader.history(space(), before, 7).unwrap();
        let Some(first) = page.first() else { break };
        before = Some(first.record);
        page.extend(all);
        all = page;
    }
    all
}

struct Talk {
    authors: [Author; 2],
    number: u64,
}

impl Talk {
    fn new() -> Self {
        Talk {
            authors: [Author::new(ann()), Author::new(bob())],
            number: 0,
        }
    }

    fn some(&mut self, batches: usize) -> Vec<skychat_proto::record::Batch> {
        (0..batches)
            .map(|_| {
                self.number += 1;
                let author = &mut self.authors[usize::from(self.number.is_multiple_of(3))];
                author.batch(self.number, 1 + (self.number % 4) as usize, 30)
            })
            .collect()
    }
}

#[test]
fn what_is_older_than_the_tail_is_found_in_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::new();
    for _ in 0..3 {
        let store = open(dir.path());
        for _ in 0..20 {
            store.commit(talk.some(12));
        }
        store.close();
        let truth = truth(dir.path());
        let store = open(dir.path());
        assert_eq!(store.says(), truth);
        assert_eq!(paged(&store.reader), truth.history);
        // Any span of events, and any range of a feed, from anywhere.
        for from in (1..=truth.events.len()).step_by(37) {
            let events = store.reader.events(EventSeq::new(from as u64), 5).unwrap();
            assert_eq!(
                events,
                truth.events[from - 1..(from + 4).min(truth.events.len())]
            );
        }
        for author in &talk.authors {
            for from in (0..author.head.get()).step_by(29) {
                let from = Position::new(from);
                let range = store.reader.range(author.feed, from, 100, 1 << 20, false);
                let range = range.unwrap().unwrap();
                assert_eq!((range.feed(), range.start()), (author.feed, from));
            }
        }
        store.close();
    }
    assert!(talk.authors[0].head.get() > 1_000);
}

#[test]
fn what_is_not_known_yet_is_said_to_be_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::new();
    let store = open(dir.path());
    store.commit(talk.some(100));
    store.close();
    let truth = truth(dir.path());

    // Nobody opens the index. Without a checkpoint the tail is full.
    for name in files_of(dir.path()) {
        if name.to_string_lossy().contains("checkpoint-") {
            fs::remove_file(name).unwrap();
        }
    }
    let (_writer, reader, _) = Store::open(FileDisk::new(dir.path()), bounded()).unwrap();
    assert!(reader.is_indexing());
    let indexing = |error: Option<ReadError>| matches!(error, Some(ReadError::Indexing));
    let (first, last) = (&truth.history[0], truth.history.last().unwrap());
    let find = |of: &StoredMessage| {
        let feed = of.header.feed;
        reader.find(feed.author, feed.space, of.header.message)
    };
    assert!(indexing(find(first).err()));
    assert_eq!(find(last).unwrap().unwrap().record, last.record);
    assert!(indexing(reader.history(space(), None, 50).err()));
    assert_eq!(
        reader.history(space(), None, 5).unwrap(),
        truth.history[truth.history.len() - 5..]
    );
    let feed = talk.authors[0].feed;
    let from_start = reader.range(feed, Position::START, 9, 4096, false);
    assert!(indexing(from_start.err()));
    let unknown = reader.find(feed.author, feed.space, message(999_999));
    assert!(indexing(unknown.err()));
    // These do not need it.
    assert_eq!(reader.conversations().unwrap(), truth.conversations);
    let events = reader.events(EventSeq::new(1), usize::MAX).unwrap();
    assert_eq!(events, truth.events);
    drop((_writer, reader));

    // A lookup waits until it can be answered.
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = open(dir.path());
    let ids = vec![first.header.message, message(999_999)];
    let author = first.header.feed.author;
    store.handle.lookup(7, author, space(), ids).unwrap();
    match store.told.recv_timeout(PATIENCE).unwrap() {
        Done::Found { lookup, found } => {
            assert_eq!(lookup, 7);
            assert!(found[0].is_some() && found[1].is_none());
        }
        other => panic!("{other:?}"),
    }
    store.close();
}

fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_of(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &there);
        } else {
            fs::copy(&path, there).unwrap();
        }
    }
}

#[test]
fn an_index_that_is_damaged_in_any_way_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::new();
    let store = open(dir.path());
    store.commit(talk.some(300));
    store.whole();
    store.close();
    let truth = truth(dir.path());
    let mut rng = chacha20::ChaCha20Rng::from_seed([11; 32]);
    let mut below = |n: usize| (rng.next_u64() % n.max(1) as u64) as usize;
    for round in 0..40 {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        let index = copied.path().join("index");
        let files = files_of(&index);
        let file = &files[below(files.len())];
        let mut bytes = fs::read(file).unwrap();
        let what = match round % 5 {
            0 => {
                fs::remove_file(file).unwrap();
                "removed"
            }
            1 => {
                bytes.truncate(below(bytes.len()));
                fs::write(file, &bytes).unwrap();
                "cut"
            }
            2 | 3 => {
                for _ in 0..3 {
                    let at = below(bytes.len());
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 0x10;
                    }
                }
                fs::write(file, &bytes).unwrap();
                "flipped"
            }
            _ => {
                let at = below(bytes.len());
                let end = (at + 4096).min(bytes.len());
                bytes[at..end].fill(0);
                fs::write(file, &bytes).unwrap();
                "zeroed"
            }
        };
        let store = open(copied.path());
        assert_eq!(store.says(), truth, "{} {what}", file.display());
        store.close();
    }
}

#[test]
fn an_index_of_another_state_of_the_journal_is_caught_up_or_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let old = tempfile::tempdir().unwrap();
    let mut talk = Talk::new();
    let store = open(dir.path());
    store.commit(talk.some(150));
    store.close();
    copy(dir.path(), old.path());
    let before = truth(dir.path());
    let store = open(dir.path());
    store.commit(talk.some(150));
    store.close();
    let after = truth(dir.path());

    // Behind: what it lacks is entered.
    let index = dir.path().join("index");
    let newer = dir.path().join("newer");
    fs::rename(&index, &newer).unwrap();
    copy(&old.path().join("index"), &index);
    let store = open(dir.path());
    assert_eq!(store.says(), after);
    store.close();

    // Ahead of the journal, as after a restored backup, and then of one that went on otherwise.
    fs::remove_dir_all(old.path().join("index")).unwrap();
    copy(&newer, &old.path().join("index"));
    let store = open(old.path());
    assert_eq!(store.says(), before);
    store.close();
    let mut other = Talk::new();
    other.some(150);
    other.number = 1_000;
    fs::remove_dir_all(old.path().join("index")).unwrap();
    copy(&newer, &old.path().join("index"));
    let (mut writer, _, _) = Store::open(FileDisk::new(old.path()), options()).unwrap();
    for batch in other.some(200) {
        writer.commit(vec![batch]).unwrap();
    }
    drop(writer);
    let store = open(old.path());
    let truth = truth(old.path());
    assert_eq!(store.says(), truth);
    store.close();
}

/// What a kill leaves: an index that went on after its mark was written.
#[test]
fn what_lies_behind_the_mark_is_entered_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::new();
    let store = open(dir.path());
    store.commit(talk.some(90));
    store.close();
    let mark = fs::read(dir.path().join("index/mark")).unwrap();
    for _ in 0..5 {
        let store = open(dir.path());
        store.commit(talk.some(41));
        store.whole();
        store.close();
        fs::write(dir.path().join("index/mark"), &mark).unwrap();
        let store = open(dir.path());
        let said = store.says();
        store.close();
        assert_eq!(said, truth(dir.path()));
    }
}

/// The thread makes checkpoints and journals them, and what is before one is found in the index.
#[test]
fn a_start_from_a_checkpoint_finds_what_is_older() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::new();
    for _ in 0..3 {
        let store = open(dir.path());
        assert_eq!(store.recovered.warnings, []);
        for _ in 0..10 {
            store.commit(talk.some(9));
        }
        store.close();
        let checkpoints = files_of(dir.path()).into_iter();
        let checkpoints = checkpoints.filter(|path| path.to_string_lossy().contains("checkpoint-"));
        // Two that are kept, and one whose predecessor is not removed yet.
        assert!((1..=3).contains(&checkpoints.count()));
    }
    let truth = truth(dir.path());
    let store = open(dir.path());
    assert_eq!(store.recovered.warnings, []);
    assert_eq!(store.recovered.tables, truth.tables);
    assert_eq!(store.recovered.events.get(), truth.events.len() as u64);
    // What was read by the start is known at once.
    let last = truth.history.last().unwrap();
    let found = store.reader.content(last.header.feed, last.header.seq);
    assert!(!matches!(found, Ok(None)));
    let from = EventSeq::new(3);
    let events = store.reader.events(from, 5).unwrap();
    assert_eq!(events, truth.events[2..7]);
    assert_eq!(store.says(), truth);
    assert_eq!(paged(&store.reader), truth.history);
    store.close();
}

/// JRN-5: an index that cannot be made for damage says so; it is not "being opened" for ever.
#[test]
fn a_damaged_journal_without_an_index_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::new();
    let store = open(dir.path());
    for _ in 0..40 {
        store.commit(talk.some(9));
    }
    store.close();
    // The head of its first record.
    let first = dir.path().join("journal/00000002.seg");
    let mut bytes = fs::read(&first).unwrap();
    bytes[138 + 86 + 10] ^= 1;
    fs::write(&first, bytes).unwrap();
    // Undamaged where the start reads, and with the index as it was: all is as before.
    let store = open(dir.path());
    store.whole();
    store.close();

    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = open(dir.path());
    let told = || match store.reader.history(space(), None, usize::MAX) {
        Err(ReadError::Indexing) => None,
        other => Some(other),
    };
    until("a word on the damage", || told().is_some());
    let error = told().unwrap().unwrap_err();
    assert!(
        matches!(error, ReadError::Damaged { segment: 2, .. }),
        "{error}"
    );
    assert!(!store.reader.is_indexing());
    store.close();
}
