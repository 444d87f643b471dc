//! The policy as a machine: fed with the time, with how much is held, and with pages of messages;
//! it says what to read next and what to give away.
//!
//! It goes through the log from its beginning, for the age of messages and for the total, and
//! through single conversations from their ends, for their caps. What it has passed it never reads
//! again; what it had to leave behind, because it is still owed, it remembers as one span for each
//! feed. How far it came stands in rows of the journal, written with what was given away.

mod given;
mod job;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use skychat_proto::ids::{
    EventSeq, FeedId, Incarnation, Moment, Position, Seq, SpaceId, Timestamp,
};
use skychat_store::{RecordId, Usage};

use super::Retention;
use given::Given;
use job::{Conversation, Job, LogWalk};

/// Events or messages that are read at once.
pub(super) const PAGE: usize = 128;
/// Times that are remembered within the time to live, and within the least time that text lingers.
const MARKS: u32 = 32;
/// Into so many parts goes the time that text lingers when there is too much of it: better it goes early than that
/// nothing new is taken.
const PRESSED: u32 = 10;
/// Times that are remembered at most, if the clock is put back again and again.
const MAX_MARKS: usize = 128;
/// The shortest span between two of them for the time to live.
const MIN_SPACING: Duration = Duration::from_secs(60);

/// A message as it was found in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) record: RecordId,
    pub(super) event: EventSeq,
    pub(super) feed: FeedId,
    pub(super) seq: Seq,
    /// Of its text.
    pub(super) bytes: u64,
    /// Its text is here.
    pub(super) there: bool,
    /// It may be given away: it is somebody else's, or on the disk of its recipient.
    pub(super) free: bool,
}

/// What is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// At most [`PAGE`] events.
    Log { from: EventSeq },
    /// At most [`PAGE`] messages, the newest before a record.
    Conversation {
        space: SpaceId,
        before: Option<RecordId>,
    },
}

/// What is to be written, as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) drops: Vec<(FeedId, Position, Position)>,
    pub(super) rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The newest event whose text goes.
    pub(super) newest: Option<EventSeq>,
}

impl Step {
    pub(super) fn is_empty(&self) -> bool {
        self.drops.is_empty() && self.rows.is_empty()
    }
}

/// A conversation as it is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    pub(super) space: SpaceId,
    /// Messages there ever were.
    pub(super) messages: u64,
    /// How many are kept; `None`: all.
    pub(super) keep: Option<u64>,
}

/// How far a conversation was passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Passed {
    messages: u64,
    event: EventSeq,
    /// What comes next may not be given away before the log is free up to here.
    blocked: EventSeq,
}

/// What was left behind of a feed: one span, and the bytes that go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    from: Position,
    to: Position,
    bytes: u64,
}

impl Left {
    fn holds(&self, seq: Seq) -> bool {
        self.to.covers(seq) && !self.from.covers(seq)
    }

    /// Takes the part up to `end` off; about how many bytes that are.
    fn cut(&mut self, end: Position) -> u64 {
        let all = self.to.entries_since(self.from).max(1);
        let share = u128::from(self.bytes) * u128::from(end.entries_since(self.from));
        let bytes = u64::try_from(share / u128::from(all)).unwrap_or(self.bytes);
        self.from = end;
        self.bytes = self.bytes.saturating_sub(bytes);
        bytes
    }
}

/// The policy.
#[derive(Debug)]
pub(super) struct Keeper {
    rules: Retention,
    /// The last event of the log that was passed.
    passed: EventSeq,
    given: Given,
    /// Where the log ended at which time, for the time to live.
    marks: VecDeque<(Timestamp, EventSeq)>,
    marks_changed: bool,
    /// The same for the time that text lingers.
    came: VecDeque<(Moment, EventSeq)>,
    /// What may be given away reaches up to this event.
    free: EventSeq,
    /// The newest event, and the life that wrote it.
    last: EventSeq,
    life: Option<Incarnation>,
    spaces: BTreeMap<SpaceId, Passed>,
    /// Entries of ours that were passed and are still owed.
    left: BTreeMap<FeedId, Left>,
    waiting: VecDeque<(SpaceId, u64)>,
    job: Option<Job>,
    over: bool,
}

impl Keeper {
    /// As the rows of the journal leave it. `life_of`: which life wrote an event. If the events
    /// are not those that the rows speak of, it begins anew.
    pub(super) fn new(
        rules: Retention,
        rows: &[(Vec<u8>, Vec<u8>)],
        life_of: impl Fn(EventSeq) -> Option<Incarnation>,
    ) -> Result<Self, skychat_proto::DecodeError> {
        let mut keeper = Keeper {
            rules,
            passed: EventSeq::ZERO,
            given: Given::default(),
            marks: VecDeque::new(),
            marks_changed: false,
            came: VecDeque::new(),
            free: EventSeq::ZERO,
            last: EventSeq::ZERO,
            life: None,
            spaces: BTreeMap::new(),
            left: BTreeMap::new(),
            waiting: VecDeque::new(),
            job: None,
            over: false,
        };
        keeper.restore(rows, life_of)?;
        Ok(keeper)
    }

    /// Whether the conversations have to be looked at: if all is kept of each, they need not.
    pub(super) fn has_caps(&self) -> bool {
        self.rules.per_peer_cap.is_some() || self.rules.only.is_some()
    }

    /// Bytes that are in use, about: neither what the store counts as overwritten is, nor what was given away and will
    /// be.
    pub(super) fn held(&self, usage: Usage) -> u64 {
        usage.live.saturating_sub(self.given.bytes())
    }

    /// Whether nothing more is to be taken for now.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Time has passed. `last`: the newest event; `read`: up to where every named reader has come;
    /// `usage`: how large the journal is.
    pub(super) fn tick(
        &mut self,
        (now, wall): (Moment, Timestamp),
        (last, life, read): (EventSeq, Option<Incarnation>, EventSeq),
        usage: Usage,
        spaces: &[Space],
    ) {
        self.note_times(now, wall, last);
        (self.last, self.life) = (last, life);
        self.given.forget(usage);
        let held = self.held(usage);
        let room = self.rules.room();
        let (high, low) = (room.saturating_sub(room / 8), room.saturating_sub(room / 4));
        let again = room.saturating_sub(room / 16);
        let linger = match held > high {
            true => self.rules.linger / PRESSED,
            false => self.rules.linger,
        };
        self.free = self.lingered(now, linger).min(read);
        self.over = held >= if self.over { again } else { room };
        if self.job.is_some() {
            return;
        }
        self.waiting = spaces
            .iter()
            .filter_map(|space| Some((space.space, self.excess(space)?)))
            .collect();
        let walk = LogWalk {
            expired: self.expired(wall),
            need: if held > high {
                held.saturating_sub(low)
            } else {
                0
            },
        };
        if self.has_more(&walk) {
            self.job = Some(Job::Log(walk));
        }
    }

    /// How many of the newest messages of a conversation are passed over when it holds too many.
    fn excess(&self, space: &Space) -> Option<u64> {
        let keep = space.keep?;
        let passed = self.spaces.get(&space.space).copied().unwrap_or_default();
        let kept = space.messages.saturating_sub(passed.messages);
        let is_free = passed.blocked <= self.free;
        (kept > keep.saturating_add(keep / 8) && is_free).then_some(keep)
    }

    fn note_times(&mut self, now: Moment, wall: Timestamp, last: EventSeq) {
        let spacing = self.rules.linger / MARKS / PRESSED;
        let is_due = |at: &Moment| now.saturating_since(*at) >= spacing;
        if self.came.back().is_none_or(|(at, _)| is_due(at)) {
            self.came.push_back((now, last));
        }
        let Some(ttl) = self.rules.ttl else { return };
        let spacing = (ttl / MARKS).max(MIN_SPACING).min(ttl);
        let newest = self.marks.back().copied();
        let is_due = newest.is_none_or(|(at, event)| {
            // A clock that was put back begins anew.
            last > event && (wall.saturating_since(at) >= spacing || wall < at)
        });
        if is_due && last > self.passed {
            if self.marks.len() >= MAX_MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back((wall, last));
            self.marks_changed = true;
        }
    }

    /// The newest event that came so long ago that whoever reads has seen it.
    fn lingered(&mut self, now: Moment, linger: Duration) -> EventSeq {
        let old = |at: Moment| now.saturating_since(at) >= linger;
        while self.came.get(1).is_some_and(|(at, _)| old(*at)) {
            self.came.pop_front();
        }
        let oldest = self.came.front().filter(|(at, _)| old(*at));
        oldest.map_or(EventSeq::ZERO, |(_, event)| *event)
    }

    /// The newest event whose time to live is over.
    fn expired(&mut self, wall: Timestamp) -> EventSeq {
        let Some(ttl) = self.rules.ttl else {
            return EventSeq::ZERO;
        };
        let over = |at: Timestamp| wall.saturating_since(at) >= ttl;
        while self.marks.get(1).is_some_and(|(at, _)| over(*at)) {
            self.marks.pop_front();
            self.marks_changed = true;
        }
        let oldest = self.marks.front().filter(|(at, _)| over(*at));
        oldest.map_or(EventSeq::ZERO, |(_, event)| *event)
    }

    /// What is to be read next; `None`: nothing until the next tick.
    pub(super) fn next_read(&mut self) -> Option<Read> {
        if self.job.is_none() {
            let (space, keep) = self.waiting.pop_front()?;
            self.job = Some(Job::Conversation(Conversation::new(space, keep)));
        }
        Some(match self.job.as_ref()? {
            Job::Log(_) => Read::Log {
                from: self.passed.next(),
            },
            Job::Conversation(walk) => Read::Conversation {
                space: walk.space,
                before: walk.before,
            },
        })
    }

    /// What was asked for cannot be read now: it is tried again at another time.
    pub(super) fn unread(&mut self) {
        self.job = None;
        self.waiting.clear();
    }

    /// Times that were noted and are in no row yet.
    pub(super) fn times(&mut self) -> Step {
        let mut step = Step::default();
        if std::mem::take(&mut self.marks_changed) {
            step.rows.push(self.log_row());
        }
        step
    }

    /// Feeds of ours of which something was left behind.
    pub(super) fn left(&self) -> impl Iterator<Item = FeedId> {
        self.left.keys().copied()
    }

    /// A feed of ours is on the disk of the peer up to here: what was left behind of it goes.
    pub(super) fn acked(&mut self, feed: FeedId, disk: Position) -> Step {
        let mut step = Step::default();
        let Some(left) = self.left.get_mut(&feed) else {
            return step;
        };
        if disk <= left.from {
            return step;
        }
        let (from, end) = (left.from, disk.min(left.to));
        let freed = left.cut(end);
        step.drops.push((feed, from, end));
        // Which of the events they are is not remembered.
        step.newest = Some(self.last);
        if left.from >= left.to {
            self.left.remove(&feed);
        }
        self.given.add(freed);
        step.rows.push(self.left_row(&feed));
        step.rows.push(self.log_row());
        step
    }
}
