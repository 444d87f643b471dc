//! The newest events, rendered once and shared by all readers.

use std::collections::VecDeque;

use skychat_proto::ids::EventSeq;
use skychat_proto::limits::EVENT_RING;

/// Bytes of rendered events that the ring holds at most, beside the newest event.
const RING_BYTES: usize = 16 * 1024 * 1024;

/// A run of consecutive events, the newest that were rendered. It is filled by whoever reads at
/// its end, so what nobody reads costs nothing.
#[derive(Debug)]
pub(super) struct Ring<T> {
    /// The number of the first one held.
    first: EventSeq,
    items: VecDeque<(T, usize)>,
    bytes: usize,
}

/// What the ring says about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// It is here.
    Here(T),
    /// It is the next one at the end of the ring: render it into the ring.
    Next,
    /// It is older than what is held: render it for the one who asks.
    Older,
}

impl<T: Clone> Ring<T> {
    pub(super) fn new() -> Self {
        Ring {
            first: EventSeq::ZERO.next(),
            items: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Looks for event `seq`. Whoever reads beyond the end begins the ring anew there: what lies
    /// between was of interest to nobody so near the end.
    pub(super) fn find(&mut self, seq: EventSeq) -> Found<T> {
        if seq < self.first {
            return Found::Older;
        }
        let index = seq.get().saturating_sub(self.first.get());
        let held = usize::try_from(index)
            .ok()
            .and_then(|index| self.items.get(index));
        if let Some((item, _)) = held {
            return Found::Here(item.clone());
        }
        if seq > self.end() {
            self.items.clear();
            self.bytes = 0;
            self.first = seq;
        }
        Found::Next
    }

    /// The number of the event that comes next at the end.
    pub(super) fn end(&self) -> EventSeq {
        let held = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        EventSeq::new(self.first.get().saturating_add(held))
    }

    /// Forgets everything up to event `seq`.
    pub(super) fn forget(&mut self, seq: EventSeq) {
        while self.first <= seq
            && let Some((_, bytes)) = self.items.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(bytes);
            self.first = self.first.next();
        }
    }

    /// Adds event `seq`, which takes about `bytes`. Ignored unless it is the next one.
    pub(super) fn push(&mut self, seq: EventSeq, item: T, bytes: usize) {
        if seq != self.end() {
            return;
        }
        self.items.push_back((item, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        while self.items.len() > EVENT_RING || (self.bytes > RING_BYTES && self.items.len() > 1) {
            let Some((_, bytes)) = self.items.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(bytes);
            self.first = self.first.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(n: u64) -> EventSeq {
        EventSeq::new(n)
    }

    fn fill(ring: &mut Ring<u64>, from: u64, to: u64) {
        for n in from..to {
            ring.push(seq(n), n, 10);
        }
    }

    #[test]
    fn holds_the_newest_and_says_where_the_others_are() {
        let mut ring = Ring::new();
        assert_eq!(ring.find(seq(1)), Found::Next);
        fill(&mut ring, 1, 5001);
        assert_eq!(ring.end(), seq(5001));
        assert_eq!(ring.find(seq(904)), Found::Older);
        assert_eq!(ring.find(seq(905)), Found::Here(905));
        assert_eq!(ring.find(seq(5000)), Found::Here(5000));
        assert_eq!(ring.find(seq(5001)), Found::Next);
    }

    #[test]
    fn a_reader_beyond_the_end_begins_it_anew() {
        let mut ring = Ring::new();
        fill(&mut ring, 1, 10);
        assert_eq!(ring.find(seq(100)), Found::Next);
        // Whoever was filling it from behind is no longer at its end.
        ring.push(seq(10), 10, 10);
        assert_eq!(ring.end(), seq(100));
        assert_eq!(ring.find(seq(10)), Found::Older);
        fill(&mut ring, 100, 102);
        assert_eq!(ring.find(seq(101)), Found::Here(101));
    }

    #[test]
    fn large_events_push_out_others_but_the_newest_stays() {
        let mut ring = Ring::new();
        for n in 1..=3 {
            ring.push(seq(n), n, RING_BYTES);
        }
        assert_eq!(ring.find(seq(2)), Found::Older);
        assert_eq!(ring.find(seq(3)), Found::Here(3));
    }
}
