//! `skychatd store import`: an exported history becomes the store of a data directory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use common::*;
use serde_json::Value;

struct Home {
    home: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn store(&self, dir: &str, args: &[&str]) -> Output {
        let dir = self.path(dir);
        let all = [
            &["--json", "--data-dir", dir.to_str().unwrap(), "store"],
            args,
        ]
        .concat();
        skychatd(all)
    }

    fn export(&self, dir: &str, file: &str) -> Output {
        self.store(dir, &["export", self.path(file).to_str().unwrap()])
    }

    fn import(&self, dir: &str, file: &str, more: &[&str]) -> Output {
        let file = self.path(file);
        let args = [&["import", file.to_str().unwrap()], more].concat();
        self.store(dir, &args)
    }

    /// A directory with the identity of another one, and nothing else.
    fn moved(&self, from: &str, to: &str) {
        std::fs::create_dir(self.path(to)).unwrap();
        let keys = [from, to].map(|dir| self.path(dir).join("identity.key"));
        std::fs::copy(&keys[0], &keys[1]).unwrap();
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(self.path(to), mode).unwrap();
    }
}

/// The conversation as the daemon tells it, but for where each message stands in the journal.
fn history(daemon: &Daemon, peer: &str) -> Vec<Value> {
    let mut page = daemon.json(&["history", peer, "-n", "100"]);
    let rows = page["messages"].as_array_mut().unwrap();
    for row in rows.iter_mut() {
        row.as_object_mut().unwrap().remove("record");
    }
    rows.clone()
}

/// D6, D7: what was exported is the history of another directory, as it was; what was owed is delivered from there,
/// once; and what is there is never merged with another history.
#[test]
fn an_export_goes_on_in_another_directory() {
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
    send(&ann, &bob_key, "owed", false);
    let life = ann.json(&["status"])["incarnation"].clone();
    assert_eq!(
        said(&home.export("ann", "file")),
        (8, "store_locked".into())
    );
    let as_it_was = history(&ann, &bob_key);
    stop(ann);
    let made = json(&home.export("ann", "file"));
    assert_eq!(made["messages"], "11");
    assert_eq!(made["signed"], true);
    assert_eq!(made["public_key"], ann_key.as_str());

    home.moved("ann", "elsewhere");
    let done = json(&home.import("elsewhere", "file", &[]));
    for field in ["public_key", "messages", "groups", "records"] {
        assert_eq!(done[field], made[field], "{field}");
    }
    assert_eq!(done["kept"], Value::Null);
    let twice = home.import("elsewhere", "file", &[]);
    assert_eq!(said(&twice), (8, "store_owner".into()));
    let why = stderr(&twice);
    assert!(
        why.contains("a store with 11 messages") && why.contains("--replace"),
        "{why}"
    );
    let key = |dir: &str| std::fs::read(home.path(dir).join("store.key")).unwrap();
    assert_ne!(key("ann"), key("elsewhere"), "no key state");
    assert_eq!(code(&home.store("elsewhere", &["check"])), 0);

    // The same messages, in the same states, in another life.
    let there = home.path("elsewhere");
    let again = Daemon::start(&there, &[]);
    assert_eq!(again.key(), ann_key);
    assert_ne!(again.json(&["status"])["incarnation"], life);
    assert_eq!(history(&again, &bob_key), as_it_was);
    let states: Vec<&Value> = as_it_was.iter().map(|row| &row["state"]).collect();
    assert_eq!(states[0], "accepted", "what is owed");
    assert_eq!(states[2], "stored");
    stop(again);

    let bob = Daemon::start(&home.path("bob"), &[]);
    let again = Daemon::start(&there, &["--tcp-peer", &bob.address()]);
    let mut expected: Vec<String> = Vec::new();
    for n in 0..5 {
        expected.extend([format!("ann {n}"), format!(">bob {n}")]);
    }
    expected.push("owed".into());
    eventually("what was owed came", || {
        (bob.texts(&ann_key) == expected).then_some(())
    });
    send(&again, &bob_key, "more", true);
    send(&bob, &ann_key, "welcome", true);
    expected.extend(["more", ">welcome"].map(str::to_owned));
    assert_eq!(bob.texts(&ann_key), expected, "nothing twice");
    eventually("it is told to be delivered", || {
        let rows = history(&again, &bob_key);
        let owed = rows.iter().find(|row| row["text"] == "owed").unwrap();
        (owed["state"] == "stored").then_some(())
    });
    stop(again);

    // The archive in the place of what went on from it: what is there is put aside as it is.
    let before = std::fs::read(there.join("journal/00000001.seg")).unwrap();
    let done = json(&home.import("elsewhere", "file", &["--replace"]));
    let kept = there.join("replaced-1");
    assert_eq!(done["kept"], kept.to_str().unwrap());
    assert_eq!(
        std::fs::read(kept.join("journal/00000001.seg")).unwrap(),
        before
    );
    let again = Daemon::start(&there, &["--tcp-peer", &bob.address()]);
    send(&again, &bob_key, "once more", true);
    send(&bob, &ann_key, "again", true);
    expected.extend(["once more", ">again"].map(str::to_owned));
    assert_eq!(
        bob.texts(&ann_key),
        expected,
        "what was owed in the archive, too, is not said twice"
    );
    let texts = again.texts(&bob_key);
    for text in [">ann 0", "bob 4", ">owed", ">once more", "again"] {
        let count = texts.iter().filter(|found| *found == text).count();
        assert_eq!(count, 1, "{text} in {texts:?}");
    }

    // All of it again: a history of several lives, with what came back from Bob.
    let as_it_was = history(&again, &bob_key);
    stop(again);
    let made = json(&home.export("elsewhere", "second"));
    home.moved("ann", "third");
    let done = json(&home.import("third", "second", &[]));
    for field in ["messages", "groups", "records"] {
        assert_eq!(done[field], made[field], "{field}");
    }
    let third = Daemon::start(&home.path("third"), &[]);
    assert_eq!(history(&third, &bob_key), as_it_was);
}

/// What is no archive, or of somebody else, has a word; and nothing is left that a start would take.
#[test]
fn what_is_no_archive_or_of_somebody_else_is_named() {
    let home = Home::new();
    let ann = Daemon::start(&home.path("ann"), &[]);
    let bob = Daemon::start(&home.path("bob"), &[]);
    for text in ["one", "two"] {
        send(&ann, &bob.key(), text, false);
    }
    let (ann_key, bob_key) = (ann.key(), bob.key());
    stop(ann);
    stop(bob);
    json(&home.export("ann", "file"));
    let whole = std::fs::read_to_string(home.path("file")).unwrap();
    home.moved("ann", "new");
    let end = whole.trim_end().rfind('\n').unwrap();
    let cases = [
        ("cut", whole[..end + 1].to_owned(), "it was cut"),
        (
            "changed",
            whole.replacen("\"text\":\"one\"", "\"text\":\"two\"", 1),
            "it was changed",
        ),
        ("longer", format!("{whole}{{}}\n"), "something follows it"),
        ("another file", "#!/bin/sh\n".repeat(20), "it is no archive"),
        (
            "of the first version",
            format!("{{\"v\":1,\"type\":\"skychat-export\",\"public_key\":\"{ann_key}\"}}\n"),
            "it holds text only",
        ),
    ];
    for (what, text, why) in cases {
        assert_ne!(text, whole, "{what}");
        std::fs::write(home.path("bad"), text).unwrap();
        let output = home.import("new", "bad", &[]);
        assert_eq!(
            said(&output),
            (8, "backup_damaged".into()),
            "{what}: {output:?}"
        );
        assert!(stderr(&output).contains(why), "{what}: {output:?}");
        for left in ["journal", "HEAD", "rebuild.new", "rebuild"] {
            assert!(
                !home.path("new").join(left).exists(),
                "{what} leaves {left}"
            );
        }
    }
    let missing = home.import("new", "nowhere", &[]);
    assert_eq!(said(&missing), (2, "bad_request".into()));
    let of_another = home.import("bob", "file", &["--replace"]);
    assert_eq!(said(&of_another), (8, "store_owner".into()));
    assert!(stderr(&of_another).contains(&bob_key), "{of_another:?}");
    assert!(!home.path("bob/replaced-1").exists());
    let none = home.import("none", "file", &[]);
    assert_eq!(said(&none), (2, "bad_config".into()));
    assert!(!home.path("none").exists());

    // The same from a pipe, for people.
    let mut child = clean(&binary("skychatd"))
        .args(["store", "import", "-", "--data-dir"])
        .arg(home.path("new"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(whole.as_bytes())
        .unwrap();
    let output = finish(child, Duration::from_secs(20));
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stdout(&output).contains("has 2 messages"), "{output:?}");
    assert_eq!(
        Daemon::start(&home.path("new"), &[]).texts(&bob_key),
        [">one", ">two"]
    );
}

/// An identity that is not in the directory is given as to the daemon; without it an export is for readers.
#[test]
fn an_identity_that_is_given_signs_and_imports() {
    let home = Home::new();
    let seed = "0a".repeat(32);
    let bob = skychat_identity::SecretKey::from_seed([9; 32])
        .public()
        .to_string();
    let ann = Daemon::start(&home.path("ann"), &["--sk", &seed]);
    send(&ann, &bob, "one", false);
    let ann_key = ann.key();
    stop(ann);
    let run = |dir: &str, sk: Option<&str>, args: &[&str]| {
        let dir = home.path(dir);
        let sk = sk.map(|sk| vec!["--sk", sk]).unwrap_or_default();
        let all = [
            &sk[..],
            &["--json", "--data-dir", dir.to_str().unwrap(), "store"],
            args,
        ];
        skychatd(all.concat())
    };
    let files = ["unsigned", "signed", "pipe"].map(|name| home.path(name));
    let [unsigned, signed, pipe] = files.each_ref().map(|path| path.to_str().unwrap());
    let made = json(&run("ann", None, &["export", unsigned]));
    assert_eq!(
        (&made["signed"], &made["public_key"]),
        (&false.into(), &ann_key.as_str().into())
    );
    let piped = run("ann", None, &["export", "-"]);
    assert!(stderr(&piped).contains("it is not signed"), "{piped:?}");
    std::fs::write(pipe, &piped.stdout).unwrap();
    for file in [unsigned, pipe] {
        let refused = run("new", Some(&seed), &["import", file]);
        assert_eq!(said(&refused), (8, "backup_damaged".into()));
        assert!(stderr(&refused).contains("it is not signed"), "{refused:?}");
    }
    let other = run("ann", Some(&"0b".repeat(32)), &["export", signed]);
    assert_eq!(said(&other), (8, "store_owner".into()));
    assert!(!Path::new(signed).exists());
    assert_eq!(
        json(&run("ann", Some(&seed), &["export", signed]))["signed"],
        true
    );
    // The directory is made, as by a start.
    let done = json(&run("new", Some(&seed), &["import", signed]));
    assert_eq!(done["public_key"], ann_key.as_str());
    assert!(!home.path("new/identity.key").exists());
    let ann = Daemon::start(&home.path("new"), &["--sk", &seed]);
    assert_eq!(ann.texts(&bob), [">one"]);
}

/// An import that is interrupted leaves what was there.
#[test]
fn an_import_that_is_interrupted_alters_nothing() {
    let home = Home::new();
    let bob = skychat_identity::SecretKey::from_seed([9; 32])
        .public()
        .to_string();
    let ann = Daemon::start(&home.path("ann"), &[]);
    send(&ann, &bob, "one", false);
    stop(ann);
    json(&home.export("ann", "file"));
    let whole = std::fs::read(home.path("file")).unwrap();
    let before = std::fs::read(home.path("ann/journal/00000001.seg")).unwrap();
    let mut child = clean(&binary("skychatd"))
        .args(["store", "import", "-", "--replace", "--data-dir"])
        .arg(home.path("ann"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // All but the last line: nothing counts before that is there.
    let end = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n');
    input.write_all(&whole[..=end.unwrap()]).unwrap();
    eventually("it is being written", || {
        home.path("ann/rebuild.new/journal").exists().then_some(())
    });
    // Not by SIGINT: whoever was started in the background of a shell ignores that.
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-s", "TERM", &pid])
        .status();
    assert!(killed.unwrap().success());
    let output = finish(child, Duration::from_secs(20));
    assert!(!output.status.success());
    drop(input);
    assert_eq!(
        std::fs::read(home.path("ann/journal/00000001.seg")).unwrap(),
        before
    );
    assert_eq!(Daemon::start(&home.path("ann"), &[]).texts(&bob), [">one"]);
    // What it left is gone over by the next.
    let done = json(&home.import("ann", "file", &["--replace"]));
    assert_eq!(done["messages"], "1");
    assert!(!home.path("ann/rebuild.new").exists());
}
