//! The index on disk behind a million messages: what it takes of disk, time and memory.
//!
//! `cargo bench -- index`; `SKYCHAT_BENCH_MESSAGES` for another number, `SKYCHAT_BENCH_DIR` for
//! where (it has to be a disk).
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]
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

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use author::{Author, options};
use skychat_benches::resident_kib;
use skychat_proto::ids::Position;
use skychat_store::{
    Done, FileDisk, MAX_TAIL, Store, StoreReader, WriterHandle, spawn_indexed_writer,
};

const NAMES: [(&str, u64); 2] = [("index/batches-of-64", 64), ("index/batches-of-1", 1)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let filters: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let messages = std::env::var("SKYCHAT_BENCH_MESSAGES");
    let messages = messages.map_or(1_000_000, |text| text.parse().unwrap());
    for (name, batch) in NAMES {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        if flag("--list") {
            println!("{name}: benchmark");
        } else if flag("--test") {
            measure(name, batch, 500);
        } else {
            measure(
                name,
                batch,
                if batch == 1 { messages / 10 } else { messages },
            );
        }
    }
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

fn measure(name: &str, batch: u64, messages: u64) {
    let place = std::env::var_os("SKYCHAT_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(place).unwrap();
    let mut author = Author::new().unwrap();
    let store = open(dir.path());
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
    let behind = began.elapsed();
    println!("{name}, {messages} messages of {} bytes", author::TEXT);
    println!(
        "  written      {:.0} messages/s, the index {behind:.1?} behind at the end",
        messages as f64 / took.as_secs_f64()
    );
    let each = |folder: PathBuf| size(&folder) as f64 / messages as f64;
    println!(
        "  disk         journal {:.0} bytes a message, index {:.0}",
        each(dir.path().join("journal")),
        each(dir.path().join("index"))
    );

    let store = open(dir.path());
    let opened = whole(&store.reader);
    println!(
        "  start        ready in {:.1?}, the index whole {opened:.1?} later; RSS {} MiB",
        store.ready,
        resident_kib() / 1024
    );
    let space = author.feed.space;
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        let page = store.reader.history(space, None, 50).unwrap();
        times.push(began.elapsed());
        assert_eq!(page.len(), 50);
    }
    times.sort_unstable();
    println!("  last 50      {:.1?} warm (median)", times[100]);
    let mut times = Vec::new();
    let last = store.reader.history(space, None, 1).unwrap()[0].record;
    for n in 1..=100 {
        let before = skychat_store::RecordId {
            group: (last.group * n / 101).max(2),
            index: 0,
        };
        let began = Instant::now();
        store.reader.history(space, Some(before), 50).unwrap();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!("  older 50     {:.1?} (median)", times[50]);
    let mut times = Vec::new();
    for n in 1..=100 {
        let from = Position::new(author.head.get() * n / 101);
        let began = Instant::now();
        store
            .reader
            .range(author.feed, from, 64, 1 << 18, true)
            .unwrap()
            .unwrap();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!("  older range  {:.1?} (median)", times[50]);
    store.handle.join();

    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = open(dir.path());
    let rebuilt = whole(&store.reader);
    println!(
        "  made again   in {rebuilt:.1?}; RSS {} MiB",
        resident_kib() / 1024
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
