//! The commands of the README, as they are written there: only ports are exchanged for free ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

#[path = "../../skychatd/tests/common/mod.rs"]
mod common;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use common::*;

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The commands of the section, in order, each in one line.
fn commands(section: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, section) = readme.split_once(section).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    let code: String = blocks
        .map(|block| block.split("```").next().unwrap())
        .collect();
    code.replace("\\\n", " ")
        .lines()
        .filter(|line| line.starts_with("skychat"))
        .map(str::to_owned)
        .collect()
}

/// The command as a shell runs it, in `dir`, with the built binaries found first.
fn shell(dir: &Path, command: &str) -> Command {
    let program = binary("skychat");
    let folder = program.parent().unwrap();
    assert!(binary("skychatd").starts_with(folder));
    let mut shell = clean(Path::new("/bin/sh"));
    let path = std::env::var("PATH").unwrap_or_default();
    shell
        .env("PATH", format!("{}:{path}", folder.display()))
        .args(["-c", &format!("exec {command}")])
        .current_dir(dir);
    shell
}

fn run(dir: &Path, command: &str) -> Output {
    let output = shell(dir, command).output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    output
}

/// Starts what goes on by itself, and waits for a line with `sign`.
fn start(dir: &Path, command: &str, sign: &str) -> (Running, BufReader<std::process::ChildStdout>) {
    let mut child = shell(dir, command)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let running = Running(child);
    let mut line = String::new();
    while !sign.is_empty() && !line.contains(sign) {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "{command} ended");
    }
    (running, out)
}

#[test]
fn the_commands_of_two_people_work_as_they_are_written() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let mut commands = commands("\n## Two people\n");
    assert_eq!(commands.len(), 6, "{commands:#?}");

    // Free ports for those that are named, all different because all are held until then.
    let held: Vec<TcpListener> = (0..4)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    for (port, free) in ["8801", "8002", "8811", "8012"].iter().zip(&held) {
        let free = free.local_addr().unwrap().port().to_string();
        for command in &mut commands {
            *command = command.replace(&format!(":{port}"), &format!(":{free}"));
        }
    }
    drop(held);

    // Their keys, put where the page has words for them.
    for (n, word) in [(0, "ANN_KEY"), (1, "BOB_KEY")] {
        let output = run(dir, &commands[n]);
        let said = stdout(&output);
        let is_key = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let key = said.split_whitespace().find(is_key).expect("its key");
        for command in &mut commands {
            *command = command.replace(word, key);
        }
    }
    let [ann, bob] = [&commands[2], &commands[3]].map(|command| start(dir, command, "ready"));
    let (listening, heard) = start(dir, &commands[4], "");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in heard.lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    // Whoever listens hears what comes from then on, so it may take a second message.
    eventually("the message is heard", || {
        let sent = stdout(&run(dir, &commands[5]));
        assert!(
            sent.starts_with("Acked by ") && sent.contains(" ms (via tcp)"),
            "{sent}"
        );
        let line = told.recv_timeout(Duration::from_secs(1)).ok()?;
        line.contains("hello").then_some(())
    });
    drop((ann, bob, listening));
}
