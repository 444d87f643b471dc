//! `send --via`: a message without a daemon, and what each end of it means.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

#[path = "../../skychatd/tests/common/mod.rs"]
mod common;

use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use common::*;
use skychat_identity::SecretKey;

fn via(address: &str, more: &[&str]) -> (std::process::Output, Duration) {
    let start = Instant::now();
    let output = skychat([&["--json", "send", "--ephemeral", "--via", address], more].concat());
    (output, start.elapsed())
}

#[test]
fn it_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let (output, _) = via(&daemon.address(), &["hello"]);
    let sent = json(&output);
    assert_eq!(
        (sent["state"].as_str(), sent["kept"].as_str()),
        (Some("stored"), Some("disk"))
    );
    assert_eq!(sent["by"], daemon.key());
    assert_eq!(sent["via"], "tcp");

    // The recipient may stand there too, if it is the same.
    let (output, _) = via(&daemon.address(), &[&daemon.key(), "hello"]);
    assert!(output.status.success(), "{output:?}");
    let other = SecretKey::from_seed([9; 32]).public().to_string();
    let (output, _) = via(&daemon.address(), &[&other, "hello"]);
    assert_eq!(code(&output), 2, "{output:?}");

    // With an identity of one's own; people see a sentence.
    let sk = "33".repeat(32);
    let from = SecretKey::from_hex(&sk).unwrap().public().to_string();
    let output = skychat([
        "send",
        "--via",
        &daemon.address(),
        "--sk",
        &sk,
        "from me",
        "--wait",
    ]);
    assert!(output.status.success(), "{output:?}");
    let said = stdout(&output);
    assert!(
        said.starts_with(&format!("Acked by {} in ", daemon.key())),
        "{said}"
    );
    assert_eq!(daemon.texts(&from), ["from me"]);

    // The same id again is the same message.
    let id = "ab".repeat(16);
    for _ in 0..2 {
        let output = skychat([
            "send",
            "--via",
            &daemon.address(),
            "--sk",
            &sk,
            "once",
            "--message-id",
            &id,
        ]);
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(daemon.texts(&from), ["from me", "once"]);
}

#[test]
fn each_stage_has_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let key = SecretKey::from_seed([9; 32]).public();

    // Nobody there: 4.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (output, _) = via(&format!("tcp://{key}@{free}"), &["x"]);
    assert_eq!(code(&output), 4, "{output:?}");

    // A wrong key: 7, and quickly.
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let (output, took) = via(&format!("tcp://{key}@{}", daemon.links()), &["x"]);
    assert_eq!(code(&output), 7, "{output:?}");
    assert!(took < Duration::from_secs(11), "{took:?}");
    assert!(stderr(&output).contains("wrong_key"), "{output:?}");

    // Not admitted: 6.
    let friend = SecretKey::from_seed([5; 32]).public().to_string();
    let closed = Daemon::start(&dir.path().join("y"), &["--tcp-whitelist", &friend]);
    let (output, _) = via(&closed.address(), &["x"]);
    assert_eq!(code(&output), 6, "{output:?}");

    // A peer that never finishes the handshake: 5.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let (output, took) = via(&format!("tcp://{key}@{addr}"), &["x", "--timeout", "2s"]);
    assert_eq!(code(&output), 5, "{output:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");

    // A peer that answers with garbage: 7.
    let garbage = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = garbage.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = garbage.accept().unwrap();
        let _ = std::io::Write::write_all(&mut stream, &[7; 4096]);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let (output, _) = via(&format!("tcp://{key}@{addr}"), &["x"]);
    assert_eq!(code(&output), 7, "{output:?}");
}

#[test]
fn usage() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let key = SecretKey::from_seed([9; 32]).public();
    for address in [
        "",
        "bob",
        "http://x",
        "tcp://127.0.0.1:1",
        &format!("tcp://{key}@x"),
        &format!("skychat:{key}"),
    ] {
        let (output, _) = via(address, &["x"]);
        assert_eq!(code(&output), 2, "{address:?}: {output:?}");
    }
    let (output, _) = via(&daemon.address(), &["x", "--wait=accepted"]);
    assert_eq!(
        code(&output),
        2,
        "nothing is accepted without a store: {output:?}"
    );
    let (output, _) = via(&daemon.address(), &[""]);
    assert_eq!(code(&output), 2, "{output:?}");
    // Own key, with the identity of the directory itself.
    let dir = daemon.dir.to_str().unwrap().to_owned();
    let output = skychat(["--data-dir", &dir, "send", "--via", &daemon.address(), "x"]);
    assert_eq!(code(&output), 2, "{output:?}");
    // No identity at all.
    let output = skychat([
        "--data-dir",
        "/nowhere",
        "send",
        "--via",
        &daemon.address(),
        "x",
    ]);
    assert_eq!(code(&output), 2, "{output:?}");
    for sk in ["", "11", &"zz".repeat(32)] {
        let output = skychat(["send", "--via", &daemon.address(), "--sk", sk, "x"]);
        assert_eq!(code(&output), 2, "--sk {sk:?}: {output:?}");
    }
}
