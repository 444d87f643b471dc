//! Sweeps: what is dead is overwritten, what is live never (JRN-6).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test that panics is a test that fails"
)]

mod common;
// The testkit rests on this crate, so its disk is read in here.
#[path = "../../skychat-testkit/src/disk.rs"]
mod disk;
#[path = "common/dead.rs"]
mod remains;

use common::*;
use disk::TornDisk;
use remains::{Files, dead, leftovers, live};
use skychat_proto::ids::*;
use skychat_proto::record::{Batch, Parts, Record, tables};
use skychat_store::*;

const SECRET: TableId = TableId::new(130);

fn drop_of(feed: FeedId, from: u64, to: u64, parts: Parts) -> Record {
    Record::Drop {
        feed,
        from: Position::new(from),
        to: Position::new(to),
        parts,
    }
}

/// Groups after each of which something is dead, over several segments.
fn dying() -> Vec<Vec<Batch>> {
    let (mut ann, mut bob) = (Author::new(ann()), Author::new(bob()));
    let mut groups = Vec::new();
    for n in 0..12_u64 {
        let mut first = ann.batch(n * 3, 2, 80);
        let mut second = bob.batch(n * 3 + 1, 1, 60);
        let row = format!("row {}", n % 3);
        first
            .records
            .push(put(PEER, &row, &format!("value {n}"), false));
        let log = format!("event {n}");
        first.records.push(put(tables::EVENT, &log, "it", true));
        second
            .records
            .push(put(SECRET, "chain", &"k".repeat(40 + n as usize), false));
        if n % 4 == 3 {
            second.records.push(Record::Delete {
                table: PEER,
                key: b"row 1".to_vec(),
                event: true,
            });
        }
        let parts = [Parts::Bodies, Parts::Contents, Parts::Both][n as usize % 3];
        if n > 1 {
            first.records.push(drop_of(ann.feed, n - 2, n + 1, parts));
        }
        if n % 3 == 2 {
            // Of this very group, and of what is still to come.
            second
                .records
                .push(drop_of(bob.feed, n - 1, n + 9, Parts::Both));
        }
        groups.push(vec![first, second]);
    }
    groups
}

fn sweep(writer: &StoreWriter) {
    while writer.sweeper().step() {}
}

#[test]
fn what_is_dead_goes_and_what_is_live_stays() {
    let disk = MemoryDisk::new();
    let (mut writer, reader, _) = Store::open(disk.clone(), options()).unwrap();
    let mut gone = 0;
    for group in dying() {
        writer.commit(group).unwrap();
        let before = disk.files();
        let left = leftovers(&before).len();
        let (said_before, _) = look(MemoryDisk::with_files(before.clone())).unwrap();
        assert!(writer.sweeper().has_work() || left == 0);
        sweep(&writer);
        assert!(!writer.sweeper().has_work());
        gone += left;
        let files = disk.files();
        assert_eq!(leftovers(&files), Vec::<String>::new());
        assert_eq!(live(&files), live(&before));
        let (said_after, warnings) = look(MemoryDisk::with_files(files)).unwrap();
        assert!(said_after == said_before && warnings.is_empty());
    }
    assert!(gone > 30, "{gone}");
    // Nothing is left to be done by the next life, but to look.
    drop((writer, reader));
    let files = disk.files();
    let (writer, ..) = Store::open(disk.clone(), options()).unwrap();
    sweep(&writer);
    let head = |mut files: Files| files.remove("HEAD");
    assert_eq!(head(disk.files()), head(files.clone()));
    let report = check(&disk, CheckOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(report.losses, []);
}

/// Commits the groups, with sweeps in between; how many were committed.
fn run(disk: &TornDisk) -> Option<usize> {
    let (mut writer, _, _) = Store::open(disk.clone(), options()).ok()?;
    let mut committed = 0;
    for (n, group) in dying().into_iter().enumerate() {
        if writer.commit(group).is_err() {
            break;
        }
        committed += 1;
        if n % 2 == 1 {
            sweep(&writer);
        } else {
            writer.sweeper().step();
        }
    }
    Some(committed)
}

/// The power goes at every operation, writes torn: what was committed is there, and what is dead
/// goes at the next start.
#[test]
fn a_loss_of_power_in_a_sweep_loses_nothing() {
    let mut milestones = vec![look(MemoryDisk::new()).unwrap().0];
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    for group in dying() {
        writer.commit(group).unwrap();
        milestones.push(look(MemoryDisk::with_files(disk.files())).unwrap().0);
    }
    let whole = TornDisk::new();
    assert_eq!(run(&whole), Some(dying().len()));
    let operations = whole.operations();
    assert!(operations > 150, "{operations}");
    let mut torn = 0;
    for at in 0..operations {
        for seed in 0..3 {
            let disk = TornDisk::with_files(Default::default(), Some(at));
            let committed = run(&disk).unwrap_or(0);
            let files = disk.after_power_loss(seed);
            let found = look(MemoryDisk::with_files(files.clone()));
            let (found, _) = found.unwrap_or_else(|error| panic!("at {at}, seed {seed}: {error}"));
            let is_whole = milestones.get(committed) == Some(&found)
                || milestones.get(committed + 1) == Some(&found);
            assert!(is_whole, "at {at}, seed {seed}: {committed} were committed");
            let again = MemoryDisk::with_files(files);
            let (mut writer, ..) = Store::open(again.clone(), options()).unwrap();
            torn += usize::from(writer.sweeper().has_work());
            sweep(&writer);
            let (after, _) = look(MemoryDisk::with_files(again.files())).unwrap();
            assert!(after == found, "at {at}, seed {seed}");
            // What is left of a group that was cut goes with the next one.
            writer
                .commit(vec![batch(999, vec![put(PEER, "last", "", false)])])
                .unwrap();
            let files = again.files();
            assert_eq!(
                leftovers(&files),
                Vec::<String>::new(),
                "at {at}, seed {seed}"
            );
        }
    }
    assert!(torn > 100, "{torn}");
}

/// JRN-8: what is before a checkpoint and was not overwritten yet is in it.
#[test]
fn a_start_from_a_checkpoint_sweeps_what_is_before_it() {
    let bounded = |n: u8| OpenOptions {
        tail: Some(10_000),
        incarnation: life(n),
        seed: [n; 32],
        ..options()
    };
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), bounded(1)).unwrap();
    let maker = writer.checkpoint_maker();
    for n in 0..60 {
        let rows = vec![
            put(
                PEER,
                &format!("row {}", n % 4),
                &format!("value {n} {}", "x".repeat(60)),
                false,
            ),
            put(SECRET, "chain", &format!("secret {n}"), n % 5 == 0),
        ];
        writer.commit(vec![batch(n, rows)]).unwrap();
        maker.step();
    }
    writer.commit(vec![]).unwrap();
    drop(writer);
    let before = disk.files();
    assert!(
        before
            .keys()
            .filter(|name| name.starts_with("checkpoint"))
            .count()
            >= 2
    );
    assert!(leftovers(&before).len() > 100);
    let expected = look(MemoryDisk::with_files(before)).unwrap().0.tables;
    // It dies in the middle of the sweep, too.
    for n in 2..5 {
        let (writer, ..) = Store::open(disk.clone(), bounded(n)).unwrap();
        writer.sweeper().step();
    }
    let (writer, _, recovered) = Store::open(disk.clone(), bounded(9)).unwrap();
    assert_eq!(recovered.warnings, []);
    sweep(&writer);
    assert_eq!(leftovers(&disk.files()), Vec::<String>::new());
    let (_, _, recovered) = Store::open(disk, bounded(10)).unwrap();
    assert_eq!(recovered.tables, expected);
}

/// More than the list holds is found by looking at all of the journal.
#[test]
fn a_list_that_is_full_loses_nothing() {
    let disk = MemoryDisk::new();
    let (mut writer, ..) = Store::open(
        disk.clone(),
        OpenOptions {
            segments: SegmentSizes::default(),
            ..options()
        },
    )
    .unwrap();
    let mut ann = Author::new(ann());
    for group in 0..6 {
        let mut records = ann.batch(group, 30, 50).records;
        for n in 0..7_000_u64 {
            records.push(put(
                PEER,
                &format!("{}", n % 700),
                &format!("{group} {n}"),
                false,
            ));
        }
        if group == 3 {
            records.push(drop_of(ann.feed, 5, 50, Parts::Contents));
            records.push(drop_of(ann.feed, 20, 90, Parts::Bodies));
        }
        writer.commit(vec![batch(group, records)]).unwrap();
    }
    let before = disk.files();
    assert!(leftovers(&before).len() > 40_000);
    assert!(writer.sweeper().is_pressing());
    sweep(&writer);
    assert!(!writer.sweeper().has_work());
    let files = disk.files();
    assert_eq!(leftovers(&files), Vec::<String>::new());
    assert_eq!(live(&files), live(&before));
    assert_eq!(dead(&files).len(), dead(&before).len());
}

/// A full disk is no matter, a broken one is the end.
#[test]
fn a_sweep_that_fails_is_tried_again() {
    let disk = MemoryDisk::new();
    let (mut writer, ..) = Store::open(disk.clone(), options()).unwrap();
    for value in ["one", "two"] {
        writer
            .commit(vec![batch(1, vec![put(PEER, "bob", value, false)])])
            .unwrap();
    }
    disk.fail(Some(DiskFault::Full), 1);
    sweep(&writer);
    assert!(writer.sweeper().has_work());
    disk.fail(None, 0);
    sweep(&writer);
    assert!(!writer.sweeper().has_work());
    assert_eq!(leftovers(&disk.files()), Vec::<String>::new());
    writer
        .commit(vec![batch(1, vec![put(PEER, "bob", "three", false)])])
        .unwrap();
    disk.fail(Some(DiskFault::Broken), 0);
    sweep(&writer);
    disk.fail(None, 0);
    let error = writer.commit(vec![batch(1, vec![put(PEER, "bob", "four", false)])]);
    assert!(matches!(error, Err(WriteError::Poisoned)));
}
