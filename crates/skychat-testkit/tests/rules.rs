//! Single rules, each shown by whole nodes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use skychat_identity::KeyCache;
use skychat_proto::content::Content;
use skychat_proto::ids::{EventSeq, FeedId, Position};
use skychat_proto::limits::STRANGER_ENTRIES;
use skychat_proto::record::tables::{self, Event};
use skychat_store::EventView;
use skychat_testkit::sim::{SimNet, SimNode, WriterSpec};

fn two() -> SimNet {
    let mut net = SimNet::new(1);
    for person in 0..2 {
        let node = net.add(SimNode::new(person, WriterSpec::Node));
        net.start(node);
    }
    net
}

/// Texts of others that a node shows, in order.
fn shown(net: &SimNet, node: usize) -> Vec<String> {
    let node = &net.nodes()[node];
    let events = node
        .reader()
        .unwrap()
        .events(EventSeq::new(1), 100_000)
        .unwrap();
    events
        .into_iter()
        .filter_map(|event| match event.view {
            EventView::Message {
                header, plaintext, ..
            } if header.feed.author != node.key() => {
                let plaintext = plaintext?;
                let (_, content) = tables::split_stored(&plaintext)?;
                match Content::decode(content).ok()? {
                    Content::Text(text) => Some(text.as_str().to_owned()),
                    _ => None,
                }
            }
            _ => None,
        })
        .collect()
}

const SECOND: u64 = 1_000_000;

#[test]
fn d12_a_stranger_stores_no_more_than_its_quota_until_it_is_answered() {
    let mut net = two();
    net.link(0, 1).unwrap();
    for n in 0..200 {
        net.say(0, 1, None, &format!("{n:03}"));
        net.run_for(SECOND / 100);
    }
    net.run_for(10 * SECOND);
    // One entry of the quota is the `open` entry.
    assert_eq!(shown(&net, 1).len() as u64, STRANGER_ENTRIES - 1);
    let held = net.nodes()[0].engine().unwrap().peers()[0].clone();
    assert!(
        held.owed >= 200 - STRANGER_ENTRIES,
        "the rest is owed, not failed: {held:?}"
    );
    assert!(held.held.is_some(), "and status says why");

    net.say(1, 0, None, "go on");
    net.run_for(10 * SECOND);
    let expected: Vec<String> = (0..200).map(|n| format!("{n:03}")).collect();
    assert_eq!(shown(&net, 1), expected);
    assert_eq!(shown(&net, 0), ["go on"]);
}

/// A knock leaves nothing behind: neither on the disk nor in the tables.
#[test]
fn d12_a_knock_leaves_nothing_behind() {
    let mut net = SimNet::new(2);
    for person in 0..20 {
        let node = net.add(SimNode::new(person, WriterSpec::Node));
        net.start(node);
    }
    net.run_for(SECOND);
    let before = net.nodes()[0].reader().unwrap().size();
    for other in 1..20 {
        let link = net.link(0, other).unwrap();
        net.run_for(SECOND);
        net.cut(link);
    }
    net.run_for(SECOND);
    assert_eq!(net.nodes()[0].reader().unwrap().size(), before);
    assert!(net.nodes()[0].engine().unwrap().peers().is_empty());
}

/// SYNC-2: the second message of a life takes one range and one acknowledgement, no question.
#[test]
fn sync_2_a_followed_feed_is_pushed_without_asking() {
    let mut net = two();
    net.link(0, 1).unwrap();
    net.say(0, 1, None, "one");
    net.run_for(SECOND);
    let before = net.steps();
    net.say(0, 1, None, "two");
    net.run_for(SECOND);
    assert_eq!(shown(&net, 1), ["one", "two"]);
    // The send, two commits on each side at most, the range and its acknowledgement.
    assert!(net.steps() - before <= 8, "{} inputs", net.steps() - before);
}

/// I7: rows and open feeds stay few over many restarts.
#[test]
fn inc_9_two_hundred_restarts_leave_one_open_feed() {
    let mut net = two();
    // So that the first is no stranger to the second.
    net.say(1, 0, None, "hello");
    for n in 0..200 {
        net.link(0, 1).unwrap();
        net.say(0, 1, None, &format!("{n:03}"));
        net.run_for(SECOND);
        net.crash(0, false);
        net.start(0);
    }
    net.quiesce();
    let (held, _, open) = net.nodes()[1].engine().unwrap().feed_counts();
    assert_eq!(held, 201);
    assert!(open <= 2, "{open} feeds are open");
    assert_eq!(shown(&net, 1).len(), 200);
    // A further start of each knows of these only.
    for node in 0..2 {
        net.crash(node, true);
        net.start(node);
        let (held, known, open) = net.nodes()[node].engine().unwrap().feed_counts();
        assert_eq!(held, 201);
        assert!(known <= 4, "{known} feeds are known");
        assert!(open <= 2, "{open} feeds are open");
    }
    net.link(0, 1).unwrap();
    net.say(0, 1, None, "200");
    net.run_for(SECOND);
    assert_eq!(shown(&net, 1).len(), 201);
    let (_, known, _) = net.nodes()[1].engine().unwrap().feed_counts();
    assert!(known <= 5, "{known} feeds are known");
}

/// INC-9: closed feeds were left on disk; a node whose directory was put back gets them from there.
#[test]
fn inc_9_closed_feeds_are_served_from_disk() {
    let mut net = two();
    net.say(1, 0, None, "hello");
    for n in 0..20 {
        net.link(0, 1).unwrap();
        net.say(0, 1, None, &format!("{n:02}"));
        net.run_for(SECOND);
        net.crash(0, true);
        if n == 4 {
            net.snapshot(0);
        }
        net.start(0);
    }
    net.crash(0, true);
    net.restore(0);
    net.crash(1, true);
    net.start(1);
    let (held, known, _) = net.nodes()[1].engine().unwrap().feed_counts();
    assert_eq!(held, 21);
    assert!(known <= 4, "{known} feeds are known");
    net.start(0);
    net.link(0, 1).unwrap();
    net.say(0, 1, None, "20");
    net.run_for(5 * SECOND);
    assert_eq!(shown(&net, 1).len(), 21, "nothing twice, nothing missing");
    let (held, known, open) = net.nodes()[0].engine().unwrap().feed_counts();
    assert_eq!(held, 22, "all of them came back");
    assert!(known > 15 && open <= 3, "{known} known, {open} open");
    assert_eq!(net.nodes()[0].engine().unwrap().peers()[0].owed, 0);
    let (_, known, _) = net.nodes()[1].engine().unwrap().feed_counts();
    assert!(known > 15, "{known} were read");
    // And once more from there.
    for node in 0..2 {
        net.crash(node, true);
        net.start(node);
        let (_, known, _) = net.nodes()[node].engine().unwrap().feed_counts();
        assert!(known <= 6, "{known} feeds are known");
    }
    net.quiesce();
    assert_eq!(shown(&net, 1).len(), 21);
}

/// Durable events of a node that are no messages.
fn told(net: &SimNet, node: usize) -> Vec<Event> {
    let mut keys = KeyCache::new();
    let reader = net.nodes()[node].reader().unwrap();
    let events = reader.events(EventSeq::new(1), 100_000).unwrap();
    let rows = events.into_iter().filter_map(|event| match event.view {
        EventView::Row {
            value: Some(value), ..
        } => Event::decode(&value, &mut keys).unwrap(),
        _ => None,
    });
    rows.collect()
}

fn forks(net: &SimNet, node: usize) -> Vec<(FeedId, Position)> {
    let events = told(net, node).into_iter();
    let forks = events.filter_map(|event| match event {
        Event::Fork { feed, common } => Some((feed, common)),
        _ => None,
    });
    forks.collect()
}

/// A machine with three messages out, saved, and then set back from where it had said two more.
fn set_back() -> (SimNet, skychat_proto::ids::Incarnation) {
    let mut net = SimNet::new(3);
    for person in 0..2 {
        let node = net.add(SimNode::new(person, WriterSpec::Node).with_tape());
        net.start(node);
    }
    net.link(0, 1).unwrap();
    // So that the first is no stranger to the second.
    net.say(1, 0, None, "hello");
    for text in ["1", "2", "3"] {
        net.say(0, 1, None, text);
    }
    net.run_for(SECOND);
    let life = net.nodes()[0].engine().unwrap().hello().incarnation;
    net.suspend(0);
    for text in ["4", "5"] {
        net.say(0, 1, None, text);
    }
    net.run_for(SECOND);
    net.resume(0);
    (net, life)
}

/// INC-8 without a conflict: no fork, the rest comes back.
#[test]
fn inc_8_a_resumed_machine_that_said_nothing_gets_the_rest_back() {
    let (mut net, life) = set_back();
    net.link(0, 1).unwrap();
    net.run_for(5 * SECOND);
    let hello = net.nodes()[0].engine().unwrap().hello();
    assert_ne!(hello.incarnation, life, "a new life");
    assert_eq!(
        hello.line.first(),
        Some(&life),
        "that descends from the old one"
    );
    net.say(0, 1, None, "6");
    net.run_for(5 * SECOND);
    assert_eq!(shown(&net, 1), ["1", "2", "3", "4", "5", "6"]);
    assert!(forks(&net, 0).is_empty() && forks(&net, 1).is_empty());
    let recovered = told(&net, 0).into_iter().any(|event| {
        matches!(event, Event::Recovered { feed, ours: true, .. } if feed.incarnation == life)
    });
    assert!(recovered);
    assert_eq!(net.nodes()[0].engine().unwrap().peers()[0].owed, 0);
}

/// INC-8 and RANGE-5: what was said twice ends at the last common entry, and is said again.
#[test]
fn inc_8_a_resumed_machine_that_spoke_says_it_again() {
    let (mut net, life) = set_back();
    for text in ["4 again", "5 again", "6 again"] {
        net.say(0, 1, None, text);
    }
    net.run_for(SECOND);
    net.link(0, 1).unwrap();
    net.run_for(5 * SECOND);
    let expected = ["1", "2", "3", "4", "5", "4 again", "5 again", "6 again"];
    assert_eq!(
        shown(&net, 1),
        expected,
        "nothing is lost, nothing comes twice"
    );
    for node in 0..2 {
        let told = forks(&net, node);
        // The `open` entry and three messages are common.
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].1, Position::new(4));
        assert_eq!(told[0].0.incarnation, life);
        assert_eq!(
            told[0].0.author,
            net.nodes()[0].key(),
            "the author is named"
        );
    }
    assert_eq!(net.nodes()[0].engine().unwrap().peers()[0].owed, 0);
    // It holds after a restart of both, and nothing is told or said once more.
    for node in 0..2 {
        net.crash(node, true);
        net.start(node);
    }
    net.link(0, 1).unwrap();
    net.run_for(5 * SECOND);
    assert_eq!(shown(&net, 1), expected);
    assert_eq!((forks(&net, 0).len(), forks(&net, 1).len()), (1, 1));
}

/// INC-8: what was not issued again before the power went is issued after it.
#[test]
fn inc_8_what_a_fork_left_behind_survives_a_crash() {
    for steps in 0..60 {
        let (mut net, _) = set_back();
        net.say(0, 1, None, "4 again");
        net.run_for(SECOND);
        net.link(0, 1).unwrap();
        for _ in 0..steps {
            let until = net.moment().elapsed().as_micros() as u64 + SECOND;
            net.step(until);
        }
        net.crash(0, steps % 2 == 0);
        net.start(0);
        net.quiesce();
        let shown = shown(&net, 1);
        let count = shown.iter().filter(|text| *text == "4 again").count();
        assert_eq!(count, 1, "after {steps} steps: {shown:?}");
        assert_eq!(net.nodes()[0].engine().unwrap().peers()[0].owed, 0);
    }
}
