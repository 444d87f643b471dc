//! LINK-1: which suite a link speaks, over loopback; and who meddles with it on the way.
#![cfg(feature = "tcp")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

mod common;

use std::net::SocketAddr;

use common::raw::{connect, is_closed};
use common::*;
use skychat_proto::link::Goodbye;
use skychat_transport::{CloseReason, DialError, LinkIdentity, RekeyLimits, Suite};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::TcpListener;

/// A node that dials with `suite`.
fn node_of(n: u8, suite: Suite) -> Node {
    node_with(n, skychat_transport::Anyone, |config| config.suite = suite)
}

/// A node of a build without the fast backend.
fn portable(n: u8, suite: Suite) -> Node {
    node_with(n, skychat_transport::Anyone, |config| {
        config.identity = LinkIdentity::new(secret(n), Backend::RustCrypto);
        config.suite = suite;
    })
}

/// Whether this build and this machine have suite 2.
fn has_suite_2() -> bool {
    Backend::default().offers(Suite::AesGcm)
}

#[tokio::test]
async fn link_1_a_link_of_each_suite_carries_everything_across_new_keys() {
    for suite in Suite::ALL {
        if suite == Suite::AesGcm && !has_suite_2() {
            continue;
        }
        let often = |n, suite| {
            node_with(n, skychat_transport::Anyone, |config| {
                config.suite = suite;
                config.rekey = RekeyLimits {
                    records: 2,
                    bytes: 100_000,
                };
            })
        };
        // What the dialled side would dial with does not matter.
        let (mut ann, mut bob) = (often(1, suite), often(2, Suite::ChaChaPoly));
        let listener = bob.listen();
        let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
        assert_eq!((link.suite(), bob.up().await.suite()), (suite, suite));
        for size in [0, 1, 64, 1024, 16_384, 65_536, 1_052_672] {
            let message = vec![7; size];
            link.ready().await;
            link.try_send(ECHO, &[&message]).unwrap();
            assert_eq!(bob.message().await, (ECHO, message.clone()));
            assert_eq!(ann.message().await, (ECHO, message));
        }
        link.close(Goodbye::Done);
        assert_eq!(ann.closed().await.1, CloseReason::Local(Goodbye::Done));
        assert_eq!(bob.closed().await.1, CloseReason::Remote(Goodbye::Done));
        drop(listener);
        ann.all_done().await;
        bob.all_done().await;
    }
}

/// A peer without suite 2 closes, like one with another key; dialled with suite 1 it is there.
#[tokio::test]
async fn link_1_a_peer_without_suite_2_closes_before_message_2() {
    if !has_suite_2() {
        return;
    }
    let (ann, mut bob) = (node_of(1, Suite::AesGcm), portable(2, Suite::ChaChaPoly));
    let listener = bob.listen();
    let addr = listener.local_addr();
    let refused = ann.dial(addr, bob.key).await.unwrap_err();
    assert!(
        matches!(refused, DialError::ClosedBeforeMessage2),
        "{refused}"
    );
    assert!(refused.reached());
    assert_eq!(listener.stats().failed, 1);

    let mut again = ann;
    again.config.suite = Suite::ChaChaPoly;
    let link = again.dial(addr, bob.key).await.unwrap();
    assert_eq!(link.suite(), Suite::ChaChaPoly);
    assert_eq!(bob.up().await.suite(), Suite::ChaChaPoly);
    link.close(Goodbye::Done);
    assert_eq!(again.closed().await.1, CloseReason::Local(Goodbye::Done));
    drop(listener);
    again.all_done().await;
    bob.all_done().await;
}

/// Who does not have suite 2 does not dial with it: not a byte is sent.
#[tokio::test]
async fn link_1_a_side_without_suite_2_does_not_dial_with_it() {
    let (ann, bob) = (portable(1, Suite::AesGcm), node(2));
    let listener = bob.listen();
    let refused = ann.dial(listener.local_addr(), bob.key).await.unwrap_err();
    assert!(
        matches!(refused, DialError::NotOffered(Suite::AesGcm)),
        "{refused}"
    );
    assert!(!refused.reached());
    let said = "suite 2 cannot be dialled: this backend or processor does not have it";
    assert_eq!(refused.to_string(), said);
    assert_eq!(listener.stats().accepted, 0);
    drop(listener);
    ann.all_done().await;
    bob.all_done().await;
}

/// Stands in between and changes one byte of what the initiator sends.
async fn meddler(to: SocketAddr, at: usize, xor: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (from, _) = listener.accept().await.unwrap();
        let (mut from, mut back) = from.into_split();
        let (mut answers, mut to) = connect(to).await.into_split();
        let down = tokio::spawn(async move { copy(&mut answers, &mut back).await.ok() });
        let mut left = Some(at);
        let mut bytes = [0; 1000];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            left = match left {
                Some(left) if left < read => {
                    bytes[left] ^= xor;
                    None
                }
                left => left.map(|left| left - read),
            };
            if to.write_all(&bytes[..read]).await.is_err() {
                break;
            }
        }
        drop(to);
        down.await.ok();
    });
    addr
}

/// N5: a suite byte changed in flight, down to 1 or up to 2 or to something else, makes no link of
/// the other suite; the responder answers nothing.
#[tokio::test]
async fn link_1_a_suite_byte_changed_in_flight_makes_no_link() {
    for suite in Suite::ALL {
        if !has_suite_2() {
            continue;
        }
        for xor in [3, 1, 2, 0xff] {
            let (ann, bob) = (node_of(1, suite), node(2));
            let listener = bob.listen();
            let between = meddler(listener.local_addr(), 0, xor).await;
            let refused = ann.dial(between, bob.key).await.unwrap_err();
            assert!(
                matches!(refused, DialError::ClosedBeforeMessage2),
                "{refused}"
            );
            let stats = listener.stats();
            assert_eq!((stats.failed, stats.proven), (1, 0), "{suite:?} xor {xor}");
            drop(listener);
            ann.all_done().await;
            bob.all_done().await;
        }
    }
}

/// A byte of the first record, changed in flight, ends the link on the side that receives it.
#[tokio::test]
async fn link_4_a_changed_record_of_suite_2_ends_the_link() {
    if !has_suite_2() {
        return;
    }
    let (ann, mut bob) = (node_of(1, Suite::AesGcm), node(2));
    let listener = bob.listen();
    // Behind the suite byte, messages 1 and 3, and the length of the record.
    let between = meddler(listener.local_addr(), 1 + 48 + 160 + 2, 0x40).await;
    let link = ann.dial(between, bob.key).await;
    if let Ok(link) = link {
        assert_eq!(within(link.closed()).await, CloseReason::Cut);
    }
    // Bob never heard a hello that opens: his service was never made.
    assert_eq!(listener.stats().proven, 1);
    drop(listener);
    ann.all_done().await;
    bob.all_done().await;
    assert!(bob.reports.try_recv().is_err());
}

#[tokio::test]
async fn link_1_other_suites_find_the_connection_closed() {
    let bob = node(2);
    let listener = bob.listen();
    for suite in [0, 3, 0x80, 0xff] {
        let mut stream = connect(listener.local_addr()).await;
        let message = [&[suite][..], &[9; 48]].concat();
        stream.write_all(&message).await.unwrap();
        assert!(is_closed(&mut stream).await, "{suite}");
    }
    assert_eq!(listener.stats().failed, 4);
    drop(listener);
    bob.all_done().await;
}
