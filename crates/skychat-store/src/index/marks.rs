//! Where records stand, coarsely: one mark for about 16 KiB of journal, for the newest segments.
//! Of all others it is known what stands before them; their marks are made when they are needed.
//! A daemon that is busy notes thousands a minute, so they are kept small.

use std::collections::VecDeque;

use super::RecordId;
use crate::layout::SEGMENT_LEN;

/// Bytes of journal from one mark to the next, if records are not larger.
const STRIDE: u64 = 16 * 1024;
/// Segments of which marks are kept as they are written.
const RECENT: usize = 8;

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

/// The marks of one segment, in order: 20 bytes each.
#[derive(Clone, Debug)]
pub(crate) struct SegmentMarks {
    start: Start,
    marks: Vec<Packed>,
}

/// A mark, counted from the start of its segment.
#[derive(Clone, Copy, Debug)]
struct Packed {
    group: u32,
    events: u32,
    offset: u32,
    /// From the offset on.
    length: u32,
    index: u16,
}

impl SegmentMarks {
    pub(crate) const fn new(start: Start) -> Self {
        SegmentMarks {
            start,
            marks: Vec::new(),
        }
    }

    pub(crate) fn from_marks(start: Start, marks: impl IntoIterator<Item = Mark>) -> Self {
        let marks = marks.into_iter().filter_map(|mark| pack(&start, &mark));
        SegmentMarks {
            start,
            marks: marks.collect(),
        }
    }

    /// Notes the next one of the segment. One that is 4 GiB or 4 billion away from its start, which
    /// no segment is, is left out: what it is for is found from the one before.
    pub(crate) fn push(&mut self, mark: &Mark) {
        self.marks.extend(pack(&self.start, mark));
    }

    pub(crate) const fn start(&self) -> &Start {
        &self.start
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    fn first(&self) -> Option<Mark> {
        self.marks.first().map(|packed| self.unpack(packed))
    }

    pub(crate) fn last(&self) -> Option<Mark> {
        self.marks.last().map(|packed| self.unpack(packed))
    }

    /// The last one that is before something; those that are stand before all others.
    pub(crate) fn last_before(&self, mut is_before: impl FnMut(&Mark) -> bool) -> Option<Mark> {
        let before = |packed: &Packed| is_before(&self.unpack(packed));
        let after = self.marks.partition_point(before);
        let found = self.marks.get(after.checked_sub(1)?)?;
        Some(self.unpack(found))
    }

    /// Gives back what a growing list took too much.
    pub(crate) fn shrink(&mut self) {
        self.marks.shrink_to_fit();
    }

    fn unpack(&self, packed: &Packed) -> Mark {
        let offset = u64::from(packed.offset);
        Mark {
            record: RecordId {
                group: self.start.groups.saturating_add(packed.group.into()),
                index: packed.index,
            },
            events: self.start.events.saturating_add(packed.events.into()),
            segment: self.start.segment,
            offset,
            group_end: offset.saturating_add(packed.length.into()),
        }
    }
}

fn pack(start: &Start, mark: &Mark) -> Option<Packed> {
    let from = |value: u64, start: u64| u32::try_from(value.checked_sub(start)?).ok();
    Some(Packed {
        group: from(mark.record.group, start.groups)?,
        events: from(mark.events, start.events)?,
        offset: from(mark.offset, 0)?,
        length: from(mark.group_end, mark.offset)?,
        index: mark.record.index,
    })
}

/// The marks of a journal: 20 bytes for every 16 KiB of its newest segments, and 24 for every
/// segment.
#[derive(Debug)]
pub(crate) struct Marks {
    /// Of every segment, in order.
    starts: Vec<Start>,
    /// Of the newest segments, in order; none of them is empty.
    recent: VecDeque<SegmentMarks>,
}

impl Marks {
    pub(crate) const fn new() -> Self {
        Marks {
            starts: Vec::new(),
            recent: VecDeque::new(),
        }
    }

    /// Notes a segment, the next of the journal.
    pub(crate) fn begin(&mut self, start: Start) {
        self.starts.push(start);
    }

    /// Notes a record, the next of the journal, if there is none near before it.
    pub(crate) fn note(&mut self, mark: Mark) {
        if let Some(newest) = self.recent.back_mut()
            && newest.start.segment == mark.segment
        {
            if !newest.last().is_some_and(|last| last.is_near(&mark)) {
                newest.push(&mark);
            }
            return;
        }
        let Some(start) = self.of_segment(mark.segment) else {
            return;
        };
        let marks = SegmentMarks::from_marks(start, [mark]);
        if marks.is_empty() {
            return;
        }
        if let Some(full) = self.recent.back_mut() {
            full.shrink();
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(marks);
    }

    /// A segment was rewritten: its generation, and its new marks.
    pub(crate) fn rewritten(&mut self, segment: u32, generation: u32, marks: &[Mark]) {
        let Some(start) = self.start_mut(segment) else {
            return;
        };
        start.generation = generation;
        let marks = SegmentMarks::from_marks(*start, marks.iter().copied());
        let same = |recent: &SegmentMarks| recent.start.segment == segment;
        let Some(at) = self.recent.iter().position(same) else {
            return;
        };
        if marks.is_empty() {
            self.recent.remove(at);
        } else if let Some(old) = self.recent.get_mut(at) {
            *old = marks;
        }
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
        mut is_before: impl FnMut(&Mark) -> bool,
    ) -> Option<Near> {
        let at = self.starts.partition_point(starts_before).checked_sub(1)?;
        let start = *self.starts.get(at)?;
        let first = self.recent.front().map(|marks| marks.start.segment);
        if first.is_none_or(|first| start.segment < first) {
            let next = self.starts.get(at.saturating_add(1))?;
            let last = next.groups;
            return Some(Near::Within { start, last });
        }
        let begins_before = |marks: &SegmentMarks| marks.first().is_some_and(|m| is_before(&m));
        let after = self.recent.partition_point(begins_before);
        let marks = self.recent.get(after.checked_sub(1)?)?;
        marks.last_before(is_before).map(Near::At)
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
        assert_eq!(marks.recent.len(), RECENT);
    }

    #[test]
    fn marks_come_back_as_they_were_noted() {
        let start = start(7, 1 << 40, 1 << 50);
        let of = |group, offset, events| mark((1 << 40) + group, 3, 7, offset, (1 << 50) + events);
        let most = u64::from(u32::MAX);
        let all = [of(1, 224, 0), of(most, most - 9, most)];
        let mut marks = SegmentMarks::from_marks(start, all);
        // None of these fits.
        for far in [of(most + 1, 9, 9), of(9, most + 1, 9), of(9, 9, most + 1)] {
            marks.push(&far);
        }
        let (first, last) = (marks.first(), marks.last());
        assert_eq!((first, last), (Some(all[0]), Some(all[1])));
        let before = |group| marks.last_before(|mark| mark.record.group <= group);
        assert_eq!(before(1 << 40), None);
        assert_eq!(before((1 << 40) + 5), Some(all[0]));
        assert_eq!(before(u64::MAX), Some(all[1]));
    }

    #[test]
    fn a_rewritten_segment_has_its_new_marks() {
        let mut marks = Marks::new();
        for segment in 1..=3 {
            let groups = u64::from(segment) * 10;
            marks.begin(start(segment, groups, groups));
            marks.note(mark(groups + 1, 0, segment, 224, groups));
            marks.note(mark(groups + 5, 0, segment, 224 + STRIDE, groups));
        }
        let at = |marks: &Marks, group| marks.before(RecordId { group, index: 3 });
        let new = mark(22, 0, 2, 300, 20);
        marks.rewritten(2, 9, &[new]);
        assert_eq!(marks.generation(2), 9);
        assert_eq!(at(&marks, 27), Some(Near::At(new)));
        // What comes before it is behind the marks of the segment before.
        let before = mark(15, 0, 1, 224 + STRIDE, 10);
        assert_eq!(at(&marks, 21), Some(Near::At(before)));
        marks.rewritten(2, 10, &[]);
        assert_eq!(at(&marks, 27), Some(Near::At(before)));
        assert_eq!(at(&marks, 33), Some(Near::At(mark(31, 0, 3, 224, 30))));
    }
}
