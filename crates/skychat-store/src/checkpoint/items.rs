//! What stands in the chunks of a checkpoint, joined: items, one behind the other.

use std::collections::BTreeMap;

use skychat_identity::KeyCache;
use skychat_proto::ids::{EntryId, EventSeq, FeedId, Incarnation, Position, SpaceId, TableId};
use skychat_proto::limits::FEED_ID_LEN;
use skychat_proto::record::tables;
use zeroize::Zeroizing;

use super::State;
use crate::index::{Conversation, Feed, RecordId, Row, Tip};
use crate::layout::{Fields, SegmentMark};
use crate::record::{CHECKPOINTS, LIVES, Span, checkpoint_key, checkpoint_row, is_own, is_secret};
use crate::sweep::{MAX_ROWS, MAX_SPANS, Unswept};

const TIP: u8 = 2;
const DROPPED: u8 = 3;
const ROW: u8 = 4;
const CONVERSATION: u8 = 5;
const UNTOLD: u8 = 6;
const DEAD_ROW: u8 = 7;
const DEAD_SPAN: u8 = 8;
const DEAD: u8 = 9;

const TIP_LEN: usize = 1 + FEED_ID_LEN + 40;
const DROPPED_LEN: usize = 1 + FEED_ID_LEN + 16;
const CONVERSATION_LEN: usize = 1 + 32 + 18;
/// A row without key and value.
const ROW_LEN: usize = 20;
const DEAD_ROW_LEN: usize = 11;

impl State {
    /// All items: feeds with what was dropped of them, conversations, lives in order, checkpoints,
    /// other rows, what is not overwritten yet.
    pub(super) fn to_items(&self) -> Zeroizing<Vec<u8>> {
        // Of this length from the start, so that no copy is left behind.
        let mut out = Zeroizing::new(Vec::with_capacity(self.size()));
        for (id, feed) in &self.feeds {
            if feed.tip != Tip::START {
                out.push(TIP);
                out.extend_from_slice(&id.to_bytes());
                out.extend_from_slice(&feed.tip.head.get().to_be_bytes());
                out.extend_from_slice(feed.tip.hash.as_bytes());
            }
            for (kind, spans) in [(DROPPED, &feed.bodies), (UNTOLD, &feed.contents)] {
                for (from, to) in spans {
                    out.push(kind);
                    out.extend_from_slice(&id.to_bytes());
                    out.extend_from_slice(&from.get().to_be_bytes());
                    out.extend_from_slice(&to.get().to_be_bytes());
                }
            }
        }
        for (space, found) in &self.spaces {
            out.push(CONVERSATION);
            out.extend_from_slice(space.as_bytes());
            out.extend_from_slice(&found.messages.to_be_bytes());
            put_record(&mut out, found.last);
        }
        for (first, life) in &self.lives {
            let first = first.get().to_be_bytes();
            put_row(&mut out, LIVES, NOWHERE, life.as_bytes(), &first);
        }
        for (segment, hash) in &self.checkpoints {
            let segment = checkpoint_key(*segment);
            put_row(&mut out, CHECKPOINTS, NOWHERE, &segment, hash);
        }
        for (table, rows) in &self.rows {
            for (key, row) in rows {
                put_row(&mut out, *table, row.record, key, &row.value);
            }
        }
        for row in &self.unswept.rows {
            out.push(DEAD_ROW);
            put_record(&mut out, *row);
        }
        for span in self.unswept.spans() {
            out.push(DEAD_SPAN);
            span.encode(&mut out);
        }
        if let Some(group) = self.unswept.all {
            out.push(DEAD);
            out.extend_from_slice(&group.to_be_bytes());
        }
        out
    }

    fn size(&self) -> usize {
        let feeds = self.feeds.values().map(|feed| {
            let spans = feed.bodies.len().saturating_add(feed.contents.len());
            spans.saturating_mul(DROPPED_LEN).saturating_add(TIP_LEN)
        });
        let rows = self.rows.values().flatten().map(|(key, row)| {
            let length = key.len().saturating_add(row.value.len());
            length.saturating_add(ROW_LEN)
        });
        let counted = [
            (self.spaces.len(), CONVERSATION_LEN),
            (self.lives.len(), ROW_LEN + 16),
            (self.checkpoints.len(), ROW_LEN + 36),
            (self.unswept.rows.len(), DEAD_ROW_LEN),
            (self.unswept.spans().count(), Span::LEN + 1),
            (1, 9),
        ];
        let others = counted.map(|(count, length)| count.saturating_mul(length));
        let all = feeds.chain(rows).chain(others);
        all.fold(0, usize::saturating_add)
    }

    /// `None`: not items, one of them twice, or one that cannot be.
    pub(super) fn from_items(mark: SegmentMark, items: &[u8]) -> Option<Self> {
        let mut state = State {
            mark,
            feeds: BTreeMap::new(),
            rows: BTreeMap::new(),
            spaces: BTreeMap::new(),
            lives: Vec::new(),
            checkpoints: BTreeMap::new(),
            unswept: Unswept::new(),
        };
        let mut keys = KeyCache::new();
        let mut fields = Fields::new(items);
        while fields.end().is_none() {
            match fields.u8()? {
                TIP => state.read_tip(&mut fields, &mut keys)?,
                kind @ (DROPPED | UNTOLD) => state.read_dropped(kind, &mut fields, &mut keys)?,
                ROW => state.read_row(&mut fields)?,
                CONVERSATION => state.read_conversation(&mut fields)?,
                DEAD_ROW => state.read_dead_row(&mut fields)?,
                DEAD_SPAN => state.read_dead_span(&mut fields, &mut keys)?,
                DEAD => state.read_dead(&mut fields)?,
                _ => return None,
            }
        }
        Some(state)
    }

    fn read_tip(&mut self, fields: &mut Fields<'_>, keys: &mut KeyCache) -> Option<()> {
        let feed = read_feed(fields, keys)?;
        let tip = Tip {
            head: Position::new(fields.u64()?),
            hash: EntryId::from_bytes(fields.array()?),
        };
        let held = self.feeds.entry(feed).or_insert_with(Feed::new);
        let is_new = held.tip == Tip::START && !tip.head.is_start();
        held.tip = tip;
        is_new.then_some(())
    }

    fn read_dropped(
        &mut self,
        kind: u8,
        fields: &mut Fields<'_>,
        keys: &mut KeyCache,
    ) -> Option<()> {
        let feed = read_feed(fields, keys)?;
        let (from, to) = (fields.u64()?, fields.u64()?);
        let held = self.feeds.entry(feed).or_insert_with(Feed::new);
        let spans = match kind {
            DROPPED => &mut held.bodies,
            _ => &mut held.contents,
        };
        // In order, and apart from each other.
        let before = spans.last().map(|(_, to)| to.get());
        let is_behind = before.is_none_or(|before| before < from);
        spans.push((Position::new(from), Position::new(to)));
        (is_behind && from < to).then_some(())
    }

    fn read_conversation(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        let space = SpaceId::from_bytes(fields.array()?);
        let found = Conversation {
            messages: fields.u64()?,
            last: read_record(fields)?,
        };
        let is_before = found.last.group <= self.mark.counts.groups;
        let is_new = self.spaces.insert(space, found).is_none();
        (is_new && is_before && found.messages > 0).then_some(())
    }

    fn read_row(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        let table = TableId::new(fields.u8()?);
        let record = read_record(fields)?;
        let key = read_bytes(fields)?;
        let value = read_bytes(fields)?;
        if is_own(table) && record != NOWHERE {
            return None;
        }
        if table == LIVES {
            let life = Incarnation::from_slice(key)?;
            let first = EventSeq::new(u64::from_be_bytes(value.try_into().ok()?));
            let known = self.lives.iter().any(|(_, known)| *known == life);
            let in_order = self.lives.last().is_none_or(|(last, _)| *last <= first);
            let is_before = first.get() <= self.mark.counts.events.saturating_add(1);
            self.lives.push((first, life));
            return (in_order && is_before && !known).then_some(());
        }
        if table == CHECKPOINTS {
            let (segment, hash) = checkpoint_row(key, value)?;
            let is_new = self.checkpoints.insert(segment, hash).is_none();
            return (is_new && segment < self.mark.segment).then_some(());
        }
        if is_secret(table) || is_own(table) || table == tables::EVENT {
            return None;
        }
        let rows = self.rows.entry(table).or_default();
        let value = Zeroizing::new(value.to_vec());
        let row = Row { value, record };
        let is_new = rows.insert(key.to_vec(), row).is_none();
        (is_new && self.is_before(record)).then_some(())
    }

    /// Whether there may be such a record.
    fn is_before(&self, record: RecordId) -> bool {
        (1..=self.mark.counts.groups).contains(&record.group)
    }

    fn read_dead_row(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        let row = read_record(fields)?;
        let rows = &mut self.unswept.rows;
        let is_next = rows.last().is_none_or(|last| *last < row);
        rows.insert(row);
        let fits = rows.len() <= MAX_ROWS;
        (is_next && fits && self.is_before(row)).then_some(())
    }

    fn read_dead_span(&mut self, fields: &mut Fields<'_>, keys: &mut KeyCache) -> Option<()> {
        let span = Span::read(fields, keys)?;
        let key = (span.feed, span.parts);
        let is_next = self
            .unswept
            .spans
            .last_key_value()
            .is_none_or(|(of, spans)| {
                *of < key || (*of == key && spans.last().is_some_and(|(_, to)| *to < span.from))
            });
        let spans = self.unswept.spans.entry(key).or_default();
        spans.push((span.from, span.to));
        let fits = self.unswept.spans().count() <= MAX_SPANS;
        (is_next && fits && span.from < span.to).then_some(())
    }

    fn read_dead(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        let group = fields.u64()?;
        let is_new = self.unswept.all.replace(group).is_none();
        (is_new && (1..=self.mark.counts.groups).contains(&group)).then_some(())
    }
}

/// Rows of the store's own are not looked for.
const NOWHERE: RecordId = RecordId { group: 0, index: 0 };

fn put_record(out: &mut Vec<u8>, record: RecordId) {
    out.extend_from_slice(&record.group.to_be_bytes());
    out.extend_from_slice(&record.index.to_be_bytes());
}

fn read_record(fields: &mut Fields<'_>) -> Option<RecordId> {
    Some(RecordId {
        group: fields.u64()?,
        index: fields.u16()?,
    })
}

fn put_row(out: &mut Vec<u8>, table: TableId, record: RecordId, key: &[u8], value: &[u8]) {
    out.push(ROW);
    out.push(table.get());
    put_record(out, record);
    // Records are shorter than 4 GiB.
    for bytes in [key, value] {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(bytes);
    }
}

fn read_bytes<'a>(fields: &mut Fields<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(fields.u32()?).ok()?;
    fields.bytes(length)
}

fn read_feed(fields: &mut Fields<'_>, keys: &mut KeyCache) -> Option<FeedId> {
    FeedId::from_bytes(&fields.array::<FEED_ID_LEN>()?, keys).ok()
}

#[cfg(test)]
mod tests;
