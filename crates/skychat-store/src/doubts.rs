//! Bodies that are not what was written, until it is known whether a drop covers them.

use std::collections::BTreeMap;

use skychat_proto::ids::{FeedId, Position, Seq};

use crate::index::{Index, Spans};

/// Entries that stand side by side.
#[derive(Debug)]
pub(crate) struct Doubt<T> {
    from: Position,
    to: Position,
    /// Where the first of them was found.
    pub(crate) at: T,
    /// In how many records, at most.
    pub(crate) records: u64,
    /// Whether they are events.
    pub(crate) event: bool,
}

/// Bodies and contents in doubt. Neighbours take one place, so a feed that was swept takes few.
#[derive(Debug)]
pub(crate) struct Doubts<T> {
    bodies: BTreeMap<FeedId, Vec<Doubt<T>>>,
    contents: BTreeMap<FeedId, Vec<Doubt<T>>>,
}

impl<T> Default for Doubts<T> {
    fn default() -> Self {
        Doubts {
            bodies: BTreeMap::new(),
            contents: BTreeMap::new(),
        }
    }
}

/// What no drop covers.
pub(crate) struct Uncovered<T> {
    pub(crate) bodies: Vec<Doubt<T>>,
    pub(crate) contents: Vec<Doubt<T>>,
}

impl<T> Doubts<T> {
    /// The bodies of these entries of one record.
    pub(crate) fn bodies(&mut self, feed: FeedId, bad: &[Seq], at: impl Fn() -> T) {
        let doubts = self.bodies.entry(feed).or_default();
        for (number, seq) in bad.iter().enumerate() {
            note(doubts, *seq, number == 0, false, &at);
        }
    }

    /// What an entry says.
    pub(crate) fn content(&mut self, feed: FeedId, seq: Seq, event: bool, at: impl Fn() -> T) {
        let doubts = self.contents.entry(feed).or_default();
        note(doubts, seq, true, event, &at);
    }

    /// Everything was read.
    pub(crate) fn settle(self, index: &Index) -> Uncovered<T> {
        let none = Spans::new();
        let (mut bodies, mut contents) = (Vec::new(), Vec::new());
        for (id, doubts) in self.bodies {
            let spans = index.feeds.get(&id).map_or(&none, |feed| &feed.bodies);
            bodies.extend(uncovered(doubts, spans));
        }
        for (id, doubts) in self.contents {
            let spans = index.feeds.get(&id).map_or(&none, |feed| &feed.contents);
            contents.extend(uncovered(doubts, spans));
        }
        Uncovered { bodies, contents }
    }
}

fn note<T>(doubts: &mut Vec<Doubt<T>>, seq: Seq, is_new: bool, event: bool, at: &impl Fn() -> T) {
    let (from, to) = (seq.position(), seq.after());
    match doubts.last_mut() {
        Some(last) if last.to == from && last.event == event => {
            last.to = to;
            last.records = last.records.saturating_add(is_new.into());
        }
        _ => doubts.push(Doubt {
            from,
            to,
            at: at(),
            records: 1,
            event,
        }),
    }
}

fn uncovered<T>(doubts: Vec<Doubt<T>>, spans: &Spans) -> impl Iterator<Item = Doubt<T>> {
    doubts.into_iter().filter_map(|mut doubt| {
        let mut left = doubt.to.get().saturating_sub(doubt.from.get());
        let first = spans.partition_point(|(_, end)| *end <= doubt.from);
        let inside = spans.iter().skip(first);
        for (from, to) in inside.take_while(|(from, _)| *from < doubt.to) {
            let (from, to) = ((*from).max(doubt.from), (*to).min(doubt.to));
            left = left.saturating_sub(to.get().saturating_sub(from.get()));
        }
        doubt.records = doubt.records.min(left);
        (left > 0).then_some(doubt)
    })
}
