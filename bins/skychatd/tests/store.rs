//! `skychatd store`: looking at a data directory, and mending it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use common::*;
use serde_json::Value;
use skychat_identity::SecretKey;

fn store(dir: &Path, args: &[&str]) -> Output {
    let dir = dir.to_str().unwrap();
    skychatd([&["store"], args, &["--data-dir", dir]].concat())
}

fn check(dir: &Path) -> (i32, Value) {
    let output = store(dir, &["check", "--json"]);
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (code(&output), document)
}

fn bob() -> String {
    SecretKey::from_seed([9; 32]).public().to_string()
}

/// A directory in which something was said, by a daemon that stopped in order.
fn spoken(dir: &Path, texts: &[&str]) {
    let daemon = Daemon::start(dir, &[]);
    for text in texts {
        let sent = daemon.cli(&["send", &bob(), text]);
        assert!(sent.status.success(), "{sent:?}");
    }
    let (status, log, _) = daemon.stop();
    assert!(status.success(), "{log}");
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_whole_directory_is_in_order_and_one_in_use_is_not_looked_at() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("x");
    spoken(&dir, &["one", "two"]);
    let (exit, found) = check(&dir);
    assert_eq!((exit, &found["code"]), (0, &Value::Null), "{found}");
    assert_eq!(found["store"]["messages"], "2");
    assert_eq!(found["store"]["index"], "fits");
    assert_eq!(found["store"]["owner"], found["public_key"]);
    let shown = stdout(&store(&dir, &["check"]));
    assert!(
        shown.contains("2 messages") && shown.contains("all is in order"),
        "{shown}"
    );

    let daemon = Daemon::start(&dir, &[]);
    for args in [&["check"][..], &["rebuild"], &["rebuild", "--accept-loss"]] {
        let output = store(&dir, args);
        assert_eq!(code(&output), 8, "{output:?}");
        assert!(stderr(&output).contains("in use by process"), "{output:?}");
        assert_eq!(stdout(&output), "");
    }
    assert_eq!(daemon.texts(&bob()), [">one", ">two"]);
}

#[test]
fn what_is_not_there_is_said_and_not_made() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("none");
    for args in [&["check"][..], &["rebuild"]] {
        let output = store(&dir, args);
        assert_eq!(code(&output), 2, "{output:?}");
        assert!(
            stderr(&output).contains("there is no data directory"),
            "{output:?}"
        );
    }
    assert!(!dir.exists());
    // One that was never used.
    assert!(
        skychat(["keygen", "--data-dir", dir.to_str().unwrap()])
            .status
            .success()
    );
    let output = store(&dir, &["check"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(
        stdout(&output).contains("nothing is stored yet"),
        "{output:?}"
    );
    assert_eq!(code(&store(&dir, &["rebuild"])), 2);
}

/// Each file with a byte that was changed is named, with what mends it.
#[test]
fn a_changed_byte_of_a_key_file_is_named() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("x");
    spoken(&dir, &["one"]);
    for (name, at, place) in [
        ("identity.key", 30, 0),
        ("store.key", 30, 1),
        ("token", 64, 2),
    ] {
        let path = dir.join(name);
        let before = std::fs::read(&path).unwrap();
        if name == "token" {
            std::fs::write(&path, &before[..at - 1]).unwrap();
        } else {
            flip(&path, at);
        }
        let (exit, found) = check(&dir);
        assert_eq!(exit, if name == "token" { 2 } else { 8 }, "{found}");
        assert_eq!(found["files"][place]["name"], name);
        assert_eq!(found["files"][place]["state"], "bad");
        let why = found["files"][place]["why"].as_str().unwrap();
        assert!(why.contains("backup") || why.contains("remove it"), "{why}");
        // The journal was looked at all the same.
        assert_eq!(found["store"]["losses"], serde_json::json!([]), "{found}");
        assert_eq!(found["store"]["messages"], "1", "{found}");
        std::fs::write(&path, before).unwrap();
    }
    assert_eq!(check(&dir).0, 0);
}

#[test]
fn a_rebuild_without_damage_makes_the_index_again() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("x");
    spoken(&dir, &["one", "two"]);
    flip(&dir.join("index/mark"), 9);
    let (exit, found) = check(&dir);
    assert_eq!((exit, found["store"]["index"].as_str()), (0, Some("unfit")));
    let output = store(&dir, &["rebuild"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(
        stdout(&output).contains("its index was made again"),
        "{output:?}"
    );
    let (exit, found) = check(&dir);
    assert_eq!((exit, found["store"]["index"].as_str()), (0, Some("fits")));
    assert_eq!(Daemon::start(&dir, &[]).texts(&bob()), [">one", ">two"]);
}

/// JRN-5, D6: what is lost is named, what is left goes on in a new life, and nothing is deleted.
#[test]
fn a_damaged_store_is_rebuilt_only_if_the_loss_is_accepted() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("x");
    spoken(&dir, &["one", "two", "three"]);
    let segment = dir.join("journal/00000001.seg");
    let whole = std::fs::read(&segment).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    flip(&segment, used / 2);
    let damaged = std::fs::read(&segment).unwrap();

    let (exit, found) = check(&dir);
    assert_eq!(
        (exit, &found["code"]),
        (8, &"store_damaged".into()),
        "{found}"
    );
    assert_eq!(found["store"]["losses"][0]["segment"], 1, "{found}");
    assert!(
        found["refusal"].as_str().unwrap().contains("damaged"),
        "{found}"
    );
    let refused = store(&dir, &["rebuild"]);
    assert_eq!(code(&refused), 8, "{refused:?}");
    let said = stderr(&refused);
    assert!(
        said.contains("segment 1 at") && said.contains("--accept-loss"),
        "{said}"
    );
    assert_eq!(std::fs::read(&segment).unwrap(), damaged);

    let output = store(&dir, &["rebuild", "--accept-loss", "--json"]);
    let done = json(&output);
    assert_eq!(done["rebuilt"], "store");
    let kept = dir.join("damaged-1");
    assert_eq!(done["kept"], kept.to_str().unwrap());
    assert_eq!(
        std::fs::read(kept.join("journal/00000001.seg")).unwrap(),
        damaged
    );
    let mode = std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    assert_eq!(check(&dir).0, 0);
    let daemon = Daemon::start(&dir, &[]);
    let texts = daemon.texts(&bob());
    let all = [">one", ">two", ">three"];
    assert!(
        texts.iter().all(|text| all.contains(&text.as_str())),
        "{texts:?}"
    );
    assert!(daemon.cli(&["send", &bob(), "four"]).status.success());
    assert_eq!(daemon.texts(&bob()).last().unwrap(), ">four");
}

/// A rebuild that was interrupted while it moved files: nothing starts on what is there, and the
/// next rebuild goes on.
#[test]
fn an_interrupted_rebuild_is_finished_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("x");
    spoken(&dir, &["one", "two"]);
    // As it is when the new store is whole and the old journal was moved away.
    let ready = dir.join("rebuild");
    std::fs::create_dir(&ready).unwrap();
    std::fs::write(ready.join("kept-as"), "damaged-1").unwrap();
    std::fs::create_dir(dir.join("damaged-1")).unwrap();
    std::fs::rename(dir.join("journal"), ready.join("journal")).unwrap();
    std::fs::copy(dir.join("HEAD"), ready.join("HEAD")).unwrap();
    let refused = Daemon::try_start(&dir, &[]).map(|_| ()).unwrap_err();
    assert_eq!(code(&refused), 8);
    assert!(
        stderr(&refused).contains("store rebuild` finishes it"),
        "{refused:?}"
    );
    let (exit, found) = check(&dir);
    assert_eq!(
        (exit, &found["unfinished_rebuild"]),
        (8, &true.into()),
        "{found}"
    );
    let output = store(&dir, &["rebuild"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stdout(&output).contains("is finished"), "{output:?}");
    assert!(!ready.exists());
    assert_eq!(Daemon::start(&dir, &[]).texts(&bob()), [">one", ">two"]);
}
