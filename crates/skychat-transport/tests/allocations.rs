//! What the hot path allocates, counted: nothing, once a link is warm. And what an idle link holds.
//!
//! One test, because the count is of the whole process. Here Rust's allocator counts; what a
//! backend allocates in C passes it by and is counted in `malloc.rs`.
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

use common::hot::{Path, SERVICE, Sink, Stream, Trips, config, finished, kinds};
use common::{ms, secret, within};
use skychat_transport::{Backend, Link, LinkIdentity, Listener, ListenerLimits, Suite, dial};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn calls(stats: &Stats) -> usize {
    stats.allocations + stats.reallocations
}

#[test]
fn the_hot_path_does_not_allocate() {
    for (backend, suite) in kinds() {
        in_memory(backend, suite);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for suite in Suite::ALL {
        if Backend::default().offers(suite) {
            runtime.block_on(round_trips(suite));
            runtime.block_on(streams(suite));
        }
    }
    runtime.block_on(idle());
}

/// Small messages, packed ones, and fragments; across new keys.
fn in_memory(backend: Backend, suite: Suite) {
    let mut path = Path::new(backend, suite);
    path.rounds(10);
    // The harness has threads of its own, which may allocate now and then; a path that allocates
    // does so every time.
    let fewest = (0..5)
        .map(|_| {
            let region = Region::new(ALLOCATOR);
            path.rounds(100);
            for _ in 0..400 {
                path.pass(&[(SERVICE, &[7; 64])]);
            }
            calls(&region.change())
        })
        .min();
    assert_eq!(fewest, Some(0), "{backend:?}, {suite:?}");
}

async fn round_trips(suite: Suite) {
    let trips = Trips::new(suite).await;
    trips.play(1000).await;
    let region = Region::new(ALLOCATOR);
    trips.play(10_000).await;
    let change = region.change();
    // Timers of the runtime may take a handful.
    assert!(calls(&change) < 20, "{change:?}");
}

async fn streams(suite: Suite) {
    let stream = Stream::new(suite).await;
    for (times, size) in [(200_000, 64), (2000, 20_000)] {
        let message = vec![7; size];
        stream.send(times / 4, &message).await;
        let region = Region::new(ALLOCATOR);
        stream.send(times, &message).await;
        let change = region.change();
        assert!(calls(&change) < 100, "{size} bytes: {change:?}");
    }
}

/// The memory of links that are quiet, without the system's part of it.
async fn idle() {
    const LINKS: u8 = 50;
    const MOST: usize = 6 * 1024;
    let left = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&left);
    let factory = Arc::new(move |_: &Link| Sink(Arc::clone(&counter)));
    let (ann, bob) = (config(1, Suite::ChaChaPoly), config(2, Suite::ChaChaPoly));
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
            tokio::time::sleep(ms(500)).await;
            before = Some(Region::new(ALLOCATOR));
        }
    }
    let before = before.unwrap();
    let mut each = usize::MAX;
    // A machine that is busy with other things gives memory up later: it has to be given up.
    for _ in 0..100 {
        tokio::time::sleep(ms(50)).await;
        let change = before.change();
        let bytes = change.bytes_allocated - change.bytes_deallocated;
        each = bytes / (2 * usize::from(LINKS));
        if each < MOST {
            break;
        }
    }
    println!("an idle link holds {each} bytes");
    assert!(each < MOST, "{each}");
}
