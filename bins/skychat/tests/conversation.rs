//! Two daemons, each naming the other, and what becomes of what they say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

#[path = "../../skychatd/tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::*;
use serde_json::Value;

/// Two daemons on fixed ports, so that each can be started again where the other looks for it.
struct Pair {
    home: tempfile::TempDir,
    keys: [String; 2],
    ports: [u16; 2],
}

impl Pair {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let keys = ["ann", "bob"].map(|name| {
            let output = skychat([
                "--json",
                "--data-dir",
                home.path().join(name).to_str().unwrap(),
                "keygen",
            ]);
            json(&output)["public_key"].as_str().unwrap().to_owned()
        });
        // Held together, so that they differ.
        let free = [0, 1].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = [0, 1].map(|n: usize| free[n].local_addr().unwrap().port());
        Self { home, keys, ports }
    }

    fn dir(&self, n: usize) -> std::path::PathBuf {
        self.home.path().join(["ann", "bob"][n])
    }

    fn start(&self, n: usize) -> Daemon {
        let other = 1 - n;
        Daemon::start(
            &self.dir(n),
            &[
                "--tcp-listen",
                &format!("127.0.0.1:{}", self.ports[n]),
                "--tcp-peer",
                &format!("tcp://{}@127.0.0.1:{}", self.keys[other], self.ports[other]),
            ],
        )
    }
}

fn sent(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    stdout(output)
}

#[test]
fn they_talk_and_what_was_missed_comes_once_and_in_order() {
    let pair = Pair::new();
    let (ann, bob) = (pair.start(0), pair.start(1));
    let [ann_key, bob_key] = &pair.keys;

    let said = sent(&ann.cli(&["send", bob_key, "hello bob", "--wait", "--timeout", "20s"]));
    assert!(
        said.starts_with(&format!("Acked by {bob_key} in ")),
        "{said}"
    );
    assert!(said.trim_end().ends_with(" ms (via tcp)"), "{said}");
    let said = sent(&bob.cli(&[
        "send",
        &format!("skychat:{ann_key}"),
        "hello ann",
        "--wait=stored",
    ]));
    assert!(
        said.starts_with(&format!("Acked by {ann_key} in ")),
        "{said}"
    );
    let said = sent(&ann.cli(&["send", bob_key, "no waiting"]));
    assert!(said.starts_with("Accepted "), "{said}");

    let status = ann.json(&["status"]);
    let peer = &status["peers"][0];
    assert_eq!(
        (peer["peer"].as_str(), &peer["linked"]),
        (Some(bob_key.as_str()), &true.into())
    );

    // Bob stops; ten are sent; Bob starts.
    let (status, log, _) = bob.stop();
    assert!(status.success(), "{log}");
    for n in 0..10 {
        sent(&ann.cli(&["send", bob_key, &format!("missed {n}")]));
    }
    // What the status says of peers is at most a second old.
    eventually("the status says what is owed, and why it waits", || {
        let status = ann.json(&["status"]);
        let peer = &status["peers"][0];
        let owed: u64 = peer["owed"].as_str().unwrap().parse().unwrap();
        (owed >= 10 && peer["waits"]["why"] == "offline").then_some(())
    });
    let late = ann.cli(&["send", bob_key, "waits", "--wait", "--timeout", "300ms"]);
    assert_eq!(code(&late), 5, "{late:?}");
    assert!(
        stderr(&late).contains("offline"),
        "says why: {}",
        stderr(&late)
    );

    let bob = pair.start(1);
    let expected: Vec<String> = ["hello bob", ">hello ann", "no waiting"]
        .into_iter()
        .map(str::to_owned)
        .chain((0..10).map(|n| format!("missed {n}")))
        .chain(["waits".to_owned()])
        .collect();
    eventually("everything is at Bob's", || {
        (bob.texts(ann_key).len() >= expected.len()).then_some(())
    });
    assert_eq!(bob.texts(ann_key), expected);
    eventually("nothing is owed", || {
        let status = ann.json(&["status"]);
        (status["peers"][0]["owed"] == "0").then_some(())
    });
    let conversations = bob.json(&["conversations"]);
    assert_eq!(conversations["conversations"][0]["peer"], ann_key.as_str());
    assert_eq!(
        conversations["conversations"][0]["messages"],
        expected.len().to_string()
    );
}

/// `kill -9` of either in the middle of sends: what was accepted arrives exactly once.
fn killed(victim: usize) {
    const COUNT: usize = 150;
    let pair = Pair::new();
    let (ann, bob) = (pair.start(0), pair.start(1));
    let [ann_key, bob_key] = &pair.keys;
    sent(&ann.cli(&["send", bob_key, "first", "--wait", "--timeout", "20s"]));
    let mut both = [Some(ann), Some(bob)];
    let mut accepted = Vec::new();
    for n in 0..COUNT {
        let id = format!("{n:032x}");
        let text = format!("message {n}");
        // With an id, a send whose answer was lost is repeated and stays one message.
        let send = |daemon: &Daemon| daemon.cli(&["send", bob_key, &text, "--message-id", &id]);
        if n % 50 == 20 {
            let daemon = both[victim].take().unwrap();
            let mut child = None;
            if victim == 0 {
                child = Some(
                    daemon
                        .command(&["send", bob_key, &text, "--message-id", &id])
                        .stderr(std::process::Stdio::null())
                        .spawn()
                        .unwrap(),
                );
            }
            daemon.kill();
            if let Some(mut child) = child {
                child.wait().unwrap();
            }
            both[victim] = Some(pair.start(victim));
        }
        let output = send(both[0].as_ref().unwrap());
        assert!(output.status.success(), "{output:?}");
        accepted.push(text.clone());
    }
    let bob = both[1].as_ref().unwrap();
    let wanted = COUNT + 1;
    eventually("all is at Bob's", || {
        (bob.texts(ann_key).len() >= wanted).then_some(())
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    let texts = bob.texts(ann_key);
    let mut expected = vec!["first".to_owned()];
    expected.extend(accepted);
    assert_eq!(texts, expected, "once each, in order");
}

#[test]
fn f1_the_sender_is_killed() {
    killed(0);
}

#[test]
fn f1_the_receiver_is_killed() {
    killed(1);
}

fn copy(from: &Path, to: &Path) {
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(from)
            .arg(to)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn inc_6_a_copied_directory_makes_no_fork_and_is_told() {
    let pair = Pair::new();
    let [ann_key, bob_key] = &pair.keys;
    let (ann, bob) = (pair.start(0), pair.start(1));
    sent(&ann.cli(&[
        "send",
        bob_key,
        "before the copy",
        "--wait",
        "--timeout",
        "20s",
    ]));
    assert!(ann.stop().0.success());
    copy(&pair.dir(0), &pair.home.path().join("copy"));
    let ann = pair.start(0);
    let bob_at = format!("tcp://{bob_key}@127.0.0.1:{}", pair.ports[1]);
    let copy = Daemon::start(&pair.home.path().join("copy"), &["--tcp-peer", &bob_at]);
    assert_eq!(copy.key(), ann.key());
    sent(&ann.cli(&[
        "send",
        bob_key,
        "from the original",
        "--wait",
        "--timeout",
        "30s",
    ]));
    sent(&copy.cli(&[
        "send",
        bob_key,
        "from the copy",
        "--wait",
        "--timeout",
        "30s",
    ]));
    sent(&ann.cli(&[
        "send",
        bob_key,
        "the original again",
        "--wait",
        "--timeout",
        "30s",
    ]));
    let texts = bob.texts(ann_key);
    for text in [
        "before the copy",
        "from the original",
        "from the copy",
        "the original again",
    ] {
        assert_eq!(
            texts.iter().filter(|t| *t == text).count(),
            1,
            "{text}: {texts:?}"
        );
    }
    let count = |kind: &str| {
        let output = bob
            .command(&["events", "--after", "first", "--types", kind])
            .output_for_a_moment();
        output
            .lines()
            .filter(|line| {
                serde_json::from_str::<Value>(line).is_ok_and(|event| event["type"] == kind)
            })
            .count()
    };
    assert_eq!(count("incarnation"), 1);
    assert_eq!(count("clone"), 1);
    assert_eq!(count("fork"), 0);
}

/// For streams without an end.
trait Moment {
    fn output_for_a_moment(&mut self) -> String;
}

impl Moment for Command {
    fn output_for_a_moment(&mut self) -> String {
        let mut child = self.stdout(std::process::Stdio::piped()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_secs(1));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn a_third_one_not_on_the_whitelist_gets_a_closed_socket() {
    let home = tempfile::tempdir().unwrap();
    let friend = skychat_identity::SecretKey::from_seed([5; 32])
        .public()
        .to_string();
    let ann = Daemon::start(&home.path().join("ann"), &["--tcp-whitelist", &friend]);
    let eve = Daemon::start(&home.path().join("eve"), &["--tcp-peer", &ann.address()]);
    let output = eve.cli(&["send", &ann.key(), "let me in", "--wait", "--timeout", "3s"]);
    assert_eq!(code(&output), 5, "{output:?}");
    eventually("Eve is told", || {
        let status = eve.json(&["status"]);
        let peer = &status["peers"][0];
        (peer["linked"] == false && peer["waits"]["why"] == "not_admitted").then_some(())
    });
    assert_eq!(ann.texts(&eve.key()), Vec::<String>::new());
    assert_eq!(ann.json(&["status"])["links"].as_array().unwrap().len(), 0);

    // With an empty file nobody is admitted at all.
    let nobody = home.path().join("nobody");
    fs::write(&nobody, "# nobody\n").unwrap();
    let bob = Daemon::start(
        &home.path().join("bob"),
        &["--tcp-whitelist", &format!("@{}", nobody.display())],
    );
    let output = skychat(["send", "--via", &bob.address(), "--ephemeral", "hello"]);
    assert_eq!(code(&output), 6, "{output:?}");
}
