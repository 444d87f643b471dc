//! The journal: what a commit costs, and a start.
//!
//! `memory` is what the store itself does: sealing, hashing, encoding, the index. `file` waits for
//! the disk, once for each commit; `raw` beside it writes and syncs as many bytes and nothing
//! else.

#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

use std::fs::OpenOptions as FileOptions;
use std::hint::black_box;
use std::os::unix::fs::FileExt;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use skychat_proto::ids::{Position, Seq};
use skychat_store::{Disk, FileDisk, MemoryDisk, StoreReader};

mod author;

use author::{Author, Failure, open};

/// Messages in one batch.
const COUNTS: [u64; 2] = [1, 64];

fn commit_to(
    c: &mut Criterion,
    name: &str,
    mut disk: impl FnMut() -> Result<Box<dyn Disk>, Failure>,
) -> Result<(), Failure> {
    let mut group = c.benchmark_group(format!("journal/commit/{name}"));
    for count in COUNTS {
        let mut author = Author::new()?;
        let (mut writer, _) = open(disk()?)?;
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} messages"), |b| {
            b.iter_batched(
                || author.batch(count),
                |batch| {
                    let done = batch.map(|batch| writer.commit(vec![batch]));
                    assert!(matches!(black_box(done), Ok(Ok(_))), "not committed");
                },
                // In order, and one at a time.
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    Ok(())
}

fn commit(c: &mut Criterion) {
    let done = (|| -> Result<(), Failure> {
        commit_to(c, "memory", || Ok(Box::new(MemoryDisk::new())))?;
        let dirs = [tempfile::tempdir_in(".")?, tempfile::tempdir_in(".")?];
        let mut next = dirs.iter();
        commit_to(c, "file", || {
            let dir = next.next().ok_or("no directory")?;
            Ok(Box::new(FileDisk::new(dir.path())))
        })
    })();
    assert!(done.is_ok(), "{done:?}");
}

/// As many bytes as the group of one message, and of 64, into a file that is there already.
fn raw(c: &mut Criterion) {
    let Ok(dir) = tempfile::tempdir_in(".") else {
        return;
    };
    let path = dir.path().join("raw");
    let mut group = c.benchmark_group("journal/raw write and fdatasync");
    for bytes in [1200_usize, 58_000] {
        let written = std::fs::write(&path, vec![0; 64 << 20]).and_then(|()| {
            let file = FileOptions::new().write(true).open(&path)?;
            file.sync_all()?;
            Ok(file)
        });
        let Ok(file) = written else { return };
        let block = vec![7; bytes];
        let mut at = 0_u64;
        group.bench_function(format!("{bytes} bytes"), |b| {
            b.iter(|| {
                let done = file
                    .write_all_at(&block, at)
                    .and_then(|()| file.sync_data());
                assert!(done.is_ok());
                at = (at + bytes as u64) % (63 << 20);
            });
        });
    }
    group.finish();
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

criterion_group!(benches, commit, raw, read);
criterion_main!(benches);
