//! Starting, stopping, and what stands in the way of either.
#![allow(
    clippy::disallowed_methods,
    reason = "real sockets are waited for on the real clock"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::net::TcpListener;
use std::time::Duration;

use common::*;
use skychat_api::{Code, EventKind};
use skychat_core::{Draft, Node, SendError, StartError};
use tokio::time::Instant;

fn say(to: u8, text: &str) -> Draft {
    Draft::text(key(to), text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_an_error_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let free = loopback();
    let started = on_disk(1, dir.path())
        .listen(free)
        .listen(addr)
        .spawn()
        .await;
    let error = started.unwrap_err();
    assert!(
        matches!(&error, StartError::Bind { addr: at, .. } if *at == addr),
        "{error:?}"
    );
    assert_eq!(error.code(), Code::PortInUse);
    assert!(error.to_string().contains(&addr.to_string()));

    // The directory is free at once, and so is the port when its owner is gone.
    drop(taken);
    let node = on_disk(1, dir.path()).listen(addr).spawn().await.unwrap();
    assert_eq!(node.listen_addrs(), [addr]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_in_use_is_an_error_until_its_node_has_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let first = on_disk(1, dir.path()).spawn().await.unwrap();
    let error = on_disk(1, dir.path()).spawn().await.unwrap_err();
    assert_eq!(error.code(), Code::StoreLocked);
    first.shutdown(LONG).await;
    // A handle that is still there does not hold the directory.
    on_disk(1, dir.path()).spawn().await.unwrap();
    assert!(matches!(
        first.send(say(2, "too late")).await,
        Err(SendError::Stopping)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_of_another_identity_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let node = on_disk(1, dir.path()).spawn().await.unwrap();
    node.send(say(2, "mine")).await.unwrap();
    node.shutdown(LONG).await;
    let error = on_disk(3, dir.path()).spawn().await.unwrap_err();
    assert_eq!(error.code(), Code::StoreOwner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_does_not_keep_a_link_to_itself_or_to_nowhere() {
    let addr = "127.0.0.1:1".parse().unwrap();
    let error = in_memory(1)
        .peer(at(key(1), addr))
        .spawn()
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::OwnKey));
    let error = in_memory(1).peer(key(2).into()).spawn().await.unwrap_err();
    assert!(matches!(error, StartError::NoAddress { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_under_load_is_quick_and_loses_nothing() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let bob = on_disk(2, dirs[1].path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    bob.consent(key(1)).await.unwrap();
    let ann = on_disk(1, dirs[0].path())
        .peer(bob.address())
        .spawn()
        .await
        .unwrap();
    linked(&ann, key(2)).await;
    let senders: Vec<_> = (0..16)
        .map(|sender| {
            let ann = ann.clone();
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                for n in 0.. {
                    let text = format!("{sender} {n}");
                    match ann.send(say(2, &text)).await {
                        Ok(_) => accepted.push(text),
                        Err(SendError::Stopping) => break,
                        Err(error) => panic!("{error:?}"),
                    }
                }
                accepted
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let report = ann.shutdown(Duration::from_secs(5)).await;
    assert!(began.elapsed() < LONG);
    assert!(report.aborted.is_empty(), "{report:?}");
    let mut accepted = Vec::new();
    for sender in senders {
        accepted.extend(sender.await.unwrap());
    }
    assert!(!accepted.is_empty());

    // The next life delivers what was accepted and not yet delivered.
    let ann = on_disk(1, dirs[0].path())
        .peer(bob.address())
        .spawn()
        .await
        .unwrap();
    ann.send(say(2, "the last one")).await.unwrap();
    let mut events = from_start(&bob);
    let mut arrived = std::collections::BTreeMap::<String, usize>::new();
    loop {
        let message = next_in(&mut events).await;
        if text(&message) == "the last one" {
            break;
        }
        *arrived.entry(text(&message).to_owned()).or_default() += 1;
    }
    assert!(
        arrived.values().all(|count| *count == 1),
        "something arrived twice"
    );
    for text in &accepted {
        assert!(
            arrived.contains_key(text),
            "{text} was accepted and did not arrive"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_told_when_a_node_stops_and_listeners_are_free() {
    let ann = in_memory(1).listen(loopback()).spawn().await.unwrap();
    let bob = in_memory(2).peer(ann.address()).spawn().await.unwrap();
    linked(&ann, key(2)).await;
    linked(&bob, key(1)).await;
    let mut notices = ann.notices();
    let addr = ann.listen_addrs()[0];
    let report = ann.shutdown(Duration::from_secs(2)).await;
    assert!(report.aborted.is_empty(), "{report:?}");
    let mut stopping = false;
    while let Some(notice) = notices.next().await {
        stopping |= matches!(notice.kind, EventKind::Stopping(_));
    }
    assert!(stopping);
    drop(TcpListener::bind(addr).unwrap());
    until("the end of the link", || bob.status().links.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_last_handle_stops_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let node = on_disk(1, dir.path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let addr = node.listen_addrs()[0];
    let mut events = from_start(&node);
    let clone = node.clone();
    drop(node);
    clone.send(say(2, "a handle is left")).await.unwrap();
    drop(clone);
    // Readers end, and the directory and the port are free in a moment.
    while events.next().await.unwrap().is_some() {}
    let node: Node = on_disk(1, dir.path()).listen(addr).spawn().await.unwrap();
    assert_eq!(
        text(&node.history(key(2), None, 1).await.unwrap().messages[0]),
        "a handle is left"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_hangs_up_is_not_hammered() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = in_memory(1)
        .peer(at(key(2), server.local_addr().unwrap()))
        .spawn()
        .await
        .unwrap();
    let dials = async {
        let mut dials = 0;
        loop {
            drop(server.accept().await.unwrap());
            dials += 1;
            if dials == 3 {
                return dials;
            }
        }
    };
    let began = Instant::now();
    tokio::time::timeout(LONG, dials).await.unwrap();
    // The third dial comes after pauses of one and two seconds, shortened by a fifth at most.
    assert!(
        began.elapsed() >= Duration::from_millis(2_300),
        "{:?}",
        began.elapsed()
    );
    until("the error of the dial", || {
        node.status().peers[0].last_error.is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_comes_back_is_reached_again() {
    let listen = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let bob = in_memory(2).peer(at(key(1), listen)).spawn().await.unwrap();
    for _ in 0..2 {
        let ann = in_memory(1).listen(listen).spawn().await.unwrap();
        linked(&bob, key(1)).await;
        ann.shutdown(Duration::from_secs(2)).await;
        until("the end of the link", || bob.status().links.is_empty()).await;
    }
}
