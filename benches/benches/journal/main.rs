//! The journal: what a commit costs, and a start.
//!
//! In memory it is what the store itself does, in processor time: sealing, hashing, encoding, the
//! index. On disk it waits for the disk, once for each commit; beside it the same number of bytes is
//! written over zeros and synced, and nothing else is done. Reading has no limit to be held against:
//! criterion compares it with the run before.

#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark: it fails aloud, and reads the clock"
)]

use std::fs::{File, OpenOptions as FileOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group};
use skychat_benches::{Asked, Better, Report, Row, in_turn, scratch, thread_seconds};
use skychat_proto::ids::{Position, Seq};
use skychat_store::{Disk, FileDisk, MemoryDisk, StoreReader, StoreWriter};

mod author;
mod bytes;

use author::{Author, Failure, open};

/// Messages in one commit.
const COUNTS: [u64; 4] = [1, 16, 64, 256];
/// Zeros that the bare loop writes over, again and again.
const ZEROS: usize = 64 << 20;

fn main() {
    let mut asked = Asked::of_command_line();
    let mut report = Report::new("journal");
    if asked.measures("journal/commit/memory") {
        in_memory(&asked, &mut report).unwrap();
    }
    if asked.measures("journal/commit/file") {
        on_disk(&asked, &mut report).unwrap();
    }
    asked.finish(&report).unwrap();
    reads();
    Criterion::default().configure_from_args().final_summary();
}

/// Somebody whose messages are committed one batch after the other.
struct Writing {
    author: Author,
    writer: StoreWriter,
    count: u64,
}

impl Writing {
    fn new(disk: impl Disk + 'static, count: u64) -> Result<Self, Failure> {
        let (writer, _) = open(disk)?;
        Ok(Writing {
            author: Author::new()?,
            writer,
            count,
        })
    }

    /// Seconds of a clock that a commit takes, without what it takes to write the messages.
    fn commits(&mut self, times: u32, clock: impl Fn() -> f64) -> f64 {
        let mut took = 0.0;
        for _ in 0..times {
            let batch = vec![self.author.batch(self.count).unwrap()];
            let began = clock();
            let committed = self.writer.commit(batch);
            took += clock() - began;
            committed.unwrap();
        }
        took / f64::from(times)
    }
}

fn name(count: u64) -> String {
    match count {
        1 => "1 message a commit".to_owned(),
        count => format!("{count} messages a commit"),
    }
}

fn rate(count: u64, seconds: f64) -> String {
    format!("{:.0} messages/s", count as f64 / seconds)
}

fn in_memory(asked: &Asked, report: &mut Report) -> Result<(), Failure> {
    let (rounds, times) = asked.amount((21, 20), (1, 1));
    let mut writing = Vec::new();
    for count in COUNTS {
        writing.push(Writing::new(MemoryDisk::new(), count)?);
    }
    let took: [f64; COUNTS.len()] = in_turn(rounds, |n| writing[n].commits(times, thread_seconds));
    report.section("Commits in memory: sealing, hashing, encoding, index", "");
    for (count, took) in COUNTS.into_iter().zip(took) {
        let row = Row::shown(format!("memory/{count}"), name(count), took * 1e6, "us");
        report.row(row.aside(rate(count, took)));
    }
    Ok(())
}

/// Writes and syncs, over zeros that are there already.
struct Bare {
    file: File,
    block: Vec<u8>,
    at: usize,
}

impl Bare {
    fn new(path: &Path, bytes: usize) -> Result<Self, Failure> {
        std::fs::write(path, vec![0; ZEROS])?;
        let file = FileOptions::new().write(true).open(path)?;
        file.sync_all()?;
        let block = vec![7; bytes];
        Ok(Bare { file, block, at: 0 })
    }

    fn commits(&mut self, times: u32) -> f64 {
        let began = Instant::now();
        for _ in 0..times {
            self.file
                .write_all_at(&self.block, self.at as u64)
                .and_then(|()| self.file.sync_data())
                .unwrap();
            self.at += self.block.len();
            if self.at + self.block.len() > ZEROS {
                self.at = 0;
            }
        }
        began.elapsed().as_secs_f64() / f64::from(times)
    }
}

fn on_disk(asked: &Asked, report: &mut Report) -> Result<(), Failure> {
    let (rounds, times) = asked.amount((21, 20), (1, 1));
    let against = "a bare write and fdatasync of as many bytes";
    report.section("Commits to disk, one after the other", against);
    for count in COUNTS {
        let dir = tempfile::tempdir_in(scratch()?)?;
        let bytes = bytes::of_a_commit(count)?;
        let mut bare = Bare::new(&dir.path().join("bare"), bytes)?;
        let mut ours = Writing::new(FileDisk::new(dir.path()), count)?;
        let start = Instant::now();
        let wall = || start.elapsed().as_secs_f64();
        let [raw, took] = in_turn(rounds, |candidate| match candidate {
            0 => bare.commits(times),
            _ => ours.commits(times, wall),
        });
        let id = format!("file/{count}");
        let what = format!("bare write and fdatasync of {bytes} bytes");
        report.row(Row::shown(format!("{id}/bare"), what, raw * 1e6, "us"));
        let row = Row::shown(id, name(count), took * 1e6, "us");
        let row = row.ratio(raw / took, Better::Higher);
        report.row(row.aside(rate(count, took)));
    }
    Ok(())
}

fn read(c: &mut Criterion) {
    const MESSAGES: u64 = 64 * 256;
    let disk = MemoryDisk::new();
    let made = (|| -> Result<(Author, StoreReader), Failure> {
        let (mut writer, reader) = open(disk.clone())?;
        let mut author = Author::new()?;
        for _ in 0..MESSAGES / 64 {
            let batch = author.batch(64)?;
            writer.commit(vec![batch])?;
        }
        Ok((author, reader))
    })();
    let Ok((author, reader)) = made else { return };

    let mut group = c.benchmark_group("journal/open");
    group.throughput(Throughput::Elements(MESSAGES));
    group.sample_size(10);
    group.bench_function(format!("{MESSAGES} messages"), |b| {
        b.iter(|| assert!(open(disk.clone()).is_ok()));
    });
    group.finish();

    let mut group = c.benchmark_group("journal/read");
    group.bench_function("range of 256", |b| {
        b.iter(|| reader.range(author.feed, Position::new(640), 256, 256 * 1024, false));
    });
    group.bench_function("page of 50", |b| {
        b.iter(|| reader.history(author.feed.space, None, 50));
    });
    group.bench_function("content", |b| {
        b.iter(|| reader.content(author.feed, Seq::new(777)));
    });
    group.finish();
}

criterion_group!(reads, read);
