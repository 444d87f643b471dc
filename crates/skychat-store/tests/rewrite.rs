//! Rewriting (JRN-7): what is dead is left out, and nothing else changes.

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
#[path = "common/dying.rs"]
mod dying;
#[path = "common/dead.rs"]
mod remains;

use common::*;
use disk::TornDisk;
use dying::{dying, sweep};
use remains::{Files, dead, leftovers, live};
use skychat_store::*;

/// Rewrites all that is worth it; how many segments.
fn rewrite(writer: &StoreWriter) -> u32 {
    let rewriter = writer.rewriter();
    let mut count = 0;
    while rewriter.has_work(true) {
        while rewriter.step(true) {}
        count += 1;
        assert!(count < 1000);
    }
    count
}

fn generations(files: &Files) -> Vec<u32> {
    let segments = files.iter().filter(|(name, _)| name.ends_with(".seg"));
    segments
        .map(|(_, bytes)| u32::from_be_bytes(bytes[58..62].try_into().unwrap()))
        .collect()
}

fn journal(files: &Files) -> usize {
    let segments = files.iter().filter(|(name, _)| name.ends_with(".seg"));
    segments.map(|(_, bytes)| bytes.len()).sum()
}

fn live_said(reader: &StoreReader, disk: &MemoryDisk) -> Said {
    let copy = MemoryDisk::with_files(disk.files());
    let (_, _, recovered) = Store::open(copy, options()).unwrap();
    said(reader, &recovered).unwrap()
}

#[test]
fn what_is_dead_is_left_out_and_nothing_else_changes() {
    let disk = MemoryDisk::new();
    let (mut writer, reader, _) = Store::open(disk.clone(), options()).unwrap();
    let mut rewritten = 0;
    for (n, group) in dying(60).into_iter().enumerate() {
        writer.commit(group).unwrap();
        if n % 9 != 8 {
            continue;
        }
        sweep(&writer);
        let before = disk.files();
        let (expected, _) = look(MemoryDisk::with_files(before.clone())).unwrap();
        rewritten += rewrite(&writer);
        let files = disk.files();
        let (found, warnings) = look(MemoryDisk::with_files(files.clone())).unwrap();
        assert!(found == expected && warnings.is_empty(), "{n}");
        assert!(live_said(&reader, &disk) == expected, "{n}");
        assert_eq!(leftovers(&files), Vec::<String>::new());
        assert!(live(&files).iter().all(|body| live(&before).contains(body)));
        let report = check(&disk, CheckOptions::default(), &mut |_| {}).unwrap();
        assert_eq!(report.losses, [], "{n}");
        let size = reader.size();
        assert_eq!(
            (report.groups, report.bytes),
            (size.groups, size.bytes),
            "{n}"
        );
        assert!(!files.keys().any(|name| name.ends_with(".new")));
    }
    assert!(rewritten > 20, "{rewritten}");
    let files = disk.files();
    assert!(
        generations(&files).contains(&2),
        "{:?}",
        generations(&files)
    );
    assert!(dead(&files).len() < 200, "{}", dead(&files).len());
    let usage = reader.usage();
    assert!(
        usage.live <= usage.total && usage.live * 8 > usage.total * 5,
        "{usage:?}"
    );
    // The same without all that: what is left says the same, in less.
    let plain = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(plain.clone(), options()).unwrap();
    for group in dying(60) {
        writer.commit(group).unwrap();
    }
    let (whole, _) = look(plain.clone()).unwrap();
    let (left, _) = look(disk.clone()).unwrap();
    assert!(whole == left);
    let (before, after) = (journal(&plain.files()), journal(&files));
    assert!(after * 10 < before * 9, "{before} to {after}");
    // All that is left can be written anew.
    let key = key(9);
    let opened = CheckOptions {
        store_key: Some(&key),
        ..CheckOptions::default()
    };
    let made = MemoryDisk::new();
    let mut rewriter = Rewriter::create(made.clone(), options()).unwrap();
    let report = gather::<OpenError>(&disk, opened, &mut |_| {}, &mut |group| {
        rewriter.write(group).unwrap();
        Ok(())
    });
    assert!(report.unwrap().is_whole());
    rewriter.finish().unwrap();
    let (again, _) = look(made).unwrap();
    let texts = |said: &Said| -> Vec<_> {
        let all = said.history.iter();
        all.map(|one| (one.header, one.content.clone(), one.event))
            .collect()
    };
    assert_eq!(texts(&again), texts(&whole));
    assert_eq!(again.tables, whole.tables);
    assert_eq!(again.tips, whole.tips);
}

/// Commits the groups, sweeps and rewrites in between; how many were committed.
fn run(disk: &TornDisk) -> Option<usize> {
    let (mut writer, _, _) = Store::open(disk.clone(), options()).ok()?;
    let mut committed = 0;
    for (n, group) in dying(16).into_iter().enumerate() {
        if writer.commit(group).is_err() {
            break;
        }
        committed += 1;
        if n % 5 == 4 {
            sweep(&writer);
            let rewriter = writer.rewriter();
            for _ in 0..8 {
                while rewriter.step(true) {}
            }
        }
    }
    Some(committed)
}

/// The power goes at every operation: the old segment or the new one is there.
#[test]
fn a_loss_of_power_leaves_the_old_segment_or_the_new_one() {
    let mut milestones = vec![look(MemoryDisk::new()).unwrap().0];
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    for group in dying(16) {
        writer.commit(group).unwrap();
        milestones.push(look(MemoryDisk::with_files(disk.files())).unwrap().0);
    }
    let whole = TornDisk::new();
    assert_eq!(run(&whole), Some(16));
    assert!(
        generations(&whole.files())
            .iter()
            .filter(|of| **of > 0)
            .count()
            > 3
    );
    let mut unfinished = 0;
    for at in 0..whole.operations() {
        let seed = at;
        let disk = TornDisk::with_files(Default::default(), Some(at));
        let committed = run(&disk).unwrap_or(0);
        let files = disk.after_power_loss(seed);
        unfinished += usize::from(files.keys().any(|name| name.ends_with(".new")));
        let found = look(MemoryDisk::with_files(files.clone()));
        let (found, _) = found.unwrap_or_else(|error| panic!("at {at}, seed {seed}: {error}"));
        let is_whole = milestones.get(committed) == Some(&found)
            || milestones.get(committed + 1) == Some(&found);
        assert!(is_whole, "at {at}, seed {seed}: {committed} were committed");
        // It goes on from there.
        let again = MemoryDisk::with_files(files);
        let (writer, reader, _) = Store::open(again.clone(), options()).unwrap();
        sweep(&writer);
        rewrite(&writer);
        let (after, _) = look(MemoryDisk::with_files(again.files())).unwrap();
        assert!(
            after == found && live_said(&reader, &again) == found,
            "at {at}, seed {seed}"
        );
    }
    assert!(unfinished > 4, "{unfinished}");
}

fn rewritten() -> (Files, Said) {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    for group in dying(14) {
        writer.commit(group).unwrap();
    }
    sweep(&writer);
    assert!(rewrite(&writer) > 2);
    let files = disk.files();
    let said = look(disk).unwrap().0;
    (files, said)
}

#[test]
fn every_flipped_byte_is_damage_or_changes_nothing() {
    let (files, said) = rewritten();
    let mut damaged = 0;
    let segments = files.iter().filter(|(name, _)| name.ends_with(".seg"));
    for (path, bytes) in segments.filter(|(_, bytes)| bytes[61] > 0) {
        for at in 0..bytes.len() {
            let mut files = files.clone();
            files.get_mut(path).unwrap()[at] ^= 1 << (at % 8);
            match look(MemoryDisk::with_files(files.clone())) {
                Ok((found, _)) => assert!(found == said, "{path} at {at}"),
                Err(OpenError::Damaged { .. } | OpenError::Version { .. }) => {
                    damaged += 1;
                    let disk = MemoryDisk::with_files(files);
                    match check(&disk, CheckOptions::default(), &mut |_| {}) {
                        Ok(report) => assert!(!report.is_whole(), "{path} at {at}"),
                        Err(OpenError::Version { .. }) => {}
                        Err(other) => panic!("{path} at {at}: {other}"),
                    }
                }
                Err(other) => panic!("{path} at {at}: {other}"),
            }
        }
        for length in (0..bytes.len()).step_by(7) {
            let mut files = files.clone();
            files.get_mut(path).unwrap().truncate(length);
            let cut = look(MemoryDisk::with_files(files));
            assert!(
                matches!(cut, Err(OpenError::Damaged { .. })),
                "{path} cut to {length}"
            );
        }
    }
    assert!(damaged > 1_000, "{damaged}");
}

/// One that is damaged stays as it is.
#[test]
fn what_is_damaged_is_not_rewritten() {
    let disk = MemoryDisk::new();
    let (mut writer, ..) = Store::open(disk.clone(), options()).unwrap();
    for group in dying(14) {
        writer.commit(group).unwrap();
    }
    sweep(&writer);
    let path = "journal/00000002.seg";
    let mut bytes = disk.files()[path].clone();
    let at = bytes.len() - 200;
    bytes[at] ^= 1;
    disk.write_at(path, at as u64, &bytes[at..=at]).unwrap();
    rewrite(&writer);
    assert_eq!(disk.files()[path], bytes);
    assert!(generations(&disk.files()).iter().any(|of| *of > 0));
}
