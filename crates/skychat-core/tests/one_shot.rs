//! Sending one message without a node: what arrives, and what each failure is called.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::*;
use skychat_api::{Code, EventKind, Kept, WaitFor};
use skychat_core::one_shot::{self, OneShotError};
use skychat_core::{Admission, Content, Draft, Node};
use skychat_identity::Address;
use skychat_proto::ids::MessageId;
use tokio::time::Instant;

async fn send(to: &Address, text: &str) -> Result<skychat_core::Acknowledged, OneShotError> {
    let content = Content::text(text).unwrap();
    one_shot::send(&secret(1), to, content, None, Duration::from_secs(8)).await
}

async fn bob(admission: Admission) -> Node {
    Node::builder(secret(2))
        .memory()
        .listen(loopback())
        .admission(admission)
        .spawn()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_delivered_and_its_acknowledgement_verified() {
    let dir = tempfile::tempdir().unwrap();
    let bob = on_disk(2, dir.path())
        .listen(loopback())
        .spawn()
        .await
        .unwrap();
    let mut events = from_start(&bob);
    for text in ["one", "two", "three"] {
        let acknowledged = send(&bob.address(), text).await.unwrap();
        assert_eq!(acknowledged.by, key(2));
        assert_eq!(acknowledged.kept, Kept::Disk);
        assert_eq!(acknowledged.via, Some("tcp"));
        let message = next_in(&mut events).await;
        assert_eq!((message.from, self::text(&message)), (key(1), text));
        assert_eq!(message.message_id, acknowledged.message);
    }
    // Lives that come and go are no copies of each other.
    let more = all_events(&mut events).await;
    assert!(more.is_empty(), "{more:?}");
}

async fn all_events(events: &mut skychat_core::EventReader) -> Vec<skychat_api::Event> {
    let mut all = Vec::new();
    while let Ok(event) = tokio::time::timeout(Duration::from_millis(200), events.next()).await {
        all.push(event.unwrap().unwrap().into_inner());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_id_is_one_message_from_several_writers() {
    let bob = bob(Admission::Anyone).await;
    let mut events = from_start(&bob);
    let content = Content::text("once").unwrap();
    let id = MessageId::from_bytes([5; 16]);
    for _ in 0..3 {
        let to = bob.address();
        let sent = one_shot::send(&secret(1), &to, content.clone(), Some(id), LONG).await;
        assert_eq!(sent.unwrap().message, id);
    }
    assert_eq!(text(&next_in(&mut events).await), "once");
    assert!(all_events(&mut events).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_between_the_messages_of_the_node_with_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let bob = bob(Admission::Anyone).await;
    bob.consent(key(1)).await.unwrap();
    let mut events = from_start(&bob);
    let ann = on_disk(1, dir.path())
        .peer(bob.address())
        .spawn()
        .await
        .unwrap();
    let say = |text: &str| Draft::text(key(2), text).unwrap();
    ann.deliver(say("before"), WaitFor::Acked, LONG)
        .await
        .unwrap();
    send(&bob.address(), "between").await.unwrap();
    ann.deliver(say("after"), WaitFor::Acked, LONG)
        .await
        .unwrap();
    assert_eq!(
        texts_in(&mut events, 3).await,
        ["before", "between", "after"]
    );
    // What no store of hers wrote comes back to Ann, and is told.
    let mut at_ann = from_start(&ann);
    loop {
        if let EventKind::Recovered(recovered) = next(&mut at_ann).await.kind {
            assert!(recovered.foreign);
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_has_its_stage_and_code() {
    let bob = bob(Admission::Only([key(3)].into())).await;
    let addr = bob.listen_addrs()[0];

    // Nobody listens there.
    let nowhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let error = send(&at(key(2), nowhere), "hello").await.unwrap_err();
    assert!(matches!(error, OneShotError::Unreachable(_)), "{error:?}");
    assert_eq!((error.code(), error.code().exit()), (Code::Unreachable, 4));

    // Somebody else does.
    let began = Instant::now();
    let error = send(&at(key(9), addr), "hello").await.unwrap_err();
    assert!(matches!(error, OneShotError::WrongKey), "{error:?}");
    assert_eq!((error.code(), error.code().exit()), (Code::WrongKey, 7));
    assert!(began.elapsed() < Duration::from_secs(11));

    // We are not admitted.
    let error = send(&at(key(2), addr), "hello").await.unwrap_err();
    assert!(matches!(error, OneShotError::NotAdmitted), "{error:?}");
    assert_eq!((error.code(), error.code().exit()), (Code::Refused, 6));

    // Something that takes the connection and says nothing.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = at(key(2), mute.local_addr().unwrap());
    let error = send(&to, "hello").await.unwrap_err();
    assert!(matches!(error, OneShotError::TimedOut), "{error:?}");
    assert_eq!((error.code(), error.code().exit()), (Code::TimedOut, 5));

    // Ourselves, and no address at all.
    let error = send(&at(key(1), addr), "hello").await.unwrap_err();
    assert_eq!(error.code(), Code::OwnKey);
    let error = send(&key(2).into(), "hello").await.unwrap_err();
    assert_eq!(error.code(), Code::MalformedAddress);
    assert!(
        all_in(&mut from_start(&bob), Duration::from_millis(100))
            .await
            .is_empty()
    );
}
