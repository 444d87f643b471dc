//! The store as others use it. Rules: `docs/protocol/journal.md`.

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

use common::*;
use skychat_proto::ids::*;
use skychat_proto::record::{Parts, Record, tables};
use skychat_store::*;

#[test]
fn what_was_committed_is_there_when_it_is_opened_again() {
    let disk = MemoryDisk::new();
    let (mut writer, reader, recovered) = Store::open(disk.clone(), options()).unwrap();
    assert_eq!(recovered, Recovered::default());
    let mut events = Vec::new();
    for group in script() {
        let ids: Vec<_> = group.iter().map(|batch| batch.id).collect();
        let (receipts, committed) = writer.commit(group).unwrap();
        assert!(receipts.iter().map(|receipt| receipt.batch).eq(ids));
        events.extend(committed.into_inner());
    }
    let (_, again, recovered) = Store::open(disk.clone(), options()).unwrap();
    assert_eq!(recovered.warnings, []);
    assert_eq!(reader.events(EventSeq::new(1), 1000).unwrap(), events);
    let said = said(&again, &recovered).unwrap();
    assert_eq!(said, common::said(&reader, &recovered).unwrap());
    assert_eq!(said.events, events);
    assert!(disk.files().len() > 3, "several segments");
    assert_eq!(again.size(), reader.size());

    assert_eq!(said.tables.len(), 1);
    assert_eq!(again.row(PEER, b"bob").unwrap().unwrap(), b"better known");
    assert_eq!(again.row(PEER, b"cat").unwrap(), None);
    assert_eq!(again.rows(PEER, b"b").unwrap().len(), 1);
    assert_eq!(again.row(tables::EVENT, b"event 1").unwrap(), None);
    assert_eq!(said.conversations[0].messages, said.history.len() as u64);
}

/// RANGE-1, RANGE-2: where a range may begin and end.
#[test]
fn ranges_are_cut_and_joined() {
    let (mut writer, reader, _) = Store::open(MemoryDisk::new(), options()).unwrap();
    let mut ann = Author::new(ann());
    for (id, count) in [(1, 3), (2, 2), (3, 4)] {
        writer.commit(vec![ann.batch(id, count, 50)]).unwrap();
    }
    let p = Position::new;
    let range = |from, entries, bytes, any| {
        let range = reader
            .range(ann.feed, p(from), entries, bytes, any)
            .unwrap();
        range.map(|range| {
            assert_eq!(range.start(), p(from));
            let (last, _) = range.headers().last().unwrap();
            let signed = last.verify(&range.signature()).is_ok();
            let cut = range.signature().as_bytes() == &[0; 64];
            assert!(signed != cut);
            assert!(any || signed);
            (range.end().get(), signed)
        })
    };
    let many = 1 << 20;
    assert_eq!(range(0, 256, many, false), Some((9, true)));
    assert_eq!(range(1, 256, many, false), Some((9, true)));
    assert_eq!(range(1, 4, many, false), Some((5, true)));
    assert_eq!(range(1, 5, many, false), Some((5, true)));
    assert_eq!(range(1, 5, many, true), Some((6, false)));
    assert_eq!(range(4, 5, many, true), Some((9, true)));
    assert_eq!(
        range(0, 1, many, false),
        Some((3, true)),
        "at least to an anchor"
    );
    assert_eq!(range(0, 1, many, true), Some((1, false)));
    assert_eq!(
        range(0, 256, 0, true),
        Some((1, false)),
        "at least one entry"
    );
    assert_eq!(range(0, 256, 5 * 122, false), Some((5, true)));
    assert_eq!(range(0, 256, 6 * 122, true), Some((6, false)));
    assert_eq!(range(8, 256, many, false), Some((9, true)));
    assert_eq!(range(9, 256, many, false), None);
    assert_eq!(range(90, 256, many, false), None);

    for at in 1..=9 {
        let (header, id, signature) = reader.header_at(ann.feed, p(at)).unwrap().unwrap();
        assert_eq!((header.seq.after(), header.id()), (p(at), id));
        assert_eq!(signature.is_some(), [3, 5, 9].contains(&at));
    }
    assert!(reader.header_at(ann.feed, p(0)).unwrap().is_none());
    assert!(reader.header_at(ann.feed, p(10)).unwrap().is_none());
}

/// JRN-2: what an entry says is gone once its content is dropped; its place in the history, its
/// event and its id stay, and so does the body as it flows.
#[test]
fn dropped_contents_are_not_told() {
    let disk = MemoryDisk::new();
    let (mut writer, reader, _) = Store::open(disk.clone(), options()).unwrap();
    let mut ann = Author::new(ann());
    writer.commit(vec![ann.batch(1, 4, 50)]).unwrap();
    let before = reader.history(space(), None, 9).unwrap();
    let whole = reader.range(ann.feed, Position::START, 9, 9999, false);
    let whole = whole.unwrap().unwrap();
    let drop = Record::Drop {
        feed: ann.feed,
        from: Position::START,
        // What is behind the head is still to come, and not touched.
        to: Position::new(3),
        parts: Parts::Contents,
    };
    let past = Record::Drop {
        feed: ann.feed,
        from: Position::new(4),
        to: Position::new(9),
        parts: Parts::Both,
    };
    writer.commit(vec![batch(2, vec![drop, past])]).unwrap();
    writer.commit(vec![ann.batch(3, 1, 50)]).unwrap();

    let look = |reader: &StoreReader| {
        let history = reader.history(space(), None, 9).unwrap();
        let told: Vec<bool> = history.iter().map(|one| one.content.is_some()).collect();
        assert_eq!(told, [false, false, true, true]);
        for (one, earlier) in history.iter().zip(&before) {
            assert_eq!((one.record, one.header), (earlier.record, earlier.header));
            assert_eq!(one.event, earlier.event);
            let header = &one.header;
            let found = reader.content(header.feed, header.seq).unwrap().unwrap();
            assert_eq!(
                (found.message, found.content),
                (header.message, one.content.clone())
            );
            let used = reader.find(header.feed.author, space(), header.message);
            assert_eq!(used.unwrap().unwrap().seq, header.seq);
        }
        let events = reader.events(EventSeq::new(1), 9).unwrap();
        let told = events.iter().map(|event| match &event.view {
            EventView::Message { plaintext, .. } => plaintext.is_some(),
            other => panic!("{other:?}"),
        });
        assert!(told.eq([false, false, true, true]));
        assert_eq!(reader.conversations().unwrap()[0].messages, 4);
        let range = reader.range(ann.feed, Position::START, 4, 9999, false);
        assert_eq!(range.unwrap().unwrap().to_bytes(), whole.to_bytes());
    };
    look(&reader);
    look(&Store::open(disk.clone(), options()).unwrap().1);

    // Overwritten, it is no damage, and no loss; one that was not dropped is.
    let mut files = disk.files();
    let journal = files.get_mut("journal/00000001.seg").unwrap();
    let mut contents = Vec::new();
    let mut at = 138 + 86;
    for _ in 0..5 {
        let length =
            |from: usize| u32::from_be_bytes(journal[from..from + 4].try_into().unwrap()) as usize;
        let body = at + 54 + length(at + 2) + 4;
        if journal[at] == 2 {
            contents.push(body..body + length(at + 6));
        }
        at = body + length(at + 6);
    }
    journal[contents[0].clone()].fill(0);
    journal[contents[1].clone()][..20].fill(0);
    let swept = MemoryDisk::with_files(files.clone());
    look(&Store::open(swept.clone(), options()).unwrap().1);
    let key = key(9);
    let opened = CheckOptions {
        store_key: Some(&key),
        ..CheckOptions::default()
    };
    let report = check(&swept, opened, &mut |_| {}).unwrap();
    assert_eq!(
        (report.losses, report.messages, report.events),
        (vec![], 4, 4)
    );
    let made = MemoryDisk::new();
    let mut rewriter = Rewriter::create(made.clone(), options()).unwrap();
    let report = gather::<OpenError>(&swept, opened, &mut |_| {}, &mut |group| {
        rewriter.write(group).unwrap();
        Ok(())
    });
    assert!(report.unwrap().is_whole());
    rewriter.finish().unwrap();
    let (_, again, _) = Store::open(made, options()).unwrap();
    let told: Vec<bool> = again
        .history(space(), None, 9)
        .unwrap()
        .iter()
        .map(|one| one.content.is_some())
        .collect();
    assert_eq!(told, [false, false, true, true]);

    let journal = files.get_mut("journal/00000001.seg").unwrap();
    journal[contents[2].clone()].fill(0);
    let lost = MemoryDisk::with_files(files);
    let report = check(&lost, opened, &mut |_| {}).unwrap();
    assert_eq!(
        (report.losses.len(), report.messages, report.events),
        (1, 3, 3)
    );
    let error = Store::open(lost, options()).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Damaged {
                what: Damage::Body,
                ..
            }
        ),
        "{error}"
    );
}

/// JRN-6, FEED-5: bodies of content are absent once they are dropped.
#[test]
fn dropped_bodies_are_absent() {
    let disk = MemoryDisk::new();
    let (mut writer, reader, _) = Store::open(disk.clone(), options()).unwrap();
    let mut ann = Author::new(ann());
    writer.commit(vec![ann.batch(1, 4, 50)]).unwrap();
    let before = reader
        .range(ann.feed, Position::START, 9, 9999, false)
        .unwrap()
        .unwrap();
    let (from, to) = (Position::START, Position::new(3));
    let drop = Record::Drop {
        feed: ann.feed,
        from,
        to,
        parts: Parts::Bodies,
    };
    writer.commit(vec![batch(2, vec![drop])]).unwrap();
    let (_, again, _) = Store::open(disk.clone(), options()).unwrap();
    for reader in [&reader, &again] {
        let range = reader
            .range(ann.feed, Position::START, 9, 9999, false)
            .unwrap()
            .unwrap();
        let present: Vec<bool> = range.entries().map(|(row, _)| row.present).collect();
        assert_eq!(present, [true, false, false, true], "an open entry stays");
        assert_eq!(range.tip(), before.tip());
    }
    // The bodies are overwritten: that is no damage.
    let mut files = disk.files();
    let journal = files.get_mut("journal/00000001.seg").unwrap();
    let body = &before.bodies()[50..150];
    let at = journal.windows(100).position(|part| part == body).unwrap();
    journal[at..at + 100].fill(0);
    let (_, swept, recovered) =
        Store::open(MemoryDisk::with_files(files.clone()), options()).unwrap();
    assert_eq!(recovered.warnings, []);
    let range = swept
        .range(ann.feed, Position::START, 9, 9999, false)
        .unwrap()
        .unwrap();
    assert_eq!(range.body(3), before.body(3));
    // One that is not dropped is.
    let journal = files.get_mut("journal/00000001.seg").unwrap();
    journal[at + 100] ^= 1;
    let error = Store::open(MemoryDisk::with_files(files), options()).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Damaged {
                what: Damage::Body,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn history_is_paged() {
    let (mut writer, reader, _) = Store::open(MemoryDisk::new(), options()).unwrap();
    for group in script() {
        writer.commit(group).unwrap();
    }
    let all = reader.history(space(), None, usize::MAX).unwrap();
    let mut paged = Vec::new();
    let mut before = None;
    loop {
        let page = reader.history(space(), before, 4).unwrap();
        let Some(first) = page.first() else { break };
        before = Some(first.record);
        paged.splice(0..0, page);
    }
    assert_eq!(paged, all);
    assert!(all.windows(2).all(|pair| pair[0].record < pair[1].record));
}

/// EVENT-4.
#[test]
fn events_know_the_life_that_wrote_them() {
    let disk = MemoryDisk::new();
    let event = |n: u64| batch(n, vec![put(tables::EVENT, &n.to_string(), "x", true)]);
    for n in 1..=3 {
        let mut options = options();
        options.incarnation = life(n);
        let (mut writer, reader, _) = Store::open(disk.clone(), options).unwrap();
        let (receipts, _) = writer
            .commit(vec![event(2 * u64::from(n)), event(2 * u64::from(n) + 1)])
            .unwrap();
        let first = EventSeq::new(2 * u64::from(n) - 1);
        assert_eq!(receipts[0].first_event, Some(first));
        assert_eq!(receipts[1].last_event(), Some(first.next()));
        assert_eq!(reader.first_of(life(n)), Some(first));
    }
    let (_, reader, recovered) = Store::open(disk, options()).unwrap();
    assert_eq!(
        recovered.tables.len(),
        0,
        "the store's own rows are its own"
    );
    let lives: Vec<_> = (0..=7).map(|n| reader.life_of(EventSeq::new(n))).collect();
    let of = |n| Some(life(n));
    assert_eq!(
        lives,
        [None, of(1), of(1), of(2), of(2), of(3), of(3), None]
    );
    assert_eq!(reader.first_of(life(2)), Some(EventSeq::new(3)));
    assert_eq!(reader.first_of(life(9)), None);
}

#[test]
fn the_wrong_owner_and_the_wrong_key_are_told() {
    let disk = MemoryDisk::new();
    Store::open(disk.clone(), options()).unwrap();
    let files = disk.files();
    let mut other = options();
    other.owner = bob().public();
    let error = Store::open(disk.clone(), other).unwrap_err();
    assert!(matches!(error, OpenError::Owner { found, expected }
        if found == ann().public() && expected == bob().public()));
    let mut other = options();
    other.store_key = key(8);
    assert!(matches!(
        Store::open(disk.clone(), other).unwrap_err(),
        OpenError::StoreKey
    ));
    let mut later = disk.files();
    later.get_mut("journal/00000001.seg").unwrap()[5] = 2;
    let error = Store::open(MemoryDisk::with_files(later), options()).unwrap_err();
    assert!(matches!(error, OpenError::Version { found: 2, .. }));
    assert_eq!(disk.files(), files, "nothing was altered");
}

#[test]
fn what_cannot_be_is_refused_and_the_writer_goes_on() {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    let mut ann = Author::new(ann());
    let first = ann.batch(1, 2, 10);
    let second = ann.batch(2, 1, 10);
    let files = disk.files();
    for refused in [
        vec![batch(9, second.records.clone())],
        vec![batch(9, first.records[1..].to_vec())],
        vec![batch(9, vec![put(TableId::new(200), "x", "y", false)])],
        vec![batch(9, vec![put(TableId::new(255), "x", "y", false)])],
        vec![batch(9, [&first.records[..], &first.records[..]].concat())],
    ] {
        let error = writer.commit(refused).unwrap_err();
        assert!(matches!(error, WriteError::Refused { .. }), "{error}");
    }
    assert_eq!(disk.files(), files);
    writer.commit(vec![first, second]).unwrap();
    assert_eq!(look(disk).unwrap().0.history.len(), 2);
}

#[test]
fn nothing_said_or_kept_is_in_clear() {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    for group in script() {
        writer.commit(group).unwrap();
    }
    for (path, bytes) in disk.files() {
        for secret in ["text ", "known", "something", "draft"] {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{path}: {secret}");
        }
    }
}

#[test]
fn a_group_larger_than_a_segment_gets_one_of_its_own() {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    let mut ann = Author::new(ann());
    writer.commit(vec![ann.batch(1, 2, 10)]).unwrap();
    writer.commit(vec![ann.batch(2, 1, 900_000)]).unwrap();
    writer.commit(vec![ann.batch(3, 1, 10)]).unwrap();
    assert_eq!(look(disk).unwrap().0.history.len(), 3);
}

#[test]
fn a_full_disk_is_waited_for_and_a_broken_one_is_not_used_again() {
    // At every operation of every group, once more after each.
    for fault in [DiskFault::Full, DiskFault::Broken] {
        for after in 0..60 {
            let disk = MemoryDisk::new();
            let (mut writer, reader, _) = Store::open(disk.clone(), options()).unwrap();
            disk.fail(Some(fault), after);
            let mut failed = false;
            for group in script() {
                let seen = seen(&reader);
                match writer.commit(group) {
                    Ok(_) => continue,
                    Err(WriteError::Full(_)) => assert_eq!(fault, DiskFault::Full),
                    Err(WriteError::Failed(_)) => assert_eq!(fault, DiskFault::Broken),
                    Err(other) => panic!("{other}"),
                }
                failed = true;
                assert_eq!(crate::seen(&reader), seen, "nothing of it is seen");
                disk.fail(None, 0);
                let again = writer.retry();
                if fault == DiskFault::Broken {
                    assert!(matches!(again, Err(WriteError::Poisoned)));
                    break;
                }
                again.unwrap();
            }
            disk.fail(None, 0);
            let (said, _) = look(disk).unwrap();
            if fault == DiskFault::Full {
                assert_eq!(said.events.len(), milestones_last(), "after {after}");
            }
            assert!(failed || after > 20);
        }
    }
}

/// JRN-7: a segment that was readied is taken as it is; one there was no room for is made when it
/// is needed.
#[test]
fn the_next_segment_is_made_ahead_of_use() {
    for full in [false, true] {
        let disk = MemoryDisk::new();
        let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
        let filler = writer.filler();
        assert!(!filler.step(), "nothing is used yet");
        let mut ann = Author::new(ann());
        let next = || disk.files().get("journal/00000002.seg").map(Vec::len);
        for n in 1.. {
            writer.commit(vec![ann.batch(n, 1, 100)]).unwrap();
            if full && next().is_none() {
                disk.fail(Some(DiskFault::Full), 1);
            }
            while filler.step() {}
            disk.fail(None, 0);
            assert!(!filler.step(), "it is as far as it has to be");
            if next().is_some() {
                break;
            }
        }
        assert_eq!(next(), Some(if full { 0 } else { 4096 }));
        for n in 20..30 {
            writer.commit(vec![ann.batch(n, 3, 100)]).unwrap();
        }
        let files = disk.files();
        assert_eq!(&files["journal/00000002.seg"][..4], b"SKYS");
        let (said, warnings) = look(MemoryDisk::with_files(files)).unwrap();
        let history = said.history.len();
        assert_eq!(warnings, []);

        // A life later: what was readied is made again.
        drop(writer);
        let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
        while writer.filler().step() {}
        writer.commit(vec![ann.batch(9, 3, 2000)]).unwrap();
        assert_eq!(look(disk).unwrap().0.history.len(), history + 3);
    }
}

/// C45: what the disk said of one file is true of the others.
#[test]
fn a_disk_that_breaks_while_the_next_segment_is_made_is_not_used_again() {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
    let mut ann = Author::new(ann());
    writer.commit(vec![ann.batch(1, 6, 200)]).unwrap();
    let before = look(MemoryDisk::with_files(disk.files())).unwrap().0;
    disk.fail(Some(DiskFault::Broken), 0);
    assert!(!writer.filler().step());
    disk.fail(None, 0);
    let error = writer.commit(vec![ann.batch(2, 1, 10)]).unwrap_err();
    assert!(matches!(error, WriteError::Poisoned));
    assert_eq!(look(disk).unwrap().0, before);
}

fn seen(reader: &StoreReader) -> (u64, u64, EventSeq) {
    let size = reader.size();
    (size.groups, size.records, reader.last_event())
}

fn milestones_last() -> usize {
    use std::sync::OnceLock;
    static LAST: OnceLock<usize> = OnceLock::new();
    *LAST.get_or_init(|| milestones().pop().unwrap().events.len())
}
