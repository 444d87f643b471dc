//! Where everything stands: in memory, rebuilt at every start.

use std::collections::BTreeMap;

use skychat_identity::PublicKey;
use skychat_proto::ids::{
    EntryId, EventSeq, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, TableId,
};
use zeroize::Zeroizing;

/// A record, for as long as the store exists: the number of its group, and which record of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// From 1.
    pub group: u64,
    /// From 0.
    pub index: u16,
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
    pub(crate) meta: u32,
    pub(crate) body: u32,
    /// Checksum of the body.
    pub(crate) body_sum: u32,
    pub(crate) record: RecordId,
    /// 0: no event.
    pub(crate) event: u64,
}

/// Entries that were written as one range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// The position after its last entry.
    pub(crate) end: Position,
    pub(crate) place: Place,
}

/// The content of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContentPlace {
    pub(crate) message: MessageId,
    pub(crate) entry: EntryId,
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) struct Feed {
    pub(crate) tip: Tip,
    /// Adjacent, in order.
    pub(crate) blocks: Vec<Block>,
    /// Spans without bodies: in order, apart from each other.
    pub(crate) dropped: Vec<(Position, Position)>,
    pub(crate) contents: BTreeMap<Seq, ContentPlace>,
}

impl Feed {
    const fn new() -> Self {
        Feed {
            tip: Tip::START,
            blocks: Vec::new(),
            dropped: Vec::new(),
            contents: BTreeMap::new(),
        }
    }

    /// The blocks from the one on that holds the entry after `from`.
    pub(crate) fn blocks_from(&self, from: Position) -> &[Block] {
        let first = self.blocks.partition_point(|block| block.end <= from);
        self.blocks.get(first..).unwrap_or_default()
    }

    fn drop_span(&mut self, mut from: Position, mut to: Position) {
        if from >= to {
            return;
        }
        self.dropped.retain(|(start, end)| {
            let apart = *end < from || *start > to;
            if !apart {
                from = from.min(*start);
                to = to.max(*end);
            }
            apart
        });
        let at = self.dropped.partition_point(|(start, _)| *start < from);
        self.dropped.insert(at, (from, to));
    }
}

/// Whether an entry lies in one of the spans.
pub(crate) fn is_dropped(spans: &[(Position, Position)], seq: Seq) -> bool {
    let after = spans.partition_point(|(start, _)| !start.covers(seq));
    after
        .checked_sub(1)
        .and_then(|at| spans.get(at))
        .is_some_and(|(_, end)| end.covers(seq))
}

/// What an event is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EventOf {
    Message { feed: FeedId, seq: Seq },
    Draft,
    Put,
    Delete,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct EventPlace {
    pub(crate) of: EventOf,
    pub(crate) place: Place,
}

/// A message with a content that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRef {
    /// In which feed.
    pub feed: FeedId,
    /// Which entry of it.
    pub seq: Seq,
    /// The record of its content.
    pub record: RecordId,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) feeds: BTreeMap<FeedId, Feed>,
    pub(crate) rows: BTreeMap<TableId, BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>>,
    /// The first one of each that was taken.
    pub(crate) messages: BTreeMap<(PublicKey, SpaceId, MessageId), MessageRef>,
    pub(crate) spaces: BTreeMap<SpaceId, BTreeMap<RecordId, (FeedId, Seq)>>,
    /// Number 1 first.
    pub(crate) events: Vec<EventPlace>,
    /// In order.
    pub(crate) lives: Vec<(RecordId, EventSeq, Incarnation)>,
    pub(crate) groups: u64,
    pub(crate) records: u64,
    /// Bytes of journal that are in use.
    pub(crate) bytes: u64,
}

impl Index {
    pub(crate) fn tip(&self, feed: &FeedId) -> Tip {
        self.feeds.get(feed).map_or(Tip::START, |feed| feed.tip)
    }

    pub(crate) fn feed_mut(&mut self, feed: FeedId) -> &mut Feed {
        self.feeds.entry(feed).or_insert_with(Feed::new)
    }

    pub(crate) fn last_event(&self) -> EventSeq {
        EventSeq::new(self.events.len() as u64)
    }

    pub(crate) fn add_range(&mut self, feed: FeedId, end: Position, tip: EntryId, place: Place) {
        let feed = self.feed_mut(feed);
        feed.blocks.push(Block { end, place });
        feed.tip = Tip {
            head: end,
            hash: tip,
        };
    }

    pub(crate) fn add_content(
        &mut self,
        feed: FeedId,
        seq: Seq,
        message: MessageId,
        entry: EntryId,
        place: Place,
    ) {
        let content = ContentPlace {
            message,
            entry,
            place,
        };
        self.feed_mut(feed).contents.insert(seq, content);
        let key = (feed.author, feed.space, message);
        self.messages.entry(key).or_insert(MessageRef {
            feed,
            seq,
            record: place.record,
        });
        let space = self.spaces.entry(feed.space).or_default();
        space.insert(place.record, (feed, seq));
        self.add_event(EventOf::Message { feed, seq }, place);
    }

    pub(crate) fn add_event(&mut self, of: EventOf, place: Place) {
        if place.event != 0 {
            self.events.push(EventPlace { of, place });
        }
    }

    pub(crate) fn add_drop(&mut self, feed: FeedId, from: Position, to: Position) {
        self.feed_mut(feed).drop_span(from, to);
    }

    pub(crate) fn put(&mut self, table: TableId, key: Vec<u8>, value: Zeroizing<Vec<u8>>) {
        self.rows.entry(table).or_default().insert(key, value);
    }

    pub(crate) fn delete(&mut self, table: TableId, key: &[u8]) {
        if let Some(rows) = self.rows.get_mut(&table) {
            rows.remove(key);
        }
    }

    pub(crate) fn life_of(&self, event: EventSeq) -> Option<Incarnation> {
        if event == EventSeq::ZERO || event > self.last_event() {
            return None;
        }
        let after = self.lives.partition_point(|(_, first, _)| *first <= event);
        let (.., life) = self.lives.get(after.checked_sub(1)?)?;
        Some(*life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_joined() {
        let mut feed = Feed::new();
        let p = Position::new;
        feed.drop_span(p(5), p(7));
        feed.drop_span(p(1), p(2));
        feed.drop_span(p(9), p(9));
        feed.drop_span(p(7), p(9));
        feed.drop_span(p(20), p(22));
        assert_eq!(feed.dropped, [(p(1), p(2)), (p(5), p(9)), (p(20), p(22))]);
        let dropped: Vec<u64> = (0..25)
            .filter(|n| is_dropped(&feed.dropped, Seq::new(*n)))
            .collect();
        assert_eq!(dropped, [1, 5, 6, 7, 8, 20, 21]);
    }
}
