//! Going through the committed journal record by record, from a mark on.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Damage, ReadError};
use crate::index::{Mark, Place, RecordId, Start};
use crate::layout::{
    CRC_LEN, Chain, GROUP_LEN, GroupHeader, RECORD_LEN, RecordHead, RecordKind, SEGMENT_LEN,
    head_sum, segment_path,
};
use crate::record::gone;
use crate::shared::Shared;

/// Bytes that are read at once.
const WINDOW: usize = 32 * 1024;
/// Records behind the one that was found last that are remembered.
const REMEMBERED: usize = 64;

/// A record that was come by.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) kind: RecordKind,
    pub(crate) place: Place,
    pub(crate) meta: Bytes,
}

/// One way through the journal.
#[derive(Debug)]
pub(crate) struct Walk {
    shared: Arc<Shared>,
    /// The last group that may be read.
    last: u64,
    segment: u32,
    generation: u32,
    /// Length of the segment's file.
    length: u64,
    /// Of the next record, or of the next group where this one ends.
    offset: u64,
    group_end: u64,
    /// The next record, as far as it is in this group.
    next: RecordId,
    /// After this group, once its header was read.
    chain: Option<Chain>,
    window: Bytes,
    window_at: u64,
}

fn disk_error(segment: u32, offset: u64) -> impl FnOnce(std::io::Error) -> ReadError {
    move |source| ReadError::Disk {
        segment,
        offset,
        source,
    }
}

impl Walk {
    /// From a mark on, as far as the journal is committed now.
    pub(crate) fn new(shared: &Arc<Shared>, mark: Mark) -> Result<Self, ReadError> {
        let mut walk = Walk::nowhere(shared);
        walk.jump(mark)?;
        Ok(walk)
    }

    /// From the start of a segment on, up to group `last`.
    pub(crate) fn within(shared: &Arc<Shared>, start: Start, last: u64) -> Result<Self, ReadError> {
        let mut walk = Walk::nowhere(shared);
        walk.last = walk.last.min(last);
        walk.begin(start)?;
        Ok(walk)
    }

    fn nowhere(shared: &Arc<Shared>) -> Self {
        Walk {
            shared: Arc::clone(shared),
            last: shared.read().groups,
            segment: 0,
            generation: 0,
            length: 0,
            offset: 0,
            group_end: 0,
            next: RecordId { group: 0, index: 0 },
            chain: None,
            window: Bytes::new(),
            window_at: 0,
        }
    }

    /// From the last mark before a record on; `None`: there is none.
    pub(crate) fn before(
        shared: &Arc<Shared>,
        record: RecordId,
    ) -> Result<Option<Self>, ReadError> {
        let mark = shared.mark_before(record)?;
        mark.map(|mark| Walk::new(shared, mark)).transpose()
    }

    fn open(&mut self, segment: u32, generation: u32) -> Result<(), ReadError> {
        (self.segment, self.generation) = (segment, generation);
        let length = self.shared.disk.len(&segment_path(segment));
        self.length = length.map_err(disk_error(segment, 0))?;
        (self.window, self.window_at) = (Bytes::new(), 0);
        self.chain = None;
        Ok(())
    }

    /// Goes to the start of a segment: a group comes next.
    fn begin(&mut self, start: Start) -> Result<(), ReadError> {
        self.open(start.segment, start.generation)?;
        self.offset = SEGMENT_LEN as u64;
        self.group_end = self.offset;
        self.next = RecordId {
            group: start.groups,
            index: 0,
        };
        Ok(())
    }

    fn jump(&mut self, mark: Mark) -> Result<(), ReadError> {
        let generation = self.shared.read().marks.generation(mark.segment);
        self.open(mark.segment, generation)?;
        (self.offset, self.group_end) = (mark.offset, mark.group_end);
        self.next = mark.record;
        if mark.record.index == 0 {
            // The header of the group stands right before its first record.
            let at = mark.offset.saturating_sub(GROUP_LEN as u64);
            let bytes = self.bytes(at, GROUP_LEN)?;
            let header = bytes.and_then(|bytes| GroupHeader::decode(&bytes, at).ok());
            self.chain = header.map(|header| header.chain);
        }
        Ok(())
    }

    /// Goes on with what was committed meanwhile; `false`: the segment was rewritten, and this is of
    /// no more use.
    #[cfg(feature = "sled")]
    pub(crate) fn go_on(&mut self) -> Result<bool, ReadError> {
        {
            let index = self.shared.read();
            self.last = index.groups;
            if index.marks.generation(self.segment) != self.generation {
                return Ok(false);
            }
        }
        let length = self.shared.disk.len(&segment_path(self.segment));
        self.length = length.map_err(disk_error(self.segment, self.offset))?;
        // What was not written when it was read is in it as it was then.
        (self.window, self.window_at) = (Bytes::new(), 0);
        Ok(true)
    }

    #[cfg(feature = "sled")]
    /// The running hash after the group that was come to last, if its start was come by.
    pub(crate) const fn chain(&self) -> Option<Chain> {
        self.chain
    }

    /// Whether the record that was come by last was the last one of its group.
    #[cfg(feature = "sled")]
    pub(crate) const fn at_end_of_group(&self) -> bool {
        self.offset >= self.group_end
    }

    /// Whether a group is to come.
    #[cfg(feature = "sled")]
    pub(crate) const fn has_more(&self) -> bool {
        self.next.group < self.last
    }

    /// The next record, if it is still to come.
    pub(crate) const fn next_id(&self) -> RecordId {
        self.next
    }

    fn damaged(&self, what: Damage) -> ReadError {
        ReadError::Damaged {
            segment: self.segment,
            offset: self.offset,
            what,
        }
    }

    /// Bytes from the next record on; `None`: the file ends before.
    fn bytes(&mut self, from: u64, length: usize) -> Result<Option<Bytes>, ReadError> {
        let inside = from
            .checked_sub(self.window_at)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(at) = inside
            && let Some(end) = at.checked_add(length)
            && end <= self.window.len()
        {
            return Ok(Some(self.window.slice(at..end)));
        }
        let path = segment_path(self.segment);
        let window = loop {
            let left = usize::try_from(self.length.saturating_sub(from)).unwrap_or(usize::MAX);
            if left < length {
                return Ok(None);
            }
            let mut window = vec![0; length.max(WINDOW).min(left)];
            let disk = &self.shared.disk;
            let Err(error) = disk.read_at(&path, from, &mut window) else {
                break window;
            };
            // A segment that became full meanwhile was cut behind its end.
            let now = disk.len(&path).map_err(disk_error(self.segment, from))?;
            if now >= self.length {
                return Err(disk_error(self.segment, from)(error));
            }
            self.length = now;
        };
        self.window = window.into();
        self.window_at = from;
        Ok(Some(self.window.slice(..length)))
    }

    /// The next record; `None`: that was the last one that is committed.
    pub(crate) fn next(&mut self) -> Result<Option<Passed>, ReadError> {
        while self.offset >= self.group_end {
            if !self.group()? {
                return Ok(None);
            }
            self.skip_gone()?;
        }
        let passed = self.record()?;
        self.skip_gone()?;
        Ok(Some(passed))
    }

    /// Goes past what stands for records that were left out.
    fn skip_gone(&mut self) -> Result<(), ReadError> {
        while self.generation > 0 && self.offset < self.group_end {
            let head = self.bytes(self.offset, RECORD_LEN)?;
            let head = head.as_deref().and_then(|bytes| bytes.first_chunk());
            let head = head.and_then(RecordHead::decode);
            if head.is_none_or(|head| head.kind != RecordKind::Gone) {
                break;
            }
            let before = self.next.index;
            let passed = self.record()?;
            let count = gone(&passed.meta).ok_or_else(|| self.damaged(Damage::Record))?;
            self.next.index = before.saturating_add(count);
        }
        Ok(())
    }

    fn record(&mut self) -> Result<Passed, ReadError> {
        let at = self.offset;
        let bad = |walk: &Self| walk.damaged(Damage::Record);
        let head = self.bytes(at, RECORD_LEN)?.ok_or_else(|| bad(self))?;
        let head_bytes = head.first_chunk::<RECORD_LEN>().ok_or_else(|| bad(self))?;
        let head = RecordHead::decode(head_bytes).ok_or_else(|| bad(self))?;
        let meta_end = (head.meta as usize).saturating_add(RECORD_LEN);
        let body_at = meta_end.saturating_add(CRC_LEN);
        let all = at
            .saturating_add(body_at as u64)
            .saturating_add(head.body.into());
        if all > self.group_end {
            return Err(bad(self));
        }
        let bytes = self.bytes(at, body_at)?.ok_or_else(|| bad(self))?;
        let meta = bytes.slice(RECORD_LEN..meta_end);
        let sum = head_sum(self.segment, self.generation, at, head_bytes, &meta);
        if bytes.get(meta_end..) != Some(&sum) {
            return Err(bad(self));
        }
        let record = self.next;
        self.next.index = record.index.saturating_add(1);
        self.offset = all;
        Ok(Passed {
            kind: head.kind,
            place: Place {
                segment: self.segment,
                generation: self.generation,
                offset: at,
                group_end: self.group_end,
                meta: head.meta,
                body: head.body,
                body_sum: head.body_sum,
                record,
                event: head.event,
            },
            // A copy, if it is small: the window is not kept for the sake of it.
            meta: if meta.len() < 256 {
                Bytes::copy_from_slice(&meta)
            } else {
                meta
            },
        })
    }

    /// The header of a group, if it stands here.
    fn group_header(&mut self, number: u64) -> Result<Option<GroupHeader>, ReadError> {
        let bytes = self.bytes(self.offset, GROUP_LEN)?;
        let header = bytes.and_then(|bytes| GroupHeader::decode(&bytes, self.offset).ok());
        // Where a segment was rewritten, groups may be left out.
        let rewritten = self.generation > 0;
        Ok(
            header
                .filter(|header| header.number == number || (rewritten && header.number > number)),
        )
    }

    /// Goes to the next group; `false`: there is none.
    fn group(&mut self) -> Result<bool, ReadError> {
        let mut next = self.next.group.saturating_add(1);
        if self.next.group >= self.last {
            return Ok(false);
        }
        let header = loop {
            if let Some(header) = self.group_header(next)? {
                break header;
            }
            // The segment ends here; there may be one without groups behind it.
            let start = self.shared.read().marks.behind_segment(self.segment);
            let rewritten = self.generation > 0;
            let start = start.filter(|start| {
                start.groups == self.next.group || (rewritten && start.groups > self.next.group)
            });
            self.begin(start.ok_or_else(|| self.damaged(Damage::Group))?)?;
            if self.next.group >= self.last {
                return Ok(false);
            }
            next = self.next.group.saturating_add(1);
        };
        if header.number > self.last {
            return Ok(false);
        }
        self.chain = Some(header.chain);
        self.offset = self.offset.saturating_add(GROUP_LEN as u64);
        self.group_end = self.offset.saturating_add(header.length);
        self.next = RecordId {
            group: header.number,
            index: 0,
        };
        Ok(true)
    }
}

/// Finds records; near ones, one after the other, with one read.
#[derive(Debug)]
pub(crate) struct Locator {
    shared: Arc<Shared>,
    walk: Option<Walk>,
    /// In order.
    passed: VecDeque<Passed>,
}

impl Locator {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Locator {
            shared: Arc::clone(shared),
            walk: None,
            passed: VecDeque::new(),
        }
    }

    /// The record with this id, which has to be there.
    pub(crate) fn find(&mut self, record: RecordId) -> Result<Passed, ReadError> {
        let found = self.seek(record)?;
        found.ok_or_else(|| ReadError::Damaged {
            segment: self.walk.as_ref().map_or(1, |walk| walk.segment),
            offset: self.walk.as_ref().map_or(0, |walk| walk.offset),
            what: Damage::Record,
        })
    }

    /// The record with this id; `None`: there is none.
    pub(crate) fn seek(&mut self, record: RecordId) -> Result<Option<Passed>, ReadError> {
        let at = self
            .passed
            .binary_search_by_key(&record, |passed| passed.place.record);
        if let Some(found) = at.ok().and_then(|at| self.passed.get(at)) {
            return Ok(Some(found.clone()));
        }
        let mark = self.shared.mark_before(record)?;
        let Some(mark) = mark else { return Ok(None) };
        let goes_on = self
            .walk
            .as_ref()
            .is_some_and(|walk| walk.next_id() <= record && walk.next_id() >= mark.record);
        if !goes_on {
            self.passed.clear();
            self.walk = Some(Walk::new(&self.shared, mark)?);
        }
        while let Some(passed) = self.walk.as_mut().map(Walk::next).transpose()?.flatten() {
            let id = passed.place.record;
            if self.passed.len() >= REMEMBERED {
                self.passed.pop_front();
            }
            self.passed.push_back(passed.clone());
            if id == record {
                return Ok(Some(passed));
            }
            if id > record {
                break;
            }
        }
        Ok(None)
    }
}
