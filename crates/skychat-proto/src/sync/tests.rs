use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::arbitrary::{self, secret};
use crate::error::DecodeError;
use crate::ids::{Incarnation, Stream, Timestamp};
use crate::limits::{
    MAX_FORK_HEADERS, MAX_HAVE_ROWS, MAX_POSITION, MAX_REFUSALS, MAX_STATEMENT_BODY,
    MAX_SYNC_MESSAGE,
};
use crate::wire::generated::sync as wire;
use crate::wire::generated::sync::sync_message::Message as WireKind;

fn decode(bytes: &[u8]) -> Result<SyncMessage, DecodeError> {
    SyncMessage::decode(bytes, &mut KeyCache::new())
}

fn feed() -> FeedId {
    FeedId {
        author: secret(1).public(),
        space: SpaceId::from_bytes([2; 32]),
        stream: Stream::MESSAGES,
        incarnation: Incarnation::from_bytes([3; 8]),
    }
}

fn ack() -> Ack {
    Ack {
        feed: feed(),
        from: Position::new(3),
        head: Position::new(9),
        hash: EntryId::from_bytes([9; 32]),
        kept: Kept::Disk,
        refused: vec![
            (Seq::new(3), Refusal::Absent),
            (Seq::new(8), Refusal::TooLarge),
        ],
        read_up_to: None,
    }
}

/// Headers of one feed, one after the other.
fn branch(feed: FeedId, first: Seq, len: usize) -> impl Strategy<Value = Branch> {
    (
        vec((arbitrary::header(), arbitrary::entry_id()), len),
        arbitrary::signature(),
    )
        .prop_map(move |(headers, signature)| {
            let headers = headers.into_iter().enumerate().map(|(n, (header, prev))| {
                let seq = first.checked_add(n as u64).unwrap();
                let prev = if seq == Seq::FIRST {
                    EntryId::ZERO
                } else {
                    prev
                };
                Header {
                    feed,
                    seq,
                    prev,
                    ..header
                }
            });
            Branch {
                headers: headers.collect(),
                signature,
            }
        })
}

fn have_row() -> impl Strategy<Value = HaveRow> {
    (arbitrary::feed(), arbitrary::head())
        .prop_map(|(feed, (head, hash))| HaveRow::new(&feed, head, hash))
}

fn proven_row() -> impl Strategy<Value = (SpaceId, HaveRow)> {
    (arbitrary::header(), arbitrary::signature()).prop_map(|(header, signature)| {
        let row = HaveRow::new(&header.feed, header.seq.after(), header.id());
        (header.feed.space, row.with_proof(header, signature))
    })
}

fn refusals() -> impl Strategy<Value = Vec<(Seq, Refusal)>> {
    let cause = prop::sample::select(Refusal::ALL.to_vec());
    btree_map(10_u64..1_000, cause, 0..=MAX_REFUSALS).prop_map(|refusals| {
        refusals
            .into_iter()
            .map(|(seq, cause)| (Seq::new(seq), cause))
            .collect()
    })
}

fn message() -> impl Strategy<Value = SyncMessage> {
    let space = || any::<[u8; 32]>().prop_map(SpaceId::from_bytes);
    let scope = prop_oneof![
        space().prop_map(Scope::Space),
        arbitrary::feed().prop_map(Scope::Feed)
    ];
    let cause = prop::sample::select(HoldCause::ALL.to_vec());
    let kept = prop::sample::select(Kept::ALL.to_vec());
    let fork = (arbitrary::feed(), 0_u64..100, 1_usize..5, 1_usize..5).prop_flat_map(
        |(feed, first, one, other)| {
            let first = Seq::new(first);
            let branches = (branch(feed, first, one), branch(feed, first, other));
            branches.prop_map(move |(one, other)| ForkProof {
                feed,
                branches: [one, other],
            })
        },
    );
    prop_oneof![
        (space(), any::<[u8; 32]>(), any::<u32>()).prop_map(|(space, hash, rows)| {
            SyncMessage::HaveHash(HaveHash { space, hash, rows })
        }),
        (space(), vec(have_row(), 0..20), any::<bool>())
            .prop_map(|(space, rows, more)| { SyncMessage::Have(Have { space, rows, more }) }),
        proven_row().prop_map(|(space, row)| {
            let rows = vec![row];
            let more = false;
            SyncMessage::Have(Have { space, rows, more })
        }),
        (arbitrary::feed(), 0..MAX_POSITION, option::of(1_u64..1_000)).prop_map(
            |(feed, from, more)| {
                let from = Position::new(from);
                let limit = more.map(|more| from.saturating_add(more));
                SyncMessage::Want(Want { feed, from, limit })
            }
        ),
        arbitrary::feed().prop_map(|feed| SyncMessage::NotHeld { feed }),
        (arbitrary::feed(), arbitrary::position())
            .prop_map(|(feed, acked)| SyncMessage::Owed { feed, acked }),
        (
            (arbitrary::feed(), 0_u64..=10, arbitrary::entry_id(), kept),
            refusals(),
            option::of(arbitrary::position()),
        )
            .prop_map(|((feed, from, hash, kept), refused, read_up_to)| {
                let from = Position::new(from);
                let head = Position::new(1_000);
                SyncMessage::Ack(Ack {
                    feed,
                    from,
                    head,
                    hash,
                    kept,
                    refused,
                    read_up_to,
                })
            }),
        (scope, cause, any::<u32>()).prop_map(|(scope, cause, retry_after_ms)| {
            SyncMessage::Hold(Hold {
                scope,
                cause,
                retry_after_ms,
            })
        }),
        fork.prop_map(|proof| SyncMessage::ForkProof(Box::new(proof))),
        (
            (1_u8..5, any::<u16>(), any::<u64>(), any::<u64>()),
            vec(any::<u8>(), 0..50),
            arbitrary::signature(),
        )
            .prop_map(|((author, kind, number, expiry), body, signature)| {
                SyncMessage::Statement(Statement {
                    author: secret(author).public(),
                    kind: StatementKind::new(kind),
                    number,
                    expiry: Timestamp::from_millis(expiry),
                    body,
                    signature,
                })
            }),
    ]
}

/// Encodes, lets `change` have its way with the frame, and gives what the decoder says.
fn changed(message: &SyncMessage, change: impl FnOnce(&mut WireKind)) -> String {
    let mut frame = wire::SyncMessage::decode(&message.encode()[..]).unwrap();
    change(frame.message.as_mut().unwrap());
    match decode(&frame.encode_to_vec()) {
        Ok(message) => format!("{message:?}"),
        Err(error) => error.to_string(),
    }
}

fn changed_ack(change: impl FnOnce(&mut wire::Ack)) -> String {
    changed(&SyncMessage::Ack(ack()), |kind| match kind {
        WireKind::Ack(ack) => change(ack),
        _ => unreachable!(),
    })
}

/// ACK-1.
#[test]
fn an_ack_says_nothing_that_contradicts_itself() {
    let message = SyncMessage::Ack(ack());
    assert_eq!(decode(&message.encode()), Ok(message));
    assert_eq!(
        changed_ack(|ack| ack.from = 10),
        "ack: found `head` before `from`"
    );
    assert_eq!(
        changed_ack(|ack| ack.hash = vec![0; 32].into()),
        "ack: found `hash` that is not of this position"
    );
    assert_eq!(
        changed_ack(|ack| ack.hash = vec![1; 31].into()),
        "ack: found 31 bytes in `hash`, expected 32"
    );
    assert_eq!(
        changed_ack(|ack| ack.kept = 0),
        "ack: found `kept` that is neither disk nor memory"
    );
    for kept in [3, 255] {
        assert!(changed_ack(|ack| ack.kept = kept).contains("neither disk"));
    }
    assert!(changed_ack(|ack| ack.kept = -1).contains("expected at most 255"));
    let misplaced = "ack: found `refused` out of order, or outside of the span";
    assert_eq!(changed_ack(|ack| ack.refused.reverse()), misplaced);
    assert_eq!(changed_ack(|ack| ack.refused[1].seq = 3), misplaced);
    assert_eq!(changed_ack(|ack| ack.refused[1].seq = 9), misplaced);
    assert_eq!(changed_ack(|ack| ack.from = 4), misplaced);
    for cause in [0, 11] {
        assert_eq!(
            changed_ack(|ack| ack.refused[0].cause = cause),
            "ack: found `refused` for no known cause"
        );
    }
    assert_eq!(
        changed_ack(|ack| {
            ack.refused = vec![ack.refused[0]; 65];
        }),
        "ack: found `refused` more than 64 times"
    );
    assert_eq!(
        changed_ack(|ack| ack.head = 1 << 63),
        format!(
            "ack: found {} in `head`, expected at most {MAX_POSITION}",
            1_u64 << 63
        )
    );
    assert_eq!(
        changed_ack(|ack| ack.feed = vec![0; 73].into()),
        "ack: the key in `feed` is not valid"
    );
    let nothing = Ack {
        from: Position::START,
        head: Position::START,
        hash: EntryId::ZERO,
        refused: vec![],
        ..ack()
    };
    let message = SyncMessage::Ack(nothing);
    assert_eq!(decode(&message.encode()), Ok(message));
}

#[test]
fn a_want_asks_for_something() {
    let want = SyncMessage::Want(Want {
        feed: feed(),
        from: Position::new(4),
        limit: Some(Position::new(5)),
    });
    assert_eq!(
        changed(&want, |kind| match kind {
            WireKind::Want(want) => want.limit = Some(4),
            _ => unreachable!(),
        }),
        "want: found `limit` at or before `from`"
    );
}

#[test]
fn a_hold_is_about_one_thing() {
    let hold = SyncMessage::Hold(Hold {
        scope: Scope::Feed(feed()),
        cause: HoldCause::Rate,
        retry_after_ms: 1_500,
    });
    let both = changed(&hold, |kind| match kind {
        WireKind::Hold(hold) => hold.space = vec![1; 32].into(),
        _ => unreachable!(),
    });
    assert_eq!(both, "hold: found `space` and `feed` both, or neither");
    let neither = changed(&hold, |kind| match kind {
        WireKind::Hold(hold) => hold.feed = Default::default(),
        _ => unreachable!(),
    });
    assert_eq!(neither, both);
    let no_cause = changed(&hold, |kind| match kind {
        WireKind::Hold(hold) => hold.cause = 6,
        _ => unreachable!(),
    });
    assert_eq!(no_cause, "hold: found `cause` that is not known");
}

/// SYNC-1.
#[test]
fn a_proof_is_of_its_row() {
    let mut builder = crate::range::RangeBuilder::new(feed(), Seq::FIRST, EntryId::ZERO).unwrap();
    let label = crate::range::RowLabel {
        time: Timestamp::from_millis(0),
        kind: crate::entry::Kind::Open,
        suite: crate::entry::Suite::CLEAR,
        flags: crate::entry::Flags::NONE,
        context: Seq::FIRST,
        message: crate::ids::MessageId::ZERO,
    };
    let row = crate::range::Row::of_body(label, b"x").unwrap();
    builder.push(&row, Some(b"x")).unwrap();
    let (range, tip) = builder.sign(&secret(1)).unwrap();
    let header = range.last_header().unwrap();
    let row = HaveRow::new(&feed(), range.end(), tip).with_proof(header, range.signature());
    let message = SyncMessage::Have(Have {
        space: feed().space,
        rows: vec![row],
        more: false,
    });
    assert_eq!(decode(&message.encode()), Ok(message.clone()));

    let change = |change: fn(&mut wire::HaveRow)| {
        changed(&message, |kind| match kind {
            WireKind::Have(have) => change(&mut have.rows[0]),
            _ => unreachable!(),
        })
    };
    let not_of_it = "have row: found `proof` that is not of this row";
    assert_eq!(change(|row| row.head = 2), not_of_it);
    assert_eq!(change(|row| row.stream = 0), not_of_it);
    assert_eq!(change(|row| row.hash = vec![7; 32].into()), not_of_it);
    assert_eq!(change(|row| row.incarnation = vec![7; 8].into()), not_of_it);
    assert!(change(|row| row.proof.truncate(269)).contains("expected 270"));
    assert!(change(|row| row.proof = vec![0; 270].into()).contains("header in `proof`"));
    assert!(change(|row| row.stream = 256).contains("expected at most 255"));
}

/// RANGE-5.
#[test]
fn a_fork_has_two_sides_of_one_feed() {
    let header = |seq: u64| Header {
        feed: feed(),
        seq: Seq::new(seq),
        prev: EntryId::from_bytes([1; 32]),
        time: Timestamp::from_millis(0),
        kind: crate::entry::Kind::Content,
        suite: crate::entry::Suite::CLEAR,
        flags: crate::entry::Flags::NONE,
        context: Seq::FIRST,
        message: crate::ids::MessageId::ZERO,
        body_len: 0,
        body_hash: crate::ids::BodyHash::ZERO,
    };
    let branch = Branch {
        headers: (1..=MAX_FORK_HEADERS as u64).map(header).collect(),
        signature: Signature::from_bytes([1; 64]),
    };
    let proof = SyncMessage::ForkProof(Box::new(ForkProof {
        feed: feed(),
        branches: [branch.clone(), branch],
    }));
    assert!(proof.encode().len() <= MAX_SYNC_MESSAGE);
    assert_eq!(decode(&proof.encode()), Ok(proof.clone()));

    let change = |change: fn(&mut wire::ForkProof)| {
        changed(&proof, |kind| match kind {
            WireKind::ForkProof(proof) => change(proof),
            _ => unreachable!(),
        })
    };
    assert!(change(|proof| proof.branches.truncate(1)).contains("other than two"));
    assert!(change(|proof| proof.branches.push(Default::default())).contains("more than 2"));
    assert!(change(|proof| proof.branches[0].headers = Default::default()).contains("0 bytes"));
    assert!(change(|proof| proof.branches[0].headers.truncate(207)).contains("207 bytes"));
    assert!(
        change(|proof| {
            let headers = &mut proof.branches[1].headers;
            *headers = [&headers[..206], &headers[412..618]].concat().into();
        })
        .contains("not consecutive")
    );
    let other = change(|proof| {
        let mut feed = proof.feed.to_vec();
        feed[72] ^= 1;
        proof.feed = feed.into();
    });
    assert!(other.contains("of another feed"));
}

#[test]
fn the_largest_have_list_fits() {
    let header = Header {
        feed: feed(),
        seq: Seq::MAX,
        prev: EntryId::from_bytes([1; 32]),
        time: Timestamp::from_millis(0),
        kind: crate::entry::Kind::Content,
        suite: crate::entry::Suite::CLEAR,
        flags: crate::entry::Flags::NONE,
        context: Seq::FIRST,
        message: crate::ids::MessageId::ZERO,
        body_len: 0,
        body_hash: crate::ids::BodyHash::ZERO,
    };
    let row = HaveRow::new(&feed(), header.seq.after(), header.id())
        .with_proof(header, Signature::from_bytes([1; 64]));
    let message = SyncMessage::Have(Have {
        space: feed().space,
        rows: vec![row; MAX_HAVE_ROWS],
        more: true,
    });
    assert!(message.encode().len() <= MAX_SYNC_MESSAGE);
    assert_eq!(decode(&message.encode()), Ok(message.clone()));
    let more = changed(&message, |kind| match kind {
        WireKind::Have(have) => have.rows.push(Default::default()),
        _ => unreachable!(),
    });
    assert_eq!(more, "have: found `rows` more than 256 times");
}

/// SYNC-1: both sides come to the same hash, in whatever order they keep their rows.
#[test]
fn the_hash_of_a_have_list_is_over_its_rows_in_order() {
    let row = |author: u8, head: u64| {
        let feed = FeedId {
            author: secret(author).public(),
            ..feed()
        };
        HaveRow::new(
            &feed,
            Position::new(head),
            EntryId::from_bytes([author; 32]),
        )
    };
    let hash = Have::hash(&[row(1, 4), row(2, 5), row(3, 6)]);
    assert_eq!(Have::hash(&[row(3, 6), row(1, 4), row(2, 5)]), hash);
    assert_ne!(Have::hash(&[row(1, 4), row(2, 5), row(3, 7)]), hash);
    assert_ne!(Have::hash(&[row(1, 4), row(2, 5)]), hash);
    let nothing: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest([]).into();
    assert_eq!(Have::hash(&[]), nothing);
}

/// SYNC-7.
#[test]
fn a_statement_means_one_thing() {
    let ann = secret(1);
    let expiry = Timestamp::from_millis(9);
    let card = Statement::sign(&ann, StatementKind::CARD, 1, expiry, vec![1, 2]).unwrap();
    card.verify().unwrap();
    let message = SyncMessage::Statement(card.clone());
    assert_eq!(decode(&message.encode()), Ok(message));
    for other in [
        Statement {
            kind: StatementKind::SEEN,
            ..card.clone()
        },
        Statement {
            kind: StatementKind::new(99),
            ..card.clone()
        },
        Statement {
            number: 2,
            ..card.clone()
        },
        Statement {
            expiry: Timestamp::from_millis(8),
            ..card.clone()
        },
        Statement {
            body: vec![1, 2, 3],
            ..card.clone()
        },
        Statement {
            author: secret(2).public(),
            ..card.clone()
        },
    ] {
        assert!(other.verify().is_err());
    }
    assert!(Statement::sign(&ann, StatementKind::new(99), 1, expiry, vec![]).is_err());
    let largest = Statement {
        body: vec![0; MAX_STATEMENT_BODY],
        ..card
    };
    let encoded = SyncMessage::Statement(largest).encode();
    assert!(encoded.len() <= crate::limits::MAX_STATEMENT);
    decode(&encoded).unwrap();
}

#[test]
fn the_numbers_of_words_do_not_change() {
    let numbers = |all: Vec<(u8, &'static str)>| {
        all.iter()
            .map(|(n, word)| format!("{n} {word}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(
        numbers(
            Refusal::ALL
                .iter()
                .map(|word| (word.number(), word.as_str()))
                .collect()
        ),
        "1 too_large, 2 blocked, 3 declined, 4 not_a_member, 5 muted, 6 expired, 7 absent, \
         8 unopenable, 9 unsupported, 10 forked"
    );
    assert_eq!(
        numbers(
            HoldCause::ALL
                .iter()
                .map(|word| (word.number(), word.as_str()))
                .collect()
        ),
        "1 rate, 2 quota, 3 disk, 4 consent, 5 memory"
    );
    assert_eq!(
        numbers(
            Kept::ALL
                .iter()
                .map(|word| (word.number(), word.as_str()))
                .collect()
        ),
        "1 disk, 2 memory"
    );
    for cause in Refusal::ALL {
        assert_eq!(Refusal::from_number(cause.number()), Some(*cause));
    }
}

#[test]
fn later_kinds_of_message_are_skipped() {
    assert_eq!(decode(&[0x7a, 1, 0]), Ok(SyncMessage::Unknown { kind: 15 }));
    assert!(SyncMessage::Unknown { kind: 15 }.encode().is_empty());
    assert!(decode(&[]).is_err());
    assert!(decode(&vec![0; MAX_SYNC_MESSAGE + 1]).is_err());
}

proptest! {
    #[test]
    fn it_survives(message in message()) {
        let bytes = message.encode();
        let mut keys = KeyCache::new();
        prop_assert_eq!(SyncMessage::decode(&bytes, &mut keys), Ok(message));
        for end in 0..bytes.len() {
            prop_assert!(SyncMessage::decode(&bytes[..end], &mut keys).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(SyncMessage::decode(&longer, &mut keys).is_err());
    }

    #[test]
    fn a_changed_byte_does_no_harm(
        message in message(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = message.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(message) = decode(&bytes) {
            let again = message.encode();
            let is_unknown = matches!(message, SyncMessage::Unknown { .. });
            prop_assert!(is_unknown || decode(&again) == Ok(message));
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(kind in 0_u8..12, bytes in vec(any::<u8>(), 0..120)) {
        let _ = decode(&bytes);
        let frame = [&[kind << 3 | 2, bytes.len() as u8][..], &bytes].concat();
        let _ = decode(&frame);
    }
}
