//! Two nodes over loopback: links come up, carry, and end.
#![cfg(feature = "tcp")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

mod common;

use common::*;
use skychat_proto::link::Goodbye;
use skychat_transport::{CloseReason, DialError, SendError};

#[tokio::test]
async fn messages_of_every_size_arrive_whole_and_in_order() {
    let (mut ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    assert_eq!(link.peer(), bob.key);
    assert!(!link.inbound());
    assert_eq!(link.hello(), &hello(2));
    assert_eq!(ann.up().await, link);
    let there = bob.up().await;
    assert_eq!(there.peer(), ann.key);
    assert!(there.inbound());
    assert_eq!(there.hello(), &hello(1));

    let sizes = [
        0, 1, 64, 16_383, 16_384, 16_385, 65_519, 65_536, 200_000, 1_052_672,
    ];
    for (n, &size) in sizes.iter().enumerate() {
        let message = vec![n as u8; size];
        let (head, tail) = message.split_at(size / 3);
        link.ready().await;
        link.try_send(ECHO, &[head, tail]).unwrap();
        assert_eq!(bob.message().await, (ECHO, message.clone()));
        assert_eq!(ann.message().await, (ECHO, message));
    }
    let refused = link.try_send(ECHO, &[&vec![0; 1_052_673]]).unwrap_err();
    assert_eq!(refused, SendError::TooLarge { found: 1_052_673 });
    assert_eq!(link.stats().received_messages, sizes.len() as u64);

    link.close(Goodbye::Done);
    assert_eq!(link.try_send(DATA, &[b"late"]), Err(SendError::Closed));
    assert_eq!(ann.closed().await.1, CloseReason::Local(Goodbye::Done));
    assert_eq!(bob.closed().await.1, CloseReason::Remote(Goodbye::Done));
    assert_eq!(within(link.closed()).await, CloseReason::Local(Goodbye::Done));
    drop(listener);
    ann.all_done().await;
    bob.all_done().await;
}

#[tokio::test]
async fn the_stage_of_a_failed_dial_is_known() {
    let ann = node(1);
    let bob = node_with(2, skychat_transport::Nobody, |_| {});
    let listener = bob.listen();
    let addr = listener.local_addr();

    let wrong_key = ann.dial(addr, node(3).key).await.unwrap_err();
    assert!(matches!(wrong_key, DialError::ClosedBeforeMessage2), "{wrong_key}");
    let refused = ann.dial(addr, bob.key).await.unwrap_err();
    assert!(matches!(refused, DialError::ClosedAfterMessage3), "{refused}");
    let own = ann.dial(addr, ann.key).await.unwrap_err();
    assert!(matches!(own, DialError::OwnKey), "{own}");
    let again = bob.dial(addr, ann.key).await.unwrap_err();
    assert!(matches!(again, DialError::ClosedBeforeMessage2), "{again}");

    drop(listener);
    bob.all_done().await;
    let nobody = ann.dial(addr, bob.key).await.unwrap_err();
    assert!(matches!(nobody, DialError::Unreachable { .. }), "{nobody}");
    assert!(!nobody.reached());
    ann.all_done().await;
}
