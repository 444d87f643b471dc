//! The command line as people and scripts meet it: every mistake, every code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

#[path = "../../skychatd/tests/common/mod.rs"]
mod common;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use common::*;
use serde_json::Value;
use skychat_identity::SecretKey;

fn said(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn without_a_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    let bob = SecretKey::from_seed([9; 32]).public().to_string();
    let commands: [&[&str]; 6] = [
        &["status"],
        &["send", &bob, "x"],
        &["listen"],
        &["events"],
        &["history", &bob],
        &["conversations"],
    ];
    for command in commands {
        let output = skychat([&["--data-dir", dir], command].concat());
        assert_eq!(code(&output), 4, "{command:?}: {output:?}");
        assert!(
            stderr(&output).contains("skychatd --data-dir"),
            "the next command: {output:?}"
        );
        assert_eq!(stdout(&output), "");
        let output = skychat([&["--json", "--data-dir", dir], command].concat());
        assert_eq!(
            (code(&output), said(&output)["code"].as_str()),
            (4, Some("no_daemon"))
        );
    }
    // One that was killed left its file behind.
    let daemon = Daemon::start(&std::path::Path::new(dir).join("x"), &[]);
    let gone = daemon.dir.clone();
    daemon.kill();
    let output = skychat(["--data-dir", gone.to_str().unwrap(), "status"]);
    assert_eq!(code(&output), 4, "{output:?}");
}

#[test]
fn usage() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let bob = SecretKey::from_seed([9; 32]).public().to_string();
    let long = "x".repeat(66_000);
    let own = daemon.key();
    let cases: &[(&[&str], &str)] = &[
        (&[], ""),
        (&["sned"], ""),
        (&["send"], ""),
        (&["send", &bob], "bad_request"),
        (&["send", &bob, "a", "b"], ""),
        (&["send", "bob", "x"], "malformed_key"),
        (&["send", &bob.to_uppercase(), "x"], "malformed_key"),
        (&["send", "skychat:bob", "x"], "malformed_key"),
        (&["send", "tcp://127.0.0.1:8801", "x"], "malformed_address"),
        (&["send", &own, "x"], "own_key"),
        (&["send", &bob, ""], "bad_text"),
        (&["send", &bob, &long], "too_large"),
        (&["send", &bob, "x", "--wait=soon"], ""),
        (&["send", &bob, "x", "--timeout", "soon"], ""),
        (&["send", &bob, "x", "--message-id", "5"], ""),
        (&["send", &bob, "x", "--sk", &"11".repeat(32)], ""),
        (&["history"], ""),
        (&["history", "bob"], ""),
        (&["history", &own], "own_key"),
        (&["history", &bob, "-n", "0"], ""),
        (&["history", &bob, "--before", "x"], ""),
        (&["events", "--after", "x"], "malformed_cursor"),
        (&["events", "--types", "weather"], "bad_request"),
        (&["listen", "--from", "bob"], ""),
    ];
    for (args, word) in cases {
        let output = daemon.cli(&[&["--json"], *args].concat());
        assert_eq!(code(&output), 2, "{args:?}: {output:?}");
        assert_eq!(stdout(&output), "", "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
        if !word.is_empty() {
            assert_eq!(said(&output)["code"], *word, "{args:?}");
        }
    }
}

/// What is wrong with an address is said to its cause: what was found, and what was expected.
#[test]
fn messages_say_what_was_found_and_what_was_expected() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let bob = SecretKey::from_seed([9; 32]).public().to_string();
    let (zeros, short) = ("0".repeat(64), &bob[..63]);
    let cases = [
        (
            format!("tcp://{bob}@127.0.0.1:99999"),
            ["99999", "1 to 65535"],
        ),
        (
            format!("skychat:{bob}?at=nowhere"),
            ["nowhere", "host:port"],
        ),
        (
            format!("tcp://{short}@127.0.0.1:1"),
            ["63 hex digits", "64"],
        ),
        (format!("skychat:{zeros}"), ["small order", "prime order"]),
        (
            format!("skychat:{bob}?req-relay=1"),
            ["relay", "does not know"],
        ),
        (short.to_owned(), ["63 hex digits", "64"]),
        (
            "tcp://127.0.0.1:8801".to_owned(),
            ["127.0.0.1:8801", "tcp://<key>@host:port"],
        ),
    ];
    for (to, parts) in cases {
        let output = daemon.cli(&["send", &to, "x"]);
        assert_eq!(code(&output), 2, "{to}: {output:?}");
        for part in parts {
            assert!(stderr(&output).contains(part), "{to}: {output:?}");
        }
    }
    // Bytes that are no text, as an argument.
    let argument = std::os::unix::ffi::OsStrExt::from_bytes(&b"caf\xe9"[..]);
    let output = daemon
        .command(&["send", &bob])
        .arg::<&std::ffi::OsStr>(argument)
        .output();
    let output = output.unwrap();
    assert_eq!(code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("UTF-8"), "{output:?}");

    // A key that nobody ever spoke with is no error, and is noticed.
    let output = daemon.cli(&["history", &bob]);
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
    assert!(stderr(&output).contains(&bob), "{output:?}");
}

#[test]
fn text_from_stdin() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let bob = SecretKey::from_seed([9; 32]).public().to_string();
    let send = |bytes: &[u8]| {
        let mut child = daemon
            .command(&["--json", "send", &bob, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(bytes);
        child.wait_with_output().unwrap()
    };
    assert!(send("two\nlines\n".as_bytes()).status.success());
    for (bytes, word) in [
        (&b"caf\xe9"[..], "bad_text"),
        (b"", "bad_text"),
        (b"\n", "bad_text"),
        (&[b'x'; 70_000], "too_large"),
    ] {
        let output = send(bytes);
        assert_eq!(
            (code(&output), said(&output)["code"].as_str()),
            (2, Some(word))
        );
    }
    assert_eq!(daemon.texts(&bob), [">two\nlines"]);
}

#[test]
fn a_token_that_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let path = daemon.dir.join("token");
    let token = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, "0".repeat(64)).unwrap();
    let output = daemon.cli(&["--json", "status"]);
    assert_eq!(
        (code(&output), said(&output)["code"].as_str()),
        (7, Some("unauthorized"))
    );
    std::fs::write(&path, &token).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = daemon.cli(&["status"]);
    assert_eq!(code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("chmod 600"), "{output:?}");
    assert!(!stderr(&output).contains(token.trim()));
}

#[test]
fn every_command_speaks_json() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let bob = SecretKey::from_seed([9; 32]).public().to_string();
    let sent = daemon.json(&["send", &bob, "x"]);
    assert_eq!(
        (&sent["v"], sent["state"].as_str()),
        (&1.into(), Some("accepted"))
    );
    for command in [&["status"][..], &["history", &bob], &["conversations"]] {
        assert_eq!(daemon.json(command)["v"], 1, "{command:?}");
    }
    let output = daemon.cli(&["events", "--after", "first", "-n", "1"]);
    assert_eq!(json(&output)["type"], "message");
    let output = daemon.cli(&["--json", "listen", "--from-start", "--all", "-n", "1"]);
    assert_eq!(json(&output)["text"], "x");
}

#[test]
fn colours_only_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let output = daemon
        .command(&["status"])
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(!output.stdout.contains(&0x1b), "{output:?}");
    let text = stdout(&output);
    for part in [daemon.key().as_str(), "admission", "open", "health", "good"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn keygen_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ann.key");
    let keygen = |more: &[&str]| skychat([&["--json", "keygen"], more].concat());
    let made = json(&keygen(&["-o", file.to_str().unwrap()]));
    let key = made["public_key"].as_str().unwrap().to_owned();
    assert_eq!(made["address"], format!("skychat:{key}"));
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let secret = skychat_identity::keyfile::decode(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(secret.public().to_string(), key);
    assert_eq!(code(&keygen(&["-o", file.to_str().unwrap()])), 2);
    assert_eq!(code(&keygen(&["-o", "/nowhere/ann.key"])), 8);

    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let made = json(&keygen(&["--data-dir", data]));
    assert_eq!(code(&keygen(&["--data-dir", data])), 8);
    let daemon = Daemon::start(std::path::Path::new(data), &[]);
    assert_eq!(daemon.key(), made["public_key"].as_str().unwrap());
}

#[test]
fn the_demo_shows_what_it_promises() {
    let output = skychat(["demo"]);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    for part in [
        "sent and acknowledged",
        "sent while Bob is down",
        "Bob is back",
        "a wrong key is refused",
        " ms ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let report = json(&skychat(["--json", "demo"]));
    assert!(
        report["steps"]
            .as_array()
            .unwrap()
            .iter()
            .all(|step| step["took_us"].is_u64()),
        "{report}"
    );
}
