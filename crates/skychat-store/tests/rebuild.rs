//! What is said of a damaged store, and what is left of it (JRN-5, C44).

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

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use skychat_proto::ids::{TableId, Timestamp};
use skychat_proto::record::{ContentOf, Record};
use skychat_store::*;

type Files = BTreeMap<String, Vec<u8>>;

const REBUILD: u8 = 77;

/// Every so many bytes: all of them where there is time (`cargo xtask full`).
fn stride(usual: usize) -> usize {
    if std::env::var_os("SKYCHAT_DAMAGE_ALL").is_some() {
        1
    } else {
        usual
    }
}

/// With the next segment ready for use, as a running writer has it.
fn whole() -> (Files, Said) {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    for group in script() {
        writer.commit(group).unwrap();
    }
    let ready = |(path, bytes): (&String, &Vec<u8>)| {
        path.ends_with(".seg") && bytes.iter().all(|byte| *byte == 0)
    };
    while !disk.files().last_key_value().is_some_and(ready) {
        assert!(disk.files().len() < 9);
        let row = put(PEER, "filler", &"x".repeat(200), false);
        writer.commit(vec![batch(9, vec![row])]).unwrap();
        while writer.filler().step() {}
    }
    (disk.files(), look(disk).unwrap().0)
}

fn checked(files: &Files) -> Result<CheckReport, OpenError> {
    let disk = MemoryDisk::with_files(files.clone());
    let store_key = key(9);
    let options = CheckOptions {
        owner: Some(ann().public()),
        store_key: Some(&store_key),
        index_mark: None,
    };
    let found = check(&disk, options, &mut |_| {});
    assert_eq!(disk.files(), *files, "it was altered");
    found
}

#[derive(Debug, thiserror::Error)]
enum RebuildError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A new store from what is left.
fn rebuilt(files: &Files) -> (Files, CheckReport) {
    let (old, new) = (MemoryDisk::with_files(files.clone()), MemoryDisk::new());
    let options = OpenOptions {
        incarnation: life(REBUILD),
        ..options()
    };
    let mut rewriter = Rewriter::create(new.clone(), options).unwrap();
    let store_key = key(9);
    let options = CheckOptions {
        store_key: Some(&store_key),
        ..CheckOptions::default()
    };
    let report = gather::<RebuildError>(&old, options, &mut |_| {}, &mut |group| {
        Ok(rewriter.write(group)?)
    });
    rewriter.finish().unwrap();
    (new.files(), report.unwrap())
}

#[test]
fn a_whole_store_is_said_to_be_whole_and_is_the_same_when_written_again() {
    let (files, said) = whole();
    let report = checked(&files).unwrap();
    assert!(report.is_whole(), "{:?}", report.losses);
    assert_eq!(report.warnings, []);
    assert_eq!(report.events, said.events.len() as u64);
    assert_eq!(report.messages, said.history.len() as u64);
    let (again, same) = rebuilt(&files);
    assert_eq!(same, CheckReport { ..report });
    let (found, warnings) = look(MemoryDisk::with_files(again.clone())).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(found, said);
    let (_, reader, _) = Store::open(MemoryDisk::with_files(again), options()).unwrap();
    for event in &said.events {
        assert_eq!(reader.life_of(event.seq), Some(life(1)));
    }
}

/// What there is after a rebuild is what there was, in its order, and nothing else; numbers of
/// events that may be others are those of another life.
fn is_left_of(found: &Said, of: &Said, files: &Files, what: &str) {
    let texts = |said: &Said| -> Vec<_> {
        let rows = said.history.iter();
        rows.map(|row| (row.header, row.content.clone())).collect()
    };
    let all = texts(of);
    let mut rest = all.iter();
    for text in texts(found) {
        assert!(
            rest.any(|of| *of == text),
            "{what}: {text:?} is not in order"
        );
    }
    for (feed, (head, _)) in &found.tips {
        assert!(of.tips[feed].0 >= *head, "{what}: a feed is longer");
    }
    let (_, reader, _) = Store::open(MemoryDisk::with_files(files.clone()), options()).unwrap();
    for event in &found.events {
        // A pair of a life and a number that was told before still is the same event.
        if reader.life_of(event.seq) == Some(life(1)) {
            let of = &of.events[event.seq.get() as usize - 1];
            assert_eq!(kind(&of.view), kind(&event.view), "{what}");
        }
    }
}

fn kind(view: &EventView) -> String {
    match view {
        EventView::Message { header, .. } => format!("{:?} {:?}", header.feed, header.seq),
        EventView::Draft { message, .. } => format!("draft {message:?}"),
        EventView::Row { table, key, .. } => format!("row {table:?} {key:?}"),
        EventView::Deleted { table, key } => format!("deleted {table:?} {key:?}"),
        other => format!("{other:?}"),
    }
}

/// A damaged store: start and check agree, and what is left of it is a store.
fn judge(files: &Files, said: &Said, what: &str) -> bool {
    let start = look(MemoryDisk::with_files(files.clone()));
    let report = match checked(files) {
        Ok(report) => report,
        Err(OpenError::Version { .. }) => panic!("{what}: a version of one changed byte"),
        Err(error) => panic!("{what}: {error}"),
    };
    match start {
        Ok((found, _)) => {
            assert!(found == *said, "{what}: a shorter history");
            assert!(report.is_whole(), "{what}: {:?}", report.losses);
            false
        }
        Err(error) => {
            assert!(!report.is_whole(), "{what}: {error}, and nothing is found");
            let (again, _) = rebuilt(files);
            let (found, warnings) = look(MemoryDisk::with_files(again.clone()))
                .unwrap_or_else(|error| panic!("{what}: after a rebuild: {error}"));
            assert_eq!(warnings, [], "{what}");
            assert!(checked(&again).unwrap().is_whole(), "{what}");
            is_left_of(&found, said, &again, what);
            true
        }
    }
}

#[test]
fn every_flipped_byte_is_found_and_what_is_left_is_a_store() {
    let (files, said) = whole();
    let mut damaged = 0;
    let mut lost = BTreeSet::new();
    for (path, bytes) in &files {
        for at in (0..bytes.len()).step_by(stride(13)) {
            let mut changed = files.clone();
            changed.get_mut(path).unwrap()[at] ^= 1 << (at % 8);
            let what = format!("{path} at {at}");
            if judge(&changed, &said, &what) {
                damaged += 1;
                let left = checked(&changed).unwrap().messages;
                lost.insert(said.history.len() as u64 - left);
            }
        }
    }
    assert!(damaged > 5_000 / stride(13), "{damaged}");
    // One byte costs the rest of a feed at most, often nothing at all.
    assert!(lost.contains(&0) && lost.contains(&1), "{lost:?}");
    assert!(
        lost.last()
            .is_some_and(|most| *most < said.history.len() as u64),
        "{lost:?}"
    );
}

#[test]
fn every_truncation_and_every_missing_file_is_found() {
    let (files, said) = whole();
    for (path, bytes) in &files {
        for length in (0..bytes.len()).step_by(7 * stride(9)) {
            let mut changed = files.clone();
            changed.get_mut(path).unwrap().truncate(length);
            judge(&changed, &said, &format!("{path} cut to {length}"));
        }
        let mut changed = files.clone();
        changed.remove(path);
        judge(&changed, &said, &format!("without {path}"));
    }
}

/// What is known of a loss is said: where, how many groups, how many records.
#[test]
fn a_loss_is_counted_where_that_can_be_known() {
    let (files, _) = whole();
    let segments: Vec<&String> = files.keys().filter(|path| path.ends_with(".seg")).collect();
    assert!(segments.len() > 3);
    let mut changed = files.clone();
    let gone = changed.remove("journal/00000002.seg").unwrap();
    let report = checked(&changed).unwrap();
    let whole = checked(&files).unwrap();
    let [missing, ..] = &report.losses[..] else {
        panic!("nothing is missing")
    };
    assert_eq!((missing.segment, missing.what), (2, Damage::Missing));
    assert!(missing.groups.is_some_and(|groups| groups > 0), "{missing}");
    assert!(
        missing.records.is_some_and(|records| records > 0),
        "{missing}"
    );
    let behind: u64 = report.losses[1..]
        .iter()
        .filter_map(|loss| loss.records)
        .sum();
    assert!(
        report.records + missing.records.unwrap() == whole.records,
        "{gone:?} {behind}"
    );
    let said = report.losses[0].to_string();
    assert!(
        said.starts_with("segment 2 at 0: the segment is missing ("),
        "{said}"
    );
}

/// Somebody else's store, or another key, is not looked at as if it were damaged.
#[test]
fn another_owner_or_key_is_no_damage() {
    let (files, _) = whole();
    let disk = MemoryDisk::with_files(files);
    let (other, right) = (key(8), key(9));
    let with = |owner, store_key| {
        let options = CheckOptions {
            owner,
            store_key,
            index_mark: None,
        };
        check(&disk, options, &mut |_| {})
    };
    let owner = Some(bob().public());
    assert!(matches!(
        with(owner, Some(&right)),
        Err(OpenError::Owner { .. })
    ));
    assert!(matches!(with(None, Some(&other)), Err(OpenError::StoreKey)));
    // Without a key what is not sealed is looked at.
    let report = with(None, None).unwrap();
    assert!(report.is_whole());
    assert_eq!(report.owner, Some(ann().public()));
}

// -- archives ----------------------------------------------------------------------------------

fn archived(files: &Files) -> Vec<u8> {
    let disk = MemoryDisk::with_files(files.clone());
    let store_key = key(9);
    let options = CheckOptions {
        store_key: Some(&store_key),
        ..CheckOptions::default()
    };
    let (mut writer, mut out) = (ArchiveWriter::default(), Vec::new());
    writer.start(&[1; 32], Timestamp::from_millis(7), &mut out);
    gather::<OpenError>(&disk, options, &mut |_| {}, &mut |group| {
        writer.group(&group, &mut out).unwrap();
        Ok(())
    })
    .unwrap();
    writer.end(&mut out);
    out
}

/// Reads an archive in pieces of this size, into a new store.
fn restored(bytes: &[u8], piece: usize) -> Result<Files, ArchiveError> {
    let disk = MemoryDisk::new();
    let options = OpenOptions {
        incarnation: life(REBUILD),
        ..options()
    };
    let mut rewriter = Rewriter::create(disk.clone(), options).unwrap();
    let mut reader = ArchiveReader::default();
    let (mut begun, mut ended) = (false, false);
    for piece in bytes.chunks(piece) {
        reader.push(piece);
        while let Some(item) = reader.next()? {
            assert!(!ended);
            match item {
                ArchiveItem::Start { seed, made } => {
                    assert_eq!((*seed, made.as_millis()), ([1; 32], 7));
                    begun = true;
                }
                ArchiveItem::Group(group) => {
                    rewriter.write(group).map_err(|_| ArchiveError::Record)?
                }
                ArchiveItem::End => ended = true,
            }
        }
    }
    reader.finish()?;
    assert!(begun && ended);
    rewriter.finish().unwrap();
    Ok(disk.files())
}

/// C44, JRN-8: a store that was archived is the same when it is restored, but for secret rows.
#[test]
fn an_archive_is_the_store_without_the_state_of_keys() {
    let (files, said) = whole();
    let bytes = archived(&files);
    for piece in [1, 999, usize::MAX] {
        let again = restored(&bytes, piece).unwrap();
        let (found, _) = look(MemoryDisk::with_files(again)).unwrap();
        assert_eq!(found, said);
    }

    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    let mut group = Author::new(ann()).batch(1, 3, 40);
    // Between a range and its contents, so that these stand nearer to it afterwards.
    let secret = put(TableId::new(130), "chain", "secret", false);
    group.records.insert(1, secret);
    for record in &mut group.records {
        if let Record::Content {
            of: ContentOf::Entry { back, .. },
            ..
        } = record
        {
            *back += 1;
        }
    }
    writer.commit(vec![group]).unwrap();
    let (with, _) = look(disk.clone()).unwrap();
    assert_eq!(with.tables.len(), 1);
    let again = restored(&archived(&disk.files()), 100).unwrap();
    let (without, _) = look(MemoryDisk::with_files(again)).unwrap();
    assert_eq!(without.tables.len(), 0);
    assert_eq!(without.history.len(), with.history.len());
    assert_eq!(without.ranges, with.ranges);
}

/// What is sealed around an archive finds every change; without it nothing panics, and what is
/// cut is named.
#[test]
fn an_archive_that_was_cut_or_changed_is_no_archive() {
    let (files, _) = whole();
    let bytes = archived(&files);
    for length in (0..bytes.len()).step_by(41) {
        assert!(restored(&bytes[..length], 4096).is_err(), "{length}");
    }
    assert_eq!(
        restored(&[&bytes[..], b"\x03\0\0\0\0"].concat(), 4096),
        Err(ArchiveError::Order)
    );
    for at in (0..bytes.len()).step_by(67) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let _ = restored(&changed, 4096);
    }
    let long = [&bytes[..45], b"\x02\xff\xff\xff\xff"].concat();
    let found = 0xffff_ffff;
    assert_eq!(restored(&long, 4096), Err(ArchiveError::TooLong { found }));
}
