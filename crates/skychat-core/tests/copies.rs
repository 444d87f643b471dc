//! Backups, copies and restored directories: every life of a key speaks, nobody forks, and the
//! peer is told what happened (D6).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use common::*;
use skychat_api::{EventKind, WaitFor};
use skychat_core::{Draft, EventReader};

fn say(to: u8, text: &str) -> Draft {
    Draft::text(key(to), text).unwrap()
}

/// Copies the directory of a node that is not running.
fn copy(from: &Path, to: &Path) {
    std::fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &there);
        } else {
            std::fs::copy(entry.path(), there).unwrap();
        }
    }
}

/// Events so far by type, and the texts that came in, in order.
async fn told(events: &mut EventReader) -> (BTreeMap<&'static str, usize>, Vec<String>) {
    let (mut counts, mut texts) = (BTreeMap::new(), Vec::new());
    while let Ok(event) = tokio::time::timeout(Duration::from_millis(500), events.next()).await {
        let event = event.unwrap().unwrap().into_inner();
        *counts.entry(event.kind.word()).or_default() += 1;
        if let EventKind::Message(message) = event.kind {
            texts.push(text(&message).to_owned());
        }
    }
    (counts, texts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_copies_that_run_at_once_are_told_and_lose_nothing() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let bob = on_disk(2, dirs[0].path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    bob.consent(key(1)).await.unwrap();
    let ann = |dir: &Path| on_disk(1, dir).peer(bob.address());
    let one = ann(dirs[1].path()).spawn().await.unwrap();
    one.deliver(say(2, "before"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    one.shutdown(LONG).await;
    copy(&data_dir(dirs[1].path()), &data_dir(dirs[2].path()));

    let one = ann(dirs[1].path()).spawn().await.unwrap();
    let other = ann(dirs[2].path()).spawn().await.unwrap();
    assert_ne!(one.incarnation(), other.incarnation());
    let mut expected = vec!["before".to_owned()];
    for n in 0..20 {
        for (name, node) in [("one", &one), ("other", &other)] {
            let text = format!("{name} {n}");
            node.deliver(say(2, &text), WaitFor::Stored, LONG)
                .await
                .unwrap();
            expected.push(text);
        }
    }
    let (counts, texts) = told(&mut from_start(&bob)).await;
    assert_eq!(texts, expected);
    assert_eq!(counts.get("incarnation"), Some(&1), "{counts:?}");
    assert_eq!(counts.get("clone"), Some(&1), "{counts:?}");
    assert_eq!(counts.get("fork"), None, "{counts:?}");
    assert_eq!(counts.get("gap"), None, "{counts:?}");

    // Bob answers, and both hear him.
    bob.send(say(1, "which of you?")).await.unwrap();
    for node in [&one, &other] {
        assert_eq!(text(&next_in(&mut from_start(node)).await), "which of you?");
    }
}

/// INC-9: feeds of earlier lives that a restarted node left on its disk go to a directory that was put back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_directory_gets_closed_feeds_from_a_restarted_peer() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let bob = on_disk(2, dirs[0].path()).listen(loopback());
    let bob = bob.spawn().await.unwrap();
    bob.consent(key(1)).await.unwrap();
    let mut expected = Vec::new();
    for life in 0..8 {
        let ann = on_disk(1, dirs[1].path()).peer(bob.address());
        let ann = ann.spawn().await.unwrap();
        let text = format!("life {life}");
        ann.deliver(say(2, &text), WaitFor::Stored, LONG)
            .await
            .unwrap();
        expected.push(text);
        ann.shutdown(LONG).await;
        if life == 1 {
            copy(&data_dir(dirs[1].path()), &data_dir(dirs[2].path()));
        }
    }
    bob.shutdown(LONG).await;
    let bob = on_disk(2, dirs[0].path()).listen(loopback());
    let bob = bob.spawn().await.unwrap();
    let ann = on_disk(1, dirs[2].path()).peer(bob.address());
    let ann = ann.spawn().await.unwrap();
    ann.deliver(say(2, "restored"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    expected.push("restored".to_owned());
    let (counts, texts) = told(&mut from_start(&bob)).await;
    assert_eq!(texts, expected);
    assert_eq!(counts.get("gap"), None, "{counts:?}");
    let mut events = from_start(&ann);
    let mut lives = std::collections::BTreeSet::new();
    while lives.len() < 6 {
        if let EventKind::Recovered(recovered) = next(&mut events).await.kind {
            assert!(recovered.foreign, "this store did not write it");
            lives.insert(recovered.incarnation);
        }
    }
}

/// Two copies of a peer to whom nobody ever wrote, and who is linked twice before it says anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_copies_of_a_stranger_are_told_too() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let ann = |dir: &Path| on_disk(1, dir);
    let one = ann(dirs[1].path()).spawn().await.unwrap();
    one.shutdown(LONG).await;
    copy(&data_dir(dirs[1].path()), &data_dir(dirs[2].path()));
    let bob = on_disk(2, dirs[0].path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let one = ann(dirs[1].path())
        .peer(bob.address())
        .spawn()
        .await
        .unwrap();
    let other = ann(dirs[2].path())
        .peer(bob.address())
        .spawn()
        .await
        .unwrap();
    until("both are linked", || bob.status().links.len() == 2).await;
    for n in 0..5 {
        for (name, node) in [("one", &one), ("other", &other)] {
            let draft = say(2, &format!("{name} {n}"));
            node.deliver(draft, WaitFor::Stored, LONG).await.unwrap();
        }
    }
    let (counts, texts) = told(&mut from_start(&bob)).await;
    assert_eq!(texts.len(), 10);
    assert_eq!(counts.get("incarnation"), Some(&1), "{counts:?}");
    assert_eq!(counts.get("clone"), Some(&1), "{counts:?}");
}

/// Who was written to is no stranger, also when it is configured no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consent_outlasts_the_configuration() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let ann = on_disk(1, dirs[1].path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let bob = || on_disk(2, dirs[0].path()).listen(loopback());
    let node = bob().peer(ann.address()).spawn().await.unwrap();
    node.deliver(say(1, "hello"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    node.shutdown(LONG).await;
    ann.shutdown(LONG).await;
    let node = bob().spawn().await.unwrap();
    let ann = on_disk(1, dirs[1].path()).peer(node.address());
    let ann = ann.spawn().await.unwrap();
    ann.deliver(say(2, "an answer"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    let mut events = from_start(&node);
    while text(&next_in(&mut events).await) != "an answer" {}
    let history = node.history(key(1), None, 1).await.unwrap();
    assert!(history.messages[0].marks.is_empty(), "{history:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_speaks_at_once_and_gets_back_what_it_lost() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let bob = on_disk(2, dirs[0].path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    bob.consent(key(1)).await.unwrap();
    let ann = |dir: &Path| on_disk(1, dir).peer(bob.address());
    let node = ann(dirs[1].path()).spawn().await.unwrap();
    node.deliver(say(2, "in the backup"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    node.shutdown(LONG).await;
    let backup = data_dir(dirs[2].path());
    copy(&data_dir(dirs[1].path()), &backup);

    // What is said now is in no backup, and Bob answers it.
    let node = ann(dirs[1].path()).spawn().await.unwrap();
    node.deliver(say(2, "after it"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    bob.deliver(say(1, "an answer"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    let cursor = node.last_event();
    node.shutdown(LONG).await;

    let node = ann(dirs[2].path()).spawn().await.unwrap();
    node.deliver(say(2, "restored"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    let (counts, texts) = told(&mut from_start(&bob)).await;
    assert_eq!(
        texts,
        ["in the backup", "after it", "an answer", "restored"]
    );
    assert_eq!(counts.get("incarnation"), Some(&1), "{counts:?}");
    assert_eq!(counts.get("clone"), None, "{counts:?}");

    // The cursor of a reader that had seen more is not in this log, and is told so.
    let mut events = node.events(Some(cursor));
    let first = next(&mut events).await;
    assert!(matches!(first.kind, EventKind::Gap(_)), "{first:?}");
    // What Ann said herself is known to be hers. Of Bob's answer her disk had told him that it has it: he keeps its body
    // no longer (JRN-3), and she is told what is missing.
    let waited = tokio::time::timeout(LONG, async {
        loop {
            let (counts, texts) = told(&mut from_start(&node)).await;
            assert!(!texts.contains(&"an answer".to_owned()), "{texts:?}");
            if counts.contains_key("gap") && counts.contains_key("recovered") {
                break;
            }
        }
    });
    waited.await.expect("the gap is told");
}
