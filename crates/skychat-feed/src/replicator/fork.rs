//! Frozen feeds: what a fork proof does, and who is told (RANGE-5).

use skychat_identity::PublicKey;
use skychat_proto::ids::{EntryId, FeedId, LinkId, Moment, Position, SpaceId};
use skychat_proto::record::tables::{self, Event};
use skychat_proto::sync::{ForkProof, HoldCause, SyncMessage, Want};

use super::{Allowance, Output, Replicator};
use crate::{VerifiedFork, Violation};

/// Fork proofs that are kept of one author. Further feeds are frozen as well, and answered without a proof.
pub const MAX_PROOFS: usize = 64;

impl Replicator {
    /// A proof that was kept.
    pub(super) fn restore_proof(&mut self, proof: ForkProof) {
        if let Some(feed) = self.feeds.get_mut(&proof.feed)
            && feed.frozen.is_some()
        {
            feed.proof = Some(Box::new(proof));
        }
    }

    /// Somebody proves that a feed was written twice. Of a feed of which nothing is held it is not looked at: whoever
    /// gives us some of it will be told, and tells us.
    pub(super) fn on_fork_proof(
        &mut self,
        link: LinkId,
        proof: ForkProof,
    ) -> Result<(), Violation> {
        let id = proof.feed;
        let shared = self
            .spaces
            .get(&id.space)
            .is_some_and(|space| space.links.contains(&link));
        let Some(feed) = self.feeds.get(&id).filter(|_| shared) else {
            return Ok(());
        };
        let first = proof.branches.iter().find_map(|side| side.headers.first());
        let below = match (feed.frozen, first) {
            (Some(at), Some(first)) => first.seq.position() < at,
            (frozen, _) => frozen.is_none(),
        };
        if let Some(side) = self.links.get_mut(&link) {
            // Who tells us knows.
            side.fork_told.insert(id);
        }
        if !below {
            return Ok(());
        }
        let proof = VerifiedFork::verify(proof)?;
        if self.is_live(&id) {
            self.live_elsewhere();
        }
        self.freeze(&proof);
        Ok(())
    }

    /// The engine made a proof about a feed of ours: one side is signed by it.
    pub fn forked(&mut self, now: Moment, proof: &VerifiedFork) {
        self.now = now;
        self.freeze(proof);
        self.pump();
    }

    /// Freezes a feed at the last common entry, keeps the proof and tells everybody.
    pub(super) fn freeze(&mut self, fork: &VerifiedFork) {
        let (id, common) = (fork.feed(), fork.common());
        self.end_probe(&id);
        // Of a stranger nothing is kept beyond its quota.
        let cause = match self.allowance.get(&id.author) {
            Some(Allowance::Entries { cause, .. }) => Some(*cause),
            _ => None,
        };
        let stranger = cause == Some(HoldCause::Consent);
        let same_author = |(other, feed): (&FeedId, &super::Feed)| {
            other.author == id.author && feed.proof.is_some()
        };
        let kept = self.feeds.iter().filter(|feed| same_author(*feed)).count();
        let Some(feed) = self.feeds.get_mut(&id) else {
            return;
        };
        if feed.frozen.is_some_and(|at| at <= common) {
            return;
        }
        let is_new = feed.frozen.is_none();
        let message = SyncMessage::ForkProof(Box::new(fork.proof().clone()));
        feed.frozen = Some(common);
        feed.frozen_tip = fork.tip();
        feed.suspect = false;
        feed.ends.retain(|at, _| *at <= common);
        feed.recent.retain(|range| range.end() <= common);
        feed.acks.clear();
        if feed.proof.is_some() || (kept < MAX_PROOFS && !stranger) {
            feed.proof = Some(Box::new(fork.proof().clone()));
            let value = message.encode();
            self.put(tables::FORK, id.to_bytes().to_vec(), value);
        }
        self.put_feed(&id);
        if is_new {
            self.out
                .push_back(Output::Event(Event::Fork { feed: id, common }));
        }
        self.wanted.remove(&id);
        self.missing_since.remove(&id);
        if let Some(link) = self.source.remove(&id)
            && let Some(side) = self.links.get_mut(&link)
        {
            side.ask.remove(&id);
        }
        self.ack_due.retain(|(_, due)| *due != id);
        for side in self.links.values_mut() {
            if side
                .serve
                .get(&id)
                .is_some_and(|serve| serve.next >= common)
                && let Some(serve) = side.serve.remove(&id)
            {
                let freed: usize = serve.in_flight.iter().map(|(_, bytes)| bytes).sum();
                side.in_flight = side.in_flight.saturating_sub(freed);
            }
            if let Some(told) = side.rows.get_mut(&id) {
                *told = (*told).min(common);
            }
        }
        self.settle(&id);
        let links: Vec<LinkId> = self
            .spaces
            .get(&id.space)
            .map(|space| space.links.iter().copied().collect())
            .unwrap_or_default();
        for link in links {
            let side = self.links.get_mut(&link);
            if side.is_some_and(|side| side.fork_told.insert(id)) {
                self.send(link, message.clone());
            }
        }
        if id.author == self.config.me {
            self.state_owed(&id);
            self.out.push_back(Output::Forked { feed: id, common });
        }
        self.dirty.insert(id.space);
    }

    /// Answers whatever goes past the last common entry of a frozen feed with the proof, once on each link.
    pub(super) fn tell_fork(&mut self, link: LinkId, id: &FeedId) {
        let Some(proof) = self.feeds.get(id).and_then(|feed| feed.proof.clone()) else {
            return;
        };
        let Some(side) = self.links.get_mut(&link) else {
            return;
        };
        let known = side.fork_told.contains(id);
        if known || side.fork_told.len() >= super::MAX_ROWS {
            return;
        }
        side.fork_told.insert(*id);
        self.send(link, SyncMessage::ForkProof(proof));
    }

    /// What everybody has of a feed of ours on disk.
    pub fn acked_of(&self, id: &FeedId) -> Position {
        let others = self
            .spaces
            .get(&id.space)
            .map_or(&[][..], |space| &space.others);
        self.feeds
            .get(id)
            .map_or(Position::START, |feed| feed.acked_by_all(others))
    }

    /// The other one in a direct space.
    pub fn member_of(&self, space: &SpaceId) -> Option<PublicKey> {
        self.spaces.get(space)?.others.first().copied()
    }

    /// Feeds of ours that are frozen, and where.
    pub fn frozen_of_ours(&self) -> impl Iterator<Item = (FeedId, Position)> {
        self.feeds
            .iter()
            .filter(|(id, _)| id.author == self.config.me)
            .filter_map(|(id, feed)| Some((*id, feed.frozen?)))
    }

    /// An acknowledgement of our live feed that cannot be: the row that answers a `Want` carries our own signature, if
    /// there is one (INC-8). Once on each link.
    pub(super) fn ask_row(&mut self, link: LinkId, id: FeedId, head: Position) {
        let Some(side) = self.links.get_mut(&link) else {
            return;
        };
        if side.row_asked.len() >= super::MAX_ROWS || !side.row_asked.insert(id) {
            return;
        }
        let from = head.saturating_sub(1);
        self.out.push_back(Output::Expect {
            link,
            feed: id,
            position: from,
            tip: EntryId::ZERO,
        });
        let limit = Some(from.saturating_add(1));
        let want = Want {
            feed: id,
            from,
            limit,
        };
        self.send(link, SyncMessage::Want(want));
    }

    /// Whether what somebody says of this feed at `head` goes past where it is frozen, or is not what is common.
    pub(super) fn is_past_fork(&self, id: &FeedId, head: Position, hash: Option<&EntryId>) -> bool {
        self.feeds.get(id).is_some_and(|feed| {
            feed.frozen.is_some_and(|at| {
                let other = hash.is_some_and(|hash| head == at && *hash != feed.frozen_tip);
                head > at || other
            })
        })
    }
}
