//! `listen` and `events`: streams that outlive connections, daemons and their own process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

#[path = "../../skychatd/tests/common/mod.rs"]
mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use common::*;
use serde_json::Value;

/// A stream that is read line by line.
struct Stream {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Stream {
    fn new(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn event(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"))
    }

    fn end(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }
}

fn pair() -> (tempfile::TempDir, Daemon, Daemon) {
    let home = tempfile::tempdir().unwrap();
    let bob = Daemon::start(&home.path().join("bob"), &[]);
    let ann = Daemon::start(&home.path().join("ann"), &["--tcp-peer", &bob.address()]);
    (home, ann, bob)
}

fn send(from: &Daemon, to: &Daemon, text: &str) {
    let output = from.cli(&["send", &to.key(), text, "--wait", "--timeout", "20s"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn messages_are_printed_as_they_come_and_cannot_act() {
    let (_home, ann, bob) = pair();
    let mut listen = Stream::new(bob.command(&["listen"]));
    std::thread::sleep(Duration::from_millis(500));
    send(
        &ann,
        &bob,
        "red \u{1b}[31malert\u{1b}]52;c;aGk=\u{7}\r\nnext line\u{202e}",
    );
    let (first, second) = (listen.line(), listen.line());
    assert!(first.contains(&ann.key()[..10]), "{first}");
    for line in [&first, &second] {
        assert!(
            !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
    }
    assert!(second.starts_with("    next line"), "{second}");
    assert_eq!(listen.end("INT"), Some(130));
}

#[test]
fn a_cursor_file_takes_up_where_it_was_left() {
    let (home, ann, bob) = pair();
    let file = home.path().join("cursor");
    let args = ["--json", "listen", "--cursor-file", file.to_str().unwrap()];
    let mut listen = Stream::new(bob.command(&args));
    eventually("the place is noted", || file.exists().then_some(()));
    send(&ann, &bob, "one");
    assert_eq!(listen.event()["text"], "one");
    eventually("the place moved", || {
        let text = std::fs::read_to_string(&file).unwrap();
        (!text.trim_end().ends_with("-0")).then_some(())
    });
    assert_eq!(listen.end("INT"), Some(130));
    send(&ann, &bob, "two");
    send(&ann, &bob, "three");
    let mut listen = Stream::new(bob.command(&args));
    assert_eq!(listen.event()["text"], "two");
    assert_eq!(listen.event()["text"], "three");
    listen.end("INT");
    std::fs::write(&file, "nonsense\n").unwrap();
    assert_eq!(code(&bob.cli(&args)), 2);
}

#[test]
fn a_restart_of_the_daemon_loses_and_repeats_nothing() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("bob");
    let bob = Daemon::start(&dir, &[]);
    let mut events = Stream::new(bob.command(&["events", "--types", "message"]));
    std::thread::sleep(Duration::from_millis(500));
    let say = |bob: &Daemon, text: &str| {
        let output = skychat(["send", "--via", &bob.address(), "--ephemeral", text]);
        assert!(output.status.success(), "{output:?}");
    };
    say(&bob, "before");
    assert_eq!(events.event()["text"], "before");
    let (status, _, _) = bob.stop();
    assert!(status.success());
    // Another port, another life.
    let bob = Daemon::start(&dir, &[]);
    say(&bob, "after");
    say(&bob, "and more");
    assert_eq!(events.event()["text"], "after");
    assert_eq!(events.event()["text"], "and more");
    events.end("INT");
    bob.kill();
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let bob = Daemon::start(&home.path().join("bob"), &[]);
    for n in 0..3 {
        let output = skychat([
            "send",
            "--via",
            &bob.address(),
            "--ephemeral",
            &format!("message {n}"),
        ]);
        assert!(output.status.success(), "{output:?}");
    }
    let mut events = Stream::new(bob.command(&["events", "--after", "first"]));
    events.event();
    drop(events.out);
    // The next line finds the pipe closed.
    let output = skychat(["send", "--via", &bob.address(), "--ephemeral", "more"]);
    assert!(output.status.success(), "{output:?}");
    let mut child = events.child;
    let status = eventually("it ends by itself", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "");
}

#[test]
fn notices_come_when_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let bob = Daemon::start(&home.path().join("bob"), &[]);
    let mut events = Stream::new(bob.command(&["events", "--notices"]));
    let ready = events.event();
    assert_eq!(
        (ready["type"].as_str(), ready["public_key"].as_str()),
        (Some("ready"), Some(bob.key().as_str()))
    );
    let ann = Daemon::start(&home.path().join("ann"), &["--tcp-peer", &bob.address()]);
    let link = events.event();
    assert_eq!(
        (link["type"].as_str(), link["peer"].as_str()),
        (Some("link"), Some(ann.key().as_str()))
    );
    assert_eq!(link["link"], "up");
    events.end("INT");
}
