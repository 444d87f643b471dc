//! What the hot path allocates, counted: nothing, once a link is warm. And what an idle link holds.
//!
//! One test, because the count is of the whole process. What aws-lc allocates in C is not seen
//! here; it allocates for key agreements, not for records.
#![cfg(feature = "tcp")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that panics is a test that fails"
)]

mod common;

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{hello, ms, secret, within};
use skychat_identity::PublicKey;
use skychat_proto::ids::ServiceId;
use skychat_proto::link::{Hello, LinkMessage};
use skychat_transport::{
    Anyone, Backend, CloseReason, Handler, Initiator, LENGTH, Link, LinkConfig, LinkIdentity,
    Listener, ListenerLimits, MESSAGE_1, MESSAGE_2, MESSAGE_3, Outbound, Receiver, RekeyLimits,
    Service, Suite, Violation, dial, respond,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERVICE: ServiceId = ServiceId::RANGE;

fn calls(stats: &Stats) -> usize {
    stats.allocations + stats.reallocations
}

#[test]
fn the_hot_path_does_not_allocate() {
    for &backend in Backend::BUILT_IN {
        for suite in Suite::ALL {
            if backend.offers(suite) {
                in_memory(backend, suite);
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(round_trips());
    runtime.block_on(streams());
    runtime.block_on(idle());
}

/// Queue, seal, open, handler; small messages, packed ones, and fragments; across new keys.
fn in_memory(backend: Backend, suite: Suite) {
    struct Count(usize);
    impl Handler for Count {
        type Error = Violation;
        fn proven(&mut self, _: PublicKey) -> Result<(), Violation> {
            Ok(())
        }
        fn hello(&mut self, _: Hello) -> Result<(), Violation> {
            Ok(())
        }
        fn link(&mut self, _: LinkMessage, _: &[u8]) -> Result<(), Violation> {
            Ok(())
        }
        fn message(&mut self, _: ServiceId, message: &[u8]) -> Result<(), Violation> {
            self.0 += message.len();
            Ok(())
        }
    }

    let identity = |n| LinkIdentity::new(secret(n), backend);
    let (ann, bob) = (identity(1), identity(2));
    let limits = RekeyLimits {
        records: 1000,
        bytes: 1 << 30,
    };
    let (mut first, mut second, mut third) = ([0; MESSAGE_1], [0; MESSAGE_2], [0; MESSAGE_3]);
    let initiator = Initiator {
        identity: &ann,
        peer: bob.public(),
        suite,
        limits,
    };
    let waiting = initiator.start([3; 32], &mut first).unwrap();
    let answering = respond(&bob, limits, [4; 32], &first, &mut second).unwrap();
    let (mut ann, _) = waiting.finish(&second, &mut third).unwrap();
    let (bob, _) = answering.finish(&third).unwrap().accept().unwrap();

    let mut queue = Outbound::new(Arc::default());
    let mut receiver = Receiver::new(bob.open, None, &[SERVICE]);
    let mut turn = Vec::new();
    let mut count = Count(0);
    let mut pass = |messages: &[(ServiceId, &[u8])]| {
        for (service, message) in messages {
            queue.push(*service, &[message]).unwrap();
        }
        while !queue.is_empty() {
            let bytes = queue.take(&mut turn);
            for record in &mut turn {
                ann.seal.seal(record).unwrap();
                receiver.record(&mut record[LENGTH..], &mut count).unwrap();
            }
            queue.written(bytes);
            queue.recycle(&mut turn);
        }
        std::mem::take(&mut count.0)
    };
    let hello = LinkMessage::Hello(hello(1)).encode();
    pass(&[(ServiceId::LINK, &hello)]);
    let small = (SERVICE, &[7; 64][..]);
    let packed = vec![small; 3000];
    let large = vec![7; 300_000];
    let large = (SERVICE, &large[..]);

    pass(&[small]);
    pass(&packed);
    pass(&[large]);
    // The harness has threads of its own, which may allocate now and then; a path that allocates
    // does so every time.
    let fewest = (0..5)
        .map(|_| {
            let region = Region::new(ALLOCATOR);
            let mut bytes = 0;
            for _ in 0..500 {
                bytes += pass(&[small]);
            }
            for _ in 0..10 {
                bytes += pass(&packed);
                bytes += pass(&[large]);
            }
            let change = region.change();
            assert_eq!(bytes, 500 * 64 + 10 * (3000 * 64 + 300_000));
            calls(&change)
        })
        .min();
    assert_eq!(fewest, Some(0), "{backend:?}, {suite:?}");
}

/// Answers on the side that was dialled; goes on with the next round on the other, until it has
/// done them all.
struct Player {
    link: Link,
    left: Arc<AtomicUsize>,
}

impl Service for Player {
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        if !self.link.inbound() && self.left.fetch_sub(1, Ordering::Relaxed) <= 1 {
            return Ok(());
        }
        self.link.try_send(service, &[message]).ok();
        Ok(())
    }

    async fn flush(&mut self) {}

    fn closed(&mut self, _: &CloseReason) {}
}

/// Counts what arrives.
struct Sink(Arc<AtomicUsize>);

impl Service for Sink {
    fn message(&mut self, _: ServiceId, _: &[u8]) -> Result<(), Violation> {
        self.0.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    async fn flush(&mut self) {}

    fn closed(&mut self, _: &CloseReason) {}
}

fn config(n: u8) -> LinkConfig {
    let identity = LinkIdentity::new(secret(n), Backend::default());
    let mut config = LinkConfig::new(identity, move || hello(n), Anyone);
    config.timing.trim_after = ms(50);
    config
}

async fn linked<S: Service>(
    service: impl Fn(&Link) -> S + Send + Sync + 'static,
) -> (Link, Listener) {
    let (ann, bob) = (config(1), config(2));
    let factory = Arc::new(service);
    let any = ([127, 0, 0, 1], 0).into();
    let limits = ListenerLimits::default();
    let listener = Listener::bind(any, &bob, Arc::clone(&factory), limits).unwrap();
    let peer = bob.identity.public();
    let link = within(dial(listener.local_addr(), peer, &ann, factory))
        .await
        .unwrap();
    // Both sides are up.
    while bob.links.is_empty() {
        tokio::task::yield_now().await;
    }
    (link, listener)
}

/// Runs the others until nothing is left.
async fn finished(left: &AtomicUsize) {
    while left.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
}

async fn round_trips() {
    let left = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&left);
    let (link, _listener) = linked(move |link| Player {
        link: link.clone(),
        left: Arc::clone(&counter),
    })
    .await;
    let play = async |trips| {
        left.store(trips, Ordering::Relaxed);
        link.try_send(SERVICE, &[&[7; 64]]).unwrap();
        finished(&left).await;
    };
    play(1000).await;
    let region = Region::new(ALLOCATOR);
    play(10_000).await;
    let change = region.change();
    // Timers of the runtime may take a handful.
    assert!(calls(&change) < 20, "{change:?}");
}

async fn streams() {
    let left = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&left);
    let (link, _listener) = linked(move |_| Sink(Arc::clone(&counter))).await;
    let send = async |times: usize, message: &[u8]| {
        left.store(times, Ordering::Relaxed);
        for _ in 0..times {
            link.ready().await;
            link.try_send(SERVICE, &[message]).unwrap();
        }
        finished(&left).await;
    };
    for (times, size) in [(200_000, 64), (2000, 20_000)] {
        let message = vec![7; size];
        send(times / 4, &message).await;
        let region = Region::new(ALLOCATOR);
        send(times, &message).await;
        let change = region.change();
        assert!(calls(&change) < 100, "{size} bytes: {change:?}");
    }
}

/// The memory of links that are quiet, without the system's part of it.
async fn idle() {
    const LINKS: u8 = 50;
    let left = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&left);
    let factory = Arc::new(move |_: &Link| Sink(Arc::clone(&counter)));
    let (ann, bob) = (config(1), config(2));
    let any = ([127, 0, 0, 1], 0).into();
    let limits = ListenerLimits::default();
    let listener = Listener::bind(any, &bob, Arc::clone(&factory), limits).unwrap();
    let addr = listener.local_addr();
    let peer = bob.identity.public();
    let mut held = Vec::new();
    let mut before = None;
    for n in 0..=LINKS {
        let mut other = ann.clone();
        other.identity = LinkIdentity::new(secret(100 + n), Backend::default());
        other.links = skychat_transport::Links::default();
        let link = within(dial(addr, peer, &other, Arc::clone(&factory)))
            .await
            .unwrap();
        // Busy for a while.
        left.store(20, Ordering::Relaxed);
        for _ in 0..20 {
            link.try_send(SERVICE, &[&[7; 60_000]]).unwrap();
        }
        finished(&left).await;
        held.push((link, other));
        if before.is_none() {
            // The first one filled the pool, and is quiet now.
            tokio::time::sleep(ms(200)).await;
            before = Some(Region::new(ALLOCATOR));
        }
    }
    tokio::time::sleep(ms(200)).await;
    let change = before.unwrap().change();
    let bytes = change.bytes_allocated - change.bytes_deallocated;
    let each = bytes / (2 * usize::from(LINKS));
    println!("an idle link holds {each} bytes");
    assert!(each < 6 * 1024, "{each}");
}
