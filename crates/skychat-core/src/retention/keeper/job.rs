//! Going through the log, and through one conversation.

use std::collections::{BTreeMap, BTreeSet};

use skychat_proto::ids::{EventSeq, FeedId, Position, SpaceId};
use skychat_store::RecordId;

use super::{Keeper, Left, PAGE, Seen, Step};

/// Bytes that a message takes in the journal beside its text, about.
const BESIDE: u64 = 40;

/// What is under way.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Log(LogWalk),
    Conversation(Conversation),
}

/// From the oldest event on, until both are satisfied.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogWalk {
    /// Everything up to here has outlived its time.
    pub(super) expired: EventSeq,
    /// So many bytes have to go.
    pub(super) need: u64,
}

/// From the newest message back to where it was passed before.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    pub(super) space: SpaceId,
    pub(super) before: Option<RecordId>,
    /// So many are kept.
    keep: u64,
    /// The newest one of those that go, and how many there are.
    top: Option<EventSeq>,
    passed: u64,
    /// The oldest one that may not go yet.
    blocked: EventSeq,
}

impl Conversation {
    pub(super) const fn new(space: SpaceId, keep: u64) -> Self {
        Conversation {
            space,
            before: None,
            keep,
            top: None,
            passed: 0,
            blocked: EventSeq::ZERO,
        }
    }
}

/// Spans of feeds, from messages in the order of the journal. Messages of a feed that follow each
/// other there are one span: what stands between them has no text.
#[derive(Debug, Default)]
struct Spans {
    whole: Vec<(FeedId, Position, Position)>,
    open: BTreeMap<FeedId, usize>,
}

impl Spans {
    fn add(&mut self, seen: &Seen) {
        let end = seen.seq.after();
        let open = self.open.get(&seen.feed).copied();
        match open.and_then(|at| self.whole.get_mut(at)) {
            Some(span) => span.2 = end,
            None => {
                self.open.insert(seen.feed, self.whole.len());
                self.whole.push((seen.feed, seen.seq.position(), end));
            }
        }
    }

    /// A message stays: what follows it begins another span.
    fn end(&mut self, seen: &Seen) {
        self.open.remove(&seen.feed);
    }
}

/// What a page comes to.
#[derive(Debug, Default)]
struct Tally {
    spans: Spans,
    /// What was left behind of these feeds before.
    left: BTreeMap<FeedId, Option<Left>>,
    newest: Option<EventSeq>,
}

impl Keeper {
    /// Whether there is something for a walk through the log.
    pub(super) fn has_more(&self, walk: &LogWalk) -> bool {
        self.passed < self.free && (walk.need > 0 || self.passed < walk.expired)
    }

    /// A page of the log: its messages in order, and the last event that was looked at.
    pub(in crate::retention) fn log_page(&mut self, page: &[Seen], last: EventSeq) -> Step {
        let Some(Job::Log(mut walk)) = self.job.take() else {
            return Step::default();
        };
        let mut tally = Tally::default();
        let mut spaces = BTreeSet::new();
        let mut ended = last <= self.passed;
        for seen in page {
            let wanted = walk.need > 0 || seen.event <= walk.expired;
            if seen.event > self.free || !wanted {
                ended = true;
                break;
            }
            let freed = self.pass(seen, &mut tally);
            walk.need = walk.need.saturating_sub(freed);
            self.passed = seen.event;
            let passed = self.spaces.entry(seen.feed.space).or_default();
            if passed.event < seen.event {
                passed.messages = passed.messages.saturating_add(1);
                passed.event = seen.event;
                spaces.insert(seen.feed.space);
            }
        }
        if !ended {
            self.passed = self.passed.max(last.min(self.free));
            if self.has_more(&walk) {
                self.job = Some(Job::Log(walk));
            }
        }
        let mut step = self.step(tally);
        step.rows
            .extend(spaces.iter().map(|space| self.space_row(space)));
        step.rows.push(self.log_row());
        step
    }

    /// A page of a conversation, the oldest message first.
    pub(in crate::retention) fn conversation_page(&mut self, page: &[Seen]) -> Step {
        let Some(Job::Conversation(mut walk)) = self.job.take() else {
            return Step::default();
        };
        let bottom = self
            .spaces
            .get(&walk.space)
            .map_or(EventSeq::ZERO, |passed| passed.event);
        let fresh = page.iter().filter(|seen| seen.event > bottom);
        let fresh: Vec<&Seen> = fresh.collect();
        let skipped = usize::try_from(walk.keep)
            .unwrap_or(usize::MAX)
            .min(fresh.len());
        walk.keep = walk.keep.saturating_sub(skipped as u64);
        let (old, _) = fresh.split_at(fresh.len().saturating_sub(skipped));
        // Those at the end may be too new: they are looked at again when they are not.
        let free = old.partition_point(|seen| seen.event <= self.free);
        let (old, new) = old.split_at(free);
        if let Some(first) = new.first() {
            walk.blocked = first.event;
            (walk.top, walk.passed) = (None, 0);
        }
        let mut tally = Tally::default();
        for seen in old {
            self.pass(seen, &mut tally);
        }
        walk.top = walk.top.or(old.last().map(|seen| seen.event));
        walk.passed = walk.passed.saturating_add(old.len() as u64);
        let mut step = self.step(tally);
        let is_last = page.len() < PAGE || fresh.len() < page.len();
        if is_last {
            let passed = self.spaces.entry(walk.space).or_default();
            passed.messages = passed.messages.saturating_add(walk.passed);
            passed.event = walk.top.unwrap_or(passed.event);
            passed.blocked = walk.blocked;
            step.rows.push(self.space_row(&walk.space));
            step.rows.push(self.log_row());
        } else {
            walk.before = page.first().map(|seen| seen.record);
            self.job = Some(Job::Conversation(walk));
        }
        step
    }

    /// A message is passed: it goes, or is left behind; how many bytes went.
    fn pass(&mut self, seen: &Seen, tally: &mut Tally) -> u64 {
        if !seen.there {
            return 0;
        }
        let freed = seen.bytes.saturating_add(BESIDE);
        let before = *tally
            .left
            .entry(seen.feed)
            .or_insert_with(|| self.left.get(&seen.feed).copied());
        // What was left behind before is counted already.
        let is_left = before.is_some_and(|left| left.holds(seen.seq));
        if !seen.free {
            tally.spans.end(seen);
            let (from, to) = (seen.seq.position(), seen.seq.after());
            if !is_left {
                let bytes = 0;
                let left = self.left.entry(seen.feed);
                let left = left.or_insert(Left { from, to, bytes });
                (left.from, left.to) = (left.from.min(from), left.to.max(to));
                left.bytes = left.bytes.saturating_add(freed);
            }
            return 0;
        }
        tally.spans.add(seen);
        tally.newest = tally.newest.max(Some(seen.event));
        if !is_left {
            self.given.add(freed);
        }
        freed
    }

    fn step(&self, tally: Tally) -> Step {
        Step {
            drops: tally.spans.whole,
            rows: tally
                .left
                .iter()
                .filter(|(feed, before)| self.left.get(feed) != before.as_ref())
                .map(|(feed, _)| self.left_row(feed))
                .collect(),
            newest: tally.newest,
        }
    }
}
