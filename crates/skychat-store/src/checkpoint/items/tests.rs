#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use proptest::prelude::*;
use skychat_identity::SecretKey;
use skychat_proto::ids::Stream;
use skychat_proto::record::Parts;

use super::*;
use crate::layout::{Chain, Counts};

fn mark() -> SegmentMark {
    SegmentMark {
        store: [1; 16],
        owner: [2; 32],
        segment: 9,
        generation: 0,
        counts: Counts {
            chain: Chain([3; 32]),
            groups: 100,
            records: 200,
            events: 50,
        },
        check: [4; 16],
    }
}

fn feed(n: u8) -> FeedId {
    FeedId {
        author: SecretKey::from_seed([n; 32]).public(),
        space: SpaceId::from_bytes([n; 32]),
        stream: Stream::MESSAGES,
        incarnation: Incarnation::from_bytes([n; 8]),
    }
}

fn tip(n: u8, head: u64) -> Vec<u8> {
    let mut out = vec![TIP];
    out.extend_from_slice(&feed(n).to_bytes());
    out.extend_from_slice(&head.to_be_bytes());
    out.extend_from_slice(&[n; 32]);
    out
}

fn dropped(n: u8, from: u64, to: u64) -> Vec<u8> {
    let mut out = vec![DROPPED];
    out.extend_from_slice(&feed(n).to_bytes());
    out.extend_from_slice(&from.to_be_bytes());
    out.extend_from_slice(&to.to_be_bytes());
    out
}

fn untold(n: u8, from: u64, to: u64) -> Vec<u8> {
    let mut out = dropped(n, from, to);
    out[0] = UNTOLD;
    out
}

fn conversation(n: u8, messages: u64, group: u64) -> Vec<u8> {
    let mut out = vec![CONVERSATION];
    out.extend_from_slice(&[n; 32]);
    out.extend_from_slice(&messages.to_be_bytes());
    out.extend_from_slice(&group.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out
}

fn row(table: u8, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let record = RecordId {
        group: if table < 200 { 100 } else { 0 },
        index: 0,
    };
    put_row(&mut out, TableId::new(table), record, key, value);
    out
}

fn dead_row(group: u64, index: u8) -> Vec<u8> {
    let group = group.to_be_bytes();
    [&[DEAD_ROW][..], &group, &[0, index]].concat()
}

fn dead_span(n: u8, from: u64, to: u64, parts: u8) -> Vec<u8> {
    let mut out = dropped(n, from, to);
    out[0] = DEAD_SPAN;
    out.push(parts);
    out
}

fn dead(group: u64) -> Vec<u8> {
    [&[DEAD][..], &group.to_be_bytes()].concat()
}

/// A row of a record that is not there.
fn nowhere(table: u8, group: u64) -> Vec<u8> {
    let mut out = row(table, b"key", b"row");
    out[2..10].copy_from_slice(&group.to_be_bytes());
    out
}

fn read(items: &[Vec<u8>]) -> Option<State> {
    State::from_items(mark(), &items.concat())
}

fn life(n: u8, first: u64) -> Vec<u8> {
    row(200, &[n; 8], &first.to_be_bytes())
}

#[test]
fn what_cannot_be_is_refused() {
    let good = [
        tip(1, 7),
        dropped(1, 2, 3),
        dropped(1, 4, 6),
        dropped(2, 0, 9),
        untold(1, 3, 5),
        untold(3, 1, 2),
        conversation(1, 5, 100),
        life(1, 1),
        life(2, 1),
        life(3, 51),
        row(201, &[0, 0, 0, 8], &[8; 32]),
        row(6, b"bob", b"known"),
        row(6, b"", b""),
        row(127, b"bob", b"known"),
        dead_row(7, 1),
        dead_row(100, 0),
        dead_span(1, 2, 3, 1),
        dead_span(1, 4, 5, 1),
        dead_span(1, 3, 9, 2),
        dead(100),
    ];
    let state = read(&good).unwrap();
    // However often it is written, it is the same.
    let items = state.to_items();
    assert_eq!(State::from_items(mark(), &items), Some(state));
    assert_eq!(read(&[]).unwrap().to_items().as_slice(), b"");

    let refused = [
        (tip(1, 7), "a tip twice"),
        (tip(3, 0), "a tip of nothing"),
        (dropped(1, 4, 6), "a span twice"),
        (dropped(1, 6, 7), "a span that joins the one before"),
        (dropped(1, 1, 2), "spans out of order"),
        (untold(1, 3, 5), "a span of contents twice"),
        (untold(1, 2, 3), "spans of contents out of order"),
        (dropped(4, 3, 3), "an empty span"),
        (untold(4, 3, 3), "an empty span of contents"),
        (dropped(4, 3, 2), "a span that ends before it begins"),
        (conversation(1, 5, 100), "a conversation twice"),
        (conversation(2, 0, 100), "a conversation without messages"),
        (conversation(2, 1, 101), "a message that is still to come"),
        (life(1, 51), "a life twice"),
        (life(4, 50), "lives out of order"),
        (life(4, 52), "a life that is still to come"),
        (row(200, &[4; 7], &[0; 8]), "a life with a short key"),
        (row(200, &[4; 8], &[0; 7]), "a life with a short row"),
        (row(201, &[0, 0, 0, 8], &[8; 32]), "a checkpoint twice"),
        (row(201, &[0, 0, 0, 9], &[8; 32]), "this checkpoint"),
        (row(201, &[0, 0, 8], &[8; 32]), "a short segment"),
        (row(201, &[0, 0, 0, 7], &[8; 31]), "a short hash"),
        (row(202, b"a", b"b"), "a table that is not known"),
        (row(8, b"a", b"b"), "an event"),
        (row(128, b"a", b"b"), "a secret row"),
        (row(199, b"a", b"b"), "a secret row"),
        (row(6, b"bob", b"again"), "a row twice"),
        (nowhere(6, 0), "a row of no group"),
        (nowhere(6, 101), "a row that is still to come"),
        (nowhere(201, 1), "a checkpoint with a record"),
        (dead_row(100, 0), "a dead row twice"),
        (dead_row(99, 0), "dead rows out of order"),
        (dead_row(101, 0), "a dead row that is still to come"),
        (dead_span(1, 3, 9, 2), "a dead span twice"),
        (dead_span(1, 10, 11, 1), "dead spans out of order"),
        (dead_span(1, 11, 11, 2), "a dead span of nothing"),
        (dead_span(1, 11, 12, 0), "a dead span of no parts"),
        (dead_span(1, 11, 12, 4), "a dead span of other parts"),
        (dead(100), "twice everything"),
        (vec![1, 0, 0, 0, 1, 0, 0, 0, 1], "type 1"),
        (vec![0], "type 0"),
        (vec![10], "type 10"),
        (row(6, b"jim", b"row")[..17].to_vec(), "a key that is cut"),
        (
            row(6, b"jim", b"row")[..21].to_vec(),
            "a length that is cut",
        ),
        (
            [&[ROW, 6][..], &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0], &[0xFF; 4]].concat(),
            "a key past the end",
        ),
    ];
    for (item, what) in refused {
        let mut items = good.to_vec();
        items.push(item);
        assert_eq!(read(&items), None, "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_state_is_what_was_written(
        tips in prop::collection::btree_map(0_u8..20, 1_u64.., 0..9),
        spans in prop::collection::btree_map(0_u8..20, prop::collection::vec((1_u64..9, 1_u64..9), 1..5), 0..9),
        rows in prop::collection::btree_map((0_u8..128, prop::collection::vec(any::<u8>(), 0..9)), prop::collection::vec(any::<u8>(), 0..99), 0..30),
        spaces in prop::collection::btree_map(any::<u8>(), (1_u64.., 0_u64..100, any::<u16>()), 0..9),
        lives in prop::collection::btree_map(any::<u8>(), 1_u64..=51, 0..9),
        checkpoints in prop::collection::btree_map(0_u32..9, any::<[u8; 32]>(), 0..3),
        messages_of in 0_u64..=100,
    ) {
        let mut state = State {
            mark: mark(),
            feeds: BTreeMap::new(),
            rows: BTreeMap::new(),
            spaces: BTreeMap::new(),
            lives: Vec::new(),
            checkpoints,
            unswept: Unswept::new(),
        };
        for (n, (_, group, index)) in &spaces {
            let (n, group, index) = (*n, *group, *index);
            state.unswept.add_row(RecordId { group: group.max(1), index }, 100);
            let from = Position::new(u64::from(n));
            let to = from.saturating_add(u64::from(index));
            let span = Span { feed: feed(n % 3), from, to, parts: Parts::Contents };
            state.unswept.add_span(&span, 100);
        }
        state.unswept.all = (messages_of > 3).then_some(messages_of);
        for (n, head) in tips {
            let hash = EntryId::from_bytes([n; 32]);
            let held = state.feeds.entry(feed(n)).or_insert_with(Feed::new);
            held.tip = Tip { head: Position::new(head), hash };
        }
        for (n, spans) in spans {
            let held = state.feeds.entry(feed(n)).or_insert_with(Feed::new);
            let mut at = 0;
            for (gap, length) in spans {
                let from = Position::new(at + gap);
                at += gap + length;
                held.bodies.push((from, Position::new(at)));
                held.contents.push((from, Position::new(at)));
            }
        }
        for ((table, key), value) in rows {
            if table != 8 {
                let rows = state.rows.entry(TableId::new(table)).or_default();
                let record = RecordId { group: 1 + messages_of % 100, index: 3 };
                rows.insert(key, Row { value: Zeroizing::new(value), record });
            }
        }
        for (n, (messages, group, index)) in spaces {
            let last = RecordId { group, index };
            state.spaces.insert(SpaceId::from_bytes([n; 32]), Conversation { messages, last });
        }
        state.lives = lives.into_iter().map(|(n, first)| {
            (EventSeq::new(first), Incarnation::from_bytes([n; 8]))
        }).collect();
        state.lives.sort();
        let items = state.to_items();
        prop_assert!(items.len() <= state.size());
        prop_assert_eq!(State::from_items(mark(), &items), Some(state));
        // Cut anywhere, it is another state or none.
        for end in (0..items.len()).step_by(23) {
            let cut = State::from_items(mark(), &items[..end]);
            prop_assert!(cut.is_none_or(|cut| cut.to_items().len() < items.len()));
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = State::from_items(mark(), &bytes);
    }
}
