//! The test that closes the spine: two nodes over loopback with real stores, one of them killed
//! (SIGKILL, in a process of its own) in the middle of it, again and again. Everything accepted
//! arrives exactly once, in order.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use common::*;
use skychat_api::WaitFor;
use skychat_core::{Draft, Node};

/// Kills in each test; more, and at other moments, with `SKYCHAT_KILLS` and `SKYCHAT_SEED`.
const KILLS: u64 = 6;
/// Messages that are sent in all.
const MESSAGES: u64 = 1_000;

/// A part of this test in a process of its own, that can be killed like one.
struct Part {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Part {
    /// Runs the ignored test `role` of this binary with these words.
    fn start(role: &str, words: &[String]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                role,
                "--ignored",
                "--nocapture",
                "--test-threads",
                "1",
            ])
            .env("SKYCHAT_PART", words.join(" "))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (line, lines) = mpsc::sync_channel(100_000);
        std::thread::spawn(move || {
            for said in out.lines().map_while(Result::ok) {
                if line.send(said).is_err() {
                    return;
                }
            }
        });
        Part { child, lines }
    }

    /// SIGKILL, then everything it had said.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }

    fn wait_for(&self, said: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(LONG)
                .expect("the part says something in time");
            if let Some(rest) = line.strip_prefix(said) {
                return rest.trim().to_owned();
            }
        }
    }
}

/// What a part was told, if this process is one.
fn part() -> Option<Vec<String>> {
    let words = std::env::var("SKYCHAT_PART").ok()?;
    // The harness has begun a line with the name of the test.
    tell(format_args!(""));
    Some(words.split(' ').map(str::to_owned).collect())
}

fn tell(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| number(&text))
}

/// Pauses before each kill, spread over 5 to 400 ms; a failure is repeated with the same seed.
fn pauses() -> impl Iterator<Item = Duration> {
    let (kills, seed) = (setting("SKYCHAT_KILLS", KILLS), setting("SKYCHAT_SEED", 0));
    (0..kills).map(move |n| {
        let spread = seed
            .wrapping_mul(kills)
            .wrapping_add(n)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Duration::from_millis(5 + (spread >> 32) % 396)
    })
}

/// Sends numbers from `from` on and says of each when it is asked for and when it is accepted.
#[test]
#[ignore = "a part of the others, in a process of its own"]
fn sender() {
    let Some(words) = part() else { return };
    let [dir, peer, from, to] = &words[..] else {
        panic!("{words:?}")
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let peer: SocketAddr = peer.parse().unwrap();
        let node = on_disk(1, Path::new(dir))
            .peer(at(key(2), peer))
            .spawn()
            .await
            .unwrap();
        tell(format_args!("ready"));
        for n in number(from)..number(to) {
            tell(format_args!("asked {n}"));
            node.send(Draft::text(key(2), n.to_string()).unwrap())
                .await
                .unwrap();
            tell(format_args!("accepted {n}"));
        }
        // The last ones are on their way: stay until they are there, or this process is killed.
        node.stopped().await.unwrap();
    });
}

/// Keeps a link to Ann until it is killed.
#[test]
#[ignore = "a part of the others, in a process of its own"]
fn receiver() {
    let Some(words) = part() else { return };
    let [dir, peer] = &words[..] else {
        panic!("{words:?}")
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let peer: SocketAddr = peer.parse().unwrap();
        let node = on_disk(2, Path::new(dir))
            .peer(at(key(1), peer))
            .spawn()
            .await
            .unwrap();
        tell(format_args!("ready"));
        node.stopped().await.unwrap();
    });
}

/// Checks what arrived: everything accepted, each once, in order, and nothing nobody asked for.
fn check(arrived: &[u64], accepted: &BTreeSet<u64>, asked: &BTreeSet<u64>) {
    let unique: BTreeSet<u64> = arrived.iter().copied().collect();
    assert_eq!(unique.len(), arrived.len(), "something arrived twice");
    assert!(arrived.is_sorted(), "something arrived out of order");
    assert!(
        unique.is_subset(asked),
        "something arrived that was not sent"
    );
    let lost: Vec<_> = accepted.difference(&unique).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
}

async fn arrived(node: &Node, last: u64) -> Vec<u64> {
    let mut events = from_start(node);
    let mut arrived = Vec::new();
    while arrived.last() != Some(&last) {
        arrived.push(number(text(&next_in(&mut events).await)));
    }
    // Nothing comes behind the last one.
    let more = all_in(&mut events, Duration::from_millis(300)).await;
    arrived.extend(more.iter().map(|message| number(text(message))));
    arrived
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sender_is_killed_in_the_middle() {
    let (ann_dir, bob_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bob = on_disk(2, bob_dir.path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    bob.consent(key(1)).await.unwrap();
    let (mut asked, mut accepted) = (BTreeSet::new(), BTreeSet::new());
    let words = |from: u64| {
        let dir = ann_dir.path().to_str().unwrap().to_owned();
        let to = if from < MESSAGES { MESSAGES } else { from + 20 };
        [
            dir,
            bob.listen_addrs()[0].to_string(),
            from.to_string(),
            to.to_string(),
        ]
    };
    for pause in pauses() {
        let from = asked.last().map_or(0, |last: &u64| last + 1);
        let part = Part::start("sender", &words(from));
        part.wait_for("ready");
        tokio::time::sleep(pause).await;
        for line in part.kill() {
            match line.split_once(' ') {
                Some(("asked", n)) => asked.insert(number(n)),
                Some(("accepted", n)) => accepted.insert(number(n)),
                _ => false,
            };
        }
    }
    // The last run is left alone until everything is there.
    let from = asked.last().map_or(0, |last| last + 1);
    let part = Part::start("sender", &words(from));
    let last = words(from)[3].parse::<u64>().unwrap() - 1;
    part.wait_for(&format!("accepted {last}"));
    asked.extend(from..=last);
    accepted.extend(from..=last);

    let arrived = arrived(&bob, last).await;
    check(&arrived, &accepted, &asked);
    drop(part.kill());
    bob.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_is_killed_in_the_middle() {
    let (ann_dir, bob_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ann = on_disk(1, ann_dir.path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let start = || {
        let dir = bob_dir.path().to_str().unwrap().to_owned();
        let part = Part::start("receiver", &[dir, ann.listen_addrs()[0].to_string()]);
        part.wait_for("ready");
        part
    };
    let sending = {
        let ann = ann.clone();
        tokio::spawn(async move {
            for n in 0..MESSAGES {
                ann.send(Draft::text(key(2), n.to_string()).unwrap())
                    .await
                    .unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    };
    for pause in pauses() {
        let part = start();
        linked(&ann, key(2)).await;
        tokio::time::sleep(pause).await;
        part.kill();
    }
    sending.await.unwrap();
    let part = start();
    let last = Draft::text(key(2), MESSAGES.to_string()).unwrap();
    ann.deliver(last, WaitFor::Stored, LONG).await.unwrap();
    part.kill();
    ann.shutdown(LONG).await;

    let bob = on_disk(2, bob_dir.path()).spawn().await.unwrap();
    let all: BTreeSet<u64> = (0..=MESSAGES).collect();
    check(&arrived(&bob, MESSAGES).await, &all, &all);
}
