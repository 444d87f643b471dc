//! Mistakes on purpose: each must be found by some history, or the histories do not look.

use std::collections::BTreeMap;

use skychat_engine::Payload;
use skychat_identity::{PublicKey, Signature};
use skychat_proto::ids::{BatchId, Position};
use skychat_proto::range::RawRange;
use skychat_proto::record::{Batch, Parts, Record};
use skychat_proto::sync::{Ack, Kept, SyncMessage};

/// A mistake that every node of a network makes. All of them are made around the engine: nothing of it is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// What depends on a group is said before its sync has returned (ACK-1).
    AckBeforeSync,
    /// Group *n+1* is written before the sync of group *n* has returned (JRN-4).
    OutOfOrder,
    /// After a crash the first half of a group counts (JRN-5).
    HalfGroup,
    /// Nothing is ever found to be a duplicate (ID-4).
    NoDeduplication,
    /// A store that is opened again writes under its last incarnation (INC-1).
    ResumedFeed,
    /// A feed is asked for beyond its first entry before the ones it continues are there (INC-4).
    SuccessorFirst,
    /// An acknowledgement tells of no refusal (ACK-1).
    AckWithoutRefusals,
    /// Bodies are dropped as soon as they were written, not after a `Disk` acknowledgement (JRN-3).
    DroppedEarly,
    /// A one-shot acknowledges what it was told of (ACK-5).
    OneShotAcks,
    /// A signature in the middle of what came is kept unverified (RANGE-3).
    UnverifiedMiddle,
}

impl Planted {
    /// All of them.
    pub const ALL: [Planted; 10] = [
        Planted::AckBeforeSync,
        Planted::OutOfOrder,
        Planted::HalfGroup,
        Planted::NoDeduplication,
        Planted::ResumedFeed,
        Planted::SuccessorFirst,
        Planted::AckWithoutRefusals,
        Planted::DroppedEarly,
        Planted::OneShotAcks,
        Planted::UnverifiedMiddle,
    ];

    /// What goes out instead of this.
    pub(super) fn spoil(self, payload: Payload) -> Payload {
        match (self, payload) {
            (Planted::SuccessorFirst, Payload::Sync(SyncMessage::Want(mut want)))
                if want.from.is_start() =>
            {
                want.limit = None;
                Payload::Sync(SyncMessage::Want(want))
            }
            (Planted::AckWithoutRefusals, Payload::Sync(SyncMessage::Ack(mut ack))) => {
                ack.refused.clear();
                Payload::Sync(SyncMessage::Ack(ack))
            }
            (_, payload) => payload,
        }
    }
}

/// Acknowledgements of every feed of `author` that this have-list names.
pub(super) fn acks_of(message: &SyncMessage, author: &PublicKey) -> Vec<Ack> {
    let SyncMessage::Have(have) = message else {
        return Vec::new();
    };
    let rows = have.rows.iter().filter(|row| row.author == *author);
    rows.map(|row| Ack {
        feed: row.feed(have.space),
        from: Position::START,
        head: row.head,
        hash: row.hash,
        kept: Kept::Disk,
        refused: Vec::new(),
        read_up_to: None,
    })
    .collect()
}

/// Drops the bodies of everything in a batch that is not the first entry of its feed.
pub(super) fn drops(batch: &Batch) -> Option<Batch> {
    let records: Vec<Record> = batch
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Range { range } if range.end() > Position::new(1) => Some(Record::Drop {
                feed: range.feed(),
                from: range.start().max(Position::new(1)),
                to: range.end(),
                parts: Parts::Bodies,
            }),
            _ => None,
        })
        .collect();
    (!records.is_empty()).then_some(Batch {
        id: BatchId::new(0),
        records,
    })
}

/// What was read of a feed of somebody else ends after its first entry, in a signature that nobody checked.
pub(super) fn cut(range: RawRange, me: &PublicKey) -> RawRange {
    let middle = range.start().saturating_add(1);
    if range.feed().author == *me || range.end() <= middle {
        return range;
    }
    let garbage = Signature::from_bytes([7; 64]);
    range
        .id_before(range.start())
        .and_then(|prev| range.slice(range.start(), middle, prev, garbage))
        .unwrap_or(range)
}

/// `last`, but what changed between `before` and `between` is as it was before.
pub(super) fn without(
    before: &BTreeMap<String, Vec<u8>>,
    between: &BTreeMap<String, Vec<u8>>,
    mut last: BTreeMap<String, Vec<u8>>,
) -> BTreeMap<String, Vec<u8>> {
    for (path, bytes) in &mut last {
        let (old, new) = (before.get(path), between.get(path));
        for (at, byte) in bytes.iter_mut().enumerate() {
            let of = |file: Option<&Vec<u8>>| {
                file.and_then(|file| file.get(at))
                    .copied()
                    .unwrap_or_default()
            };
            if path.ends_with(".seg") && of(old) != of(new) {
                *byte = of(old);
            }
        }
        if !path.ends_with(".seg")
            && let Some(old) = old
        {
            bytes.clone_from(old);
        }
    }
    last
}
