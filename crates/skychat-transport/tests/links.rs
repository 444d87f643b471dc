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
    let (found, limit) = (1_052_673, 1_052_672);
    assert_eq!(refused, SendError::TooLarge { found, limit });
    assert_eq!(link.stats().received_messages, sizes.len() as u64);

    link.close(Goodbye::Done);
    assert_eq!(link.try_send(DATA, &[b"late"]), Err(SendError::Closed));
    assert_eq!(ann.closed().await.1, CloseReason::Local(Goodbye::Done));
    assert_eq!(bob.closed().await.1, CloseReason::Remote(Goodbye::Done));
    assert_eq!(
        within(link.closed()).await,
        CloseReason::Local(Goodbye::Done)
    );
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
    assert!(
        matches!(wrong_key, DialError::ClosedBeforeMessage2),
        "{wrong_key}"
    );
    let refused = ann.dial(addr, bob.key).await.unwrap_err();
    assert!(
        matches!(refused, DialError::ClosedAfterMessage3),
        "{refused}"
    );
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

/// The side that is closed still gets what was queued, and the goodbye comes last.
#[tokio::test]
async fn link_10_what_is_queued_arrives_before_the_goodbye() {
    let (mut ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    ann.up().await;
    let there = bob.up().await;
    let piece = vec![7; 50_000];
    for _ in 0..60 {
        link.try_send(DATA, &[&piece]).unwrap();
    }
    there.try_send(DATA, &[&piece]).unwrap();
    link.close(Goodbye::Stopping);
    link.close(Goodbye::Done);
    for _ in 0..60 {
        assert_eq!(bob.message().await.1.len(), 50_000);
    }
    assert_eq!(
        bob.closed().await,
        (there, CloseReason::Remote(Goodbye::Stopping))
    );
    assert_eq!(ann.message().await.1.len(), 50_000);
    assert_eq!(ann.closed().await.1, CloseReason::Local(Goodbye::Stopping));
    drop(listener);
    ann.all_done().await;
    bob.all_done().await;
}

#[tokio::test]
async fn link_10_both_sides_may_close_at_once() {
    let (mut ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    for _ in 0..20 {
        let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
        ann.up().await;
        let there = bob.up().await;
        link.close(Goodbye::Done);
        there.close(Goodbye::Stopping);
        let ends = [ann.closed().await.1, bob.closed().await.1];
        let orderly =
            |reason: &CloseReason| matches!(reason, CloseReason::Local(_) | CloseReason::Remote(_));
        assert!(ends.iter().all(orderly), "{ends:?}");
    }
    drop(listener);
    ann.all_done().await;
    bob.all_done().await;
}

/// A peer that says nothing after our goodbye does not hold us up for long.
#[tokio::test]
async fn link_10_the_end_does_not_wait_for_ever() {
    let mut bob = node_with(2, skychat_transport::Anyone, |config| {
        config.timing.drain = ms(100);
    });
    let listener = bob.listen();
    let mut raw = common::raw::Raw::dial(1, listener.local_addr(), bob.key).await;
    raw.greet(1).await;
    let link = bob.up().await;
    link.close(Goodbye::Done);
    assert_eq!(bob.closed().await.1, CloseReason::Local(Goodbye::Done));
    drop(listener);
    bob.all_done().await;
}

/// Both sides decide; who says so first is chance.
fn replaced(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::Local(Goodbye::Replaced) | CloseReason::Remote(Goodbye::Replaced)
    )
}

#[tokio::test]
async fn link_3_of_two_links_opened_at_once_both_sides_keep_the_same() {
    for round in 0..10 {
        let (mut ann, mut bob) = (node(1), node(2));
        let (at_ann, at_bob) = (ann.listen(), bob.listen());
        let (to_bob, to_ann) = tokio::join!(
            ann.dial(at_bob.local_addr(), bob.key),
            bob.dial(at_ann.local_addr(), ann.key),
        );
        // The one that stays was dialled by the lower key; the other dial may have been up for a
        // moment, or not.
        let (kept, other, keeper) = if ann.key < bob.key {
            (to_bob, to_ann, &ann)
        } else {
            (to_ann, to_bob, &bob)
        };
        let kept = kept.unwrap_or_else(|error| panic!("round {round}: {error}"));
        match other {
            Ok(link) => {
                let reason = within(link.closed()).await;
                assert!(replaced(&reason), "{reason}");
            }
            Err(error) => assert!(
                matches!(
                    error,
                    DialError::Duplicate | DialError::Goodbye(Goodbye::Replaced)
                ),
                "{error}"
            ),
        }
        assert_eq!(keeper.config.links.all(), std::slice::from_ref(&kept));
        kept.try_send(ECHO, &[b"kept"]).unwrap();
        let other_side = if ann.key < bob.key {
            &mut bob
        } else {
            &mut ann
        };
        loop {
            match other_side.report().await {
                Report::Message(_, _, message) => {
                    assert_eq!(message, b"kept");
                    break;
                }
                Report::Up(_) | Report::Closed(..) => {}
            }
        }
        within(async {
            while ann.config.links.len() + bob.config.links.len() > 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        kept.close(Goodbye::Done);
        within(kept.closed()).await;
        drop((at_ann, at_bob));
        ann.reports.close();
        bob.reports.close();
        ann.all_done().await;
        bob.all_done().await;
    }
}

#[tokio::test]
async fn link_3_a_newer_link_replaces_the_older_which_drains() {
    let (mut ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    let older = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    ann.up().await;
    bob.up().await;
    let piece = vec![1; 60_000];
    for _ in 0..20 {
        older.try_send(DATA, &[&piece]).unwrap();
    }
    let newer = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    assert_eq!(ann.config.links.all(), std::slice::from_ref(&newer));
    assert_eq!(older.try_send(DATA, &[b"late"]), Err(SendError::Closed));
    let (closed, reason) = ann.closed().await;
    assert_eq!(closed, older);
    assert!(replaced(&reason), "{reason}");
    // All of it arrived, by the older link; the newer one is up beside it.
    let (mut ups, mut messages) = (0, 0);
    loop {
        match bob.report().await {
            Report::Up(_) => ups += 1,
            Report::Message(..) => messages += 1,
            Report::Closed(_, reason) => {
                assert!(replaced(&reason), "{reason}");
                break;
            }
        }
    }
    assert_eq!((ups, messages), (1, 20));
    newer.close(Goodbye::Done);
    bob.closed().await;
    drop(listener);
    bob.all_done().await;
    ann.all_done().await;
}

#[tokio::test]
async fn links_of_several_lives_stand_beside_each_other() {
    let mut bob = node(2);
    let listener = bob.listen();
    let mut raws = Vec::new();
    for life in 1..=5 {
        let mut raw = common::raw::Raw::dial(1, listener.local_addr(), bob.key).await;
        raw.greet(life).await;
        bob.up().await;
        raws.push(raw);
        assert_eq!(bob.config.links.len(), usize::from(life).min(4));
    }
    // The first of five drains.
    assert!(raws[0].hear_goodbye().await);
    drop((raws, listener));
    for _ in 0..5 {
        bob.closed().await;
    }
    bob.all_done().await;
}

/// A16 of the lessons: nothing is left behind, neither tasks nor descriptors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_reconnects_leave_nothing() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let (mut ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    let mut before = 0;
    for n in 0..500_u32 {
        let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
        link.try_send(DATA, &[&n.to_be_bytes()]).unwrap();
        match n % 3 {
            0 => link.close(Goodbye::Done),
            1 => {
                // Replaced by the next one.
            }
            _ => link.abort(),
        }
        if n == 20 {
            before = descriptors();
        }
        while ann.reports.try_recv().is_ok() || bob.reports.try_recv().is_ok() {}
    }
    for link in ann.config.links.all() {
        link.close(Goodbye::Done);
    }
    ann.reports.close();
    bob.reports.close();
    within(async {
        while !ann.config.tracker.is_empty() || bob.config.tracker.len() > 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(bob.config.links.len(), 0);
    // Those of other tests in this process come and go; what is left behind stays.
    within(async {
        while descriptors() > before {
            tokio::time::sleep(ms(1)).await;
        }
    })
    .await;
    drop(listener);
    ann.all_done().await;
    bob.all_done().await;
}

/// 11 of the lessons: two thousand writers, no message torn, none lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_may_send_on_one_link() {
    let (ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..40_u8 {
        let link = link.clone();
        senders.spawn(async move {
            for n in 0..50_u8 {
                let size = usize::from(sender) * usize::from(n) * 13;
                let message = [&[sender, n][..], &vec![sender ^ n; size]].concat();
                let service = if n % 2 == 0 { DATA } else { ECHO };
                while link.try_send(service, &[&message]).is_err() {
                    link.ready().await;
                }
                if n % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    let mut last = [[None::<u8>; 40]; 2];
    for _ in 0..2000 {
        let (service, message) = bob.message().await;
        let (sender, n) = (message[0], message[1]);
        assert!(message[2..].iter().all(|&byte| byte == sender ^ n));
        assert_eq!(message.len() - 2, usize::from(sender) * usize::from(n) * 13);
        let last = &mut last[usize::from(service == ECHO)][usize::from(sender)];
        assert!(last.is_none_or(|last| last < n));
        *last = Some(n);
    }
    assert_eq!(link.stats().sent_messages, 2000);
    link.close(Goodbye::Done);
    drop((senders, listener));
    bob.closed().await;
    bob.all_done().await;
}

/// Pressure goes back to the sender, and nothing is lost on the way.
#[tokio::test]
async fn a_service_that_is_busy_slows_the_sender_down() {
    let (ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    // The test takes no reports, so its services wait in `flush` when 1000 are there.
    let message = [9; 10_000];
    let mut sent = 0;
    loop {
        match link.try_send(DATA, &[&message]) {
            Ok(()) => sent += 1,
            Err(SendError::Full) => {
                if tokio::time::timeout(ms(100), link.ready()).await.is_err() {
                    break;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sent > 1000, "{sent}");
    for _ in 0..sent {
        assert_eq!(bob.message().await.1.len(), 10_000);
    }
    within(link.ready()).await;
    assert!(link.stats().queued < skychat_transport::LOW_WATER);
    link.close(Goodbye::Done);
    drop(listener);
    bob.closed().await;
    bob.all_done().await;
}

/// Control is not held up by a transfer: what is urgent arrives before what was queued long before.
#[tokio::test]
async fn link_2_control_arrives_before_bulk_that_waits() {
    let (ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    let piece = vec![0; 16_000];
    let mut bulk = 0;
    while link.try_send(ECHO, &[&piece]).is_ok() {
        bulk += 1;
    }
    link.try_send(DATA, &[b"urgent"]).unwrap();
    let mut before = 0;
    while bob.message().await.0 != DATA {
        before += 1;
    }
    // At most what was already in the hands of the system, and one turn of the writer.
    assert!(before * 3 < bulk, "{before} of {bulk}");
    link.abort();
    drop(listener);
    bob.closed().await;
    bob.all_done().await;
}

#[tokio::test]
async fn link_8_keys_are_renewed_under_way() {
    let limits = skychat_transport::RekeyLimits {
        records: 3,
        bytes: 100_000,
    };
    let new = |n| node_with(n, skychat_transport::Anyone, |config| config.rekey = limits);
    let (mut ann, mut bob) = (new(1), new(2));
    let listener = bob.listen();
    let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    for n in 0..50_usize {
        let message = vec![n as u8; n * 2000];
        link.ready().await;
        link.try_send(ECHO, &[&message]).unwrap();
        assert_eq!(ann.message().await.1, message);
        bob.message().await;
    }
    assert!(link.stats().sent_records > 50);
    link.close(Goodbye::Done);
    drop(listener);
    bob.closed().await;
    bob.all_done().await;
}

#[tokio::test]
async fn a_further_hello_and_questions_about_lines_go_to_the_service() {
    use skychat_proto::ids::{Incarnation, ServiceId};
    use skychat_proto::link::LinkMessage;
    let (ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    let incarnation = Incarnation::from_bytes([3; 8]);
    for message in [
        LinkMessage::Hello(hello(9)),
        LinkMessage::LineRequest { incarnation },
        LinkMessage::Line {
            incarnation,
            ancestors: vec![incarnation; 4096],
            complete: true,
        },
    ] {
        let bytes = message.encode();
        link.try_send(ServiceId::LINK, &[&bytes]).unwrap();
        assert_eq!(bob.message().await, (ServiceId::LINK, bytes));
    }
    link.close(Goodbye::Done);
    drop(listener);
    bob.closed().await;
    bob.all_done().await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let bob = node(2);
    let listener = bob.listen();
    let addr = listener.local_addr();
    let taken = skychat_transport::Listener::bind(
        addr,
        &bob.config,
        std::sync::Arc::clone(&bob.factory),
        skychat_transport::ListenerLimits::default(),
    );
    let error = taken.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen at {addr}"));
    drop(listener);
    bob.all_done().await;
}

#[tokio::test]
async fn a_listener_that_stops_frees_its_port_and_leaves_its_links() {
    let (mut ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    let addr = listener.local_addr();
    let link = ann.dial(addr, bob.key).await.unwrap();
    ann.up().await;
    assert!(!listener.is_stopped());
    listener.stop();
    within(listener.ended()).await;
    assert!(listener.is_stopped());
    let refused = ann.dial(addr, bob.key).await.unwrap_err();
    assert!(
        matches!(refused, DialError::Unreachable { .. }),
        "{refused}"
    );
    link.try_send(ECHO, &[b"still here"]).unwrap();
    assert_eq!(ann.message().await.1, b"still here");
    let factory = std::sync::Arc::clone(&bob.factory);
    let limits = skychat_transport::ListenerLimits::default();
    let again = skychat_transport::Listener::bind(addr, &bob.config, factory, limits).unwrap();
    bob.config.links.close_all(Goodbye::Stopping);
    assert_eq!(ann.closed().await.1, CloseReason::Remote(Goodbye::Stopping));
    drop((listener, again));
    bob.closed().await;
    bob.all_done().await;
}

/// A link that is being closed has so long for what is queued, even if the peer takes it, but
/// slowly.
#[tokio::test]
async fn link_10_a_slow_peer_does_not_hold_up_the_end() {
    let mut bob = node_with(2, skychat_transport::Anyone, |config| {
        config.timing.drain = ms(150);
    });
    let listener = bob.listen();
    let mut raw = common::raw::Raw::dial(1, listener.local_addr(), bob.key).await;
    raw.greet(1).await;
    let link = bob.up().await;
    let piece = vec![0; 60_000];
    for _ in 0..3 {
        while link.try_send(DATA, &[&piece]).is_ok() {}
        tokio::time::sleep(ms(5)).await;
    }
    link.close(Goodbye::Stopping);
    let mut buffer = vec![0; 1000];
    let slowly = async {
        loop {
            tokio::io::AsyncReadExt::read(&mut raw.stream, &mut buffer)
                .await
                .unwrap();
            tokio::time::sleep(ms(5)).await;
        }
    };
    let start = tokio::time::Instant::now();
    tokio::select! {
        () = slowly => {}
        (_, reason) = bob.closed() => assert_eq!(reason, CloseReason::Local(Goodbye::Stopping)),
    }
    // Reading all of it would have taken more than that.
    assert!(start.elapsed() < ms(10_000), "{:?}", start.elapsed());
    drop(listener);
    bob.all_done().await;
}

/// On a quiet link the side that was dialled asks: what it asks is a sign of life for the other.
#[tokio::test]
async fn link_9_one_side_of_a_quiet_link_asks() {
    let (ann, mut bob) = (node(1), node(2));
    let listener = bob.listen();
    let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
    let there = bob.up().await;
    // The handshake needs a thread of its own, which virtual time would not wait for.
    tokio::time::pause();
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    assert!(there.stats().round_trip.is_some());
    assert_eq!(link.stats().round_trip, None);
    // The hello; ten pings at most in 300 s, and their answers.
    let records = [link.stats().sent_records, there.stats().sent_records];
    assert!((9..=11).contains(&records[0]), "{records:?}");
    assert!((9..=11).contains(&records[1]), "{records:?}");
    tokio::time::resume();
    link.close(Goodbye::Done);
    within(there.closed()).await;
    drop(listener);
    ann.all_done().await;
    bob.all_done().await;
}

/// What is due between two ticks of a node is done at the next one, for all of its links.
#[tokio::test]
async fn link_9_quiet_links_are_asked_at_the_ticks_of_the_node() {
    let mut bob = node(2);
    let listener = bob.listen();
    let mut links = Vec::new();
    for n in 10..20 {
        let ann = node(n);
        let link = ann.dial(listener.local_addr(), bob.key).await.unwrap();
        links.push((link, bob.up().await));
    }
    tokio::time::pause();
    // Each falls silent at another time.
    for (link, _) in &links {
        link.try_send(DATA, &[b"the last word"]).unwrap();
        bob.message().await;
        tokio::time::sleep(ms(37)).await;
    }
    let asked = || links.iter().map(|(_, there)| there.stats().sent_records);
    let (mut before, mut times) = (asked().sum::<u64>(), Vec::new());
    let start = tokio::time::Instant::now();
    tokio::time::sleep(ms(29_000)).await;
    while start.elapsed() < ms(32_000) {
        tokio::time::sleep(ms(1)).await;
        let now = asked().sum();
        if now > before {
            times.push(start.elapsed().as_millis());
            before = now;
        }
    }
    assert!(times.len() < links.len(), "{times:?}");
    for time in &times {
        // A few milliseconds may lie between a ping and its being seen.
        let off = (time + 4 - times[0]) % 250;
        assert!(off <= 8, "{times:?}");
    }
    assert!(
        links
            .iter()
            .all(|(_, there)| there.stats().round_trip.is_some())
    );
    tokio::time::resume();
    bob.config.links.close_all(Goodbye::Done);
    drop(listener);
    bob.reports.close();
    bob.all_done().await;
}
