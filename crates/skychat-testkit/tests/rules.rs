//! Single rules, each shown by whole nodes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use skychat_proto::content::Content;
use skychat_proto::ids::EventSeq;
use skychat_proto::limits::STRANGER_ENTRIES;
use skychat_proto::record::tables;
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
    let (feeds, open) = net.nodes()[1].engine().unwrap().feed_counts();
    assert_eq!(feeds, 201);
    assert!(open <= 2, "{open} feeds are open");
    assert_eq!(shown(&net, 1).len(), 200);
}
