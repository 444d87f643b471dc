//! What is kept, how long, and at what rate, shown by whole nodes in virtual time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use skychat_proto::entry::Kind;
use skychat_proto::ids::{EventSeq, FeedId, Position};
use skychat_store::EventView;
use skychat_testkit::sim::{SimNet, SimNode, WriterSpec};

const SECOND: u64 = 1_000_000;

fn two(other: WriterSpec) -> SimNet {
    let mut net = SimNet::new(1);
    for (person, spec) in [WriterSpec::Node, other].into_iter().enumerate() {
        let node = net.add(SimNode::new(person, spec));
        net.start(node);
    }
    net
}

/// The feed of the first message that a node shows of `author`.
fn feed_of(net: &SimNet, node: usize, author: usize) -> FeedId {
    let reader = net.nodes()[node].reader().unwrap();
    let events = reader.events(EventSeq::new(1), 100_000).unwrap();
    let author = net.nodes()[author].key();
    let found = events.into_iter().find_map(|event| match event.view {
        EventView::Message { header, .. } if header.feed.author == author => Some(header.feed),
        _ => None,
    });
    found.unwrap()
}

/// Kinds of the entries of a feed as a node holds it, and whether their bodies are there.
fn bodies(net: &SimNet, node: usize, feed: FeedId) -> Vec<(Kind, bool)> {
    let reader = net.nodes()[node].reader().unwrap();
    let range = reader.range(feed, Position::START, 256, u32::MAX, true);
    let range = range.unwrap().unwrap();
    range
        .entries()
        .map(|(row, body)| (row.kind, body.is_some()))
        .collect()
}

#[test]
fn jrn_3_a_sealed_body_is_kept_until_the_disk_of_the_peer_has_it() {
    let mut net = two(WriterSpec::Node);
    net.say(0, 1, None, "one");
    net.say(0, 1, None, "two");
    net.run_for(SECOND);
    let feed = feed_of(&net, 0, 0);
    let (open, whole) = ((Kind::Open, true), (Kind::Content, true));
    assert_eq!(bodies(&net, 0, feed), [open, whole, whole]);

    let link = net.link(0, 1).unwrap();
    net.run_for(SECOND);
    let gone = (Kind::Content, false);
    assert_eq!(bodies(&net, 1, feed), [open, gone, gone], "never stored");
    assert_eq!(bodies(&net, 0, feed), [open, gone, gone], "given away");

    // What comes after is kept as long as it is owed, and after a restart too.
    net.cut(link);
    net.say(0, 1, None, "three");
    net.run_for(SECOND);
    net.crash(0, true);
    net.start(0);
    net.run_for(SECOND);
    assert_eq!(bodies(&net, 0, feed), [open, gone, gone, whole]);
    net.link(0, 1).unwrap();
    net.quiesce();
    assert_eq!(bodies(&net, 0, feed), [open, gone, gone, gone]);
    assert_eq!(bodies(&net, 1, feed), [open, gone, gone, gone]);
}

#[test]
fn ack_5_for_an_acknowledgement_of_memory_nothing_is_given_away() {
    let mut net = two(WriterSpec::Memory);
    net.say(0, 1, None, "one");
    net.link(0, 1).unwrap();
    net.run_for(SECOND);
    let feed = feed_of(&net, 1, 0);
    assert_eq!(
        bodies(&net, 0, feed),
        [(Kind::Open, true), (Kind::Content, true)],
        "the next life of the peer may still need it"
    );
    assert_eq!(
        bodies(&net, 1, feed),
        [(Kind::Open, true), (Kind::Content, false)]
    );
}
