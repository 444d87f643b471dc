//! `skychat backup` and `skychatd store export`: a data directory leaves its machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use common::*;
use serde_json::Value;

struct Home {
    home: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("right", "correct horse\n"),
            ("wrong", "battery staple\n"),
            ("none", "\n"),
        ] {
            let path = home.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn backup(&self, what: &str, dir: &str, file: &str, passphrase: &str) -> Output {
        let (dir, file) = (self.path(dir), self.path(file));
        let passphrase = self.path(passphrase);
        skychat([
            Path::new("--json"),
            Path::new("--data-dir"),
            &dir,
            Path::new("backup"),
            Path::new(what),
            &file,
            Path::new("--passphrase-file"),
            &passphrase,
        ])
    }
}

/// The durable events from the first one up to one that `is_last`.
fn events(daemon: &Daemon, is_last: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut child = daemon
        .command(&["events", "--after", "first"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let mut events: Vec<Value> = Vec::new();
    while !events.last().is_some_and(&is_last) {
        let line = lines.recv_timeout(Duration::from_secs(10));
        let line = line.unwrap_or_else(|_| panic!("not within 10 s, after {events:?}"));
        events.push(serde_json::from_str(&line).unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    events
}

/// D6, INC: what a backup holds goes on elsewhere as a new life, nothing forks, what was said after
/// it comes back as far as somebody still has it, and everything accepted arrives once.
#[test]
fn a_backup_goes_on_on_another_machine() {
    let home = Home::new();
    let bob = Daemon::start(&home.path("bob"), &[]);
    let bob_key = bob.key();
    let ann = Daemon::start(&home.path("ann"), &["--tcp-peer", &bob.address()]);
    let ann_key = ann.key();
    for n in 0..5 {
        send(&ann, &bob_key, &format!("ann {n}"), true);
        send(&bob, &ann_key, &format!("bob {n}"), true);
    }
    stop(bob);
    // Accepted before the backup, and owed in it.
    send(&ann, &bob_key, "owed", false);

    let in_use = home.backup("create", "ann", "file", "right");
    assert_eq!(said(&in_use), (8, "store_locked".into()));
    assert!(!home.path("file").exists());
    let life = ann.json(&["status"])["incarnation"].clone();
    stop(ann);
    let made = json(&home.backup("create", "ann", "file", "right"));
    assert_eq!(made["public_key"], ann_key.as_str());
    let mode = std::fs::metadata(home.path("file"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // Said after the backup, which does not know it; Bob has it.
    let bob = Daemon::start(&home.path("bob"), &[]);
    let ann = Daemon::start(&home.path("ann"), &["--tcp-peer", &bob.address()]);
    send(&ann, &bob_key, "after", true);
    send(&bob, &ann_key, "answer", true);
    stop(ann);

    let restored = json(&home.backup("restore", "elsewhere", "file", "right"));
    assert_eq!(restored["public_key"], ann_key.as_str());
    let dir = home.path("elsewhere");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for name in ["identity.key", "store.key", "HEAD", "journal/00000001.seg"] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
    let key = |name: &str| std::fs::read(home.path(name).join("store.key")).unwrap();
    assert_ne!(key("ann"), key("elsewhere"), "no key state");
    assert_eq!(
        code(&skychatd([
            "store",
            "check",
            "--data-dir",
            dir.to_str().unwrap()
        ])),
        0
    );

    let again = Daemon::start(&dir, &["--tcp-peer", &bob.address()]);
    assert_eq!(again.key(), ann_key);
    assert_ne!(again.json(&["status"])["incarnation"], life);
    send(&again, &bob_key, "again", true);
    send(&bob, &ann_key, "welcome", true);
    let mut expected: Vec<String> = Vec::new();
    for n in 0..5 {
        expected.extend([format!("ann {n}"), format!(">bob {n}")]);
    }
    let tail = ["owed", "after", ">answer", "again", ">welcome"];
    expected.extend(tail.map(str::to_owned));
    assert_eq!(bob.texts(&ann_key), expected);
    // There, too: once each. Of what was said after the backup the entries came back, without their text: what was on
    // the disk of the original is sealed nowhere any more, and that is told.
    let texts = eventually("the last came", || {
        let texts = again.texts(&bob_key);
        texts.contains(&"welcome".to_owned()).then_some(texts)
    });
    let mut wanted: Vec<String> = Vec::new();
    for n in 0..5 {
        wanted.extend([format!(">ann {n}"), format!("bob {n}")]);
    }
    wanted.extend([">owed", ">again", "welcome"].map(str::to_owned));
    let sorted = |mut texts: Vec<String>| {
        texts.sort();
        texts
    };
    assert_eq!(sorted(texts), sorted(wanted));
    events(&again, |event| event["type"] == "recovered");
    events(&again, |event| event["type"] == "gap");
    let told = events(&bob, |event| event["text"] == "welcome");
    let of_lives = |event: &&Value| {
        ["incarnation", "fork", "clone"]
            .iter()
            .any(|word| event["type"] == **word)
    };
    let told: Vec<&Value> = told.iter().filter(of_lives).collect();
    assert!(
        matches!(told[..], [event] if event["type"] == "incarnation"),
        "an older life goes on, and nothing forks: {told:?}"
    );
}

/// Each has a word, and nothing is left that could be started.
#[test]
fn what_is_no_backup_or_another_passphrase_is_named() {
    let home = Home::new();
    let ann = Daemon::start(&home.path("ann"), &[]);
    let bob = skychat_identity::SecretKey::from_seed([9; 32])
        .public()
        .to_string();
    let long = "x".repeat(60_000);
    for _ in 0..3 {
        send(&ann, &bob, &long, false);
    }
    stop(ann);
    assert_eq!(code(&home.backup("create", "ann", "file", "right")), 0);
    let twice = home.backup("create", "ann", "file", "right");
    assert_eq!(
        said(&twice),
        (2, "bad_request".into()),
        "it is not overwritten"
    );

    let restore = |file: &str, passphrase: &str| home.backup("restore", "new", file, passphrase);
    assert_eq!(
        said(&restore("file", "wrong")),
        (7, "wrong_passphrase".into())
    );
    assert_eq!(said(&restore("file", "none")), (2, "bad_request".into()));
    assert_eq!(
        said(&restore("nowhere", "right")),
        (2, "bad_request".into())
    );
    assert!(!home.path("new").exists());
    let whole = std::fs::read(home.path("file")).unwrap();
    assert!(whole.len() > 3 * 65_552);
    for (what, bytes) in [
        ("another file", b"#!/bin/sh\n".repeat(20)),
        ("empty", Vec::new()),
        ("a header that is cut", whole[..50].to_vec()),
        ("cut between chunks", whole[..95 + 65_552].to_vec()),
        ("cut in a chunk", whole[..whole.len() - 7].to_vec()),
        ("longer", [&whole[..], b"x"].concat()),
        ("changed in the header", changed(&whole, 40)),
        ("changed at the start", changed(&whole, 100)),
        ("changed at the end", changed(&whole, whole.len() - 1)),
    ] {
        std::fs::write(home.path("bad"), bytes).unwrap();
        let output = restore("bad", "right");
        assert_eq!(
            said(&output),
            (8, "backup_damaged".into()),
            "{what}: {output:?}"
        );
        let dir = home.path("new");
        assert!(
            !dir.join("identity.key").exists() && !dir.join("journal").exists(),
            "{what}"
        );
    }
    // What failed is gone over, and a directory that is used is not.
    assert_eq!(code(&restore("file", "right")), 0);
    assert_eq!(said(&restore("file", "right")), (8, "store_owner".into()));
    let found = home.backup("restore", "ann", "file", "right");
    assert_eq!(said(&found), (8, "store_owner".into()));
    assert_eq!(Daemon::start(&home.path("new"), &[]).texts(&bob).len(), 3);

    // A damaged store is not backed up as if it were whole.
    let segment = home.path("ann").join("journal/00000001.seg");
    let journal = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, changed(&journal, 300)).unwrap();
    let refused = home.backup("create", "ann", "second", "right");
    assert_eq!(said(&refused), (8, "store_damaged".into()));
    assert!(!home.path("second").exists());
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 4;
    bytes
}

#[test]
fn an_export_has_every_message_and_an_end() {
    let home = Home::new();
    let bob = Daemon::start(&home.path("bob"), &[]);
    let ann = Daemon::start(&home.path("ann"), &["--tcp-peer", &bob.address()]);
    let (ann_key, bob_key) = (ann.key(), bob.key());
    send(&ann, &bob_key, "one\nand a half", true);
    send(&bob, &ann_key, "two", true);
    let of_the_daemon = ann.json(&["history", &bob_key]);
    stop(ann);
    let dir = home.path("ann");
    let dir = dir.to_str().unwrap();
    let output = skychatd(["store", "export", "-", "--data-dir", dir]);
    assert_eq!(code(&output), 0, "{output:?}");
    let lines: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [start, first, second, history @ .., end] = &lines[..] else {
        panic!("{} lines", lines.len());
    };
    assert_eq!(
        (&start["type"], &start["v"], &start["archive"]),
        (&"skychat-export".into(), &1.into(), &1.into())
    );
    assert_eq!(start["public_key"], ann_key.as_str());
    assert_eq!(
        (&end["type"], &end["messages"]),
        (&"end".into(), &"2".into())
    );
    // Behind the messages the history they are from, for an import.
    for kind in ["record", "group"] {
        let count = history.iter().filter(|line| line["type"] == kind).count();
        assert_eq!(end[format!("{kind}s")], count.to_string());
        assert!(count > 0);
    }
    let of_history = |line: &Value| line["type"] == "record" || line["type"] == "group";
    assert!(history.iter().all(of_history));
    let newest_first = of_the_daemon["messages"].as_array().unwrap();
    for (line, row) in [(first, &newest_first[1]), (second, &newest_first[0])] {
        let mut row = row.clone();
        row["type"] = "message".into();
        assert_eq!(*line, row, "as the daemon says");
    }
    assert_eq!(first["state"], "stored");

    let file = home.path("out.ndjson");
    let to_file = || skychatd(["store", "export", file.to_str().unwrap(), "--data-dir", dir]);
    assert_eq!(code(&to_file()), 0);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let written = std::fs::read_to_string(&file).unwrap();
    let body = |text: &str| -> Vec<String> {
        let lines: Vec<&str> = text.lines().collect();
        let body = &lines[1..lines.len() - 1];
        body.iter().copied().map(str::to_owned).collect()
    };
    assert_eq!(body(&written), body(&stdout(&output)));
    let twice = to_file();
    assert_eq!(code(&twice), 2, "{twice:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
}
