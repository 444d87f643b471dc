//! The index on disk behind a million messages: what it takes of disk, time and memory.
//!
//! `cargo bench -- index`; `SKYCHAT_BENCH_MESSAGES` for another number, `SKYCHAT_BENCH_DIR` for
//! where, else the target directory (it has to be on a disk).
#![allow(missing_docs, reason = "a benchmark")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

#[path = "journal/author.rs"]
#[allow(dead_code, reason = "shared with another benchmark")]
mod author;

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use author::{Author, options};
use skychat_benches::{Asked, Report, Row, median, messages, resident_kib, scratch};
use skychat_proto::ids::Position;
use skychat_store::{
    Done, FileDisk, MAX_TAIL, RecordId, Store, StoreReader, WriterHandle, spawn_indexed_writer,
};

/// Messages of a batch, and by what the number of messages is divided.
const CASES: [(u64, u64); 2] = [(64, 1), (1, 10)];
/// Pages and ranges that are read.
const READS: u64 = 200;

/// What a start has to keep, from the issue of a million messages.
const READY_S: f64 = 1.0;
const PAGE_MS: f64 = 1.0;

fn main() {
    let mut asked = Asked::of_command_line();
    let mut report = Report::new("index");
    let messages = asked.amount(messages(1_000_000).unwrap(), 500);
    for (batch, share) in CASES {
        if asked.measures(&format!("index/batches-of-{batch}")) {
            let share = asked.amount(share, 1);
            measure(&mut report, batch, messages / share);
        }
    }
    asked.finish(&report).unwrap();
}

struct Opened {
    handle: WriterHandle,
    told: Receiver<Done>,
    reader: StoreReader,
    ready: Duration,
}

fn open(dir: &Path) -> Opened {
    let began = Instant::now();
    let (writer, reader, _) = Store::open(FileDisk::new(dir), options(Some(MAX_TAIL))).unwrap();
    let ready = began.elapsed();
    let (tell, told) = sync_channel(4096);
    let index = dir.join("index");
    let handle = spawn_indexed_writer(writer, index, move |done| {
        let _ = tell.send(done);
    });
    Opened {
        handle: handle.unwrap(),
        told,
        reader,
        ready,
    }
}

fn whole(reader: &StoreReader) -> Duration {
    let began = Instant::now();
    while reader.is_indexing() {
        std::thread::sleep(Duration::from_millis(1));
    }
    began.elapsed()
}

/// Milliseconds of the middle one.
fn each(mut read: impl FnMut(u64)) -> f64 {
    let mut times = Vec::new();
    for n in 1..=READS {
        let began = Instant::now();
        read(n);
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    median(times)
}

/// Writes all messages; how long that took, and how far the index was behind then.
fn write(dir: &Path, author: &mut Author, batch: u64, messages: u64) -> (Duration, Duration) {
    let store = open(dir);
    let began = Instant::now();
    let (mut sent, mut committed) = (0, 0);
    while committed < messages.div_ceil(batch) {
        while sent < messages.div_ceil(batch) && sent - committed < 16 {
            store.handle.commit(author.batch(batch).unwrap()).unwrap();
            sent += 1;
        }
        if let Done::Committed { receipts, .. } = store.told.recv().unwrap() {
            committed += receipts.len() as u64;
        }
    }
    let took = began.elapsed();
    let began = Instant::now();
    let Opened { handle, told, .. } = store;
    drop(told);
    handle.join();
    (took, began.elapsed())
}

fn measure(report: &mut Report, batch: u64, messages: u64) {
    let dir = tempfile::tempdir_in(scratch().unwrap()).unwrap();
    let mut author = Author::new().unwrap();
    let (took, behind) = write(dir.path(), &mut author, batch, messages);
    let text = author::TEXT;
    let title = format!("{messages} messages of {text} bytes, {batch} a commit");
    report.section(title, "the target");
    let mut row = |id: &str, what: &str, value: f64, unit: &str, aside: String| {
        let row = Row::shown(format!("batches-of-{batch}/{id}"), what, value, unit).aside(aside);
        // What is asked of a start is asked of the whole number, in batches as they come.
        let row = match (batch, id) {
            (64, "ready") => row.stays_within(READY_S),
            (64, "page/last") => row.stays_within(PAGE_MS),
            _ => row,
        };
        report.row(row);
    };
    let rate = messages as f64 / took.as_secs_f64();
    let late = format!("the index was {behind:.1?} behind at the end");
    row("written", "written", rate, "messages/s", late);
    let bytes = |folder: &str| size(&dir.path().join(folder)) as f64 / messages as f64;
    let unit = "bytes a message";
    row(
        "disk/journal",
        "journal on disk",
        bytes("journal"),
        unit,
        String::new(),
    );
    row(
        "disk/index",
        "index on disk",
        bytes("index"),
        unit,
        String::new(),
    );

    let store = open(dir.path());
    let opened = whole(&store.reader);
    let ready = store.ready.as_secs_f64();
    let later = format!("the index was whole {opened:.1?} later");
    row("ready", "ready after", ready, "s", later);
    let memory = resident_kib() as f64 / 1024.0;
    row("ready/memory", "memory then", memory, "MiB", String::new());
    let space = author.feed.space;
    let reader = &store.reader;
    let last = each(|_| {
        let page = reader.history(space, None, 50).unwrap();
        assert_eq!(page.len(), 50);
    });
    row("page/last", "the last 50, warm", last, "ms", String::new());
    let newest = reader.history(space, None, 1).unwrap()[0].record;
    let older = each(|n| {
        let before = RecordId {
            group: (newest.group * n / (READS + 1)).max(2),
            index: 0,
        };
        reader.history(space, Some(before), 50).unwrap();
    });
    row("page/older", "an older 50", older, "ms", String::new());
    let range = each(|n| {
        let from = Position::new(author.head.get() * n / (READS + 1));
        let range = reader.range(author.feed, from, 64, 1 << 18, true);
        range.unwrap().unwrap();
    });
    row(
        "range/older",
        "an older range of 64",
        range,
        "ms",
        String::new(),
    );
    store.handle.join();

    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = open(dir.path());
    let again = whole(&store.reader).as_secs_f64();
    row(
        "made-again",
        "index made again in",
        again,
        "s",
        String::new(),
    );
    store.handle.join();
}

fn size(path: &Path) -> u64 {
    let found = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    found
        .map(|entry| {
            if entry.path().is_dir() {
                size(&entry.path())
            } else {
                entry.metadata().unwrap().len()
            }
        })
        .sum()
}
