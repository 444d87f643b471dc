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

/// What a text of the test below is, without what makes it long.
fn short(texts: Vec<String>) -> Vec<String> {
    let words = texts.iter().map(|text| text.split(' ').next().unwrap());
    words.map(str::to_owned).collect()
}

/// Two nodes that talked; the directory of one, and the key of the other.
fn talked(home: &Path) -> (std::path::PathBuf, String) {
    let (ann, bob) = (home.join("ann"), home.join("bob"));
    let first = Daemon::start(&ann, &[]);
    let second = Daemon::start(&bob, &["--tcp-peer", &first.address()]);
    let key = second.key();
    // Long ones, so that there are several segments.
    for n in 0..40 {
        let long = format!("text-{n} {}", "x".repeat(20_000));
        let (from, to) = if n % 2 == 0 {
            (&first, &second)
        } else {
            (&second, &first)
        };
        let sent = from.cli(&["send", &to.key(), &long, "--wait=stored"]);
        assert!(sent.status.success(), "{sent:?}");
    }
    drop(second);
    // And two that are still owed.
    for text in ["owed-1", "owed-2"] {
        assert!(first.cli(&["send", &key, text]).status.success());
    }
    let (status, log, _) = first.stop();
    assert!(status.success(), "{log}");
    (ann, key)
}

/// Numbers that look drawn: SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

fn write_all(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let _ = std::fs::remove_dir_all(dir);
    for (name, bytes) in files {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let path = dir.join(name);
        let mut folder = std::fs::DirBuilder::new();
        folder
            .recursive(true)
            .mode(0o700)
            .create(path.parent().unwrap())
            .unwrap();
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
    }
}

/// F5: files are cut and single bytes changed. Whatever it is, the start has all data, or it is
/// refused by name and a rebuild works; never is there less without a word.
///
/// `SKYCHAT_DAMAGE_CASES` and `SKYCHAT_SEED` say how many times and which; of six, one is a cut.
#[test]
fn f5_all_data_or_a_named_error_and_a_rebuild_that_works() {
    let number = |name: &str, usual: u64| {
        let given = std::env::var(name).ok();
        given.map_or(usual, |text| text.parse().unwrap())
    };
    let (cases, seed) = (
        number("SKYCHAT_DAMAGE_CASES", 24),
        number("SKYCHAT_SEED", 1),
    );
    let home = tempfile::tempdir().unwrap();
    let (ann, bob) = talked(home.path());
    let mut whole = files(&ann);
    whole.retain(|name, _| name != "ballast");
    let all = {
        let daemon = start(&ann).unwrap_or_else(|error| panic!("{error:?}"));
        short(daemon.texts(&bob))
    };
    assert_eq!(all.len(), 42);
    let used = |name: &str| whole[name].iter().any(|byte| *byte != 0);
    assert!(used("journal/00000002.seg"), "several segments");
    let groups: [&[&str]; 4] = [
        &["journal/"],
        &["HEAD", "checkpoint-"],
        &["index/"],
        &["identity.key", "store.key", "token"],
    ];
    let dir = home.path().join("damaged");
    let (mut rebuilt, mut intact, mut named) = (0, 0, 0);
    for case in 0..cases {
        let mut draw = Draw(seed << 32 | case);
        // Half of it in the journal.
        let group = [0, 0, 0, 1, 2, 3][draw.below(6)];
        let of_group = |name: &&String| groups[group].iter().any(|start| name.starts_with(start));
        let names: Vec<&String> = whole
            .keys()
            .filter(of_group)
            .filter(|name| !whole[*name].is_empty())
            .collect();
        let name = names[draw.below(names.len())].clone();
        let mut changed = whole.clone();
        let bytes = changed.get_mut(&name).unwrap();
        // Where something was written; behind it are zeros.
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(1, |last| last + 1);
        let at = draw.below(used);
        let cut = case % 6 == 0;
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << draw.below(8);
        }
        let what = format!(
            "seed {seed}, case {case}: {name} {} {at}",
            if cut { "cut to" } else { "changed at" }
        );
        write_all(&dir, &changed);

        let checked = skychatd([
            "store",
            "check",
            "--json",
            "--data-dir",
            dir.to_str().unwrap(),
        ]);
        match start(&dir) {
            Ok(daemon) => {
                let page = daemon.cli(&["history", &bob, "-n", "1000"]);
                if code(&page) == 0 {
                    assert_eq!(short(daemon.texts(&bob)), all, "{what}");
                }
                if code(&checked) == 0 {
                    assert_eq!(code(&page), 0, "{what}: {page:?}");
                    assert!(
                        daemon.cli(&["send", &bob, "more"]).status.success(),
                        "{what}"
                    );
                    intact += 1;
                    continue;
                }
                // In what lies before the checkpoint, and is looked at when it is asked for.
                assert_eq!(code(&checked), 8, "{what}: {checked:?}");
                assert!([0, 8].contains(&code(&page)), "{what}: {page:?}");
                assert!(name.starts_with("journal/"), "{what}");
                drop(daemon);
                mended(&dir, &bob, &all, &what);
                rebuilt += 1;
            }
            Err((exit, said)) => {
                assert_eq!(code(&checked), exit, "{what}: {said}: {checked:?}");
                assert!(
                    exit == 8 || (exit == 2 && name == "token"),
                    "{what}: {said}"
                );
                if group == 3 {
                    // Nothing can be made of it: the message says what to do.
                    assert!(said.contains(&name), "{what}: {said}");
                    assert!(
                        said.contains("backup") || said.contains("remove it"),
                        "{what}: {said}"
                    );
                    named += 1;
                    continue;
                }
                mended(&dir, &bob, &all, &what);
                rebuilt += 1;
            }
        }
    }
    assert!(
        rebuilt > 0 && intact > 0 && (named > 0 || cases < 24),
        "{rebuilt} {intact} {named}"
    );
}

/// A rebuild that loses as little as it says, and a node that goes on.
fn mended(dir: &Path, bob: &str, all: &[String], what: &str) {
    let path = dir.to_str().unwrap();
    let refused = skychatd(["store", "rebuild", "--data-dir", path]);
    assert_eq!(code(&refused), 8, "{what}: {refused:?}");
    let done = skychatd([
        "store",
        "rebuild",
        "--accept-loss",
        "--json",
        "--data-dir",
        path,
    ]);
    let done = json(&done);
    let losses = done["store"]["losses"].as_array().unwrap();
    assert!(!losses.is_empty(), "{what}: {done}");
    let checked = skychatd(["store", "check", "--data-dir", path]);
    assert_eq!(code(&checked), 0, "{what}: {checked:?}");
    let daemon = start(dir).unwrap_or_else(|error| panic!("{what}: after a rebuild: {error:?}"));
    assert!(
        daemon.cli(&["send", bob, "more"]).status.success(),
        "{what}"
    );
    let left = short(daemon.texts(bob));
    let mut rest = all.iter();
    let (last, before) = left.split_last().unwrap();
    assert_eq!(last, ">more", "{what}");
    for text in before {
        assert!(
            rest.any(|of| of == text),
            "{what}: {text} is new, or not in order"
        );
    }
}
