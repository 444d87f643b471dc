//! What the hot path asks of `malloc`, whoever calls it: a backend in C is not seen by Rust's
//! allocator (`allocations.rs`).
//!
//! The GNU C library brings a counter of its own, `libmemusage.so`, which stands in front of
//! `malloc`, `calloc` and `realloc` of a whole process and says at its end how often each was
//! called. So the work is done in a process of its own, twice, once with more frames: the difference is what
//! frames cost. Where there is no such library (musl, macOS, some distributions leave it out)
//! nothing is counted, and the test says so. That the counter sees C is shown by key agreements,
//! which aws-lc allocates for.
#![cfg(all(feature = "tcp", target_os = "linux", target_env = "gnu"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that panics is a test that fails"
)]

mod common;

use std::io::Read;
use std::process::Command;

use common::hot::{Path, Stream, Trips, kinds};
use skychat_transport::{Backend, Suite};

/// What the other process is asked for: `WHAT BACKEND SUITE TIMES`.
const ASKED: &str = "SKYCHAT_MALLOC";

/// Calls of a process that does `what` so many times. `None`: there is no counter here.
fn calls(what: &str, backend: Backend, suite: Suite, times: usize) -> Option<u64> {
    let asked = format!("{what} {} {} {times}", backend.name(), suite.number());
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_work", "--ignored", "--test-threads=1"])
        .env("LD_PRELOAD", "libmemusage.so")
        .env(ASKED, &asked)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{asked}: {said}");
    let count = |name: &str| -> Option<u64> {
        let line = said.lines().find(|line| line.contains(name))?;
        // The name is in colours.
        let (_, numbers) = line.split_once('|')?;
        let mut numbers = numbers.split_whitespace().filter_map(|n| n.parse().ok());
        numbers.next()
    };
    Some(count(" malloc|")? + count("realloc|")? + count(" calloc|")?)
}

/// Calls that 10 times as much work adds.
fn added(what: &str, backend: Backend, suite: Suite, times: usize) -> Option<u64> {
    let few = calls(what, backend, suite, times)?;
    let many = calls(what, backend, suite, 10 * times)?;
    println!("{what}, {backend:?}, {suite:?}: {few} calls, {many} with ten times as much");
    Some(many.saturating_sub(few))
}

#[test]
fn no_frame_costs_a_call_of_malloc_in_rust_or_c() {
    for (backend, suite) in kinds() {
        let Some(added) = added("memory", backend, suite, 200) else {
            println!("not counted: no libmemusage.so here");
            return;
        };
        assert!(added < 20, "{backend:?}, {suite:?}: {added}");
    }
    let backend = Backend::default();
    for suite in Suite::ALL
        .into_iter()
        .filter(|&suite| backend.offers(suite))
    {
        // Timers of the runtime may take some.
        let trips = added("trips", backend, suite, 2000).unwrap();
        assert!(
            trips < 100,
            "{suite:?}: {trips} calls for 18,000 round trips"
        );
        let stream = added("stream", backend, suite, 20_000).unwrap();
        assert!(
            stream < 200,
            "{suite:?}: {stream} calls for 180,000 messages"
        );
    }
}

/// The counter would find it: aws-lc allocates in C for each key agreement, and Rust does not.
#[cfg(feature = "aws-lc")]
#[test]
fn what_is_allocated_in_c_is_counted() {
    if let Some(added) = added("agree", Backend::AwsLc, Suite::ChaChaPoly, 100) {
        assert!(added >= 900, "{added} calls for 900 key agreements");
    }
}

#[test]
#[ignore = "the work that the other tests count, in a process of its own"]
fn the_work() {
    let asked = std::env::var(ASKED).unwrap();
    let asked: Vec<&str> = asked.split(' ').collect();
    let [what, backend, suite, times] = asked[..] else {
        panic!("{ASKED} is {asked:?}, expected WHAT BACKEND SUITE TIMES");
    };
    let all = Backend::BUILT_IN.iter().copied();
    let backend = all.into_iter().find(|of| of.name() == backend).unwrap();
    let suite = Suite::from_number(suite.parse().unwrap()).unwrap();
    let times: usize = times.parse().unwrap();
    let before = threads();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match what {
        "memory" => {
            let mut path = Path::new(backend, suite);
            path.rounds(times);
        }
        "trips" => runtime.block_on(async { Trips::new(suite).await.play(times).await }),
        "stream" => runtime.block_on(async {
            let stream = Stream::new(suite).await;
            stream.send(times, &[7; 64]).await;
            stream.send(times / 100, &[7; 20_000]).await;
        }),
        "agree" => {
            let primitives = backend.primitives();
            let own = primitives.exchange_key(&[1; 32]);
            let peer = primitives.exchange_key(&[2; 32]);
            for _ in 0..times {
                own.agree(peer.public()).unwrap();
            }
        }
        other => panic!("no work of the name {other}"),
    }
    drop(runtime);
    wait_for_threads(before);
}

/// The counter goes before the process does, and a thread that then gives back what was counted
/// ends in the middle of it.
fn wait_for_threads(before: usize) {
    for _ in 0..10_000 {
        if threads() <= before {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("a listener is gone, and its thread is not");
}

/// Threads of this process. Nothing is allocated for it: however often it is asked, the count stays.
fn threads() -> usize {
    let mut bytes = [0; 4096];
    let mut file = std::fs::File::open("/proc/self/status").unwrap();
    let read = file.read(&mut bytes).unwrap();
    let text = std::str::from_utf8(&bytes[..read]).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Threads:"));
    line.unwrap().trim().parse().unwrap()
}
