//! What is given away, by nodes as programs run them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use common::{LONG, at, from_start, in_memory, key, loopback, next, on_disk, texts_in};
use skychat_api::{Body, Code, EventKind, Message, Missing};
use skychat_core::{Draft, Node, PublicKey, ReadError, Retention, SendError, WaitFor};

/// Text goes as soon as it may.
fn quick() -> Retention {
    Retention {
        linger: Duration::ZERO,
        every: Duration::from_millis(10),
        ..Retention::default()
    }
}

async fn say(node: &Node, to: PublicKey, text: &str) {
    node.send(Draft::text(to, text).unwrap()).await.unwrap();
}

/// All messages with a peer, the oldest first.
async fn history(node: &Node, peer: PublicKey) -> Vec<Message> {
    loop {
        match node.history(peer, None, 256).await {
            Ok(page) => return page.messages.into_iter().rev().collect(),
            // Just after a start.
            Err(ReadError::Indexing) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// What is there of each message with a peer: its text, or `-` where it was dropped.
async fn texts(node: &Node, peer: PublicKey) -> Vec<String> {
    let messages = history(node, peer).await;
    let text = |message: &Message| match &message.body {
        Body::Text(text) => text.clone(),
        Body::Missing(Missing::Dropped) => "-".to_owned(),
        other => panic!("{other:?}"),
    };
    messages.iter().map(text).collect()
}

async fn until_texts(node: &Node, peer: PublicKey, expected: &[&str]) {
    let waited = tokio::time::timeout(LONG, async {
        while texts(node, peer).await != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    if waited.await.is_err() {
        assert_eq!(texts(node, peer).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_conversation_so_many_texts_are_kept_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Retention {
        per_peer_cap: NonZeroU64::new(3),
        ..quick()
    };
    let bob = on_disk(2, dir.path())
        .listen(loopback())
        .retention(rules.clone());
    let bob = bob.spawn().await.unwrap();
    let ann = in_memory(1).peer(at(key(2), bob.listen_addrs()[0]));
    let ann = ann.spawn().await.unwrap();
    let mut events = from_start(&bob);
    for text in ["1", "2", "3", "4", "5"] {
        say(&ann, key(2), text).await;
    }
    texts_in(&mut events, 5).await;
    until_texts(&bob, key(1), &["-", "-", "3", "4", "5"]).await;
    until_texts(&ann, key(2), &["1", "2", "3", "4", "5"]).await;

    // Who said it, when and under which id is known on; the log says the same as history.
    let dropped = history(&bob, key(1)).await.remove(0);
    let sent = history(&ann, key(2)).await.remove(0);
    assert_eq!(dropped.message_id, sent.message_id);
    assert_eq!((dropped.from, dropped.time), (sent.from, sent.time));
    let mut again = from_start(&bob);
    let EventKind::Message(first) = next(&mut again).await.kind else {
        panic!("the first event is the first message");
    };
    assert_eq!(first.body, Body::Missing(Missing::Dropped));
    assert_eq!(first.message_id, sent.message_id);

    bob.shutdown(LONG).await;
    drop(bob);
    let bob = on_disk(2, dir.path()).listen(loopback()).retention(rules);
    let bob = bob.spawn().await.unwrap();
    until_texts(&bob, key(1), &["-", "-", "3", "4", "5"]).await;
    say(&bob, key(1), "6").await;
    until_texts(&bob, key(1), &["-", "-", "-", "4", "5", "6"]).await;
    bob.shutdown(LONG).await;
    ann.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_who_is_not_listed_nothing_stays_but_what_is_owed() {
    let dir = tempfile::tempdir().unwrap();
    let bob = on_disk(2, dir.path())
        .listen(loopback())
        .retention(Retention {
            only: Some([key(3)].into()),
            ..quick()
        });
    let bob = bob.spawn().await.unwrap();
    // Nobody has acknowledged it: it stays although its peer is not listed.
    say(&bob, key(1), "owed").await;
    say(&bob, key(3), "kept").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(texts(&bob, key(1)).await, ["owed"]);

    let ann_dir = tempfile::tempdir().unwrap();
    let ann = on_disk(1, ann_dir.path()).peer(at(key(2), bob.listen_addrs()[0]));
    let ann = ann.spawn().await.unwrap();
    say(&ann, key(2), "hello").await;
    until_texts(&bob, key(1), &["-", "-"]).await;
    assert_eq!(texts(&bob, key(3)).await, ["kept"]);
    until_texts(&ann, key(2), &["hello", "owed"]).await;
    bob.shutdown(LONG).await;
    ann.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_is_kept_is_not_sent() {
    let ann = in_memory(1).retention(Retention {
        largest: 100,
        ..Retention::default()
    });
    let ann = ann.spawn().await.unwrap();
    let draft = Draft::text(key(2), "x".repeat(200)).unwrap();
    let error = ann.send(draft).await.unwrap_err();
    assert!(
        matches!(error, SendError::TooLarge { limit: 100, .. }),
        "{error:?}"
    );
    say(&ann, key(2), "small").await;
    ann.shutdown(LONG).await;
}

/// A store that is full of what is owed answers so, and goes on by itself when the peer has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_may_give_nothing_away_takes_nothing_new() {
    let dir = tempfile::tempdir().unwrap();
    let ann = on_disk(1, dir.path())
        .listen(loopback())
        .retention(Retention {
            total: Retention::MIN_TOTAL,
            ..quick()
        });
    let ann = ann.spawn().await.unwrap();
    let text = "y".repeat(60_000);
    let mut said = 0;
    let error = loop {
        match ann.send(Draft::text(key(2), text.as_str()).unwrap()).await {
            Ok(_) => said += 1,
            Err(error) => break error,
        }
        assert!(said < 1_000, "it never holds back");
    };
    assert!(matches!(error, SendError::Quota), "{error:?}");
    assert_eq!(error.code(), Code::StoreFull);
    let status = ann.status();
    assert!(
        status.store.holds_back && status.degraded.len() == 1,
        "{status:?}"
    );
    assert_eq!(status.store.cap, Retention::MIN_TOTAL);
    assert!(status.store.used >= status.store.cap / 2, "{status:?}");

    let bob_dir = tempfile::tempdir().unwrap();
    let bob = on_disk(2, bob_dir.path()).peer(at(key(1), ann.listen_addrs()[0]));
    let bob = bob.spawn().await.unwrap();
    let taken = tokio::time::timeout(LONG, async {
        loop {
            match ann.send(Draft::text(key(2), "again").unwrap()).await {
                Ok(accepted) => break accepted,
                Err(error) => assert!(matches!(error, SendError::Quota), "{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let accepted = taken.await.expect("room came back");
    ann.wait(key(2), accepted.message, WaitFor::Stored, LONG)
        .await
        .unwrap();
    assert_eq!(
        history(&bob, key(1)).await.len(),
        said + 1,
        "nothing was lost"
    );
    ann.shutdown(LONG).await;
    bob.shutdown(LONG).await;
}

/// Under a steady load the oldest goes, sends are taken all the time, and what is in use stays within the bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_total_is_kept_under_a_steady_load() {
    let (ann_dir, bob_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rules = Retention {
        total: Retention::MIN_TOTAL,
        ..quick()
    };
    let bob = on_disk(2, bob_dir.path())
        .listen(loopback())
        .retention(rules.clone());
    let bob = bob.spawn().await.unwrap();
    let ann = on_disk(1, ann_dir.path())
        .peer(at(key(2), bob.listen_addrs()[0]))
        .retention(rules.clone());
    let ann = ann.spawn().await.unwrap();
    bob.consent(key(1)).await.unwrap();
    let text = "z".repeat(30_000);
    let messages = 400;
    for n in 0..messages {
        let draft = Draft::text(key(2), format!("{n} {text}")).unwrap();
        let accepted = ann.send(draft).await.unwrap();
        let stored = ann.wait(key(2), accepted.message, WaitFor::Stored, LONG);
        if let Err(error) = stored.await {
            panic!("{n}: {error}: {:?} {:?}", ann.status(), bob.status());
        }
        for node in [&ann, &bob] {
            let store = node.status().store;
            assert!(store.used <= store.cap, "{store:?}");
        }
    }
    for (node, peer) in [(&ann, key(2)), (&bob, key(1))] {
        let last = history(node, peer).await;
        assert_eq!(last.len(), 256, "a whole page");
        assert!(
            matches!(&last[255].body, Body::Text(_)),
            "the newest is there"
        );
        assert_eq!(last[0].body, Body::Missing(Missing::Dropped));
        assert!(!node.status().store.holds_back);
    }
    ann.shutdown(LONG).await;
    bob.shutdown(LONG).await;
    // A restart does not take for in use what was given away before.
    for (n, dir) in [(1, &ann_dir), (2, &bob_dir)] {
        let node = on_disk(n, dir.path()).retention(rules.clone());
        let node = node.spawn().await.unwrap();
        common::until("it was looked", || node.status().store.used > 0).await;
        let store = node.status().store;
        assert!(store.used <= store.cap && !store.holds_back, "{store:?}");
        let peer = if n == 1 { key(2) } else { key(1) };
        let kept = texts(&node, peer).await;
        let kept = kept.iter().filter(|text| *text != "-").count();
        assert!(kept > 20, "{kept}: not more goes than has to");
        node.shutdown(LONG).await;
    }
}

/// Whether a file below `dir` has these bytes.
fn found(dir: &Path, needle: &[u8]) -> bool {
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                if bytes.windows(needle.len()).any(|window| window == needle) {
                    return true;
                }
            }
        }
    }
    false
}

/// D5: text stands in no file in clear, neither while it is kept nor when it was given away.
#[tokio::test(flavor = "multi_thread")]
async fn the_text_stands_in_no_file() {
    let (ann_dir, bob_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rules = Retention {
        only: Some([].into()),
        ..quick()
    };
    let bob = on_disk(2, bob_dir.path())
        .listen(loopback())
        .retention(rules.clone());
    let bob = bob.spawn().await.unwrap();
    let ann = on_disk(1, ann_dir.path())
        .peer(at(key(2), bob.listen_addrs()[0]))
        .retention(rules);
    let ann = ann.spawn().await.unwrap();
    let canary = "canary-5d41402abc4b2a76";
    say(&ann, key(2), canary).await;
    until_texts(&bob, key(1), &["-"]).await;
    until_texts(&ann, key(2), &["-"]).await;
    ann.shutdown(LONG).await;
    bob.shutdown(LONG).await;
    for dir in [&ann_dir, &bob_dir] {
        assert!(!found(dir.path(), canary.as_bytes()));
    }
}

/// Every segment of the journal of a node.
fn segments(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(common::data_dir(dir).join("journal")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// Runs of bytes that were there before and are zeros now.
fn wiped(before: &[u8], after: &[u8]) -> Vec<Vec<u8>> {
    let mut runs = vec![Vec::new()];
    for (old, new) in before.iter().zip(after) {
        match (old, new) {
            (_, 0) => runs.last_mut().unwrap().push(*old),
            _ if runs.last().unwrap().is_empty() => {}
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| run.iter().filter(|byte| **byte != 0).count() > 4_000);
    runs
}

/// JRN-6: what is given away is in no file of either side any more, sealed for the peer or sealed for the store.
#[tokio::test(flavor = "multi_thread")]
async fn jrn_6_sealed_bytes_are_gone_when_the_text_was_given_away() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let spawn = async |rules: Retention| {
        let bob = on_disk(2, dirs[1].path())
            .listen(loopback())
            .retention(rules.clone());
        let bob = bob.spawn().await.unwrap();
        bob.consent(key(1)).await.unwrap();
        let ann = on_disk(1, dirs[0].path())
            .peer(at(key(2), bob.listen_addrs()[0]))
            .retention(rules);
        (ann.spawn().await.unwrap(), bob)
    };
    let (ann, bob) = spawn(Retention::default()).await;
    let draft = Draft::text(key(2), "c".repeat(5_000)).unwrap();
    let accepted = ann.send(draft).await.unwrap();
    ann.wait(key(2), accepted.message, WaitFor::Stored, LONG)
        .await
        .unwrap();
    ann.shutdown(LONG).await;
    bob.shutdown(LONG).await;
    let before = [segments(dirs[0].path()), segments(dirs[1].path())];

    let nobody = Retention {
        only: Some([].into()),
        ..quick()
    };
    let (ann, bob) = spawn(nobody).await;
    until_texts(&ann, key(2), &["-"]).await;
    until_texts(&bob, key(1), &["-"]).await;
    ann.shutdown(LONG).await;
    bob.shutdown(LONG).await;
    for (dir, before) in dirs.iter().zip(before) {
        let mut runs = Vec::new();
        for (path, before) in before {
            runs.extend(wiped(&before, &std::fs::read(path).unwrap()));
        }
        assert!(!runs.is_empty(), "something was wiped");
        for run in runs {
            for window in run.windows(24).step_by(97) {
                if window.iter().filter(|byte| **byte != 0).count() > 20 {
                    assert!(!found(dir.path(), window), "sealed bytes are left");
                }
            }
        }
    }
}
