//! What the replicator makes of what peers say.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use skychat_feed::replicator::{Config, FeedFacts, Output};
use skychat_feed::{Offer, Replicator, VerifiedRange};
use skychat_identity::SecretKey;
use skychat_proto::entry::{Flags, Header, Kind, Suite};
use skychat_proto::ids::{
    EntryId, FeedId, Incarnation, LinkId, MessageId, Moment, Position, Seq, SpaceId, Stream,
    Timestamp,
};
use skychat_proto::open::WriterKind;
use skychat_proto::range::{RangeBuilder, Row, RowLabel};
use skychat_proto::record::tables::Event;
use skychat_proto::sync::{Branch, ForkProof, Have, HaveRow, SyncMessage, Want};

/// Who writes.
fn ann() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

/// Who holds what she writes.
fn bob() -> SecretKey {
    SecretKey::from_seed([2; 32])
}

fn feed() -> FeedId {
    FeedId {
        author: ann().public(),
        space: SpaceId::direct(&ann().public(), &bob().public()).unwrap(),
        stream: Stream::MESSAGES,
        incarnation: Incarnation::from_bytes([7; 8]),
    }
}

/// The entry at `from`, behind `prev`.
fn range(from: u64, prev: EntryId) -> VerifiedRange {
    let label = RowLabel {
        time: Timestamp::from_millis(1),
        kind: Kind::Content,
        suite: Suite::HPKE_X25519,
        flags: Flags::NONE,
        context: Seq::FIRST,
        message: MessageId::from_bytes([9; 16]),
    };
    let row = Row::of_body(label, b"sealed").unwrap();
    let mut builder = RangeBuilder::new(feed(), Seq::new(from), prev).unwrap();
    builder.push(&row, Some(b"sealed")).unwrap();
    VerifiedRange::sign(builder, &ann()).unwrap()
}

fn said(bob: &mut Replicator) -> Vec<Output> {
    std::iter::from_fn(|| bob.poll_output()).collect()
}

fn at(millis: u64) -> Moment {
    Moment::since_start(Duration::from_millis(millis))
}

/// An entry is asked for after it was taken and before it is on disk: it goes out when it is. Nobody asks again.
#[test]
fn sync_2_what_was_asked_for_before_it_is_on_disk_is_served_when_it_is() {
    let (author, copy) = (LinkId::new(1), LinkId::new(2));
    let config = Config {
        me: bob().public(),
        kind: WriterKind::Node,
        live: Incarnation::from_bytes([8; 8]),
    };
    let mut bob = Replicator::new(config, [], [], [], BTreeSet::new());
    let other_life = Incarnation::from_bytes([6; 8]);
    let space = feed().space;
    for (link, life) in [(author, feed().incarnation), (copy, other_life)] {
        let ann = ann().public();
        bob.link_up(at(0), link, ann, WriterKind::Node, life, space);
    }
    let first = range(0, EntryId::ZERO);
    let second = range(1, first.tip());
    let row = HaveRow::new(&feed(), Position::new(2), second.tip());
    let (rows, more) = (vec![row], false);
    let have = SyncMessage::Have(Have { space, rows, more });
    bob.handle(at(1), author, have).unwrap();
    for range in [&first, &second] {
        assert_eq!(bob.offer(author, range), Offer::Take);
        bob.taken(at(2), author, range, &[]);
    }
    bob.committed(at(3), &[(feed(), Position::new(1))]);
    said(&mut bob);
    let want = Want {
        feed: feed(),
        from: Position::new(1),
        limit: None,
    };
    bob.handle(at(4), copy, SyncMessage::Want(want)).unwrap();
    let is_read =
        |output: &Output| matches!(output, Output::Load { from, .. } if *from == Position::new(1));
    assert!(!said(&mut bob).iter().any(is_read), "it is not on disk yet");

    bob.committed(at(5), &[(feed(), Position::new(2))]);
    let load = said(&mut bob).into_iter().find_map(|output| match output {
        Output::Load { load, from, .. } if from == Position::new(1) => Some(load),
        _ => None,
    });
    let load = load.expect("it is read as soon as it is on disk");
    bob.loaded(at(6), load, Some(second.raw().clone()));
    let sent = said(&mut bob).into_iter().any(|output| {
        matches!(output, Output::Push { link, range } if link == copy && range.end() == Position::new(2))
    });
    assert!(sent, "it goes to who asked for it");
}

/// Whatever a peer says that the author did not sign, a feed goes on (RANGE-5).
#[test]
fn range_5_nobody_but_its_author_freezes_a_feed() {
    let link = LinkId::new(1);
    let config = Config {
        me: bob().public(),
        kind: WriterKind::Node,
        live: Incarnation::from_bytes([8; 8]),
    };
    let first = range(0, EntryId::ZERO);
    let facts = FeedFacts {
        head: first.end(),
        tip: first.tip(),
        ..FeedFacts::default()
    };
    let spaces = [(feed().space, ann().public())];
    let mut node = Replicator::new(config, [(feed(), facts)], spaces, [], BTreeSet::new());
    let life = Incarnation::from_bytes([6; 8]);
    node.link_up(
        at(0),
        link,
        ann().public(),
        WriterKind::Node,
        life,
        feed().space,
    );

    let header = *first.anchor().unwrap();
    let mut other = header;
    other.time = Timestamp::from_millis(2);
    let side = |header: Header, by: &SecretKey| Branch {
        headers: vec![header],
        signature: header.sign(by),
    };
    let bad = [
        [side(header, &ann()), side(other, &bob())],
        [side(other, &bob()), side(header, &ann())],
        [side(header, &ann()), side(header, &ann())],
    ];
    for branches in bad {
        let proof = ForkProof {
            feed: feed(),
            branches,
        };
        let said = SyncMessage::ForkProof(Box::new(proof));
        let violation = node.handle(at(1), link, said).unwrap_err();
        assert_eq!(violation.rule(), "RANGE-5");
    }
    let second = range(1, first.tip());
    assert_eq!(node.offer(link, &second), Offer::Take, "it goes on");

    let branches = [side(header, &ann()), side(other, &ann())];
    let proof = ForkProof {
        feed: feed(),
        branches,
    };
    let proof = SyncMessage::ForkProof(Box::new(proof));
    node.handle(at(2), link, proof).unwrap();
    assert_eq!(
        node.offer(link, &second),
        Offer::Ignore,
        "both sides are signed"
    );
    let forks = said(&mut node).into_iter().filter(
        |output| matches!(output, Output::Event(Event::Fork { common, .. }) if common.is_start()),
    );
    assert_eq!(forks.count(), 1);
}

/// A made-up row about a feed of ours does not keep us from continuing it (INC-8).
#[test]
fn inc_8_what_we_continue_is_not_for_others_to_say() {
    let link = LinkId::new(1);
    let config = Config {
        me: ann().public(),
        kind: WriterKind::Node,
        live: Incarnation::from_bytes([8; 8]),
    };
    let first = range(0, EntryId::ZERO);
    let facts = FeedFacts {
        head: first.end(),
        tip: first.tip(),
        ..FeedFacts::default()
    };
    let spaces = [(feed().space, bob().public())];
    let live = FeedId {
        incarnation: config.live,
        ..feed()
    };
    let mut node = Replicator::new(config, [(feed(), facts)], spaces, [], BTreeSet::new());
    let life = Incarnation::from_bytes([6; 8]);
    node.link_up(
        at(0),
        link,
        bob().public(),
        WriterKind::Node,
        life,
        feed().space,
    );
    let mut other = *first.anchor().unwrap();
    other.time = Timestamp::from_millis(2);
    let row = HaveRow::new(&feed(), first.end(), other.id());
    let row = |by: &SecretKey| row.clone().with_proof(other, other.sign(by));
    let have = |row| {
        SyncMessage::Have(Have {
            space: feed().space,
            rows: vec![row],
            more: false,
        })
    };

    node.handle(at(1), link, have(row(&bob()))).unwrap();
    assert_eq!(
        node.to_continue(&live).len(),
        1,
        "that is not our signature"
    );
    node.link_down(at(2), link);
    let link = LinkId::new(2);
    node.link_up(
        at(3),
        link,
        bob().public(),
        WriterKind::Node,
        life,
        feed().space,
    );
    node.handle(at(3), link, have(row(&ann()))).unwrap();
    assert!(node.to_continue(&live).is_empty(), "that is");
}
