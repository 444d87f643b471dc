//! Peers that lie, played by hand on the transport: about what they hold, about what we said, and about what they
//! said themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::*;
use skychat_api::Delivery;
use skychat_core::{Draft, Node};
use skychat_feed::VerifiedRange;
use skychat_identity::KeyCache;
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::{
    EntryId, FeedId, Incarnation, MessageId, Position, Seq, ServiceId, SpaceId, Stream, Timestamp,
};
use skychat_proto::link::Hello;
use skychat_proto::open::{Open, WriterKind};
use skychat_proto::range::{RangeBuilder, RawRange, Row, RowLabel};
use skychat_proto::sync::{Ack, Have, HaveRow, Kept, SyncMessage, Want};
use skychat_transport::{
    Backend, CloseReason, Link, LinkConfig, LinkIdentity, Nobody, Service, Violation, dial,
};
use tokio::time::timeout;

type Frames = Vec<(ServiceId, Vec<u8>)>;

/// What a puppet heard, in order.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Frames>>);

impl Service for Heard {
    fn message(&mut self, service: ServiceId, bytes: &[u8]) -> Result<(), Violation> {
        self.0.lock().unwrap().push((service, bytes.to_vec()));
        Ok(())
    }

    async fn flush(&mut self) {}

    fn closed(&mut self, _: &CloseReason) {}
}

/// A link from a key behind which there is no node.
struct Puppet {
    link: Link,
    heard: Heard,
    key: u8,
}

impl Puppet {
    async fn dial(node: &Node, key: u8) -> Self {
        let identity = LinkIdentity::new(Arc::new(secret(key)), Backend::default());
        let hello = move || Hello {
            incarnation: life(key),
            line: Vec::new(),
            line_complete: true,
            writer: WriterKind::Node,
            services: vec![ServiceId::LINK, ServiceId::SYNC, ServiceId::RANGE],
            agent: "puppet".into(),
            statements: Vec::new(),
        };
        let config = LinkConfig::new(identity, hello, Nobody);
        let heard = Heard::default();
        let factory = {
            let heard = heard.clone();
            Arc::new(move |_: &Link| heard.clone())
        };
        let link = dial(node.listen_addrs()[0], node.public_key(), &config, factory);
        let link = link.await.unwrap();
        Puppet { link, heard, key }
    }

    fn say(&self, message: &SyncMessage) {
        let sent = self.link.try_send(ServiceId::SYNC, &[&message.encode()]);
        sent.unwrap();
    }

    fn serve(&self, range: &[u8]) {
        self.link.try_send(ServiceId::RANGE, &[range]).unwrap();
    }

    fn messages(&self) -> Vec<SyncMessage> {
        let heard = self.heard.0.lock().unwrap();
        let messages = heard.iter().filter(|(at, _)| *at == ServiceId::SYNC);
        messages
            .map(|(_, bytes)| SyncMessage::decode(bytes, &mut KeyCache::new()).unwrap())
            .collect()
    }

    fn ranges(&self) -> Vec<RawRange> {
        let heard = self.heard.0.lock().unwrap();
        let ranges = heard.iter().filter(|(at, _)| *at == ServiceId::RANGE);
        ranges
            .map(|(_, bytes)| {
                let bytes = Bytes::copy_from_slice(bytes);
                RawRange::decode(bytes, &mut KeyCache::new()).unwrap()
            })
            .collect()
    }

    /// Returns when all that was said before was looked at: a question behind it was answered.
    async fn fence(&self, node: &Node, number: u8) {
        let feed = FeedId {
            incarnation: life(200 + number),
            ..feed_to(node, self.key)
        };
        self.say(&SyncMessage::Want(Want {
            feed,
            from: Position::START,
            limit: None,
        }));
        let answer = SyncMessage::NotHeld { feed };
        until("an answer", || self.messages().contains(&answer)).await;
    }
}

fn life(n: u8) -> Incarnation {
    Incarnation::from_bytes([n; 8])
}

fn say(to: u8, text: &str) -> Draft {
    Draft::text(key(to), text).unwrap()
}

/// The living feed of a node towards `n`.
fn feed_to(node: &Node, n: u8) -> FeedId {
    FeedId {
        author: node.public_key(),
        space: SpaceId::direct(&node.public_key(), &key(n)).unwrap(),
        stream: Stream::MESSAGES,
        incarnation: node.incarnation(),
    }
}

async fn state(node: &Node, to: u8) -> Delivery {
    let history = node.history(key(to), None, 10).await.unwrap();
    history.messages[0].delivery
}

/// Asks for all of a feed, and waits for the range that holds it up to its `entries`.
async fn fetch(puppet: &Puppet, feed: FeedId, from: u64, entries: u64) -> RawRange {
    puppet.say(&SyncMessage::Want(Want {
        feed,
        from: Position::new(from),
        limit: None,
    }));
    let found = || {
        let ranges = puppet.ranges();
        let mut whole = ranges.into_iter();
        whole.find(|range| range.feed() == feed && range.end() == Position::new(entries))
    };
    until("the range", || found().is_some()).await;
    found().unwrap()
}

/// An acknowledgement counts for the key that its link has proven, up to a position that the one who sends it can name
/// the hash of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ack_1_an_acknowledgement_by_another_key_or_of_another_hash_says_nothing() {
    let ann = in_memory(1).listen(loopback()).spawn().await.unwrap();
    ann.send(say(2, "for bob alone")).await.unwrap();
    let (bob, eve) = (Puppet::dial(&ann, 2).await, Puppet::dial(&ann, 3).await);
    let feed = feed_to(&ann, 2);
    // The `open` entry and the message.
    let range = fetch(&bob, feed, 0, 2).await;
    let ack = Ack {
        feed,
        from: Position::START,
        head: range.end(),
        hash: range.tip(),
        kept: Kept::Disk,
        refused: Vec::new(),
        read_up_to: None,
    };

    // Eve knows everything, even the hash, and is not the one it was written to.
    eve.say(&SyncMessage::Ack(ack.clone()));
    eve.fence(&ann, 0).await;
    // Bob claims what he does not hold: another hash, more than there is, nothing before it.
    for (head, hash) in [
        (range.end(), EntryId::from_bytes([7; 32])),
        (range.end().next().after(), range.tip()),
        (Position::new(i64::MAX as u64), EntryId::from_bytes([7; 32])),
    ] {
        let claim = Ack {
            head,
            hash,
            ..ack.clone()
        };
        bob.say(&SyncMessage::Ack(claim));
    }
    bob.say(&SyncMessage::Ack(Ack {
        from: Position::new(1),
        ..ack.clone()
    }));
    bob.fence(&ann, 1).await;
    assert_eq!(state(&ann, 2).await, Delivery::Accepted);

    bob.say(&SyncMessage::Ack(ack));
    bob.fence(&ann, 2).await;
    assert!(matches!(state(&ann, 2).await, Delivery::Stored { .. }));
}

/// What a peer says of our living feed changes nothing of it: it is not asked for, not taken, not written again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inc_7_nobody_tells_a_node_what_its_living_feed_holds() {
    let ann = in_memory(1).listen(loopback()).spawn().await.unwrap();
    ann.send(say(2, "one")).await.unwrap();
    let feed = feed_to(&ann, 2);
    let bob = Puppet::dial(&ann, 2).await;
    let first = fetch(&bob, feed, 0, 2).await;

    // He claims to hold forty entries of it, and that others were in their place.
    for head in [Position::new(40), first.end()] {
        let row = HaveRow::new(&feed, head, EntryId::from_bytes([9; 32]));
        bob.say(&SyncMessage::Have(Have {
            space: feed.space,
            rows: vec![row],
            more: false,
        }));
    }
    bob.fence(&ann, 0).await;
    let asked = |puppet: &Puppet| {
        puppet
            .messages()
            .iter()
            .any(|message| matches!(message, SyncMessage::Want(want) if want.feed == feed))
    };
    assert!(!asked(&bob), "it asks for its own living feed");

    // And sends them, in a range that he signed himself.
    let forged = entries(feed, Seq::FIRST, EntryId::ZERO, 5, 2, 1);
    bob.serve(&forged.raw().to_bytes());
    timeout(LONG, bob.link.closed())
        .await
        .expect("nobody asked for it");

    // It goes on where it was, in the same feed.
    ann.send(say(2, "two")).await.unwrap();
    let bob = Puppet::dial(&ann, 2).await;
    let second = fetch(&bob, feed, 2, 3).await;
    assert_eq!(second.start(), first.end());
    assert_eq!(second.first_prev(), first.tip());
    let texts = ann.history(key(2), None, 10).await.unwrap().messages;
    assert_eq!(texts.len(), 2);
}

/// `count` entries of a feed, signed by the key `by`; `mark` makes versions differ.
fn entries(feed: FeedId, first: Seq, prev: EntryId, count: u64, by: u8, mark: u8) -> VerifiedRange {
    let open = Open {
        writer: WriterKind::Node,
        parent: None,
        epoch: 0,
        heads: vec![],
        continues: vec![],
    };
    let open = open.encode().unwrap();
    let mut builder = RangeBuilder::new(feed, first, prev).unwrap();
    for n in 0..count {
        let begins = first.get() + n == 0;
        let body = if begins { open.clone() } else { vec![mark; 60] };
        let label = RowLabel {
            time: Timestamp::from_millis(1),
            kind: if begins { Kind::Open } else { Kind::Content },
            suite: if begins {
                Suite::CLEAR
            } else {
                Suite::HPKE_X25519
            },
            flags: Flags::NONE,
            context: Seq::FIRST,
            message: if begins {
                MessageId::ZERO
            } else {
                MessageId::from_bytes([n as u8; 16])
            },
        };
        let row = Row::of_body(label, &body).unwrap();
        builder.push(&row, Some(&body)).unwrap();
    }
    VerifiedRange::sign(builder, &secret(by)).unwrap()
}

/// Who tells another story later finds the first one in place: what does not join the head is not taken, and what is
/// acknowledged stays what was said first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn range_4_another_version_of_a_feed_does_not_take_the_place_of_the_first() {
    let ann = in_memory(1).listen(loopback()).spawn().await.unwrap();
    let feed = FeedId {
        author: key(2),
        incarnation: life(2),
        ..feed_to(&ann, 2)
    };
    let first = entries(feed, Seq::FIRST, EntryId::ZERO, 2, 2, 1);
    let other = entries(feed, Seq::FIRST, EntryId::ZERO, 2, 2, 2);
    let more = entries(feed, Seq::new(2), other.tip(), 1, 2, 2);
    assert_ne!(first.tip(), other.tip());
    let announce = |bob: &Puppet, range: &VerifiedRange| {
        bob.say(&SyncMessage::Have(Have {
            space: feed.space,
            rows: vec![HaveRow::new(&feed, range.end(), range.tip())],
            more: false,
        }));
    };
    let acked = |bob: &Puppet| -> Vec<(Position, EntryId)> {
        let messages = bob.messages().into_iter();
        messages
            .filter_map(|message| match message {
                SyncMessage::Ack(ack) if ack.feed == feed => Some((ack.head, ack.hash)),
                _ => None,
            })
            .collect()
    };
    let wanted = |bob: &Puppet| {
        let messages = bob.messages().into_iter();
        messages
            .filter(|message| matches!(message, SyncMessage::Want(want) if want.feed == feed))
            .count()
    };

    let bob = Puppet::dial(&ann, 2).await;
    announce(&bob, &first);
    until("a question", || wanted(&bob) == 1).await;
    bob.serve(&first.raw().to_bytes());
    let held = (first.end(), first.tip());
    until("an acknowledgement", || acked(&bob).contains(&held)).await;

    // The other version on the same link, the same with more, and on another link from its beginning.
    bob.serve(&other.raw().to_bytes());
    announce(&bob, &more);
    bob.serve(&more.raw().to_bytes());
    bob.fence(&ann, 0).await;
    let told = |bob: &Puppet| acked(bob).iter().all(|at| *at == held || at.0.is_start());
    assert!(told(&bob), "{:?}", acked(&bob));
    bob.link.abort();
    let bob = Puppet::dial(&ann, 2).await;
    announce(&bob, &more);
    until("a question", || wanted(&bob) >= 1).await;
    bob.serve(&more.raw().to_bytes());
    bob.fence(&ann, 1).await;
    assert!(told(&bob), "{:?}", acked(&bob));
    let asked = bob
        .messages()
        .into_iter()
        .find_map(|message| match message {
            SyncMessage::Want(want) if want.feed == feed => Some(want.from),
            _ => None,
        });
    assert_eq!(asked, Some(first.end()), "it goes on from what it holds");
}
