//! Peers that break the rules, and peers that break off.
#![cfg(feature = "tcp")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

mod common;

use common::raw::{Raw, connect, identity, is_closed};
use common::*;
use skychat_proto::ids::ServiceId;
use skychat_proto::link::{Goodbye, LinkMessage};
use skychat_transport::{
    CloseReason, DialError, Initiator, ListenerLimits, LobbyLimits, MESSAGE_1, MESSAGE_2,
    MESSAGE_3, RekeyLimits, SendError, Stage, Suite, Timing,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Everything ten to a hundred times as fast.
fn quick() -> Timing {
    Timing {
        connect: ms(1000),
        handshake: ms(300),
        ping_after: ms(100),
        dead_after: ms(300),
        stall_after: ms(300),
        record: ms(200),
        drain: ms(300),
        trim_after: ms(20),
        ..Timing::default()
    }
}

fn hasty(n: u8) -> Node {
    node_with(n, skychat_transport::Anyone, |config| {
        config.timing = quick()
    })
}

/// The timing of the protocol, but for one.
fn patient(n: u8, change: impl FnOnce(&mut Timing)) -> Node {
    node_with(n, skychat_transport::Anyone, |config| {
        change(&mut config.timing)
    })
}

/// A good peer still gets in.
async fn still_serves(bob: &mut Node, addr: std::net::SocketAddr) {
    let mut ann = node(99);
    let link = ann.dial(addr, bob.key).await.unwrap();
    link.try_send(ECHO, &[b"still there?"]).unwrap();
    assert_eq!(ann.message().await.1, b"still there?");
    link.close(Goodbye::Done);
    assert_eq!(ann.closed().await.1, CloseReason::Local(Goodbye::Done));
    assert_eq!(bob.closed().await.1, CloseReason::Remote(Goodbye::Done));
}

#[tokio::test]
async fn garbage_on_the_port_finds_it_closed() {
    let mut bob = hasty(2);
    let listener = bob.listen();
    let addr = listener.local_addr();
    let random: Vec<u8> = (0..5000_u32).map(|n| (n * n / 7) as u8).collect();
    let http = [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        &[b'x'; 100],
    ]
    .concat();
    for garbage in [
        &random[..],
        &http,
        &[1; 49],
        &[0; 49],
        &[0xff; 49],
        &[2; 5000],
    ] {
        let mut stream = connect(addr).await;
        stream.write_all(garbage).await.ok();
        assert!(is_closed(&mut stream).await);
    }
    still_serves(&mut bob, addr).await;
    assert_eq!(listener.stats().failed, 6);
    drop(listener);
    bob.all_done().await;
}

#[tokio::test]
async fn a_handshake_broken_off_at_any_byte_leaves_nothing() {
    let mut bob = hasty(2);
    let listener = bob.listen();
    let addr = listener.local_addr();
    let ann = identity(1);
    for cut in 0..MESSAGE_1 {
        let mut first = [0; MESSAGE_1];
        let initiator = Initiator {
            identity: &ann,
            peer: bob.key,
            suite: Suite::ChaChaPoly,
            limits: RekeyLimits::default(),
        };
        initiator.start([7; 32], &mut first).unwrap();
        let mut stream = connect(addr).await;
        stream.write_all(&first[..cut]).await.unwrap();
    }
    for cut in 0..MESSAGE_3 {
        let mut first = [0; MESSAGE_1];
        let initiator = Initiator {
            identity: &ann,
            peer: bob.key,
            suite: Suite::ChaChaPoly,
            limits: RekeyLimits::default(),
        };
        let state = initiator.start([7; 32], &mut first).unwrap();
        let mut stream = connect(addr).await;
        stream.write_all(&first).await.unwrap();
        let mut reply = [0; MESSAGE_2];
        within(stream.read_exact(&mut reply)).await.unwrap();
        let mut third = [0; MESSAGE_3];
        state.finish(&reply, &mut third).unwrap();
        stream.write_all(&third[..cut]).await.unwrap();
    }
    still_serves(&mut bob, addr).await;
    let stats = listener.stats();
    drop(listener);
    bob.all_done().await;
    assert_eq!(stats.accepted, (MESSAGE_1 + MESSAGE_3 + 1) as u64);
    assert_eq!(stats.proven, 1);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_closed() {
    let bob = hasty(2);
    let listener = bob.listen();
    let mut silent = connect(listener.local_addr()).await;
    let mut slow = connect(listener.local_addr()).await;
    slow.write_all(&[1]).await.unwrap();
    assert!(is_closed(&mut silent).await);
    assert!(is_closed(&mut slow).await);
    // With the key proven, but no hello.
    let mut raw = Raw::dial(1, listener.local_addr(), bob.key).await;
    let mut receiver = raw.receiver();
    let heard = raw.hear(&mut receiver, 1).await;
    assert!(heard.end);
    assert!(receiver.is_up());
    assert_eq!(listener.stats().proven, 1);
    drop(listener);
    bob.all_done().await;
}

#[tokio::test]
async fn the_lobby_is_bounded_and_the_oldest_goes_first() {
    let mut bob = node(2);
    let listener = bob.listen_with(ListenerLimits {
        lobby: LobbyLimits {
            total: 100,
            per_network: 3,
        },
        ..ListenerLimits::default()
    });
    let addr = listener.local_addr();
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(connect(addr).await);
    }
    for stream in &mut waiting[..17] {
        assert!(is_closed(stream).await);
    }
    assert_eq!(listener.waiting(), 3);
    assert_eq!(listener.stats().evicted, 17);
    still_serves(&mut bob, addr).await;
    drop((waiting, listener));
    bob.all_done().await;
}

#[tokio::test]
async fn our_own_key_is_refused_like_any_other() {
    let bob = node(2);
    let listener = bob.listen();
    let mut raw = Raw::dial(2, listener.local_addr(), bob.key).await;
    assert!(is_closed(&mut raw.stream).await);
    assert_eq!(listener.stats().refused, 1);
    drop(listener);
    bob.all_done().await;
}

#[tokio::test]
async fn records_that_are_none_end_the_link() {
    let mut bob = node(2);
    let listener = bob.listen();
    let addr = listener.local_addr();
    let bad: [&[u8]; 5] = [
        &[0, 0],
        &[0, 16],
        &[
            0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
        ],
        &[0xff; 65_537],
        &[0; 100],
    ];
    for bytes in bad {
        let mut raw = Raw::dial(1, addr, bob.key).await;
        raw.greet(1).await;
        bob.up().await;
        raw.write(bytes).await;
        let (_, reason) = bob.closed().await;
        assert!(
            matches!(reason, CloseReason::Violation(v) if v.rule() == "LINK-4"),
            "{reason}"
        );
        assert_eq!(
            raw.stream
                .read_to_end(&mut Vec::new())
                .await
                .ok()
                .map(|n| n > 5000),
            Some(false)
        );
    }
    drop(listener);
    bob.all_done().await;
}

#[tokio::test]
async fn a_record_that_does_not_finish_ends_the_link() {
    let mut bob = patient(2, |timing| timing.record = ms(100));
    let listener = bob.listen();
    for part in [
        &[0_u8][..],
        &[0, 100],
        &[0xff, 0xff, 1, 2, 3],
        &[0xff; 30_000],
    ] {
        let mut raw = Raw::dial(1, listener.local_addr(), bob.key).await;
        raw.greet(1).await;
        bob.up().await;
        raw.write(part).await;
        let (_, reason) = bob.closed().await;
        assert!(
            matches!(reason, CloseReason::Violation(v) if v.rule() == "LINK-9"),
            "{reason}"
        );
    }
    drop(listener);
    bob.all_done().await;
}

#[tokio::test]
async fn bytes_one_at_a_time_are_as_good_as_any() {
    let mut bob = node(2);
    let listener = bob.listen();
    let mut raw = Raw::dial(1, listener.local_addr(), bob.key).await;
    let hello = raw.record(ServiceId::LINK, &LinkMessage::Hello(hello(1)).encode());
    let message = raw.record(DATA, b"slowly");
    raw.stream.set_nodelay(true).unwrap();
    for byte in [hello, message].concat() {
        raw.write(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(bob.message().await, (DATA, b"slowly".to_vec()));
    drop((raw, listener));
    assert_eq!(bob.closed().await.1, CloseReason::Cut);
    bob.all_done().await;
}

/// Whatever a stream was cut at, it is no end in order, and nothing half is handed on.
#[tokio::test]
async fn a_stream_cut_at_any_byte_of_a_record_is_a_cut() {
    let mut bob = node(2);
    let listener = bob.listen();
    for cut in 0..40 {
        let mut raw = Raw::dial(1, listener.local_addr(), bob.key).await;
        raw.greet(1).await;
        let record = raw.record(DATA, b"seventeen bytes!!");
        assert_eq!(record.len(), 40);
        raw.write(&record[..cut]).await;
        raw.stream.shutdown().await.unwrap();
        bob.up().await;
        match bob.report().await {
            Report::Closed(_, reason) => assert_eq!(reason, CloseReason::Cut),
            other => panic!("{cut}: {other:?}"),
        }
    }
    drop(listener);
    bob.all_done().await;
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_dropped_and_one_that_takes_little_is_not() {
    let mut bob = patient(2, |timing| timing.stall_after = ms(300));
    let listener = bob.listen();
    let fill = |link: &skychat_transport::Link| {
        let piece = vec![0; 60_000];
        while link.try_send(DATA, &[&piece]).is_ok() {}
        assert_eq!(link.try_send(ECHO, &[&piece]), Err(SendError::Full));
    };

    let mut raw = Raw::dial(1, listener.local_addr(), bob.key).await;
    raw.greet(1).await;
    let link = bob.up().await;
    // The system's buffers take some before the socket takes no more.
    for _ in 0..4 {
        fill(&link);
        tokio::time::sleep(ms(20)).await;
    }
    assert_eq!(bob.closed().await.1, CloseReason::Stalled);
    assert_eq!(link.try_send(DATA, &[b"x"]), Err(SendError::Closed));
    drop(raw);

    let mut raw = Raw::dial(1, listener.local_addr(), bob.key).await;
    raw.greet(1).await;
    let link = bob.up().await;
    let mut buffer = vec![0; 300_000];
    for _ in 0..10 {
        fill(&link);
        tokio::time::sleep(ms(80)).await;
        within(raw.stream.read_exact(&mut buffer)).await.unwrap();
    }
    assert!(link.stats().queued > 1_000_000);
    link.abort();
    assert_eq!(bob.closed().await.1, CloseReason::Aborted);
    drop((raw, listener));
    bob.all_done().await;
}

#[tokio::test]
async fn a_silent_peer_is_asked_and_then_given_up() {
    let mut bob = patient(2, |timing| {
        timing.ping_after = ms(60);
        timing.dead_after = ms(200);
    });
    let listener = bob.listen();
    let mut raw = Raw::dial(1, listener.local_addr(), bob.key).await;
    raw.greet(1).await;
    let link = bob.up().await;
    let mut receiver = raw.receiver();
    let heard = raw.hear(&mut receiver, 1).await;
    assert!(heard.end);
    assert!(matches!(
        heard.link[..],
        [LinkMessage::Ping(1), LinkMessage::Ping(2), ..]
    ));
    assert_eq!(bob.closed().await.1, CloseReason::Dead);
    assert_eq!(link.stats().round_trip, None);

    // Any byte is a sign of life, an answer tells the time it took.
    let mut ann = patient(1, |_| {});
    let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    ann.up().await;
    let there = bob.up().await;
    tokio::time::sleep(ms(300)).await;
    assert!(there.stats().round_trip.is_some());
    assert!(link.stats().round_trip.is_none());
    link.close(Goodbye::Done);
    assert_eq!(bob.closed().await.1, CloseReason::Remote(Goodbye::Done));
    drop(listener);
    bob.all_done().await;
    ann.all_done().await;
}

#[tokio::test]
async fn a_service_ends_its_link_by_a_violation_and_loses_it_by_a_panic() {
    let mut bob = node(2);
    let listener = bob.listen();
    let addr = listener.local_addr();
    let mut ann = node(1);
    let link = ann.dial(addr, bob.key).await.unwrap();
    link.try_send(DATA, &[b"break a rule"]).unwrap();
    let (_, reason) = bob.closed().await;
    assert_eq!(reason.to_string(), "TEST-1: asked for");
    assert_eq!(ann.closed().await.1, CloseReason::Cut);

    let link = ann.dial(addr, bob.key).await.unwrap();
    ann.up().await;
    let there = bob.up().await;
    link.try_send(DATA, &[b"panic"]).unwrap();
    assert_eq!(within(there.closed()).await, CloseReason::Failed);
    assert_eq!(ann.closed().await.1, CloseReason::Cut);
    still_serves(&mut bob, addr).await;
    drop(listener);
    bob.all_done().await;
    ann.all_done().await;
}

/// Services that nobody knows cost nothing and harm nothing.
#[tokio::test]
async fn frames_of_unknown_services_are_skipped() {
    let mut bob = node(2);
    let listener = bob.listen();
    let mut raw = Raw::dial(1, listener.local_addr(), bob.key).await;
    raw.greet(1).await;
    let link = bob.up().await;
    raw.send(STRANGE, &[0; 60_000]).await;
    raw.send(DATA, b"known").await;
    assert_eq!(bob.message().await, (DATA, b"known".to_vec()));
    assert_eq!(link.stats().unknown_frames, 4);
    drop((raw, listener));
    bob.closed().await;
    bob.all_done().await;
}

// ----- whom we dial -------------------------------------------------------------------------

async fn dialled_by(ann: &Node, answer: impl AsyncFnOnce(tokio::net::TcpStream)) -> DialError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let answering = async {
        let (stream, _) = listener.accept().await.unwrap();
        answer(stream).await;
    };
    let (dialled, ()) = tokio::join!(ann.dial(addr, identity(2).public()), answering);
    dialled.unwrap_err()
}

#[tokio::test]
async fn what_a_dialled_peer_does_wrong_is_known_by_stage() {
    let mut ann = hasty(1);

    let closed = dialled_by(&ann, async |stream| drop(stream)).await;
    assert!(
        matches!(closed, DialError::ClosedBeforeMessage2),
        "{closed}"
    );

    let half = dialled_by(&ann, async |mut stream| {
        stream.read_exact(&mut [0; 49]).await.unwrap();
        stream.write_all(&[7; 47]).await.unwrap();
    });
    let half = half.await;
    assert!(matches!(half, DialError::ClosedBeforeMessage2), "{half}");

    let wrong = dialled_by(&ann, async |mut stream| {
        stream.read_exact(&mut [0; 49]).await.unwrap();
        stream.write_all(&[7; 48]).await.unwrap();
        is_closed(&mut stream).await;
    });
    let wrong = wrong.await;
    assert!(matches!(wrong, DialError::WrongAnswer), "{wrong}");

    let silent = dialled_by(&ann, async |mut stream| {
        stream.read_exact(&mut [0; 49]).await.unwrap();
        is_closed(&mut stream).await;
    });
    let silent = silent.await;
    let stage = Stage::Message2;
    assert!(
        matches!(silent, DialError::TimedOut { stage: s } if s == stage),
        "{silent}"
    );

    let refused = dialled_by(&ann, async |stream| {
        drop(Raw::answer(2, stream, false).await)
    })
    .await;
    assert!(
        matches!(refused, DialError::ClosedAfterMessage3),
        "{refused}"
    );

    let mute = dialled_by(&ann, async |stream| {
        let mut raw = Raw::answer(2, stream, true).await;
        raw.stream.read_to_end(&mut Vec::new()).await.ok();
    });
    let mute = mute.await;
    let stage = Stage::Hello;
    assert!(
        matches!(mute, DialError::TimedOut { stage: s } if s == stage),
        "{mute}"
    );

    let unproven = dialled_by(&ann, async |stream| {
        let mut raw = Raw::answer(2, stream, false).await;
        raw.greet(2).await;
        raw.stream.read_to_end(&mut Vec::new()).await.ok();
    });
    let unproven = unproven.await;
    assert!(
        matches!(unproven, DialError::Violation(v) if v.rule() == "LINK-1"),
        "{unproven}"
    );

    ann.reports.close();
    ann.all_done().await;
}

#[tokio::test]
async fn a_dial_that_is_given_up_leaves_no_link() {
    let ann = node(1);
    let mut bob = node(2);
    let listener = bob.listen();
    for wait in [0, 1, 2, 5] {
        let dialled = ann.dial(listener.local_addr(), bob.key);
        if let Ok(Ok(link)) = tokio::time::timeout(ms(wait), dialled).await {
            link.close(Goodbye::Done);
        }
    }
    drop(listener);
    ann.all_done().await;
    bob.reports.close();
    bob.all_done().await;
}
