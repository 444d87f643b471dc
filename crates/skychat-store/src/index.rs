//! Where everything stands. What is small is in memory: how far each feed goes, rows, lives, and
//! coarsely where records are ([`Marks`]). Of what grows with every message only the newest is
//! ([`Tail`]); what is older is in the index on disk, if there is one.

mod marks;
mod tail;

use std::collections::BTreeMap;

use skychat_proto::ids::{
    EntryId, EventSeq, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, TableId,
};
use skychat_proto::limits::{RANGE_PREFIX_LEN, SIGNATURE_LEN};
use zeroize::Zeroizing;

pub(crate) use marks::{Mark, Marks, Near, SegmentMarks, Start};
pub(crate) use tail::{Block, Tail};
pub use tail::{MAX_TAIL, MessageRef};

use crate::record::Span;
use crate::sweep::{Sweeps, Unswept};

/// A record, for as long as the store exists: the number of its group, and which record of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// From 1.
    pub group: u64,
    /// From 0.
    pub index: u16,
}

impl RecordId {
    /// The record so many before this one in its group.
    pub(crate) fn back(self, back: u16) -> Option<Self> {
        let index = self.index.checked_sub(back)?;
        Some(RecordId { index, ..self })
    }
}

/// How far a feed goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// How many entries.
    pub head: Position,
    /// The id of the last of them; zeros if there is none.
    pub hash: EntryId,
}

impl Tip {
    pub(crate) const START: Tip = Tip {
        head: Position::START,
        hash: EntryId::ZERO,
    };
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) generation: u32,
    /// Of its head.
    pub(crate) offset: u64,
    /// Where its group ends.
    pub(crate) group_end: u64,
    pub(crate) meta: u32,
    pub(crate) body: u32,
    /// Checksum of the body.
    pub(crate) body_sum: u32,
    pub(crate) record: RecordId,
    /// 0: no event.
    pub(crate) event: u64,
}

impl Place {
    /// Bytes of rows and bodies, if it is a range.
    pub(crate) const fn range_size(&self) -> usize {
        (self.meta as usize)
            .saturating_sub(RANGE_PREFIX_LEN + SIGNATURE_LEN)
            .saturating_add(self.body as usize)
    }
}

/// Spans of a feed: in order, apart from each other.
pub(crate) type Spans = Vec<(Position, Position)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Feed {
    pub(crate) tip: Tip,
    /// Without bodies.
    pub(crate) bodies: Spans,
    /// Without contents.
    pub(crate) contents: Spans,
}

impl Feed {
    pub(crate) const fn new() -> Self {
        Feed {
            tip: Tip::START,
            bodies: Vec::new(),
            contents: Vec::new(),
        }
    }

    /// What is behind the head is not touched.
    fn drop_span(&mut self, span: &Span) {
        let to = span.to.min(self.tip.head);
        if span.parts.has_bodies() {
            add_span(&mut self.bodies, span.from, to);
        }
        if span.parts.has_contents() {
            add_span(&mut self.contents, span.from, to);
        }
    }
}

pub(crate) fn add_span(spans: &mut Spans, mut from: Position, mut to: Position) {
    if from >= to {
        return;
    }
    spans.retain(|(start, end)| {
        let apart = *end < from || *start > to;
        if !apart {
            from = from.min(*start);
            to = to.max(*end);
        }
        apart
    });
    let at = spans.partition_point(|(start, _)| *start < from);
    spans.insert(at, (from, to));
}

/// Whether an entry lies in one of the spans.
pub(crate) fn is_dropped(spans: &[(Position, Position)], seq: Seq) -> bool {
    let after = spans.partition_point(|(start, _)| !start.covers(seq));
    after
        .checked_sub(1)
        .and_then(|at| spans.get(at))
        .is_some_and(|(_, end)| end.covers(seq))
}

/// The messages of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub(crate) messages: u64,
    pub(crate) last: RecordId,
}

/// A live row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Opened.
    pub(crate) value: Zeroizing<Vec<u8>>,
    /// The record that put it.
    pub(crate) record: RecordId,
}

/// Live rows.
pub(crate) type Tables = BTreeMap<TableId, BTreeMap<Vec<u8>, Row>>;

#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) feeds: BTreeMap<FeedId, Feed>,
    /// Without those of the store's own tables.
    pub(crate) rows: Tables,
    pub(crate) spaces: BTreeMap<SpaceId, Conversation>,
    /// In order.
    pub(crate) lives: Vec<(EventSeq, Incarnation)>,
    /// The checkpoints that are journalled, and what they are.
    pub(crate) checkpoints: BTreeMap<u32, [u8; 32]>,
    /// What is dead and not overwritten yet.
    pub(crate) unswept: Unswept,
    pub(crate) sweeps: Sweeps,
    /// About how many bytes of each segment are dead and overwritten.
    pub(crate) dead: BTreeMap<u32, u64>,
    pub(crate) marks: Marks,
    pub(crate) tail: Tail,
    pub(crate) groups: u64,
    pub(crate) records: u64,
    pub(crate) events: u64,
    /// Bytes of journal that are in use.
    pub(crate) bytes: u64,
}

impl Index {
    pub(crate) const fn new(tail: Tail) -> Self {
        Index {
            feeds: BTreeMap::new(),
            rows: BTreeMap::new(),
            spaces: BTreeMap::new(),
            lives: Vec::new(),
            checkpoints: BTreeMap::new(),
            unswept: Unswept::new(),
            sweeps: Sweeps { begun: 0, ended: 0 },
            dead: BTreeMap::new(),
            marks: Marks::new(),
            tail,
            groups: 0,
            records: 0,
            events: 0,
            bytes: 0,
        }
    }

    pub(crate) fn tip(&self, feed: &FeedId) -> Tip {
        self.feeds.get(feed).map_or(Tip::START, |feed| feed.tip)
    }

    pub(crate) fn feed_mut(&mut self, feed: FeedId) -> &mut Feed {
        self.feeds.entry(feed).or_insert_with(Feed::new)
    }

    pub(crate) const fn last_event(&self) -> EventSeq {
        EventSeq::new(self.events)
    }

    /// Enters a record, the next of the journal, before what it says.
    pub(crate) fn add_record(&mut self, place: &Place) {
        let mark = Mark {
            record: place.record,
            events: self.events,
            segment: place.segment,
            offset: place.offset,
            group_end: place.group_end,
        };
        self.marks.note(mark);
        if place.event != 0 {
            self.events = self.events.saturating_add(1);
        }
    }

    pub(crate) fn add_range(&mut self, feed: FeedId, end: Position, tip: EntryId, place: Place) {
        let held = self.feed_mut(feed);
        let start = held.tip.head;
        held.tip = Tip {
            head: end,
            hash: tip,
        };
        self.tail.add_block(feed, Block { start, end, place });
    }

    pub(crate) fn add_content(
        &mut self,
        feed: FeedId,
        seq: Seq,
        message: MessageId,
        record: RecordId,
    ) {
        let first = Conversation {
            messages: 0,
            last: record,
        };
        let space = self.spaces.entry(feed.space).or_insert(first);
        space.messages = space.messages.saturating_add(1);
        space.last = record;
        self.tail
            .add_message(message, MessageRef { feed, seq, record });
    }

    /// Enters a drop in this group.
    pub(crate) fn add_drop(&mut self, span: &Span, group: u64) {
        if let Some(feed) = self.feeds.get_mut(&span.feed) {
            let to = span.to.min(feed.tip.head);
            feed.drop_span(span);
            self.unswept.add_span(&Span { to, ..*span }, group);
        }
    }

    /// Whether what an entry says was dropped.
    pub(crate) fn is_untold(&self, feed: &FeedId, seq: Seq) -> bool {
        let feed = self.feeds.get(feed);
        feed.is_some_and(|feed| is_dropped(&feed.contents, seq))
    }

    pub(crate) fn put(&mut self, table: TableId, key: Vec<u8>, row: Row) {
        let group = row.record.group;
        let before = self.rows.entry(table).or_default().insert(key, row);
        if let Some(before) = before {
            self.unswept.add_row(before.record, group);
        }
    }

    /// Takes a row away in this group.
    pub(crate) fn delete(&mut self, table: TableId, key: &[u8], group: u64) {
        let rows = self.rows.get_mut(&table);
        if let Some(before) = rows.and_then(|rows| rows.remove(key)) {
            self.unswept.add_row(before.record, group);
        }
    }

    /// So many more bytes of a segment are dead, and overwritten.
    pub(crate) fn add_dead(&mut self, segment: u32, bytes: u64) {
        let dead = self.dead.entry(segment).or_insert(0);
        *dead = dead.saturating_add(bytes);
    }

    /// The record that put a row.
    pub(crate) fn live_row(&self, table: TableId, key: &[u8]) -> Option<RecordId> {
        let row = self.rows.get(&table).and_then(|rows| rows.get(key));
        row.map(|row| row.record)
    }

    /// A row of the table of checkpoints is gone.
    pub(crate) fn forget_checkpoint(&mut self, key: &[u8]) {
        if let Ok(segment) = key.try_into().map(u32::from_be_bytes) {
            self.checkpoints.remove(&segment);
        }
    }

    pub(crate) fn life_of(&self, event: EventSeq) -> Option<Incarnation> {
        if event == EventSeq::ZERO || event > self.last_event() {
            return None;
        }
        let after = self.lives.partition_point(|(first, _)| *first <= event);
        let (_, life) = self.lives.get(after.checked_sub(1)?)?;
        Some(*life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_joined() {
        let mut spans = Spans::new();
        let p = Position::new;
        for (from, to) in [(5, 7), (1, 2), (9, 9), (7, 9), (20, 22)] {
            add_span(&mut spans, p(from), p(to));
        }
        assert_eq!(spans, [(p(1), p(2)), (p(5), p(9)), (p(20), p(22))]);
        let dropped: Vec<u64> = (0..25)
            .filter(|n| is_dropped(&spans, Seq::new(*n)))
            .collect();
        assert_eq!(dropped, [1, 5, 6, 7, 8, 20, 21]);
    }
}
