//! What is dead and not overwritten yet.

use std::collections::{BTreeMap, BTreeSet};

use skychat_proto::ids::{FeedId, Position};
use skychat_proto::record::Parts;

use crate::index::{RecordId, Spans, Tables, add_span};
use crate::record::{Span, is_secret};

/// Rows that are listed one by one.
pub(crate) const MAX_ROWS: usize = 32 * 1024;
/// Spans that are listed.
pub(crate) const MAX_SPANS: usize = 4 * 1024;

/// What is dead and not overwritten yet: a bounded list of records and spans. When it is full, all
/// of the journal up to then is to be looked through instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unswept {
    /// Values of rows.
    pub(crate) rows: BTreeSet<RecordId>,
    pub(crate) spans: BTreeMap<(FeedId, Parts), Spans>,
    /// Everything up to this group.
    pub(crate) all: Option<u64>,
}

impl Unswept {
    pub(crate) const fn new() -> Self {
        Unswept {
            rows: BTreeSet::new(),
            spans: BTreeMap::new(),
            all: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.spans.is_empty() && self.all.is_none()
    }

    /// Whether it is so full that it should not wait.
    pub(crate) fn is_pressing(&self) -> bool {
        self.rows.len() >= MAX_ROWS / 2 || self.count() >= MAX_SPANS / 2 || self.all.is_some()
    }

    fn count(&self) -> usize {
        self.spans.values().map(Vec::len).sum()
    }

    /// A row whose value a later record took the place of; `group` is that of the later one.
    pub(crate) fn add_row(&mut self, row: RecordId, group: u64) {
        if self.rows.len() >= MAX_ROWS {
            self.look_at_all(group);
        }
        self.rows.insert(row);
    }

    /// Secret rows that are put again behind this group: the copies up to it are dead then.
    pub(crate) fn add_secret(&mut self, rows: &Tables, group: u64) {
        let secret = rows.iter().filter(|(table, _)| is_secret(**table));
        for row in secret.flat_map(|(_, rows)| rows.values()) {
            self.add_row(row.record, group);
        }
    }

    /// A drop in this group.
    pub(crate) fn add_span(&mut self, span: &Span, group: u64) {
        if span.from >= span.to {
            return;
        }
        if self.count() >= MAX_SPANS {
            self.look_at_all(group);
        }
        let spans = self.spans.entry((span.feed, span.parts)).or_default();
        add_span(spans, span.from, span.to);
    }

    fn look_at_all(&mut self, group: u64) {
        *self = Unswept {
            all: Some(group),
            ..Unswept::default()
        };
    }

    pub(crate) fn spans(&self) -> impl Iterator<Item = Span> + '_ {
        self.spans.iter().flat_map(|((feed, parts), spans)| {
            spans.iter().map(|(from, to)| Span {
                feed: *feed,
                from: *from,
                to: *to,
                parts: *parts,
            })
        })
    }

    /// These are overwritten, and synced.
    pub(crate) fn done(&mut self, swept: &Unswept) {
        for row in &swept.rows {
            self.rows.remove(row);
        }
        for span in swept.spans() {
            let key = (span.feed, span.parts);
            if let Some(spans) = self.spans.get_mut(&key) {
                take_span(spans, span.from, span.to);
                if spans.is_empty() {
                    self.spans.remove(&key);
                }
            }
        }
        if swept.all.is_some() && self.all == swept.all {
            self.all = None;
        }
    }
}

/// Takes a span out of others, which may go further.
fn take_span(spans: &mut Spans, from: Position, to: Position) {
    let left = |(start, end): (Position, Position)| {
        [(start, end.min(from)), (start.max(to), end)]
            .into_iter()
            .filter(|(start, end)| start < end)
    };
    *spans = std::mem::take(spans).into_iter().flat_map(left).collect();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use skychat_identity::SecretKey;
    use skychat_proto::ids::{Incarnation, SpaceId, Stream};

    use super::*;

    fn span(n: u8, from: u64, to: u64) -> Span {
        Span {
            feed: FeedId {
                author: SecretKey::from_seed([n; 32]).public(),
                space: SpaceId::from_bytes([n; 32]),
                stream: Stream::MESSAGES,
                incarnation: Incarnation::from_bytes([n; 8]),
            },
            from: Position::new(from),
            to: Position::new(to),
            parts: Parts::Both,
        }
    }

    fn row(group: u64) -> RecordId {
        RecordId { group, index: 0 }
    }

    #[test]
    fn what_was_added_meanwhile_stays() {
        let mut list = Unswept::default();
        list.add_span(&span(1, 2, 5), 9);
        list.add_row(row(1), 9);
        let swept = list.clone();
        list.add_span(&span(1, 5, 7), 10);
        list.add_span(&span(2, 5, 5), 10);
        list.add_row(row(2), 10);
        list.done(&swept);
        let left: Vec<Span> = list.spans().collect();
        assert_eq!(left, [span(1, 5, 7)]);
        assert!(list.rows.iter().eq([&row(2)]));
        let swept = list.clone();
        list.done(&swept);
        assert!(list.is_empty());
    }

    #[test]
    fn a_full_list_has_everything_looked_at() {
        let mut list = Unswept::default();
        for n in 0..MAX_ROWS as u64 {
            list.add_row(row(n), n + 1);
        }
        assert_eq!(list.all, None);
        list.add_row(row(1 << 40), 77);
        assert_eq!((list.all, list.rows.len()), (Some(77), 1));
        let swept = list.clone();
        for n in 0..=MAX_SPANS as u64 {
            list.add_span(&span(1, n * 2, n * 2 + 1), 99);
        }
        assert_eq!((list.all, list.rows.len()), (Some(99), 0));
        // Another look at all was asked for meanwhile.
        list.done(&swept);
        assert_eq!(list.all, Some(99));
    }
}
