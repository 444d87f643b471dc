//! The event log: cursors, gaps, slow readers, notices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use common::*;
use skychat_api::{Cursor, Direction, EventKind, GapCause, LinkState};
use skychat_core::Draft;
use skychat_proto::ids::{EventSeq, Incarnation};

fn say(to: u8, text: &str) -> Draft {
    Draft::text(key(to), text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_gets_every_event_once_however_slow() {
    const MESSAGES: usize = 6_000;
    let node = in_memory(1).spawn().await.unwrap();
    let mut slow = node.events(None);
    let mut fast: Vec<_> = (0..3).map(|_| node.events(None)).collect();
    let sending = {
        let node = node.clone();
        tokio::spawn(async move {
            for n in 0..MESSAGES {
                node.send(say(2, &n.to_string())).await.unwrap();
            }
        })
    };
    let read = |events: &mut skychat_core::EventReader| {
        // Moved out, so that all of them read at once.
        let mut events = std::mem::replace(events, node.events(None));
        tokio::spawn(async move {
            let mut cursors = Vec::new();
            let mut texts = Vec::new();
            while texts.len() < MESSAGES {
                let event = next(&mut events).await;
                cursors.push(event.cursor().unwrap().seq());
                if let EventKind::Message(message) = event.kind {
                    texts.push(text(&message).parse::<usize>().unwrap());
                }
            }
            assert!(
                cursors.windows(2).all(|pair| pair[1] == pair[0].next()),
                "dense"
            );
            assert_eq!(texts, (0..MESSAGES).collect::<Vec<_>>());
        })
    };
    let readers: Vec<_> = fast.iter_mut().map(read).collect();
    sending.await.unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
    // The slow one has not read a thing so far, and is further behind than the ring reaches.
    read(&mut slow).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_goes_on_where_it_stopped_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut cursor = None;
    for life in 0..3 {
        let node = on_disk(1, dir.path()).spawn().await.unwrap();
        let mut events = match cursor {
            None => from_start(&node),
            after => node.events(after),
        };
        for n in 0..3 {
            node.send(say(2, &format!("{life} {n}"))).await.unwrap();
        }
        // All but the last one are read, so that the next life has something to go on with.
        let expected: &[&str] = match life {
            0 => &["0 0", "0 1"],
            1 => &["0 2", "1 0", "1 1"],
            _ => &["1 2", "2 0", "2 1"],
        };
        for expected in expected {
            let event = next(&mut events).await;
            cursor = event.cursor();
            let EventKind::Message(message) = event.kind else {
                panic!("{event:?}")
            };
            assert_eq!(text(&message), *expected);
        }
        node.shutdown(LONG).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_not_in_the_log_is_a_gap() {
    let node = in_memory(1).spawn().await.unwrap();
    node.send(say(2, "one")).await.unwrap();
    let last = node.last_event();

    // Another life, and a number past the end.
    let alien = Cursor::new(Incarnation::from_bytes([0xEE; 8]), last.seq());
    let future = Cursor::new(node.incarnation(), EventSeq::new(last.seq().get() + 100));
    for (after, resume) in [(alien, EventSeq::ZERO), (future, last.seq())] {
        let mut events = node.events(Some(after));
        let EventKind::Gap(gap) = next(&mut events).await.kind else {
            panic!()
        };
        let GapCause::UnknownCursor {
            after: named,
            resume: at,
        } = gap.cause
        else {
            panic!()
        };
        assert_eq!((named, at.seq()), (after, resume));
        if resume == EventSeq::ZERO {
            assert!(matches!(
                next(&mut events).await.kind,
                EventKind::Message(_)
            ));
        }
        let more = tokio::time::timeout(Duration::from_millis(50), events.next()).await;
        assert!(more.is_err(), "{more:?}");
    }
    // The place itself is in the log.
    let mut events = node.events(Some(last));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), events.next())
            .await
            .is_err()
    );
    node.send(say(2, "two")).await.unwrap();
    let EventKind::Message(message) = next(&mut events).await.kind else {
        panic!()
    };
    assert_eq!(text(&message), "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_come_and_go_are_noticed() {
    let ann = in_memory(1).listen(loopback()).spawn().await.unwrap();
    let mut notices = ann.notices();
    let bob = in_memory(2).peer(ann.address()).spawn().await.unwrap();
    linked(&ann, key(2)).await;
    bob.shutdown(Duration::from_secs(2)).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let notice = tokio::time::timeout(LONG, notices.next())
            .await
            .unwrap()
            .unwrap();
        assert!(notice.is_notice());
        if let EventKind::Link(link) = notice.kind {
            assert_eq!((link.peer, link.direction), (key(2), Direction::In));
            assert_eq!(link.reason.is_some(), link.link == LinkState::Down);
            seen.push(link.link);
        }
    }
    assert_eq!(seen, [LinkState::Up, LinkState::Down]);
}
