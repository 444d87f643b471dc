//! What is kept, how long, and at what rate, shown by whole nodes in virtual time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::num::NonZeroU32;

use skychat_engine::{Input, Limits};
use skychat_identity::KeyCache;
use skychat_proto::content::Content;
use skychat_proto::entry::Kind;
use skychat_proto::ids::{EventSeq, FeedId, Position};
use skychat_proto::record::tables;
use skychat_proto::sync::{HoldCause, Refusal};
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

/// Texts of others that a node shows, in order.
fn shown(net: &SimNet, node: usize) -> Vec<String> {
    let node = &net.nodes()[node];
    let reader = node.reader().unwrap();
    let events = reader.events(EventSeq::new(1), 100_000).unwrap();
    let texts = events.into_iter().filter_map(|event| match event.view {
        EventView::Message {
            header,
            plaintext: Some(plain),
            ..
        } if header.feed.author != node.key() => {
            let (_, content) = tables::split_stored(&plain)?;
            match Content::decode(content).ok()? {
                Content::Text(text) => Some(text.as_str().to_owned()),
                _ => None,
            }
        }
        _ => None,
    });
    texts.collect()
}

/// Two who know each other, the second with these limits.
fn limited(limits: Limits) -> SimNet {
    let mut net = SimNet::new(3);
    for person in 0..2 {
        let mut node = SimNode::new(person, WriterSpec::Node);
        if person == 1 {
            node.limits = limits;
        }
        let node = net.add(node);
        net.start(node);
    }
    net.say(1, 0, None, "hello");
    net.run_for(SECOND);
    net
}

#[test]
fn ack_2_a_rate_is_no_refusal_and_loses_nothing() {
    let mut net = limited(Limits {
        per_minute: NonZeroU32::new(30),
        ..Limits::default()
    });
    let texts: Vec<String> = (0..160).map(|n| format!("{n:03}")).collect();
    for text in &texts {
        net.say(0, 1, None, text);
    }
    net.run_for(SECOND);
    net.link(0, 1).unwrap();
    let mut before = 0;
    for minute in 0..3 {
        net.run_for(10 * SECOND);
        let peer = net.nodes()[0].engine().unwrap().peers()[0].clone();
        assert_eq!(peer.held, Some(HoldCause::Rate), "status says why it waits");
        net.run_for(50 * SECOND);
        let now = shown(&net, 1).len();
        let allowed = if minute == 0 { 60 } else { 31 };
        assert!(
            now - before <= allowed,
            "{} in minute {minute}",
            now - before
        );
        assert!(now - before >= 29, "{} in minute {minute}", now - before);
        before = now;
    }
    net.run_for(120 * SECOND);
    assert_eq!(shown(&net, 1), texts);
    let peer = net.nodes()[0].engine().unwrap().peers()[0].clone();
    assert_eq!(peer.owed, 0);
    // At its own pace nobody is held up, and a restart keeps nothing from going on.
    net.crash(1, true);
    net.start(1);
    net.link(0, 1).unwrap();
    net.say(0, 1, None, "later");
    net.run_for(5 * SECOND);
    assert_eq!(shown(&net, 1).last().unwrap(), "later");
}

#[test]
fn ack_2_what_is_larger_than_is_taken_is_refused_as_such() {
    let mut net = limited(Limits {
        largest: 100,
        ..Limits::default()
    });
    net.say(0, 1, None, &"x".repeat(200));
    net.say(0, 1, None, "small");
    net.link(0, 1).unwrap();
    net.run_for(5 * SECOND);
    assert_eq!(shown(&net, 1), ["small"]);
    let events = net.nodes()[0].reader().unwrap();
    let events = events.events(EventSeq::new(1), 1_000).unwrap();
    let mut keys = KeyCache::new();
    let refused: Vec<Refusal> = events
        .into_iter()
        .filter_map(|event| match event.view {
            EventView::Row {
                value: Some(value), ..
            } => tables::Event::decode(&value, &mut keys).ok()?,
            _ => None,
        })
        .filter_map(|event| match event {
            tables::Event::Acked { refused, .. } => Some(refused),
            _ => None,
        })
        .flatten()
        .map(|(_, cause)| cause)
        .collect();
    assert_eq!(refused, [Refusal::TooLarge]);
}

#[test]
fn sync_4_a_quota_holds_peers_up_until_there_is_room() {
    let mut net = limited(Limits::default());
    net.link(0, 1).unwrap();
    net.say(0, 1, None, "one");
    net.run_for(SECOND);
    net.hand(1, Input::OverQuota { over: true });
    for n in 0..50 {
        net.say(0, 1, None, &format!("{n:03}"));
        net.run_for(SECOND / 10);
    }
    net.run_for(60 * SECOND);
    assert_eq!(shown(&net, 1), ["one"]);
    let peer = net.nodes()[0].engine().unwrap().peers()[0].clone();
    assert_eq!(peer.held, Some(HoldCause::Quota));
    assert_eq!(peer.owed, 50);
    net.hand(1, Input::OverQuota { over: false });
    net.run_for(5 * SECOND);
    assert_eq!(shown(&net, 1).len(), 51);
    let peer = net.nodes()[0].engine().unwrap().peers()[0].clone();
    assert_eq!((peer.held, peer.owed), (None, 0));
}
