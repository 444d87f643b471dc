//! When entries of our own go out: as soon as they are on disk, whatever is being written behind them.
#![allow(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

use std::collections::BTreeSet;

use skychat_engine::{Config, Engine, Input, Limits, Output, Payload, Recovered};
use skychat_identity::SecretKey;
use skychat_proto::content::Content;
use skychat_proto::ids::{
    FeedId, Incarnation, LinkId, Moment, Position, ServiceId, SpaceId, Stream, Timestamp,
};
use skychat_proto::link::Hello;
use skychat_proto::open::WriterKind;
use skychat_proto::record::Batch;
use skychat_proto::sync::{SyncMessage, Want};

const WALL: Timestamp = Timestamp::from_millis(1);
const LINK: LinkId = LinkId::new(1);
const ANN: Incarnation = Incarnation::from_bytes([1; 8]);

fn ann() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn bob() -> SecretKey {
    SecretKey::from_seed([2; 32])
}

fn feed() -> FeedId {
    let (author, reader) = (ann().public(), bob().public());
    FeedId {
        author,
        space: SpaceId::direct(&author, &reader).unwrap(),
        stream: Stream::MESSAGES,
        incarnation: ANN,
    }
}

/// Ann's node, with a link to Bob, whom it may write to.
fn linked() -> Engine {
    let config = Config {
        kind: WriterKind::Node,
        incarnation: ANN,
        agent: "ann".into(),
        consented: BTreeSet::from([bob().public()]),
        limits: Limits::default(),
    };
    let (now, nothing) = (Moment::default(), Recovered::default());
    let mut engine = Engine::new(config, ann(), [3; 32], nothing, now, WALL).unwrap();
    let hello = Hello {
        incarnation: Incarnation::from_bytes([2; 8]),
        line: Vec::new(),
        line_complete: true,
        writer: WriterKind::Node,
        services: vec![ServiceId::LINK, ServiceId::SYNC, ServiceId::RANGE],
        agent: "bob".into(),
        statements: Vec::new(),
    };
    let (link, peer) = (LINK, bob().public());
    hand(&mut engine, Input::LinkUp { link, peer, hello });
    engine
}

fn hand(engine: &mut Engine, input: Input) {
    engine.handle(Moment::default(), WALL, input);
}

fn send(engine: &mut Engine, request: u64) {
    let (to, content) = (bob().public(), Content::text("hello").unwrap());
    let message = None;
    let input = Input::Send {
        request,
        to,
        message,
        content,
    };
    hand(engine, input);
}

fn commit(engine: &mut Engine, batch: &Batch) {
    hand(engine, Input::Committed { batch: batch.id });
}

/// Where the ranges end that go out now.
fn pushed(engine: &mut Engine) -> Vec<Position> {
    let outputs = std::iter::from_fn(|| engine.poll_output());
    let ends = outputs.filter_map(|output| match output {
        Output::Send {
            payload: Payload::Range(range),
            ..
        } => Some(range.end()),
        _ => None,
    });
    ends.collect()
}

/// What Bob asked for is pushed: his first `Want` was answered.
fn followed() -> Engine {
    let mut engine = linked();
    send(&mut engine, 1);
    let batch = engine.take_batch();
    commit(&mut engine, &batch);
    assert_eq!(pushed(&mut engine), [], "nobody asked for it yet");
    let message = SyncMessage::Want(Want {
        feed: feed(),
        from: Position::START,
        limit: None,
    });
    let link = LINK;
    hand(&mut engine, Input::Sync { link, message });
    // The `open` entry and the message.
    assert_eq!(pushed(&mut engine), [Position::new(2)]);
    assert!(!engine.has_batch());
    engine
}

#[test]
fn a_message_that_is_on_disk_waits_for_no_later_one() {
    let mut engine = followed();
    send(&mut engine, 2);
    let second = engine.take_batch();
    send(&mut engine, 3);
    let third = engine.take_batch();
    send(&mut engine, 4);
    assert_eq!(pushed(&mut engine), [], "nothing of it is on disk");

    commit(&mut engine, &second);
    assert_eq!(pushed(&mut engine), [Position::new(3)]);
    commit(&mut engine, &third);
    assert_eq!(pushed(&mut engine), [Position::new(4)]);
    let fourth = engine.take_batch();
    assert_eq!(pushed(&mut engine), []);
    commit(&mut engine, &fourth);
    assert_eq!(pushed(&mut engine), [Position::new(5)]);
}
