//! Where records stand, coarsely: one mark for about 16 KiB of journal, for the newest segments.
//! Of all others it is known what stands before them; their marks are made when they are needed.

use std::collections::VecDeque;

use super::RecordId;
use crate::layout::SEGMENT_LEN;

/// Bytes of journal from one mark to the next, if records are not larger.
const STRIDE: u64 = 16 * 1024;
/// Segments of which marks are kept as they are written.
const RECENT: usize = 16;

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

impl Mark {
    /// The start of a segment: a group comes next.
    pub(crate) fn start(start: &Start) -> Self {
        let offset = SEGMENT_LEN as u64;
        Mark {
            record: RecordId {
                group: start.groups,
                index: 0,
            },
            events: start.events,
            segment: start.segment,
            offset,
            group_end: offset,
        }
    }

    /// Whether a record stands so near behind this one that it needs no mark of its own.
    pub(crate) fn is_near(&self, later: &Mark) -> bool {
        self.is_within(STRIDE, later)
    }

    /// Whether a record stands less than so many bytes behind this one.
    pub(crate) fn is_within(&self, bytes: u64, later: &Mark) -> bool {
        self.segment == later.segment && later.offset < self.offset.saturating_add(bytes)
    }
}

/// What stands before a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) segment: u32,
    pub(crate) generation: u32,
    /// How many groups.
    pub(crate) groups: u64,
    /// How many events.
    pub(crate) events: u64,
}

/// Where to look for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Near {
    /// From here on.
    At(Mark),
    /// In this segment, whose last group is `last`.
    Within { start: Start, last: u64 },
}

/// The marks of a journal: 48 bytes for every 16 KiB of its newest segments, and 24 for every
/// segment.
#[derive(Debug)]
pub(crate) struct Marks {
    /// Of every segment, in order.
    starts: Vec<Start>,
    /// In the order of the journal, of whole segments.
    marks: VecDeque<Mark>,
    /// Segments with marks.
    marked: usize,
}

impl Marks {
    pub(crate) const fn new() -> Self {
        Marks {
            starts: Vec::new(),
            marks: VecDeque::new(),
            marked: 0,
        }
    }

    /// Notes a segment, the next of the journal.
    pub(crate) fn begin(&mut self, start: Start) {
        self.starts.push(start);
    }

    /// Notes a record, the next of the journal, if there is none near before it.
    pub(crate) fn note(&mut self, mark: Mark) {
        if self.marks.back().is_some_and(|last| last.is_near(&mark)) {
            return;
        }
        if self.marks.back().map(|last| last.segment) != Some(mark.segment) {
            self.marked = self.marked.saturating_add(1);
            if self.marked > RECENT {
                self.forget_first();
            }
        }
        self.marks.push_back(mark);
    }

    fn forget_first(&mut self) {
        let first = self.marks.front().map(|mark| mark.segment);
        while self.marks.front().map(|mark| mark.segment) == first {
            if self.marks.pop_front().is_none() {
                break;
            }
        }
        self.marked = self.marked.saturating_sub(1);
    }

    /// A segment was rewritten: its generation, and its new marks.
    pub(crate) fn rewritten(&mut self, segment: u32, generation: u32, marks: &[Mark]) {
        if let Some(start) = self.start_mut(segment) {
            start.generation = generation;
        }
        let from = self.marks.partition_point(|mark| mark.segment < segment);
        let to = self.marks.partition_point(|mark| mark.segment <= segment);
        if from == to {
            return;
        }
        let behind = self.marks.split_off(to);
        self.marks.truncate(from);
        if marks.is_empty() {
            self.marked = self.marked.saturating_sub(1);
        }
        self.marks.extend(marks);
        self.marks.extend(behind);
    }

    fn start_mut(&mut self, segment: u32) -> Option<&mut Start> {
        let at = self.starts.partition_point(|start| start.segment < segment);
        self.starts
            .get_mut(at)
            .filter(|start| start.segment == segment)
    }

    /// What stands before a segment.
    pub(crate) fn of_segment(&self, segment: u32) -> Option<Start> {
        let at = self.starts.partition_point(|start| start.segment < segment);
        let start = self.starts.get(at).copied();
        start.filter(|start| start.segment == segment)
    }

    /// The number of the last segment.
    pub(crate) fn last_segment(&self) -> u32 {
        self.starts.last().map_or(0, |start| start.segment)
    }

    pub(crate) fn generation(&self, segment: u32) -> u32 {
        let at = self.starts.partition_point(|start| start.segment < segment);
        let start = self.starts.get(at);
        start.map_or(0, |start| start.generation)
    }

    /// The last mark that is not behind a record, or the segment in which it is.
    pub(crate) fn before(&self, record: RecordId) -> Option<Near> {
        let behind = |start: &Start| start.groups < record.group;
        self.near(behind, |mark| mark.record <= record)
    }

    /// The last mark that is not behind an event, or the segment in which it is.
    pub(crate) fn before_event(&self, event: u64) -> Option<Near> {
        let behind = |start: &Start| start.events < event;
        self.near(behind, |mark| mark.events < event)
    }

    /// What follows a segment.
    pub(crate) fn behind_segment(&self, segment: u32) -> Option<Start> {
        let at = self
            .starts
            .partition_point(|start| start.segment <= segment);
        self.starts.get(at).copied()
    }

    fn near(
        &self,
        starts_before: impl FnMut(&Start) -> bool,
        is_before: impl FnMut(&Mark) -> bool,
    ) -> Option<Near> {
        let at = self.starts.partition_point(starts_before).checked_sub(1)?;
        let start = *self.starts.get(at)?;
        let first = self.marks.front().map(|mark| mark.segment);
        if first.is_none_or(|first| start.segment < first) {
            let next = self.starts.get(at.saturating_add(1))?;
            let last = next.groups;
            return Some(Near::Within { start, last });
        }
        let after = self.marks.partition_point(is_before);
        let mark = self.marks.get(after.checked_sub(1)?).copied();
        mark.map(Near::At)
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

    fn start(segment: u32, groups: u64, events: u64) -> Start {
        Start {
            segment,
            generation: segment + 4,
            groups,
            events,
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
        marks.begin(start(1, 0, 0));
        for one in &all[..3] {
            marks.note(*one);
        }
        marks.begin(start(2, 1, 2));
        marks.note(all[3]);
        let at = |group, index| marks.before(RecordId { group, index });
        assert_eq!(at(0, 9), None);
        assert_eq!(at(1, 0), Some(Near::At(all[0])));
        assert_eq!(at(1, 1), Some(Near::At(all[0])));
        assert_eq!(at(1, 9), Some(Near::At(all[2])));
        assert_eq!(at(7, 0), Some(Near::At(all[3])));
        assert_eq!(marks.before_event(1), Some(Near::At(all[0])));
        assert_eq!(marks.before_event(2), Some(Near::At(all[0])));
        assert_eq!(marks.before_event(3), Some(Near::At(all[3])));
        assert_eq!(marks.behind_segment(1), Some(start(2, 1, 2)));
        assert_eq!(marks.behind_segment(2), None);
        assert_eq!((marks.generation(2), marks.generation(3)), (6, 0));
    }

    #[test]
    fn marks_of_old_segments_are_not_kept() {
        let mut marks = Marks::new();
        let count = u32::try_from(RECENT).unwrap() + 2;
        // The first one was never read.
        for segment in 1..=count {
            let groups = u64::from(segment - 1) * 2;
            marks.begin(start(segment, groups, groups));
            if segment > 1 {
                marks.note(mark(groups + 1, 0, segment, 224, groups));
                marks.note(mark(groups + 2, 0, segment, 224 + STRIDE, groups + 1));
            }
        }
        let within = |segment: u32| {
            let groups = u64::from(segment - 1) * 2;
            Some(Near::Within {
                start: start(segment, groups, groups),
                last: groups + 2,
            })
        };
        let at = |group| marks.before(RecordId { group, index: 3 });
        assert_eq!((at(1), at(2)), (within(1), within(1)));
        assert_eq!((at(3), at(4)), (within(2), within(2)));
        assert_eq!(at(5), Some(Near::At(mark(5, 0, 3, 224, 4))));
        assert_eq!(marks.before_event(4), within(2));
        assert_eq!(
            marks.before_event(6),
            Some(Near::At(mark(6, 0, 3, 224 + STRIDE, 5)))
        );
        assert_eq!(marks.marks.len(), RECENT * 2);
    }
}
