//! Looking for the first difference between what we hold of a feed and what a peer does (RANGE-5, INC-8).
//!
//! A sign of a fork is no proof. A probe asks the peer that gave it for the entries before the difference: the last
//! 256, and if those do not join ours, further and further back; at the start of a feed everything joins. What comes
//! is verified like any range, and compared with what is held. The first difference is the proof. A feed is probed
//! once on each link, and one peer at a time.

use skychat_proto::entry::Header;
use skychat_proto::ids::{EntryId, FeedId, LinkId, Moment, Position};
use skychat_proto::limits::{MAX_FORK_HEADERS, MAX_RANGE_BYTES, MAX_RANGE_ENTRIES};
use skychat_proto::open::WriterKind;
use skychat_proto::range::RawRange;
use skychat_proto::sync::{Branch, SyncMessage, Want};

use super::{Load, Output, Replicator};
use crate::{VerifiedFork, VerifiedRange};

/// A probe that makes no progress for so long is given up.
const PROBE_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// Entries that a probe goes back at first.
const FIRST_STEP: u64 = MAX_RANGE_ENTRIES as u64;

#[derive(Debug)]
pub(super) struct Probe {
    pub(super) link: LinkId,
    /// Both sides differ before this position.
    until: Position,
    /// What was asked for begins here.
    next: Position,
    step: u64,
    pub(super) since: Moment,
    /// What came and is not compared yet: it begins at `next`.
    theirs: Vec<(Header, EntryId)>,
    signature: skychat_identity::Signature,
}

impl Replicator {
    /// A peer says something of a feed that is not what we hold before `until`. `signed`: it showed the signature of
    /// the author, so that it cannot be made up.
    pub(super) fn suspect(&mut self, link: LinkId, id: FeedId, until: Position, signed: bool) {
        let own = id.author == self.config.me;
        if self.config.kind == WriterKind::OneShot || self.is_live(&id) || until.is_start() {
            return;
        }
        let Some(feed) = self.feeds.get_mut(&id) else {
            return;
        };
        if feed.frozen.is_some() || feed.head.is_start() {
            return;
        }
        if feed.durable < feed.head.min(until) {
            if self.suspected.len() < super::MAX_ROWS {
                self.suspected.insert((link, id, until, signed));
            }
            return;
        }
        if own && signed && !std::mem::replace(&mut feed.suspect, true) {
            self.put_feed(&id);
        }
        let Some(side) = self.links.get_mut(&link) else {
            return;
        };
        if self.probes.contains_key(&id)
            || side.kind == WriterKind::OneShot
            || side.probed.len() >= super::MAX_ROWS
            || !side.probed.insert(id)
        {
            return;
        }
        if let Some(source) = self.source.remove(&id)
            && let Some(side) = self.links.get_mut(&source)
        {
            side.ask.remove(&id);
        }
        let probe = Probe {
            link,
            until,
            next: until.saturating_sub(FIRST_STEP),
            step: FIRST_STEP,
            since: self.now,
            theirs: Vec::new(),
            signature: skychat_identity::Signature::from_bytes([0; 64]),
        };
        self.probes.insert(id, probe);
        self.probe_from_here(id);
    }

    /// Asks for what begins at `next`, once the id of our entry before it is known.
    fn probe_from_here(&mut self, id: FeedId) {
        let now = self.now;
        let Some(probe) = self.probes.get_mut(&id) else {
            return;
        };
        probe.since = now;
        let next = probe.next;
        if next.is_start() {
            self.probe_want(id, EntryId::ZERO);
        } else {
            self.load(
                Load::ProbeTip { feed: id },
                id,
                next.saturating_sub(1),
                1,
                u32::MAX,
            );
        }
    }

    pub(super) fn probe_tip_loaded(&mut self, id: FeedId, range: Option<RawRange>) {
        let next = self.probes.get(&id).map(|probe| probe.next);
        let tip = range.and_then(|range| {
            let (header, tip) = range.headers().next()?;
            (Some(header.seq.after()) == next).then_some(tip)
        });
        match tip {
            Some(tip) => self.probe_want(id, tip),
            None => self.end_probe(&id),
        }
    }

    fn probe_want(&mut self, id: FeedId, tip: EntryId) {
        let Some(probe) = self.probes.get(&id) else {
            return;
        };
        let (link, from, until) = (probe.link, probe.next, probe.until);
        let limit = Some(until.min(from.saturating_add(FIRST_STEP)));
        self.out.push_back(Output::Expect {
            link,
            feed: id,
            position: from,
            tip,
        });
        let want = Want {
            feed: id,
            from,
            limit,
        };
        self.send(link, SyncMessage::Want(want));
    }

    /// A range of a feed that is probed on this link: whether it was for the probe.
    pub(super) fn probe_range(&mut self, link: LinkId, range: &VerifiedRange) -> bool {
        let id = range.feed();
        let now = self.now;
        let Some(probe) = self.probes.get_mut(&id).filter(|probe| probe.link == link) else {
            return false;
        };
        if range.start() == probe.next && probe.theirs.is_empty() {
            probe.since = now;
            probe.theirs = range.headers().to_vec();
            probe.signature = range.raw().signature();
            self.probe_read(id);
        }
        true
    }

    /// A range that does not join, of a feed that is probed on this link: whether it was for the probe.
    pub(super) fn probe_misfit(&mut self, link: LinkId, id: FeedId, start: Position) -> bool {
        let Some(probe) = self.probes.get_mut(&id).filter(|probe| probe.link == link) else {
            return false;
        };
        if start != probe.next || !probe.theirs.is_empty() {
            return true;
        }
        if probe.next.is_start() {
            self.end_probe(&id);
            return true;
        }
        // They differ before it: further back.
        probe.until = probe.next;
        probe.step = probe.step.saturating_mul(4);
        probe.next = probe.next.saturating_sub(probe.step);
        self.probe_from_here(id);
        true
    }

    fn probe_read(&mut self, id: FeedId) {
        let (Some(probe), head) = (self.probes.get(&id), self.head_of(&id)) else {
            return;
        };
        let (from, count) = (probe.next, probe.theirs.len());
        if from >= head {
            // All that we hold is what they hold.
            self.probe_clean(id);
            return;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let bytes = u32::try_from(MAX_RANGE_BYTES).unwrap_or(u32::MAX);
        self.load(Load::ProbeOurs { feed: id }, id, from, count, bytes);
    }

    pub(super) fn probe_ours_loaded(&mut self, id: FeedId, range: Option<RawRange>) {
        let own = id.author == self.config.me;
        let Some(probe) = self.probes.get_mut(&id) else {
            return;
        };
        let Some(range) = range.filter(|range| range.start() == probe.next) else {
            self.end_probe(&id);
            return;
        };
        let ours: Vec<(Header, EntryId)> = range.headers().collect();
        let same = ours
            .iter()
            .zip(&probe.theirs)
            .take_while(|((_, ours), (_, theirs))| ours == theirs)
            .count();
        let side = |headers: &[(Header, EntryId)]| -> Vec<Header> {
            let rest = headers.get(same..).unwrap_or_default();
            let rest = rest.iter().map(|(header, _)| *header);
            rest.take(MAX_FORK_HEADERS).collect()
        };
        let theirs = Branch {
            headers: side(&probe.theirs),
            signature: probe.signature,
        };
        let mine = side(&ours);
        if let (Some(header), false) = (mine.first().copied(), theirs.headers.is_empty()) {
            if own {
                self.end_probe(&id);
                self.out.push_back(Output::SignFork { header, theirs });
                return;
            }
            let mine = Branch {
                headers: mine,
                signature: range.signature(),
            };
            match VerifiedFork::make(id, mine, theirs) {
                Some(fork) => self.freeze(&fork),
                None => self.end_probe(&id),
            }
            return;
        }
        // What was compared is the same: on with the rest.
        probe.theirs.drain(..same.min(probe.theirs.len()));
        probe.next = probe.next.saturating_add(same as u64);
        let (rest, over) = (!probe.theirs.is_empty(), probe.next >= probe.until);
        if same == 0 {
            self.end_probe(&id);
        } else if rest {
            self.probe_read(id);
        } else if over {
            self.probe_clean(id);
        } else {
            self.probe_from_here(id);
        }
    }

    /// Nothing differs: it was no fork.
    fn probe_clean(&mut self, id: FeedId) {
        if let Some(feed) = self.feeds.get_mut(&id)
            && std::mem::replace(&mut feed.suspect, false)
        {
            self.put_feed(&id);
        }
        self.end_probe(&id);
    }

    /// The feed is asked for again as before.
    pub(super) fn end_probe(&mut self, id: &FeedId) {
        if let Some(probe) = self.probes.remove(id) {
            self.forget_ask(probe.link, id);
            self.dirty.insert(id.space);
        }
    }

    pub(super) fn end_probes_of(&mut self, link: LinkId) {
        let of = |(id, probe): (&FeedId, &Probe)| (probe.link == link).then_some(*id);
        let ids: Vec<FeedId> = self.probes.iter().filter_map(of).collect();
        for id in ids {
            self.end_probe(&id);
        }
    }

    pub(super) fn probe_timeout(&mut self, now: Moment) {
        let due = |(id, probe): (&FeedId, &Probe)| (probe.since + PROBE_TIME <= now).then_some(*id);
        let ids: Vec<FeedId> = self.probes.iter().filter_map(due).collect();
        for id in ids {
            self.end_probe(&id);
        }
    }

    pub(super) fn next_probe_timeout(&self) -> Option<Moment> {
        let due = self.probes.values().map(|probe| probe.since + PROBE_TIME);
        due.min()
    }
}
