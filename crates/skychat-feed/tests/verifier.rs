//! What a link's verifier lets through, by the rules it names.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use bytes::Bytes;
use skychat_feed::{Checked, VerifiedRange, Verifier};
use skychat_identity::SecretKey;
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::{
    EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, Stream, Timestamp,
};
use skychat_proto::limits::{RANGE_PREFIX_LEN, ROW_LEN, SIGNATURE_LEN};
use skychat_proto::open::{Open, WriterKind};
use skychat_proto::range::{RangeBuilder, Row, RowLabel};

fn ann() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn feed() -> FeedId {
    let bob = SecretKey::from_seed([2; 32]).public();
    FeedId {
        author: ann().public(),
        space: SpaceId::direct(&ann().public(), &bob).unwrap(),
        stream: Stream::MESSAGES,
        incarnation: Incarnation::from_bytes([7; 8]),
    }
}

fn label(kind: Kind) -> RowLabel {
    RowLabel {
        time: Timestamp::from_millis(1),
        kind,
        suite: if kind == Kind::Open {
            Suite::CLEAR
        } else {
            Suite::HPKE_X25519
        },
        flags: Flags::NONE,
        context: Seq::FIRST,
        message: if kind == Kind::Content {
            MessageId::from_bytes([9; 16])
        } else {
            MessageId::ZERO
        },
    }
}

fn open_body() -> Vec<u8> {
    let open = Open {
        writer: WriterKind::Node,
        parent: None,
        epoch: 0,
        heads: vec![],
        continues: vec![],
    };
    open.encode().unwrap()
}

/// An `open` entry and `contents` messages.
fn range(contents: usize) -> VerifiedRange {
    let mut builder = RangeBuilder::new(feed(), Seq::FIRST, EntryId::ZERO).unwrap();
    let open = open_body();
    builder
        .push(
            &Row::of_body(label(Kind::Open), &open).unwrap(),
            Some(&open),
        )
        .unwrap();
    for n in 0..contents {
        let body = vec![n as u8; 40];
        builder
            .push(
                &Row::of_body(label(Kind::Content), &body).unwrap(),
                Some(&body),
            )
            .unwrap();
    }
    VerifiedRange::sign(builder, &ann()).unwrap()
}

fn expecting() -> Verifier {
    let mut verifier = Verifier::new();
    verifier.expect(feed(), Position::START, EntryId::ZERO);
    verifier
}

fn rule(verifier: &mut Verifier, bytes: Vec<u8>) -> &'static str {
    verifier.check(Bytes::from(bytes)).unwrap_err().rule()
}

#[test]
fn sync_2_a_range_that_nobody_asked_for_is_a_violation() {
    let bytes = range(3).raw().to_bytes().to_vec();
    assert_eq!(rule(&mut Verifier::new(), bytes), "SYNC-2");
}

#[test]
fn range_3_a_signature_that_does_not_hold_is_a_violation() {
    let mut bytes = range(3).raw().to_bytes().to_vec();
    let at = RANGE_PREFIX_LEN + 4 * ROW_LEN;
    bytes[at] ^= 1;
    assert_eq!(rule(&mut expecting(), bytes), "RANGE-3");
}

#[test]
fn feed_1_every_flipped_bit_of_a_body_is_found() {
    let bytes = range(2).raw().to_bytes().to_vec();
    let bodies = RANGE_PREFIX_LEN + 3 * ROW_LEN + SIGNATURE_LEN;
    for at in bodies..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x40;
        assert!(expecting().check(Bytes::from(bytes)).is_err(), "byte {at}");
    }
}

/// No byte of a range can be changed: every one is signed, hashed, or decides whether it joins.
#[test]
fn every_flipped_byte_of_a_range_is_refused_or_does_not_join() {
    let bytes = range(2).raw().to_bytes().to_vec();
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        match expecting().check(Bytes::from(bytes)) {
            Ok(Checked::Range(_)) => panic!("byte {at} was changed and nobody noticed"),
            Ok(Checked::Misfit { .. }) | Err(_) => {}
        }
    }
}

#[test]
fn range_4_what_does_not_join_is_put_aside_before_its_signature_is_checked() {
    let mut bytes = range(3).raw().to_bytes().to_vec();
    let at = RANGE_PREFIX_LEN + 4 * ROW_LEN;
    bytes[at] ^= 1;
    let mut verifier = Verifier::new();
    verifier.expect(feed(), Position::new(2), EntryId::from_bytes([3; 32]));
    let checked = verifier.check(Bytes::from(bytes)).unwrap();
    assert!(matches!(
        checked,
        Checked::Misfit {
            start: Position::START,
            ..
        }
    ));
}

#[test]
fn a_range_joins_the_one_before_it_on_the_same_link() {
    let first = range(1);
    let mut builder = RangeBuilder::new(feed(), Seq::new(2), first.tip()).unwrap();
    builder
        .push(
            &Row::of_body(label(Kind::Content), b"x").unwrap(),
            Some(b"x"),
        )
        .unwrap();
    let second = VerifiedRange::sign(builder, &ann()).unwrap();
    let mut verifier = expecting();
    assert!(matches!(
        verifier.check(first.raw().to_bytes()).unwrap(),
        Checked::Range(_)
    ));
    assert!(matches!(
        verifier.check(second.raw().to_bytes()).unwrap(),
        Checked::Range(_)
    ));
    // The same once more is below the tip.
    assert!(matches!(
        verifier.check(second.raw().to_bytes()).unwrap(),
        Checked::Misfit { .. }
    ));
}

#[test]
fn inc_2_the_first_entry_has_to_be_an_open_entry() {
    let mut builder = RangeBuilder::new(feed(), Seq::FIRST, EntryId::ZERO).unwrap();
    builder
        .push(
            &Row::of_body(label(Kind::Content), b"x").unwrap(),
            Some(b"x"),
        )
        .unwrap();
    let range = VerifiedRange::sign(builder, &ann()).unwrap();
    assert_eq!(
        rule(&mut expecting(), range.raw().to_bytes().to_vec()),
        "INC-2"
    );
}

#[test]
fn feed_5_an_open_entry_without_its_body_is_a_violation() {
    let range = range(1).without_bodies(|seq| seq == Seq::FIRST);
    assert_eq!(
        rule(&mut expecting(), range.raw().to_bytes().to_vec()),
        "FEED-5"
    );
}

#[test]
fn id_3_an_open_entry_carries_no_message_id() {
    let mut builder = RangeBuilder::new(feed(), Seq::FIRST, EntryId::ZERO).unwrap();
    let open = open_body();
    let label = RowLabel {
        message: MessageId::from_bytes([1; 16]),
        ..label(Kind::Open)
    };
    builder
        .push(&Row::of_body(label, &open).unwrap(), Some(&open))
        .unwrap();
    let range = VerifiedRange::sign(builder, &ann()).unwrap();
    assert_eq!(
        rule(&mut expecting(), range.raw().to_bytes().to_vec()),
        "ID-3"
    );
}

#[test]
fn a_range_of_another_author_fails_whoever_signs_it() {
    let mut builder = RangeBuilder::new(feed(), Seq::FIRST, EntryId::ZERO).unwrap();
    let open = open_body();
    builder
        .push(
            &Row::of_body(label(Kind::Open), &open).unwrap(),
            Some(&open),
        )
        .unwrap();
    let forged = VerifiedRange::sign(builder, &SecretKey::from_seed([3; 32])).unwrap();
    assert_eq!(
        rule(&mut expecting(), forged.raw().to_bytes().to_vec()),
        "RANGE-3"
    );
}

#[test]
fn absent_bodies_do_not_hurt_the_signature() {
    let range = range(3).without_bodies(|seq| seq != Seq::FIRST);
    assert!(matches!(
        expecting().check(range.raw().to_bytes()).unwrap(),
        Checked::Range(_)
    ));
}
