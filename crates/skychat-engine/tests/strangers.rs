//! D12: how much is kept for keys that nobody here knows.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

use std::collections::{BTreeMap, BTreeSet};

use skychat_engine::verify::Verifier;
use skychat_engine::{Config, Engine, Input, Limits, Output, Recovered};
use skychat_feed::VerifiedRange;
use skychat_identity::SecretKey;
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::{
    EntryId, FeedId, Incarnation, LinkId, MessageId, Moment, Seq, ServiceId, SpaceId, Stream,
    Timestamp,
};
use skychat_proto::limits::MAX_STRANGERS;
use skychat_proto::link::Hello;
use skychat_proto::open::{Open, WriterKind};
use skychat_proto::range::{RangeBuilder, Row, RowLabel};
use skychat_proto::record::Record;
use skychat_proto::sync::{Have, HaveRow, SyncMessage};

const WALL: Timestamp = Timestamp::from_millis(1);

/// A node, and strangers that each have one entry to give.
struct Crowd {
    engine: Engine,
    verifiers: BTreeMap<LinkId, Verifier>,
    /// Feeds of which something was handed over to be stored.
    stored: BTreeSet<FeedId>,
}

fn me() -> SecretKey {
    SecretKey::from_seed([255; 32])
}

impl Crowd {
    fn new() -> Self {
        let config = Config {
            kind: WriterKind::Node,
            incarnation: Incarnation::from_bytes([1; 8]),
            agent: "crowd".into(),
            consented: BTreeSet::new(),
            limits: Limits::default(),
        };
        let (now, nothing) = (Moment::default(), Recovered::default());
        Crowd {
            engine: Engine::new(config, me(), [3; 32], nothing, now, WALL).unwrap(),
            verifiers: BTreeMap::new(),
            stored: BTreeSet::new(),
        }
    }

    fn hand(&mut self, input: Input) {
        self.engine.handle(Moment::default(), WALL, input);
        loop {
            while let Some(output) = self.engine.poll_output() {
                if let Output::Expect {
                    link,
                    feed,
                    position,
                    tip,
                } = output
                {
                    let verifier = self.verifiers.get_mut(&link).unwrap();
                    verifier.expect(feed, position, tip);
                }
            }
            if !self.engine.has_batch() {
                break;
            }
            let batch = self.engine.take_batch();
            for record in &batch.records {
                if let Record::Range { range } = record {
                    self.stored.insert(range.feed());
                }
            }
            let committed = Input::Committed { batch: batch.id };
            self.engine.handle(Moment::default(), WALL, committed);
        }
    }

    fn link(&mut self, n: u16) {
        let link = LinkId::new(n.into());
        self.verifiers.insert(link, Verifier::new());
        let hello = Hello {
            incarnation: Incarnation::from_bytes([2; 8]),
            line: Vec::new(),
            line_complete: true,
            writer: WriterKind::Node,
            services: vec![ServiceId::LINK, ServiceId::SYNC, ServiceId::RANGE],
            agent: "stranger".into(),
            statements: Vec::new(),
        };
        let peer = stranger(n).public();
        self.hand(Input::LinkUp { link, peer, hello });
    }

    /// Announces the one entry, and sends it if the link lets it through.
    fn give(&mut self, n: u16) {
        let link = LinkId::new(n.into());
        let range = entry(&stranger(n));
        let feed = range.feed();
        let have = Have {
            space: feed.space,
            rows: vec![HaveRow::new(&feed, range.end(), range.tip())],
            more: false,
        };
        let message = SyncMessage::Have(have);
        self.hand(Input::Sync { link, message });
        let verifier = self.verifiers.get_mut(&link).unwrap();
        if let Ok(checked) = verifier.check(range.raw().to_bytes()) {
            self.hand(Input::Checked { link, checked });
        }
    }
}

fn stranger(n: u16) -> SecretKey {
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    SecretKey::from_seed(seed)
}

/// The first entry of a feed towards the node.
fn entry(from: &SecretKey) -> VerifiedRange {
    let feed = FeedId {
        author: from.public(),
        space: SpaceId::direct(&from.public(), &me().public()).unwrap(),
        stream: Stream::MESSAGES,
        incarnation: Incarnation::from_bytes([2; 8]),
    };
    let open = Open {
        writer: WriterKind::Node,
        parent: None,
        epoch: 0,
        heads: vec![],
        continues: vec![],
    };
    let open = open.encode().unwrap();
    let label = RowLabel {
        time: WALL,
        kind: Kind::Open,
        suite: Suite::CLEAR,
        flags: Flags::NONE,
        context: Seq::FIRST,
        message: MessageId::ZERO,
    };
    let mut builder = RangeBuilder::new(feed, Seq::FIRST, EntryId::ZERO).unwrap();
    let row = Row::of_body(label, &open).unwrap();
    builder.push(&row, Some(&open)).unwrap();
    VerifiedRange::sign(builder, from).unwrap()
}

const CROWD: u16 = MAX_STRANGERS as u16 + 40;

#[test]
fn d12_of_so_many_strangers_one_more_is_not_asked_for_anything() {
    let mut crowd = Crowd::new();
    for n in 0..CROWD {
        crowd.link(n);
        crowd.give(n);
    }
    assert_eq!(crowd.stored.len(), MAX_STRANGERS);

    // Who is answered is no stranger any more, and makes room for one.
    let peer = stranger(0).public();
    crowd.hand(Input::Consent { peer });
    crowd.link(CROWD);
    crowd.give(CROWD);
    assert_eq!(crowd.stored.len(), MAX_STRANGERS + 1);
}

/// The same when all of them are linked before the first one says anything.
#[test]
fn d12_strangers_that_come_together_are_no_more_than_one_by_one() {
    let mut crowd = Crowd::new();
    for n in 0..CROWD {
        crowd.link(n);
    }
    for n in 0..CROWD {
        crowd.give(n);
    }
    assert_eq!(crowd.stored.len(), MAX_STRANGERS);
}
