//! What a loss of power, and what damage, does to a store (JRN-4, JRN-5, JRN-7).

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

use common::*;
use disk::TornDisk;
use skychat_store::*;

/// The operations of the whole script.
fn operations() -> u64 {
    let disk = TornDisk::new();
    run(&disk);
    disk.operations()
}

/// Runs the script until the power is lost; how many groups were committed.
fn run(disk: &TornDisk) -> Option<usize> {
    let (mut writer, _, _) = Store::open(disk.clone(), options()).ok()?;
    let mut committed = 0;
    for (number, group) in script().into_iter().enumerate() {
        if writer.commit(group).is_err() {
            break;
        }
        committed += 1;
        if number % 3 == 2 {
            let _ = writer.sync_head();
        }
        for _ in 0..number % 4 {
            writer.filler().step();
        }
    }
    Some(committed)
}

#[test]
fn nothing_committed_is_lost_and_no_group_is_there_in_part() {
    let milestones = milestones();
    let (operations, seeds) = (operations(), 8);
    assert!(operations * seeds >= 500, "{operations} operations");
    for at in 0..operations {
        for seed in 0..seeds {
            let disk = TornDisk::with_files(Default::default(), Some(at));
            let committed = run(&disk);
            assert!(disk.is_dead());
            let files = disk.after_power_loss(seed);
            let found = look(MemoryDisk::with_files(files.clone()));
            let (found, _) = found.unwrap_or_else(|error| panic!("at {at}, seed {seed}: {error}"));
            let committed = committed.unwrap_or(0);
            let whole = milestones.get(committed) == Some(&found)
                || milestones.get(committed + 1) == Some(&found);
            assert!(
                whole,
                "at {at}, seed {seed}: {committed} groups were committed"
            );

            // It goes on from there, over whatever is left of the group that was cut, and the
            // power goes once more.
            let done = milestones.iter().position(|said| *said == found).unwrap();
            let again = TornDisk::with_files(files, None);
            let (mut writer, _, _) = Store::open(again.clone(), options()).unwrap();
            let next = script().into_iter().nth(done);
            let Some(next) = next else { continue };
            writer.commit(next).unwrap();
            for seed in 0..2 {
                let files = again.after_power_loss(seed);
                let (found, _) = look(MemoryDisk::with_files(files)).unwrap();
                assert!(found == milestones[done + 1], "at {at}, after going on");
            }
        }
    }
}

fn whole() -> (std::collections::BTreeMap<String, Vec<u8>>, Said) {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    for group in script() {
        writer.commit(group).unwrap();
    }
    let files = disk.files();
    let said = look(disk).unwrap().0;
    (files, said)
}

/// The same, with the next segment filled with zeros.
fn whole_and_next() -> (std::collections::BTreeMap<String, Vec<u8>>, Said) {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    for group in script() {
        writer.commit(group).unwrap();
    }
    let ready = |(path, bytes): (&String, &Vec<u8>)| {
        path.ends_with(".seg") && bytes.len() == 4096 && bytes.iter().all(|byte| *byte == 0)
    };
    while !disk.files().last_key_value().is_some_and(ready) {
        assert!(disk.files().len() < 9);
        let row = put(PEER, "filler", &"x".repeat(200), false);
        writer.commit(vec![batch(9, vec![row])]).unwrap();
        while writer.filler().step() {}
    }
    let files = disk.files();
    let (said, warnings) = look(disk).unwrap();
    assert_eq!(warnings, []);
    (files, said)
}

#[test]
fn every_flipped_byte_is_damage_or_changes_nothing() {
    let (files, said) = whole_and_next();
    let (mut damaged, mut covered) = (0, 0);
    for (path, bytes) in &files {
        for (at, byte) in bytes.iter().enumerate() {
            let mut files = files.clone();
            files.get_mut(path).unwrap()[at] ^= 1 << (at % 8);
            let used = *byte != 0;
            match look(MemoryDisk::with_files(files)) {
                Ok((found, warnings)) => {
                    assert!(found == said, "{path} at {at}");
                    covered += u32::from(used && warnings.is_empty());
                }
                Err(OpenError::Damaged { .. } | OpenError::Version { .. }) => damaged += 1,
                Err(other) => panic!("{path} at {at}: {other}"),
            }
        }
    }
    assert!(damaged > 5_000, "{damaged}");
    // The body that was dropped, the rows that were put again, the one that was deleted.
    assert!((100..700).contains(&covered), "{covered}");
}

#[test]
fn every_truncation_is_damage_or_changes_nothing() {
    let (files, said) = whole_and_next();
    for (path, bytes) in &files {
        for length in 0..bytes.len() {
            let mut files = files.clone();
            files.get_mut(path).unwrap().truncate(length);
            match look(MemoryDisk::with_files(files)) {
                Ok((found, _)) => assert!(found == said, "{path} cut to {length}"),
                Err(OpenError::Damaged { .. }) => {}
                Err(other) => panic!("{path} cut to {length}: {other}"),
            }
        }
    }
}

#[test]
fn a_file_that_is_missing_or_of_before_is_damage() {
    let (files, _) = whole();
    for path in files.keys().filter(|path| path.starts_with("journal/")) {
        let mut files = files.clone();
        files.remove(path);
        let error = look(MemoryDisk::with_files(files)).unwrap_err();
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{path}: {error}"
        );
    }
    // The journal of before under the `HEAD` of now.
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    let mut script = script().into_iter();
    writer.commit(script.next().unwrap()).unwrap();
    let mut before = disk.files();
    writer.commit(script.next().unwrap()).unwrap();
    before.insert("HEAD".to_owned(), disk.files()["HEAD"].clone());
    let error = look(MemoryDisk::with_files(before)).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

/// Without `HEAD` a cut end is not noticed, but told to be possible; damage before the last group
/// is noticed all the same.
#[test]
fn without_head_only_the_last_group_can_be_cut() {
    let (mut files, said) = whole();
    files.remove("HEAD");
    let (found, warnings) = look(MemoryDisk::with_files(files.clone())).unwrap();
    assert!(found == said);
    assert_eq!(warnings, [Warning::NoHead]);
    let milestones = milestones();
    let before = &milestones[milestones.len() - 2];
    for (path, bytes) in &files {
        let mut cut = 0;
        for at in (0..bytes.len()).filter(|at| bytes[*at] != 0) {
            let mut files = files.clone();
            files.get_mut(path).unwrap()[at] ^= 0x10;
            if let Ok((found, warnings)) = look(MemoryDisk::with_files(files)) {
                if found == said && warnings == [Warning::NoHead] {
                    // In a body that nothing asks for any more.
                    continue;
                }
                assert!(found == *before, "{path} at {at}");
                assert_eq!(warnings.len(), 2);
                cut += 1;
            }
        }
        let last = files.keys().next_back() == Some(path);
        assert_eq!(cut > 0, last, "{path}");
    }
}

#[test]
fn a_head_that_is_not_valid_is_told_once_and_made_anew() {
    let (files, said) = whole();
    for head in [vec![], vec![0; 64], vec![7; 70]] {
        let mut files = files.clone();
        files.insert("HEAD".to_owned(), head);
        let disk = MemoryDisk::with_files(files);
        let (found, warnings) = look(disk.clone()).unwrap();
        assert!(found == said);
        assert_eq!(warnings, [Warning::NoHead]);
        assert_eq!(look(disk).unwrap(), (found, vec![]));
    }
}

/// JRN-5: bytes that are left of a group that was cut are overwritten by the next one.
#[test]
fn what_is_left_of_a_cut_group_is_overwritten() {
    let disk = MemoryDisk::new();
    let mut script = script().into_iter();
    {
        let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
        writer.commit(script.next().unwrap()).unwrap();
    }
    let mut files = disk.files();
    let journal = files.get_mut("journal/00000001.seg").unwrap();
    let end = journal.iter().rposition(|byte| *byte != 0).unwrap();
    let torn = journal.len() - end - 1;
    journal[end + 1..].fill(0xa5);
    assert!(torn > 500);
    let disk = MemoryDisk::with_files(files);
    let (mut writer, _, recovered) = Store::open(disk.clone(), options()).unwrap();
    assert!(matches!(
        recovered.warnings[..],
        [Warning::TornTail { segment: 1, .. }]
    ));
    writer
        .commit(vec![batch(9, vec![put(PEER, "x", "y", false)])])
        .unwrap();
    assert!(!disk.files()["journal/00000001.seg"].ends_with(&[0xa5]));
    assert_eq!(look(disk).unwrap().1, []);
}
