//! Who waits for an acknowledgement, and what the acknowledgements of this run said.
//!
//! A verified acknowledgement is told at once and journalled with the next batch (ACK-6), so for a
//! moment the store does not know what was told. What was told is therefore kept here: a wait asks
//! here first, then the store, and misses nothing between the two.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use skychat_api::{FailCause, Kept, WaitFor};
use skychat_engine::Told;
use skychat_identity::PublicKey;
use skychat_proto::ids::{FeedId, Position, Seq};
use skychat_proto::sync;
use tokio::sync::oneshot;

use crate::words::{fail_cause, kept};

/// Waits that are under way at once.
pub(crate) const MAX_WAITS: usize = 16_384;
/// Feeds of ours of which it is remembered what was told.
const MAX_FEEDS: usize = 4096;
/// Refused and reissued entries that are remembered of one feed.
const MAX_EXCEPTIONS: usize = 1024;

/// How a message of ours stands, as far as an acknowledgement goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was acknowledged.
    Stored {
        /// By whom.
        by: PublicKey,
        /// And where it is kept.
        kept: Kept,
    },
    /// It was refused for good.
    Failed {
        /// Why.
        cause: FailCause,
    },
}

/// Answers whoever waits.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    feeds: BTreeMap<FeedId, Feed>,
    /// Where each wait that is under way looks.
    waits: BTreeMap<u64, (FeedId, Seq)>,
    next: u64,
}

/// One feed of ours.
#[derive(Debug, Default)]
struct Feed {
    said: Option<Said>,
    refused: BTreeMap<Seq, FailCause>,
    reissued: BTreeMap<Seq, (FeedId, Seq)>,
    waiting: BTreeMap<(Seq, u64), Waiting>,
}

/// What the member of the conversation said of a feed in this run: of its entries from `since` on.
#[derive(Clone, Copy, Debug)]
struct Said {
    by: PublicKey,
    since: Position,
    disk: Position,
    any: Position,
}

#[derive(Debug)]
struct Waiting {
    until: WaitFor,
    answer: oneshot::Sender<Outcome>,
}

/// A wait for one message.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    waiters: &'a Waiters,
    ticket: u64,
    answer: oneshot::Receiver<Outcome>,
}

/// What asking for a wait comes to.
#[derive(Debug)]
pub(crate) enum Asked<'a> {
    /// What was told in this run answers it.
    Known(Outcome),
    /// It has to be waited for, or the store knows.
    Wait(Wait<'a>),
    /// As many waits as there may be.
    Busy,
}

impl Waiters {
    /// Asks for the entry of ours at this place.
    pub(crate) fn ask(&self, feed: FeedId, seq: Seq, until: WaitFor) -> Asked<'_> {
        let mut inner = self.lock();
        let (feed, seq) = inner.latest(feed, seq);
        if let Some(outcome) = inner.known(feed, seq)
            && ends(until, outcome)
        {
            return Asked::Known(outcome);
        }
        if inner.waits.len() >= MAX_WAITS {
            return Asked::Busy;
        }
        inner.next = inner.next.wrapping_add(1);
        let ticket = inner.next;
        inner.waits.insert(ticket, (feed, seq));
        let (answer, receiver) = oneshot::channel();
        inner
            .feeds
            .entry(feed)
            .or_default()
            .waiting
            .insert((seq, ticket), Waiting { until, answer });
        Asked::Wait(Wait {
            waiters: self,
            ticket,
            answer: receiver,
        })
    }

    /// How this entry stands as far as this run was told.
    pub(crate) fn known(&self, feed: FeedId, seq: Seq) -> Option<Outcome> {
        let inner = self.lock();
        let (feed, seq) = inner.latest(feed, seq);
        inner.known(feed, seq)
    }

    /// An acknowledgement was verified.
    pub(crate) fn told(&self, told: &Told) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.make_room(told.feed);
        let feed = inner.feeds.entry(told.feed).or_default();
        feed.take(told);
        let mut moved = Vec::new();
        let covered: Vec<_> = feed
            .waiting
            .range(..(told.head.next(), 0))
            .map(|(key, _)| *key)
            .collect();
        for key in covered {
            let (seq, ticket) = key;
            if let Some(place) = feed.reissued.get(&seq).copied() {
                moved.extend(
                    feed.waiting
                        .remove(&key)
                        .map(|waiting| (place, ticket, waiting)),
                );
                continue;
            }
            let Some(outcome) = feed.known(seq) else {
                continue;
            };
            if feed
                .waiting
                .get(&key)
                .is_some_and(|waiting| ends(waiting.until, outcome))
                && let Some(waiting) = feed.waiting.remove(&key)
            {
                inner.waits.remove(&ticket);
                // Whoever waited may have left.
                let _ = waiting.answer.send(outcome);
            }
        }
        for ((feed, seq), ticket, waiting) in moved {
            inner.waits.insert(ticket, (feed, seq));
            inner
                .feeds
                .entry(feed)
                .or_default()
                .waiting
                .insert((seq, ticket), waiting);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Follows a message that was issued again to where it stands now.
    fn latest(&self, mut feed: FeedId, mut seq: Seq) -> (FeedId, Seq) {
        // A message is issued again a few times at most.
        for _ in 0..16 {
            match self
                .feeds
                .get(&feed)
                .and_then(|feed| feed.reissued.get(&seq))
            {
                Some(place) => (feed, seq) = *place,
                None => break,
            }
        }
        (feed, seq)
    }

    fn known(&self, feed: FeedId, seq: Seq) -> Option<Outcome> {
        self.feeds.get(&feed)?.known(seq)
    }

    /// Forgets a feed that nobody waits on if there are too many. The store knows it by now: its
    /// acknowledgements were journalled with the batches after them.
    fn make_room(&mut self, coming: FeedId) {
        if self.feeds.len() < MAX_FEEDS || self.feeds.contains_key(&coming) {
            return;
        }
        let idle = self
            .feeds
            .iter()
            .find(|(_, feed)| feed.waiting.is_empty())
            .map(|(id, _)| *id);
        if let Some(idle) = idle {
            self.feeds.remove(&idle);
        }
    }
}

impl Feed {
    fn take(&mut self, told: &Told) {
        let said = self.said.get_or_insert(Said {
            by: told.member,
            since: told.from,
            disk: Position::START,
            any: Position::START,
        });
        said.by = told.member;
        said.since = said.since.min(told.from);
        said.any = said.any.max(told.head);
        if told.kept == sync::Kept::Disk {
            said.disk = said.disk.max(told.head);
        }
        self.refused.extend(
            told.refused
                .iter()
                .map(|(seq, refusal)| (*seq, fail_cause(*refusal))),
        );
        self.reissued.extend(
            told.reissued
                .iter()
                .map(|(seq, feed, to)| (*seq, (*feed, *to))),
        );
        while self.refused.len() > MAX_EXCEPTIONS {
            self.refused.pop_first();
        }
        while self.reissued.len() > MAX_EXCEPTIONS {
            self.reissued.pop_first();
        }
    }

    fn known(&self, seq: Seq) -> Option<Outcome> {
        if let Some(cause) = self.refused.get(&seq) {
            return Some(Outcome::Failed { cause: *cause });
        }
        let said = self
            .said
            .filter(|said| said.any.covers(seq) && !said.since.covers(seq))?;
        let where_kept = if said.disk.covers(seq) {
            sync::Kept::Disk
        } else {
            sync::Kept::Memory
        };
        Some(Outcome::Stored {
            by: said.by,
            kept: kept(where_kept),
        })
    }
}

impl Wait<'_> {
    /// Waits for the answer; `None` if the node stops first.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn outcome(&mut self) -> Option<Outcome> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut inner = self.waiters.lock();
        if let Some((feed, seq)) = inner.waits.remove(&self.ticket)
            && let Some(feed) = inner.feeds.get_mut(&feed)
        {
            feed.waiting.remove(&(seq, self.ticket));
        }
    }
}

/// Whether this outcome is what was waited for, or ends the wait otherwise.
pub(crate) fn ends(until: WaitFor, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Failed { .. } => true,
        Outcome::Stored { kept, .. } => until != WaitFor::Stored || kept == Kept::Disk,
    }
}

#[cfg(test)]
mod tests;
