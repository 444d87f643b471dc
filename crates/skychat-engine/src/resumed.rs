//! A machine that was resumed with its memory, and feeds of ours that were written twice (INC-8, RANGE-5).

use std::collections::VecDeque;

use rand_core::Rng;
use skychat_feed::{VerifiedFork, own_branch};
use skychat_proto::entry::Header;
use skychat_proto::ids::{FeedId, Incarnation, Position, Seq};
use skychat_proto::link::LinkMessage;
use skychat_proto::record::tables::{self, OwnLifeRow};
use skychat_proto::sync::{Branch, Kept, Refusal};

use crate::engine::Engine;
use crate::outgoing::Reissue;
use crate::port::{Output, Payload};

/// Entries behind a fork whose content is being read; the others wait for their turn.
const MAX_READS: usize = 64;

/// Entries of ours that a fork left behind, still to be issued again.
#[derive(Debug, Default)]
pub(crate) struct LeftBehind {
    /// Which feed, from where, to where.
    spans: VecDeque<(FeedId, Position, Position)>,
    reading: usize,
}

impl Engine {
    /// Draws a new incarnation: the peers hold something of this one that we do not know of.
    pub(crate) fn new_life(&mut self, life: Incarnation) {
        if life != self.config.incarnation {
            return;
        }
        let mut bytes = [0_u8; 8];
        self.rng.fill_bytes(&mut bytes);
        let next = Incarnation::from_bytes(bytes);
        self.config.incarnation = next;
        self.line.begin(next);
        for (_, mut writer) in std::mem::take(&mut self.writers) {
            self.finish(&mut writer);
        }
        // An encapsulation belongs to one life (SEAL-2).
        self.sessions = skychat_direct::Sessions::new();
        self.store_own_life();
        self.replicator.new_own_life(self.now, next);
        let hello = self.hello();
        let links: Vec<_> = self.links.keys().copied().collect();
        for link in links {
            let message = LinkMessage::Hello(hello.clone());
            self.batches.after(Output::Send {
                link,
                payload: Payload::Link(message),
            });
        }
    }

    /// Journals the life that writes now, and the one before it (INC-2).
    pub(crate) fn store_own_life(&mut self) {
        let row = OwnLifeRow {
            number: self.life_number,
            parent: self
                .line
                .parent()
                .map(|life| life.as_bytes().to_vec())
                .unwrap_or_default(),
        };
        self.life_number = self.life_number.saturating_add(1);
        let key = self.config.incarnation.as_bytes().to_vec();
        self.batches
            .put(tables::OWN_LIFE, key, tables::encode_row(&row), false);
    }

    /// Makes a proof about a feed of ours: our side is one header, signed (RANGE-2).
    pub(crate) fn sign_fork(&mut self, header: Header, theirs: Branch) {
        let ours = own_branch(header, &self.identity);
        if let Some(proof) = VerifiedFork::make(header.feed, ours, theirs) {
            self.replicator.forked(self.now, &proof);
        }
    }

    /// A feed of ours ends at `common`: what was accepted behind it and is on nobody's disk is issued again.
    pub(crate) fn leave_behind(&mut self, feed: FeedId, common: Position) {
        let from = common.max(self.replicator.acked_of(&feed));
        let to = self.replicator.head_of(&feed);
        if from < to {
            self.left_behind.spans.push_back((feed, from, to));
            self.read_left_behind();
        }
    }

    /// Reads on, in order, as many contents as may be read at once.
    pub(crate) fn read_left_behind(&mut self) {
        while self.left_behind.reading < MAX_READS
            && let Some((feed, from, to)) = self.left_behind.spans.pop_front()
        {
            let seq: Seq = from.next();
            let rest = seq.after();
            if rest < to {
                self.left_behind.spans.push_front((feed, rest, to));
            }
            let Some(member) = self.replicator.member_of(&feed.space) else {
                continue;
            };
            let load = self.question();
            let reissue = Reissue {
                link: skychat_proto::ids::LinkId::new(0),
                feed,
                seq,
                member,
                kept: Kept::Memory,
                cause: Refusal::Forked,
            };
            self.reissues.insert(load, reissue);
            self.left_behind.reading = self.left_behind.reading.saturating_add(1);
            // It may stand in a batch that is not on disk yet.
            self.batches.after(Output::LoadContent { load, feed, seq });
        }
    }

    /// One of them was read.
    pub(crate) fn left_behind_read(&mut self) {
        self.left_behind.reading = self.left_behind.reading.saturating_sub(1);
        self.read_left_behind();
    }

    /// At start: what an earlier life did not come to issue again.
    pub(crate) fn resume_left_behind(&mut self) {
        let frozen: Vec<(FeedId, Position)> = self.replicator.frozen_of_ours().collect();
        for (feed, common) in frozen {
            self.leave_behind(feed, common);
        }
    }
}
