//! Marks of segments that were not read at start, or long ago: made by walking through one
//! segment when something in it is asked for, and kept for a while.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Damage, ReadError};
use crate::index::{Mark, Near, RecordId, SegmentMarks, Start};
use crate::shared::Shared;
use crate::walk::Walk;

/// Segments of which marks are kept: 4 GiB of journal, in 1.3 MiB.
const MAX_KEPT: usize = 64;
/// Bytes of journal from one of them to the next: they are coarser than those of the newest.
const STRIDE: u64 = 64 * 1024;

/// Marks that were made, those that were used last behind the others.
#[derive(Debug, Default)]
pub(crate) struct OldMarks(Mutex<VecDeque<Arc<SegmentMarks>>>);

impl OldMarks {
    fn get(&self, start: &Start) -> Option<Arc<SegmentMarks>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|kept| kept.start() == start)?;
        let found = kept.remove(at)?;
        kept.push_back(Arc::clone(&found));
        Some(found)
    }

    fn keep(&self, marks: Arc<SegmentMarks>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Another one may have been as quick.
        kept.retain(|kept| kept.start().segment != marks.start().segment);
        while kept.len() >= MAX_KEPT {
            kept.pop_front();
        }
        kept.push_back(marks);
    }
}

impl Shared {
    /// The last mark that is not behind a record; `None`: there is none.
    pub(crate) fn mark_before(
        self: &Arc<Self>,
        record: RecordId,
    ) -> Result<Option<Mark>, ReadError> {
        let near = self.read().marks.before(record);
        self.mark_of(near, |mark| mark.record <= record)
    }

    /// The last mark that is not behind an event; `None`: there is none.
    pub(crate) fn mark_before_event(
        self: &Arc<Self>,
        event: u64,
    ) -> Result<Option<Mark>, ReadError> {
        let near = self.read().marks.before_event(event);
        self.mark_of(near, |mark| mark.events < event)
    }

    fn mark_of(
        self: &Arc<Self>,
        near: Option<Near>,
        is_before: impl FnMut(&Mark) -> bool,
    ) -> Result<Option<Mark>, ReadError> {
        let (start, last) = match near {
            None => return Ok(None),
            Some(Near::At(mark)) => return Ok(Some(mark)),
            Some(Near::Within { start, last }) => (start, last),
        };
        let marks = match self.old_marks.get(&start) {
            Some(marks) => marks,
            None => {
                let marks = Arc::new(self.make_marks(start, last)?);
                self.old_marks.keep(Arc::clone(&marks));
                marks
            }
        };
        let found = marks.last_before(is_before);
        if found.is_none() && start.generation > 0 {
            // It may have been left out: what is behind it follows from the start of the segment.
            return Ok(Some(Mark::start(&start)));
        }
        // What its header says stands before it, so it has to be in it.
        let missing = ReadError::Damaged {
            segment: start.segment,
            offset: 0,
            what: Damage::Group,
        };
        found.map(Some).ok_or(missing)
    }

    fn make_marks(self: &Arc<Self>, start: Start, last: u64) -> Result<SegmentMarks, ReadError> {
        let mut walk = Walk::within(self, start, last)?;
        let mut marks = SegmentMarks::new(start);
        let mut events = start.events;
        loop {
            let passed = match walk.next() {
                // What stands before the damage is found all the same.
                Err(ReadError::Damaged { .. }) if !marks.is_empty() => break,
                passed => passed?,
            };
            let Some(passed) = passed else { break };
            let place = passed.place;
            let mark = Mark {
                record: place.record,
                events,
                segment: place.segment,
                offset: place.offset,
                group_end: place.group_end,
            };
            if !marks
                .last()
                .is_some_and(|last| last.is_within(STRIDE, &mark))
            {
                marks.push(&mark);
            }
            if place.event != 0 {
                events = events.saturating_add(1);
            }
        }
        marks.shrink();
        Ok(marks)
    }
}
