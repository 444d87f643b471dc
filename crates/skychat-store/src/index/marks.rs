//! Where records stand, coarsely: one mark for about 16 KiB of journal.

use std::collections::BTreeMap;

use super::RecordId;

/// Bytes of journal from one mark to the next, if records are not larger.
const STRIDE: u64 = 16 * 1024;

/// Where one record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) record: RecordId,
    /// How many events there are before it.
    pub(crate) events: u64,
    pub(crate) segment: u32,
    /// Of its head.
    pub(crate) offset: u64,
    /// Where its group ends.
    pub(crate) group_end: u64,
}

/// The marks of a journal: 40 bytes for every 16 KiB of it.
#[derive(Debug)]
pub(crate) struct Marks {
    /// In the order of the journal.
    marks: Vec<Mark>,
    /// Of each segment with a mark.
    generations: BTreeMap<u32, u32>,
}

impl Marks {
    pub(crate) const fn new() -> Self {
        Marks {
            marks: Vec::new(),
            generations: BTreeMap::new(),
        }
    }

    /// Notes a record, the next of the journal, if there is none near before it.
    pub(crate) fn note(&mut self, mark: Mark, generation: u32) {
        let near = self.marks.last().is_some_and(|last| {
            last.segment == mark.segment && mark.offset < last.offset.saturating_add(STRIDE)
        });
        if !near {
            self.generations.insert(mark.segment, generation);
            self.marks.push(mark);
        }
    }

    pub(crate) fn generation(&self, segment: u32) -> u32 {
        self.generations.get(&segment).copied().unwrap_or(0)
    }

    /// The last mark that is not behind a record.
    pub(crate) fn before(&self, record: RecordId) -> Option<Mark> {
        self.last_of(|mark| mark.record <= record)
    }

    /// The last mark that is not behind an event.
    pub(crate) fn before_event(&self, event: u64) -> Option<Mark> {
        self.last_of(|mark| mark.events < event)
    }

    /// The first mark of the first segment behind this one that has any.
    pub(crate) fn behind_segment(&self, segment: u32) -> Option<Mark> {
        let at = self.marks.partition_point(|mark| mark.segment <= segment);
        self.marks.get(at).copied()
    }

    fn last_of(&self, is_before: impl FnMut(&Mark) -> bool) -> Option<Mark> {
        let after = self.marks.partition_point(is_before);
        self.marks.get(after.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn mark(group: u64, index: u16, segment: u32, offset: u64, events: u64) -> Mark {
        Mark {
            record: RecordId { group, index },
            events,
            segment,
            offset,
            group_end: offset + 10,
        }
    }

    #[test]
    fn what_is_near_is_not_noted_again() {
        let mut marks = Marks::new();
        let all = [
            mark(1, 0, 1, 200, 0),
            mark(1, 1, 1, 300, 1),
            mark(1, 2, 1, 200 + STRIDE, 2),
            mark(2, 0, 2, 210, 2),
        ];
        for one in all {
            marks.note(one, one.segment + 4);
        }
        let at = |group, index| marks.before(RecordId { group, index });
        assert_eq!(at(0, 9), None);
        assert_eq!(at(1, 0), Some(all[0]));
        assert_eq!(at(1, 1), Some(all[0]));
        assert_eq!(at(1, 9), Some(all[2]));
        assert_eq!(at(7, 0), Some(all[3]));
        assert_eq!(marks.before_event(1), Some(all[0]));
        assert_eq!(marks.before_event(2), Some(all[0]));
        assert_eq!(marks.before_event(3), Some(all[3]));
        assert_eq!(marks.behind_segment(1), Some(all[3]));
        assert_eq!(marks.behind_segment(2), None);
        assert_eq!((marks.generation(2), marks.generation(3)), (6, 0));
    }
}
