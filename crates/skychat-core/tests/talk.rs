//! Two nodes over loopback, as a program embeds them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use common::*;
use skychat_api::{Code, Delivery, Direction, EventKind, Kept, Mark, WaitFor, WaitReason};
use skychat_core::{Admission, Blame, DeliverError, Draft, Node, SendError, WaitError};
use skychat_proto::ids::MessageId;

fn say(to: u8, text: &str) -> Draft {
    Draft::text(key(to), text).unwrap()
}

/// Ann (1) listens, Bob (2) keeps a link to her; both have real stores.
async fn ann_and_bob(dirs: &[tempfile::TempDir; 2]) -> (Node, Node) {
    let ann = on_disk(1, dirs[0].path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let bob = on_disk(2, dirs[1].path())
        .peer(ann.address())
        .spawn()
        .await
        .unwrap();
    linked(&ann, key(2)).await;
    linked(&bob, key(1)).await;
    (ann, bob)
}

fn dirs() -> [tempfile::TempDir; 2] {
    [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_each_way_is_stored_on_disk_and_told() {
    let dirs = dirs();
    let (ann, bob) = ann_and_bob(&dirs).await;
    let (mut at_ann, mut at_bob) = (from_start(&ann), from_start(&bob));

    let delivered = ann
        .deliver(say(2, "hello, Bob"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    let acknowledged = delivered.acknowledged.unwrap();
    assert_eq!((acknowledged.by, acknowledged.kept), (key(2), Kept::Disk));
    assert_eq!(acknowledged.via, Some("tcp"));
    assert!(delivered.accepted.new);
    let message = next_in(&mut at_bob).await;
    assert_eq!((message.from, text(&message)), (key(1), "hello, Bob"));
    assert_eq!(message.message_id, delivered.accepted.message);
    assert_eq!(message.to, Some(key(2)));
    assert_eq!(message.delivery, Delivery::Stored { kept: Kept::Disk });
    // Bob named Ann as a peer, so she is no stranger to him; he is one to her.
    assert!(message.marks.is_empty());

    bob.deliver(say(1, "hello, Ann"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    assert_eq!(text(&next_in(&mut at_ann).await), "hello, Ann");

    // Her own message and its way to `stored` are in her log too.
    let mut log = from_start(&ann);
    let (mut own, mut stored) = (false, false);
    while !(own && stored) {
        match next(&mut log).await.kind {
            EventKind::Message(message) if message.from == key(1) => {
                own = true;
                assert_eq!(text(&message), "hello, Bob");
            }
            EventKind::State(state) => {
                stored |= state.message_ids.contains(&delivered.accepted.message);
                assert_eq!(state.member, key(2));
            }
            _ => {}
        }
    }

    // And the history of both has both, newest first.
    for (node, peer) in [(&ann, key(2)), (&bob, key(1))] {
        let history = node.history(peer, None, 10).await.unwrap();
        let texts: Vec<_> = history.messages.iter().map(text).collect();
        assert_eq!(texts, ["hello, Ann", "hello, Bob"]);
        assert!(history.before.is_none());
        // The one that went out and the one that came in are both on the recipient's disk.
        for message in &history.messages {
            assert_eq!(message.delivery, Delivery::Stored { kept: Kept::Disk });
        }
        let page = node.history(peer, None, 1).await.unwrap();
        let older = node.history(peer, page.before, 1).await.unwrap();
        assert_eq!(text(&older.messages[0]), "hello, Bob");
        assert!(older.before.is_none());
    }
    let conversations = bob.conversations().await.unwrap().conversations;
    assert_eq!(conversations.len(), 1);
    assert_eq!(conversations[0].peer, Some(key(1)));
    assert_eq!(conversations[0].messages, 2);

    for node in [ann, bob] {
        let report = node.shutdown(LONG).await;
        assert!(report.aborted.is_empty(), "{report:?}");
        node.stopped().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_while_the_peer_is_away_arrives_when_it_is_back() {
    let dirs = dirs();
    let ann = on_disk(1, dirs[0].path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    for n in 0..10 {
        let accepted = ann.send(say(2, &format!("while away {n}"))).await.unwrap();
        assert_eq!(accepted.state, Delivery::Accepted);
    }
    until("the debt in the status", || {
        let status = ann.status();
        status
            .peers
            .iter()
            .any(|peer| peer.peer == key(2) && peer.owed >= 10 && peer.waits.is_some())
    })
    .await;
    let bob = on_disk(2, dirs[1].path())
        .peer(ann.address())
        .spawn()
        .await
        .unwrap();
    let expected: Vec<_> = (0..10).map(|n| format!("while away {n}")).collect();
    assert_eq!(texts_in(&mut from_start(&bob), 10).await, expected);
    until("nothing owed", || {
        ann.status().peers.iter().all(|peer| peer.owed == 0)
    })
    .await;

    // And the other way, over a restart of the one who is away.
    let cursor = bob.last_event();
    bob.shutdown(LONG).await;
    drop(bob);
    for n in 0..10 {
        ann.send(say(2, &format!("again {n}"))).await.unwrap();
    }
    let bob = on_disk(2, dirs[1].path())
        .peer(ann.address())
        .spawn()
        .await
        .unwrap();
    let expected: Vec<_> = (0..10).map(|n| format!("again {n}")).collect();
    assert_eq!(texts_in(&mut bob.events(Some(cursor)), 10).await, expected);
    assert!(
        all_in(&mut bob.events(None), Duration::from_millis(200))
            .await
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_restarts_delivers_what_it_had_accepted() {
    let dirs = dirs();
    let ann = on_disk(1, dirs[0].path()).spawn().await.unwrap();
    for n in 0..20 {
        ann.send(say(2, &format!("{n}"))).await.unwrap();
    }
    let first_life = ann.incarnation();
    ann.shutdown(LONG).await;
    let bob = on_disk(2, dirs[1].path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let ann = on_disk(1, dirs[0].path())
        .peer(bob.address())
        .spawn()
        .await
        .unwrap();
    assert_ne!(ann.incarnation(), first_life);
    for n in 20..40 {
        ann.send(say(2, &format!("{n}"))).await.unwrap();
    }
    let expected: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(texts_in(&mut from_start(&bob), 40).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_id_is_one_message_however_often_it_is_sent() {
    let dirs = dirs();
    let (ann, bob) = ann_and_bob(&dirs).await;
    let id = MessageId::from_bytes([9; 16]);
    let draft = say(2, "once").with_id(id);

    // At once, from many places.
    let sends: Vec<_> = (0..32)
        .map(|_| {
            let (ann, draft) = (ann.clone(), draft.clone());
            tokio::spawn(async move { ann.send(draft).await.unwrap() })
        })
        .collect();
    let mut accepted = Vec::new();
    for send in sends {
        accepted.push(send.await.unwrap());
    }
    assert_eq!(accepted.iter().filter(|accepted| accepted.new).count(), 1);
    assert!(
        accepted
            .iter()
            .all(|a| (a.message, a.feed, a.seq) == (id, accepted[0].feed, accepted[0].seq))
    );

    // Later, when it is stored: its state is in the answer.
    ann.wait(key(2), id, WaitFor::Stored, LONG).await.unwrap();
    let again = ann.send(draft.clone()).await.unwrap();
    assert!(!again.new);
    assert_eq!((again.feed, again.seq), (accepted[0].feed, accepted[0].seq));
    assert_eq!(again.state, Delivery::Stored { kept: Kept::Disk });

    // Another content under this id is refused, before and after a restart.
    let other = say(2, "something else").with_id(id);
    let error = ann.send(other.clone()).await.unwrap_err();
    assert!(matches!(error, SendError::IdConflict { .. }));
    assert_eq!(
        (error.blame(), error.code()),
        (Blame::Caller, Code::IdConflict)
    );
    ann.shutdown(LONG).await;
    let ann = on_disk(1, dirs[0].path()).spawn().await.unwrap();
    assert!(matches!(
        ann.send(other).await,
        Err(SendError::IdConflict { .. })
    ));
    let again = ann.send(draft).await.unwrap();
    assert!(!again.new);

    // The same id to somebody else is another message: ids are unique for one conversation.
    assert!(ann.send(say(3, "to Carol").with_id(id)).await.unwrap().new);
    let arrived = all_in(&mut from_start(&bob), Duration::from_millis(300)).await;
    assert_eq!(arrived.iter().map(text).collect::<Vec<_>>(), ["once"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_knows_what_was_asked_for() {
    let dirs = dirs();
    let (ann, bob) = ann_and_bob(&dirs).await;
    let unknown = ann
        .wait(key(2), MessageId::from_bytes([1; 16]), WaitFor::Acked, LONG)
        .await;
    assert!(matches!(unknown, Err(WaitError::Unknown { .. })));

    // Stored long ago, in an earlier run of the node: the store knows.
    let sent = ann
        .deliver(say(2, "first"), WaitFor::Stored, LONG)
        .await
        .unwrap()
        .accepted;
    let later = ann
        .wait(key(2), sent.message, WaitFor::Stored, LONG)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((later.by, later.kept), (key(2), Kept::Disk));
    ann.shutdown(LONG).await;
    bob.shutdown(LONG).await;
    let ann = on_disk(1, dirs[0].path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let later = ann
        .wait(key(2), sent.message, WaitFor::Acked, LONG)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((later.by, later.via), (key(2), None));

    // Nobody is there: the time is over, and the message stays owed.
    let error = ann
        .deliver(
            say(2, "second"),
            WaitFor::Stored,
            Duration::from_millis(200),
        )
        .await
        .unwrap_err();
    let DeliverError::Wait {
        accepted,
        source: WaitError::TimedOut { state },
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(state, Delivery::Accepted);
    let waiting = {
        let ann = ann.clone();
        tokio::spawn(async move {
            ann.wait(key(2), accepted.message, WaitFor::Stored, LONG)
                .await
        })
    };
    let _bob = on_disk(2, dirs[1].path())
        .peer(ann.address())
        .spawn()
        .await
        .unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().unwrap().by, key(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_node_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let ann = on_disk(1, dir.path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let bob = in_memory(2).peer(ann.address()).spawn().await.unwrap();
    let acked = ann
        .deliver(say(2, "hello"), WaitFor::Acked, LONG)
        .await
        .unwrap();
    assert_eq!(acked.acknowledged.unwrap().kept, Kept::Memory);
    assert_eq!(text(&next_in(&mut from_start(&bob)).await), "hello");
    let disk = ann
        .wait(
            key(2),
            acked.accepted.message,
            WaitFor::Stored,
            Duration::from_millis(300),
        )
        .await;
    assert!(matches!(
        disk,
        Err(WaitError::TimedOut {
            state: Delivery::Stored { kept: Kept::Memory }
        })
    ));
    bob.deliver(say(1, "from memory"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    assert_eq!(text(&next_in(&mut from_start(&ann)).await), "from memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_reaches_nobody() {
    let ann = in_memory(1).listen(loopback()).spawn().await.unwrap();
    let bob = in_memory(2)
        .peer(at(key(9), ann.listen_addrs()[0]))
        .spawn()
        .await
        .unwrap();
    until("the error of the dial", || {
        bob.status()
            .peers
            .iter()
            .any(|peer| peer.peer == key(9) && peer.last_error.is_some())
    })
    .await;
    assert!(ann.status().links.is_empty());
    assert!(bob.status().links.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_admitted_gets_nothing() {
    let ann = Node::builder(secret(1))
        .memory()
        .admission(Admission::Only([key(3)].into()))
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let bob = in_memory(2).peer(ann.address()).spawn().await.unwrap();
    bob.send(say(1, "let me in")).await.unwrap();
    until("the reason in the status", || {
        bob.status()
            .peers
            .iter()
            .any(|peer| peer.peer == key(1) && peer.waits == Some(WaitReason::NotAdmitted))
    })
    .await;
    assert!(ann.status().links.is_empty());

    // Admission can change while the node runs.
    ann.set_admission(Admission::Only([key(2)].into()));
    assert_eq!(text(&next_in(&mut from_start(&ann)).await), "let me in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_is_refused() {
    let ann = in_memory(1).spawn().await.unwrap();
    assert!(matches!(
        ann.send(say(1, "me")).await,
        Err(SendError::OwnKey)
    ));
    assert!(matches!(
        ann.send(say(1, "me").with_id(MessageId::from_bytes([1; 16])))
            .await,
        Err(SendError::OwnKey)
    ));
    assert!(Draft::text(key(2), "").is_err());
    assert!(Draft::text(key(2), "x".repeat(65 * 1024)).is_err());
    let largest = "x".repeat(64 * 1024 - 8);
    assert!(ann.send(say(2, &largest)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_marked_and_held_to_its_quota() {
    let ann = in_memory(1).listen(loopback()).spawn().await.unwrap();
    let bob = in_memory(2).peer(ann.address()).spawn().await.unwrap();
    let mut at_ann = from_start(&ann);
    bob.send(say(1, "you do not know me")).await.unwrap();
    let message = next_in(&mut at_ann).await;
    assert!(message.marks.contains(&Mark::Unconsented));
    for n in 0..100 {
        bob.send(say(1, &format!("{n}"))).await.unwrap();
    }
    // 64 entries are taken: the first of the feed, which says nothing, and 63 messages.
    let mut expected: Vec<_> = (0..62).map(|n| n.to_string()).collect();
    assert_eq!(texts_in(&mut at_ann, 62).await, expected);
    assert!(
        all_in(&mut at_ann, Duration::from_millis(300))
            .await
            .is_empty()
    );
    ann.consent(key(2)).await.unwrap();
    expected = (62..100).map(|n| n.to_string()).collect();
    assert_eq!(texts_in(&mut at_ann, 38).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_says_how_things_stand() {
    let dirs = dirs();
    let (ann, bob) = ann_and_bob(&dirs).await;
    ann.deliver(say(2, "hello"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    // The event of the acknowledgement may still be on its way to the disk.
    until("the event of the acknowledgement", || {
        ann.last_event().seq().get() == 3
    })
    .await;
    let status = ann.status();
    assert_eq!(status.public_key, key(1));
    assert_eq!(status.incarnation, ann.incarnation());
    assert_eq!(status.writer, skychat_api::WriterKind::Node);
    assert_eq!(status.admission, skychat_api::Admission::Open);
    assert_eq!(status.listen.len(), 1);
    assert!(status.listen[0].up);
    assert_eq!(status.listen[0].addr, ann.listen_addrs()[0].to_string());
    let link = &status.links[0];
    assert_eq!((link.peer, link.direction), (key(2), Direction::In));
    assert_eq!(link.incarnation, bob.incarnation());
    assert!(link.received > 0 && link.sent > 0);
    assert!(status.store.bytes > 0 && status.store.commits > 0);
    assert_eq!(status.store.last_event, ann.last_event());
    assert_eq!(
        status.store.path,
        Some(data_dir(dirs[0].path()).display().to_string())
    );
    assert!(status.degraded.is_empty(), "{status:?}");

    // She does not dial Bob: when he is gone, she knows since when.
    bob.shutdown(LONG).await;
    ann.send(say(2, "are you there?")).await.unwrap();
    until("the reason of the wait", || {
        let status = ann.status();
        let bob = status.peers.iter().find(|peer| peer.peer == key(2));
        bob.is_some_and(|bob| {
            let offline = WaitReason::Offline { since: None };
            !bob.linked
                && bob.owed == 1
                && bob
                    .waits
                    .is_some_and(|why| why.word() == offline.word() && why != offline)
        })
    })
    .await;
    // Of somebody who was never here she knows no address.
    ann.send(say(3, "hello, stranger")).await.unwrap();
    until("the reason of the wait", || {
        let status = ann.status();
        let carol = status.peers.iter().find(|peer| peer.peer == key(3));
        carol.is_some_and(|carol| carol.waits == Some(WaitReason::NoAddress))
    })
    .await;
}

/// SYNC-3, ID-4: a window full of entries that may have been used before is looked up one range at
/// a time, and none of it is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_with_ids_of_the_callers_arrives_whole() {
    let dirs = dirs();
    let (ann, bob) = ann_and_bob(&dirs).await;
    ann.deliver(say(2, "first"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    bob.shutdown(LONG).await;
    for n in 0..600_u64 {
        let id = MessageId::from_bytes(u128::from(n).to_be_bytes());
        let draft = Draft::text(key(2), n.to_string()).unwrap().with_id(id);
        ann.send(draft).await.unwrap();
    }
    let bob = on_disk(2, dirs[1].path())
        .peer(ann.address())
        .spawn()
        .await
        .unwrap();
    let mut events = from_start(&bob);
    let expected: Vec<_> = std::iter::once("first".to_owned())
        .chain((0..600).map(|n| n.to_string()))
        .collect();
    assert_eq!(texts_in(&mut events, 601).await, expected);
}

/// EVENT-5: how far it is, and that it is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catching_up_is_told_from_its_start_to_its_end() {
    let dirs = dirs();
    let bob = on_disk(2, dirs[1].path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let ann = on_disk(1, dirs[0].path())
        .peer(bob.address())
        .spawn()
        .await
        .unwrap();
    ann.deliver(say(2, "first"), WaitFor::Stored, LONG)
        .await
        .unwrap();
    // Else it takes no more than a stranger may say.
    bob.consent(key(1)).await.unwrap();
    let addr = bob.listen_addrs()[0];
    bob.shutdown(LONG).await;
    for n in 0..1000 {
        ann.send(say(2, &n.to_string())).await.unwrap();
    }
    // Ann dials again after a pause.
    let bob = on_disk(2, dirs[1].path())
        .listen(addr)
        .spawn()
        .await
        .unwrap();
    let mut notices = bob.notices();
    let mut told: Vec<(u64, u64)> = Vec::new();
    while told.last().is_none_or(|(held, offered)| held < offered) {
        let notice = tokio::time::timeout(LONG, notices.next()).await.unwrap();
        if let EventKind::Sync(progress) = notice.unwrap().kind {
            assert_eq!(progress.peer, key(1));
            told.push((progress.held, progress.offered));
        }
    }
    assert!(told.is_sorted() && told.len() <= 110, "{told:?}");
    assert!(told.last().unwrap().0 >= 1000, "{told:?}");
}
