//! What waits to be sent: frames, already laid out as records, in three lanes.
//!
//! Frames are appended to the open record of their lane, so what small messages cost is a copy;
//! nothing waits for more of them to come. The writer takes records when it is ready to seal and
//! write them: all of lane 0, then of lane 1, then the rest, so a bulk transfer holds up control
//! for one turn at most. While the writer is busy, messages gather in the open records: that is
//! all the coalescing there is.

mod budget;

use std::collections::VecDeque;
use std::sync::Arc;

use skychat_proto::ids::ServiceId;
use skychat_proto::limits::{MAX_FRAME, OUTBOUND_LINK_BYTES};

pub use self::budget::OutboundBudget;
use crate::assemble::limit_of;
use crate::frame::HEADER;
use crate::record::{LENGTH, MAX_WIRE, OpenRecord, Parts, TAG};

/// Bytes queued of one link at which bulk is refused. Control may go [`CONTROL_RESERVE`] above.
pub const QUEUE_LIMIT: usize = OUTBOUND_LINK_BYTES;
/// What services 0 and 1 may queue above [`QUEUE_LIMIT`].
pub const CONTROL_RESERVE: usize = 256 * 1024;
/// Below so many bytes a link that was full is ready again.
pub const LOW_WATER: usize = 256 * 1024;
/// Bytes that a turn takes at most while the socket takes all of it at once: enough to make a
/// system call cheap, and few enough to stay in the processor's cache.
pub const TURN_BYTES: usize = 8 * MAX_WIRE;
/// The same after the socket did not: what is under way holds up control.
pub const SLOW_TURN_BYTES: usize = 4 * MAX_WIRE;
/// Records that one turn takes.
pub const TURN_RECORDS: usize = 8;
/// What a link may queue without asking the node-wide budget.
const UNBUDGETED: usize = 64 * 1024;
/// A rest of an open record smaller than this is not worth a fragment.
const MIN_FRAGMENT: usize = 1024;
/// Lanes: service 0, service 1, the rest.
const LANES: usize = 3;
const BULK: usize = LANES - 1;

/// Why a message was not taken. Nothing of it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The queue is full; wait until the link is ready.
    #[error("the outbound queue of the link is full")]
    Full,
    /// The link is closed or closing.
    #[error("the link is closed")]
    Closed,
    /// The service has no messages of that length.
    #[error("the message is {found} bytes, the limit of its service is {limit}")]
    TooLarge {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

/// The outbound queue of one link.
#[derive(Debug)]
pub struct Outbound {
    lanes: [Lane; LANES],
    /// Wire bytes in the lanes.
    waiting: usize,
    /// Wire bytes taken and not yet written.
    taken: usize,
    /// Bytes that the next turn may take.
    turn: usize,
    /// Memory of written records, for the next ones.
    spare: Vec<Vec<u8>>,
    budget: Arc<OutboundBudget>,
    /// Bytes charged to the budget.
    charged: usize,
}

impl Outbound {
    /// An empty queue that shares `budget` with the other links of the node.
    pub fn new(budget: Arc<OutboundBudget>) -> Self {
        Outbound {
            lanes: [Lane::new(), Lane::new(), Lane::new()],
            waiting: 0,
            taken: 0,
            turn: SLOW_TURN_BYTES,
            spare: Vec::new(),
            budget,
            charged: 0,
        }
    }

    /// Bytes queued, those under way to the socket included.
    pub fn queued(&self) -> usize {
        self.waiting.saturating_add(self.taken)
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Queues the message made of `parts`. More than 16 KiB are cut into fragments, which stay
    /// together.
    ///
    /// # Errors
    /// [`SendError::TooLarge`], [`SendError::Full`]. A queue that is empty takes any message.
    #[inline]
    pub fn push(&mut self, service: ServiceId, parts: &[&[u8]]) -> Result<(), SendError> {
        let lane = usize::from(service.get()).min(BULK);
        let limit = match lane {
            BULK => QUEUE_LIMIT,
            _ => QUEUE_LIMIT + CONTROL_RESERVE,
        };
        self.push_to(lane, limit, service, parts)
    }

    /// Queues the message behind everything else, whatever is queued: the last words of a link.
    ///
    /// # Errors
    /// [`SendError::TooLarge`].
    pub fn push_last(&mut self, service: ServiceId, parts: &[&[u8]]) -> Result<(), SendError> {
        self.push_to(BULK, usize::MAX, service, parts)
    }

    #[inline]
    fn push_to(
        &mut self,
        lane: usize,
        limit: usize,
        service: ServiceId,
        parts: &[&[u8]],
    ) -> Result<(), SendError> {
        let length = message_len(parts);
        let most = limit_of(service);
        if length > most {
            return Err(SendError::TooLarge {
                found: length,
                limit: most,
            });
        }
        let queued = self.queued();
        let after = queued.saturating_add(wire_bound(length));
        if after > limit && queued != 0 {
            return Err(SendError::Full);
        }
        if after > self.charged.saturating_add(UNBUDGETED) {
            self.charge(after, limit == usize::MAX || queued == 0)?;
        }
        let Some(lane) = self.lanes.get_mut(lane) else {
            return Err(SendError::Closed);
        };
        let added = lane.push(&mut self.spare, service.get(), length, parts);
        self.waiting = self.waiting.saturating_add(added);
        Ok(())
    }

    #[cold]
    fn charge(&mut self, after: usize, always: bool) -> Result<(), SendError> {
        let wanted = after
            .saturating_sub(self.charged)
            .saturating_sub(UNBUDGETED)
            .next_multiple_of(UNBUDGETED);
        if !self.budget.take(wanted) {
            if !always {
                return Err(SendError::Full);
            }
            self.budget.overdraw(wanted);
        }
        self.charged = self.charged.saturating_add(wanted);
        Ok(())
    }

    /// Moves what the next write shall carry to the end of `turn`, in the order it has to be
    /// sealed: at most [`TURN_RECORDS`] records and about as many bytes as [`pace`](Self::pace) allows,
    /// control first, and at least one record of bulk if there is one. Returns the bytes.
    pub fn take(&mut self, turn: &mut Vec<Vec<u8>>) -> usize {
        let mut bytes = 0_usize;
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            // One place is kept for bulk.
            let places = TURN_RECORDS - usize::from(number != BULK);
            let mut first = number == BULK;
            while let Some(record) = lane.records.front() {
                let after = bytes.saturating_add(record.wire_len());
                if !first && (turn.len() >= places || (after > self.turn && bytes > 0)) {
                    break;
                }
                first = false;
                let Some(record) = lane.records.pop_front() else {
                    break;
                };
                turn.push(record.finish());
                bytes = after;
            }
        }
        self.waiting = self.waiting.saturating_sub(bytes);
        self.taken = self.taken.saturating_add(bytes);
        bytes
    }

    /// Counts `bytes` that bypass the lanes as under way.
    pub fn begin_direct(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes);
    }

    /// So many of the bytes taken are written.
    pub fn written(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_sub(bytes);
        if self.charged == 0 {
            return;
        }
        let needed = self.queued().saturating_sub(UNBUDGETED);
        // Not at every step, but when all is written.
        if needed == 0 || self.charged > needed.saturating_add(UNBUDGETED) {
            let kept = needed.next_multiple_of(UNBUDGETED);
            self.budget.give_back(self.charged.saturating_sub(kept));
            self.charged = kept;
        }
    }

    /// Says whether the socket took the last turn without a wait. While it does, turns are of
    /// [`TURN_BYTES`], else of [`SLOW_TURN_BYTES`], so that what is urgent waits for less.
    pub fn pace(&mut self, at_once: bool) {
        self.turn = if at_once { TURN_BYTES } else { SLOW_TURN_BYTES };
    }

    /// Takes back the memory of records that were written.
    pub fn recycle(&mut self, written: &mut Vec<Vec<u8>>) {
        self.spare.append(written);
        self.spare.truncate(QUEUE_LIMIT / MAX_WIRE);
    }

    /// Gives up the memory kept for reuse; for a link that has gone quiet.
    pub fn trim(&mut self) {
        self.spare = Vec::new();
        for lane in &mut self.lanes {
            lane.records.shrink_to_fit();
        }
    }

    /// Bytes of memory kept for reuse.
    pub fn spare(&self) -> usize {
        self.spare.iter().map(Vec::capacity).sum()
    }

    /// Drops what waits, and gives the budget back.
    pub fn clear(&mut self) {
        for lane in &mut self.lanes {
            lane.records = VecDeque::new();
        }
        self.spare = Vec::new();
        self.waiting = 0;
        self.taken = 0;
        self.budget.give_back(self.charged);
        self.charged = 0;
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.budget.give_back(self.charged);
    }
}

/// Records of one priority, oldest first; the last one is still open.
#[derive(Debug)]
struct Lane {
    records: VecDeque<OpenRecord>,
}

impl Lane {
    const fn new() -> Self {
        Lane {
            records: VecDeque::new(),
        }
    }

    /// Appends a message; returns the wire bytes that it added.
    #[inline]
    fn push(
        &mut self,
        spare: &mut Vec<Vec<u8>>,
        service: u16,
        length: usize,
        parts: &[&[u8]],
    ) -> usize {
        if length > MAX_FRAME {
            return self.push_fragments(spare, service, length, parts);
        }
        let mut added = HEADER.saturating_add(length);
        let record = match self.records.back_mut() {
            Some(record) if record.room() >= length => record,
            _ => {
                added = added.saturating_add(LENGTH + TAG);
                self.open(spare)
            }
        };
        record.reserve(length);
        record.frame(service, false, length as u16, parts);
        added
    }

    fn push_fragments(
        &mut self,
        spare: &mut Vec<Vec<u8>>,
        service: u16,
        length: usize,
        parts: &[&[u8]],
    ) -> usize {
        let mut message = Parts::of(parts);
        let mut left = length;
        let mut added = 0_usize;
        while left > 0 {
            let record = match self.records.back_mut() {
                Some(record) if record.room() >= MIN_FRAGMENT.min(left) => record,
                _ => {
                    added = added.saturating_add(LENGTH + TAG);
                    self.open(spare)
                }
            };
            let piece = left.min(MAX_FRAME).min(record.room());
            left = left.saturating_sub(piece);
            // What follows fits in one record more often than not; one reservation for all of it.
            record.reserve(piece.saturating_add(left).min(record.room()));
            record.fragment(service, left > 0, piece as u16, &mut message);
            added = added.saturating_add(HEADER + piece);
        }
        added
    }

    #[cold]
    fn open(&mut self, spare: &mut Vec<Vec<u8>>) -> &mut OpenRecord {
        let mut buffer = spare.pop().unwrap_or_default();
        if !self.records.is_empty() && buffer.capacity() < MAX_WIRE {
            // There is a backlog: this one will be full.
            buffer = Vec::with_capacity(MAX_WIRE);
        }
        self.records.push_back_mut(OpenRecord::reuse(buffer))
    }
}

/// The length of the message made of `parts`.
#[inline]
pub(crate) fn message_len(parts: &[&[u8]]) -> usize {
    let mut length = 0_usize;
    for part in parts {
        length = length.saturating_add(part.len());
    }
    length
}

/// Not less than what a message of `length` bytes takes on the wire.
#[inline]
fn wire_bound(length: usize) -> usize {
    let frames = (length / MAX_FRAME).saturating_add(1);
    length.saturating_add(frames.saturating_mul(2 * (HEADER + LENGTH + TAG)))
}

#[cfg(test)]
mod tests;
