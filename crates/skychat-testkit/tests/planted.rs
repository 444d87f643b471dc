//! Each mistake that is made on purpose is found by the random histories.

#![allow(clippy::print_stderr, clippy::panic, reason = "tests")]

use skychat_testkit::sim::{Class, Plan, Planted};

/// A mistake that so many histories do not show is one they do not look for.
const SEEDS: u64 = 2_000;

fn found(bug: Planted, class: Class) {
    for seed in 0..SEEDS {
        let plan = Plan::draw(class, seed);
        if let Some(problem) = plan.play_planted(bug).problems.first() {
            eprintln!("{bug:?}: {class:?}, seed {seed}: {problem}");
            return;
        }
    }
    panic!("{bug:?} is not found by {SEEDS} seeds of {class:?}");
}

#[test]
fn an_acknowledgement_before_the_sync() {
    found(Planted::AckBeforeSync, Class::Restart);
}

#[test]
fn a_group_before_the_sync_of_the_one_before() {
    found(Planted::OutOfOrder, Class::Restart);
}

#[test]
fn half_a_group() {
    found(Planted::HalfGroup, Class::Restart);
}

#[test]
fn no_deduplication() {
    found(Planted::NoDeduplication, Class::All);
}

#[test]
fn a_feed_that_is_resumed() {
    found(Planted::ResumedFeed, Class::Restart);
}

#[test]
fn a_successor_before_its_predecessor() {
    found(Planted::SuccessorFirst, Class::Restart);
}

#[test]
fn an_acknowledgement_without_refusals() {
    found(Planted::AckWithoutRefusals, Class::Dropped);
    found(Planted::AckWithoutRefusals, Class::Refused);
}

#[test]
fn a_body_that_is_dropped_early() {
    found(Planted::DroppedEarly, Class::Restart);
}

#[test]
fn a_one_shot_that_acknowledges() {
    found(Planted::OneShotAcks, Class::OneShot);
}

#[test]
fn a_middle_signature_that_nobody_checked() {
    found(Planted::UnverifiedMiddle, Class::Memory);
}
