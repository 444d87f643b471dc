//! Random histories of whole nodes. `SKYCHAT_SIM_SEEDS` says how many seeds a class gets, `SKYCHAT_SEED` plays one.

#![allow(
    clippy::print_stderr,
    clippy::panic,
    reason = "a test that reports seeds"
)]

use skychat_testkit::sim::{Class, Plan, play};

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

/// Failures that are shrunk and printed; the others are counted.
const REPORTS: usize = 3;

fn run(class: Class, default: u64) {
    let (mut failed, mut shown) = (Vec::new(), 0);
    let mut events = std::collections::BTreeMap::new();
    for seed in seeds(default) {
        let plan = Plan::draw(class, seed);
        let (_, verdict) = play(&plan);
        shown += verdict.shown;
        for (kind, n) in verdict.events {
            *events.entry(kind).or_insert(0) += n;
        }
        if !verdict.problems.is_empty() {
            failed.push(plan);
        }
    }
    eprintln!("{class:?}: {shown} messages shown, events {events:?}");
    for plan in failed.iter().take(REPORTS) {
        if let Err(report) = plan.judge() {
            eprintln!("{report}");
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

/// Cuts, crashes that lose unsynced writes and tear the last one, restarts, clocks that jump.
#[test]
fn restart() {
    run(Class::Restart, 300);
}

#[test]
fn partition() {
    run(Class::Partition, 150);
}

#[test]
fn hold() {
    run(Class::Hold, 100);
}

/// What is refused for good never counts as stored, and is never shown.
#[test]
fn refused() {
    run(Class::Refused, 100);
}

#[test]
fn dropped() {
    run(Class::Dropped, 150);
}

#[test]
fn restore() {
    run(Class::Restore, 100);
}

#[test]
fn restore_dropped() {
    run(Class::RestoreDropped, 100);
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

/// Honest nodes only close the link, and nothing among them is lost, doubled or misreported.
#[test]
fn hostile() {
    run(Class::Hostile, 150);
}

/// Machines that are resumed with an older memory: what they wrote twice ends where both agree, and they go on in a new
/// life.
#[test]
fn snapshot() {
    run(Class::Snapshot, 150);
}

#[test]
fn all() {
    run(Class::All, 150);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for class in [Class::Restart, Class::Snapshot, Class::Hostile, Class::All] {
        for seed in 0..5 {
            let plan = Plan::draw(class, seed);
            assert_eq!(play(&plan).1, play(&plan).1);
        }
    }
}
