//! The writing thread, and the disk of the system.

#![cfg(feature = "driver")]
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

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use common::*;
use sha2::{Digest, Sha256};
use skychat_proto::ids::*;
use skychat_proto::limits::STORE_BATCHES;
use skychat_proto::record::Taken;
use skychat_store::*;

fn spawn(disk: impl Disk + 'static) -> (WriterHandle, Receiver<Done>, StoreReader) {
    let (writer, reader, _) = Store::open(disk, options()).unwrap();
    let (tell, told) = sync_channel(10_000);
    let handle = spawn_writer(writer, move |done| tell.send(done).unwrap()).unwrap();
    (handle, told, reader)
}

fn next(told: &Receiver<Done>) -> Done {
    told.recv_timeout(Duration::from_secs(20)).unwrap()
}

#[test]
fn lookups_are_answered_behind_the_batches_before_them() {
    let (handle, told, reader) = spawn(MemoryDisk::new());
    let mut ann = Author::new(ann());
    let author = ann.secret.public();
    handle.commit(ann.batch(1, 2, 10)).unwrap();
    handle
        .lookup(1, author, space(), vec![message(1), message(2)])
        .unwrap();
    handle.commit(ann.batch(2, 1, 10)).unwrap();
    handle
        .lookup(2, author, space(), vec![message(2), message(3)])
        .unwrap();
    let mut receipts = Vec::new();
    let mut found = Vec::new();
    while found.len() < 2 {
        match next(&told) {
            Done::Committed { receipts: some, .. } => receipts.extend(some),
            Done::Found {
                lookup,
                found: some,
            } => {
                assert!(receipts.len() as u64 >= lookup);
                found.push((lookup, some));
            }
            other => panic!("{other:?}"),
        }
    }
    let hash = |text: &str| Some(Taken::Content(Sha256::digest(text).into()));
    // The second may have been committed already: lookups see at least what came before them.
    assert_eq!(found[0].1[0], hash("text 1"));
    assert_eq!(found[1], (2, vec![hash("text 2"), None]));
    handle.stop();
    assert!(handle.commit(ann.batch(3, 1, 10)).is_err());
    handle.join();
    assert!(matches!(told.iter().last().unwrap(), Done::Stopped));
    assert_eq!(reader.history(space(), None, 9).unwrap().len(), 2);
}

#[test]
fn what_was_handed_in_is_written_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (handle, told, reader) = spawn(FileDisk::new(dir.path()));
    let mut ann = Author::new(ann());
    let (mut handed, mut done) = (0, 0);
    while handed < 500 {
        if handle.has_room() {
            handed += 1;
            handle.commit(ann.batch(handed, 2, 300)).unwrap();
        } else {
            assert!(!handle.is_idle());
            if let Done::Committed { receipts, .. } = next(&told) {
                done += receipts.len() as u64;
            }
        }
    }
    handle.join();
    let mut last = None;
    for event in told.iter() {
        if let Done::Committed { receipts, .. } = &event {
            done += receipts.len() as u64;
        }
        last = Some(event);
    }
    assert!(matches!(last, Some(Done::Stopped)));
    assert_eq!(done, 500);
    assert!(reader.size().groups >= 500 / STORE_BATCHES as u64);
    let said = look(FileDisk::new(dir.path())).unwrap();
    assert_eq!(said.0.events.len(), 999);
    assert_eq!(said.1, []);
}

#[test]
fn a_failure_ends_the_thread() {
    let disk = MemoryDisk::new();
    let (handle, told, _) = spawn(disk.clone());
    disk.fail(Some(DiskFault::Broken), 0);
    let mut ann = Author::new(ann());
    handle.commit(ann.batch(1, 2, 10)).unwrap();
    assert!(matches!(next(&told), Done::Failed(WriteError::Failed(_))));
    assert!(matches!(next(&told), Done::Stopped));
    let (error, back) = handle.commit(ann.batch(2, 1, 10)).unwrap_err();
    assert_eq!((error, back.id), (QueueError::Stopped, BatchId::new(2)));
    assert!(handle.is_idle());
}

#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    Store::open(FileDisk::new(dir.path()), options()).unwrap();
    for (path, mode) in [
        ("HEAD", 0o600),
        ("journal", 0o700),
        ("journal/00000001.seg", 0o600),
    ] {
        let found = std::fs::metadata(dir.path().join(path))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
}

/// C45: what was handed in is written into the room of the ballast; nothing new is to be handed in
/// until there is room for it again.
#[test]
fn a_full_disk_is_told_and_waited_for() {
    let disk = MemoryDisk::new();
    let (mut writer, reader, _) = Store::open(disk.clone(), options()).unwrap();
    writer.keep_ballast();
    let (tell, told) = sync_channel(100_000);
    let handle = spawn_writer(writer, move |done| tell.send(done).unwrap()).unwrap();
    let ballast = || disk.files().get("ballast").map_or(0, Vec::len) as u64;
    while ballast() < BALLAST {
        std::thread::sleep(Duration::from_millis(1));
    }
    let used: usize = disk.files().values().map(Vec::len).sum();
    disk.limit(Some(used + 20_000));
    let mut ann = Author::new(ann());
    let (mut handed, mut committed) = (0, 0);
    'full: loop {
        handed += 1;
        handle.commit(ann.batch(handed, 4, 200)).unwrap();
        loop {
            match next(&told) {
                Done::Committed { receipts, .. } => {
                    committed += receipts.len() as u64;
                    if committed == handed {
                        break;
                    }
                }
                Done::Full => break 'full,
                other => panic!("{other:?}"),
            }
        }
    }
    while committed < handed {
        match next(&told) {
            Done::Committed { receipts, .. } => committed += receipts.len() as u64,
            other => panic!("{other:?}"),
        }
    }
    assert!(handed > 3);
    assert_eq!(ballast(), 0);
    // Letting go of it makes no room for anything new; but it can be read, and what there is to
    // write is written.
    let messages = reader.history(space(), None, usize::MAX).unwrap().len();
    handle.commit(ann.batch(handed + 1, 1, 200)).unwrap();
    assert!(matches!(next(&told), Done::Committed { .. }));
    let nothing = told.recv_timeout(Duration::from_millis(1_200));
    assert!(nothing.is_err(), "{nothing:?}");
    disk.limit(Some(used + 40_000_000));
    assert!(matches!(next(&told), Done::Room));
    assert_eq!(ballast(), BALLAST);
    handle.join();
    let (said, warnings) = look(MemoryDisk::with_files(disk.files())).unwrap();
    assert_eq!((said.history.len(), warnings), (messages + 1, vec![]));
}

/// Without a ballast it waits for room, and a stop does not wait.
#[test]
fn what_finds_no_room_is_written_when_there_is_some() {
    for room_comes in [true, false] {
        let disk = MemoryDisk::new();
        let (handle, told, _) = spawn(disk.clone());
        let used: usize = disk.files().values().map(Vec::len).sum();
        disk.limit(Some(used));
        let mut ann = Author::new(ann());
        handle.commit(ann.batch(1, 20, 900)).unwrap();
        assert!(matches!(next(&told), Done::Full));
        if room_comes {
            disk.limit(None);
            assert!(matches!(next(&told), Done::Committed { .. }));
            assert!(matches!(next(&told), Done::Room));
        }
        handle.join();
        if !room_comes {
            let failed = next(&told);
            assert!(
                matches!(failed, Done::Failed(WriteError::Full(_))),
                "{failed:?}"
            );
        }
        let (said, _) = look(MemoryDisk::with_files(disk.files())).unwrap();
        assert_eq!(said.history.len(), if room_comes { 19 } else { 0 });
    }
}
