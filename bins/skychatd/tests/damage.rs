//! A data directory that was changed or cut while no daemon ran: the start says so, ends with 8, and leaves every byte
//! as it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::*;
use skychat_identity::SecretKey;

/// Every file below a directory, but for the lock, which has nothing in it.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("lock") {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn start(dir: &Path) -> Result<Daemon, (i32, String)> {
    Daemon::try_start(dir, &[]).map_err(|output| (code(&output), stderr(&output)))
}

/// A directory in which something was said, by a daemon that stopped in order.
fn spoken(dir: &Path, texts: usize) -> String {
    let bob = SecretKey::from_seed([9; 32]).public().to_string();
    let daemon = Daemon::start(dir, &[]);
    for n in 0..texts {
        let sent = daemon.cli(&["send", &bob, &format!("text {n}")]);
        assert!(sent.status.success(), "{sent:?}");
    }
    let (status, log, _) = daemon.stop();
    assert!(status.success(), "{log}");
    bob
}

const SEGMENT: &str = "journal/00000001.seg";

/// D5, X4: each damage is named, and what is there is neither altered nor taken for a shorter history.
#[test]
fn f5_a_damaged_store_is_not_started_and_not_changed() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("x");
    let bob = spoken(&dir, 20);
    let whole = files(&dir);
    let journal = &whole[SEGMENT];
    let used = journal.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let changed = |at: usize| {
        let mut bytes = journal.clone();
        bytes[at] ^= 0x20;
        Some(bytes)
    };
    let zeroed = || {
        let mut bytes = journal.clone();
        bytes[used / 2..used / 2 + 512].fill(0);
        Some(bytes)
    };
    let cases: [(&str, Option<Vec<u8>>); 8] = [
        ("the header", changed(20)),
        ("the first group", changed(200)),
        ("the middle", changed(used / 2)),
        ("the last group", changed(used - 1)),
        ("zeros in the middle", zeroed()),
        ("cut in the middle", Some(journal[..used / 2].to_vec())),
        ("cut by one byte", Some(journal[..used - 1].to_vec())),
        ("gone", None),
    ];
    for (what, bytes) in cases {
        let path = dir.join(SEGMENT);
        match bytes {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let before = files(&dir);
        let Err((code, said)) = start(&dir) else {
            panic!("{what}: it starts");
        };
        assert_eq!(code, 8, "{what}: {said}");
        assert!(said.contains("store_damaged"), "{what}: {said}");
        assert!(said.contains("segment"), "where it is, {what}: {said}");
        assert!(files(&dir) == before, "{what}: something was altered");
        std::fs::write(&path, journal).unwrap();
    }
    // The bytes put back, all of it is there.
    let daemon = start(&dir).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(daemon.texts(&bob).len(), 20);
}

/// Journal and keys of different directories do not go together, whichever of them is exchanged.
#[test]
fn parts_of_two_directories_are_no_directory() {
    let home = tempfile::tempdir().unwrap();
    let (ann, bob) = (home.path().join("ann"), home.path().join("bob"));
    spoken(&ann, 3);
    spoken(&bob, 3);
    let (of_ann, of_bob) = (files(&ann), files(&bob));
    let cases: [(&[&str], &str); 4] = [
        (&["identity.key"], "store_owner"),
        (&["store.key"], "store_damaged"),
        (&["identity.key", "store.key"], "store_owner"),
        (&["HEAD"], "store_damaged"),
    ];
    for (names, word) in cases {
        for name in names {
            std::fs::write(ann.join(name), &of_bob[*name]).unwrap();
        }
        let before = files(&ann);
        let Err((code, said)) = start(&ann) else {
            panic!("{names:?}: it starts");
        };
        assert_eq!(code, 8, "{names:?}: {said}");
        assert!(said.contains(word), "{names:?}: {said}");
        assert!(files(&ann) == before, "{names:?}: something was altered");
        for name in names {
            std::fs::write(ann.join(name), &of_ann[*name]).unwrap();
        }
    }
    assert!(start(&ann).is_ok());
}
