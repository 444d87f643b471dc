//! Random histories of whole nodes. `SKYCHAT_SIM_SEEDS` says how many seeds a class gets, `SKYCHAT_SEED` plays one.

#![allow(
    clippy::print_stderr,
    clippy::panic,
    reason = "a test that reports seeds"
)]

use skychat_testkit::sim::{Class, play};

fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    if let Some(seed) = number("SKYCHAT_SEED") {
        return seed..seed + 1;
    }
    0..number("SKYCHAT_SIM_SEEDS").unwrap_or(default)
}

fn run(class: Class, default: u64) {
    let (mut failed, mut shown) = (Vec::new(), 0);
    let mut events = std::collections::BTreeMap::new();
    for seed in seeds(default) {
        let (_, verdict) = play(class, seed, 3);
        shown += verdict.shown;
        for (kind, n) in verdict.events {
            *events.entry(kind).or_insert(0) += n;
        }
        if !verdict.problems.is_empty() {
            failed.push((seed, verdict.problems));
        }
    }
    eprintln!("{class:?}: {shown} messages shown, events {events:?}");
    for (seed, problems) in failed.iter().take(5) {
        eprintln!("SKYCHAT_SEED={seed}");
        for problem in problems.iter().take(5) {
            eprintln!("    {problem}");
        }
    }
    assert!(
        failed.is_empty(),
        "{class:?}: {} seeds failed",
        failed.len()
    );
    assert!(shown > 0, "nothing was ever shown");
}

#[test]
fn steady() {
    run(Class::Steady, 50);
}

/// Cuts, partitions, crashes that lose unsynced writes and tear the last one, restarts.
#[test]
fn restart() {
    run(Class::Restart, 300);
}

#[test]
fn restore() {
    run(Class::Restore, 100);
}

#[test]
fn clone() {
    run(Class::Clone, 100);
}

#[test]
fn one_shot() {
    run(Class::OneShot, 100);
}

#[test]
fn retry() {
    run(Class::Retry, 100);
}

#[test]
fn memory() {
    run(Class::Memory, 100);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..5 {
        let (one, first) = play(Class::Restart, seed, 3);
        let (other, second) = play(Class::Restart, seed, 3);
        assert_eq!(first, second);
        assert_eq!(one.steps(), other.steps());
    }
}
