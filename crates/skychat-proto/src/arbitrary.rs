//! Values for property tests.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use skychat_identity::{SecretKey, Signature};

use crate::entry::{Flags, Header, Kind, Suite};
use crate::ids::{
    BodyHash, EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, Stream, Timestamp,
};
use crate::limits::{MAX_BODY, MAX_POSITION, MAX_SEQ};
use crate::open::{Continues, Open, WriterKind};
use crate::range::{RangeBuilder, RawRange, Row, RowLabel};

/// One of a few keys: making one is slow.
pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

pub(crate) fn feed() -> impl Strategy<Value = FeedId> {
    (1_u8..5, any::<[u8; 32]>(), any::<u8>(), any::<[u8; 8]>()).prop_map(
        |(author, space, stream, incarnation)| FeedId {
            author: secret(author).public(),
            space: SpaceId::from_bytes(space),
            stream: Stream::new(stream),
            incarnation: Incarnation::from_bytes(incarnation),
        },
    )
}

/// Ids that are not zeros.
pub(crate) fn entry_id() -> impl Strategy<Value = EntryId> {
    any::<[u8; 32]>()
        .prop_filter("zeros", |bytes| *bytes != [0; 32])
        .prop_map(EntryId::from_bytes)
}

pub(crate) fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![0_u64..1_000, 0..=MAX_SEQ, Just(MAX_SEQ)].prop_map(Seq::new)
}

pub(crate) fn position() -> impl Strategy<Value = Position> {
    prop_oneof![0_u64..1_000, 0..=MAX_POSITION, Just(MAX_POSITION)].prop_map(Position::new)
}

/// A position with the id before it.
pub(crate) fn head() -> impl Strategy<Value = (Position, EntryId)> {
    (position(), entry_id()).prop_map(|(head, id)| match head.is_start() {
        true => (head, EntryId::ZERO),
        false => (head, id),
    })
}

pub(crate) fn signature() -> impl Strategy<Value = Signature> {
    any::<[[u8; 32]; 2]>().prop_map(|halves| {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(halves.as_flattened());
        Signature::from_bytes(bytes)
    })
}

pub(crate) fn label() -> impl Strategy<Value = RowLabel> {
    let kind = prop::sample::select(vec![Kind::Open, Kind::Content, Kind::Control]);
    (
        any::<u64>(),
        kind,
        any::<u8>(),
        any::<u8>(),
        seq(),
        any::<[u8; 16]>(),
    )
        .prop_map(|(time, kind, suite, flags, context, message)| RowLabel {
            time: Timestamp::from_millis(time),
            kind,
            suite: Suite::new(suite),
            flags: Flags::new(flags),
            context,
            message: MessageId::from_bytes(message),
        })
}

pub(crate) fn header() -> impl Strategy<Value = Header> {
    (
        feed(),
        seq(),
        entry_id(),
        label(),
        0..=MAX_BODY as u32,
        any::<[u8; 32]>(),
    )
        .prop_map(|(feed, seq, prev, label, body_len, body_hash)| Header {
            feed,
            seq,
            prev: if seq == Seq::FIRST {
                EntryId::ZERO
            } else {
                prev
            },
            time: label.time,
            kind: label.kind,
            suite: label.suite,
            flags: label.flags,
            context: label.context,
            message: label.message,
            body_len,
            body_hash: BodyHash::from_bytes(body_hash),
        })
}

/// A range with its author's signature; some bodies are absent.
pub(crate) fn range() -> impl Strategy<Value = RawRange> {
    let entry = (label(), vec(any::<u8>(), 0..40), any::<bool>());
    (
        1_u8..5,
        feed(),
        0..MAX_SEQ - 100,
        entry_id(),
        vec(entry, 1..12),
    )
        .prop_map(|(author, feed, first, prev, entries)| {
            let author = secret(author);
            let feed = FeedId {
                author: author.public(),
                ..feed
            };
            let prev = if first == 0 { EntryId::ZERO } else { prev };
            let mut builder = RangeBuilder::new(feed, Seq::new(first), prev).unwrap();
            for (label, body, present) in entries {
                let row = Row::of_body(label, &body).unwrap();
                builder.push(&row, present.then_some(&body)).unwrap();
            }
            builder.sign(&author).unwrap().0
        })
}

pub(crate) fn incarnation() -> impl Strategy<Value = Incarnation> {
    any::<[u8; 8]>().prop_map(Incarnation::from_bytes)
}

pub(crate) fn writer() -> impl Strategy<Value = WriterKind> {
    prop::sample::select(vec![
        WriterKind::Node,
        WriterKind::Memory,
        WriterKind::OneShot,
    ])
}

pub(crate) fn open() -> impl Strategy<Value = Open> {
    let continues =
        (incarnation(), seq(), entry_id()).prop_map(|(incarnation, seq, hash)| Continues {
            incarnation,
            seq,
            hash,
        });
    (
        writer(),
        option::of(incarnation()),
        any::<u64>(),
        vec(entry_id(), 0..=8),
        vec(continues, 0..=8),
    )
        .prop_map(|(writer, parent, epoch, heads, continues)| Open {
            writer,
            parent,
            epoch,
            heads,
            continues,
        })
}
