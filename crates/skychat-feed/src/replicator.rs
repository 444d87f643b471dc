//! Synchronisation of feeds with peers: what is held, told, asked for, served and acknowledged.
//!
//! A pure machine. Entries themselves are judged by the engine; this part decides which ranges it wants to see
//! ([`Offer`]), learns what became of them ([`Replicator::taken`]), and says what is to be sent. It works on what is in
//! memory, ahead of the disk by the batches under way; the engine holds its outputs back until those are committed.
//!
//! Spec: `docs/protocol/feed.md`, "Synchronisation" (SYNC, INC, ACK).

mod acks;
mod asking;
mod closed;
mod compare;
mod feeds;
mod fork;
mod have;
mod links;
mod loads;
mod missing;
mod owed;
mod port;
mod probe;
mod serving;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use skychat_identity::PublicKey;
use skychat_proto::ids::{FeedId, Incarnation, LinkId, Moment, Position, SpaceId};
use skychat_proto::limits::GAP_AFTER;
use skychat_proto::open::WriterKind;
use skychat_proto::record::tables;
use skychat_proto::sync::{Ack, ForkProof, HoldCause, SyncMessage};

use crate::Violation;
use feeds::Feed;
use links::{Ask, Serve, Side};
use loads::Load;
use probe::Probe;

pub use closed::ClosedMark;
pub use feeds::{FeedFacts, Named};
pub use fork::MAX_PROOFS;
pub use have::is_row_of;
pub use port::{Allowance, Config, Offer, Output};

/// How many rows of a peer are remembered on one link; further ones are ignored until it links again.
pub const MAX_ROWS: usize = 4096;

/// Bytes of our own newest ranges kept in memory per feed, so that a push reads no disk.
pub const MAX_RECENT_BYTES: usize = 1024 * 1024;

/// Copies feeds between us and our peers, in order and without gaps. See the module's documentation.
#[derive(Debug)]
pub struct Replicator {
    config: Config,
    feeds: BTreeMap<FeedId, Feed>,
    /// Feeds that are closed and were left on disk.
    closed: BTreeSet<ClosedMark>,
    /// Which feed held here continues a feed, at which position of it.
    continued: BTreeMap<FeedId, Vec<Position>>,
    /// Predecessors that are not there yet, and up to where they are wanted.
    wanted: BTreeMap<FeedId, Position>,
    spaces: BTreeMap<SpaceId, Space>,
    links: BTreeMap<LinkId, Side>,
    /// Whom a feed is asked of.
    source: BTreeMap<FeedId, LinkId>,
    missing_since: BTreeMap<FeedId, Moment>,
    probes: BTreeMap<FeedId, Probe>,
    /// Signs of forks that cannot be looked into yet: what they are about is not on disk, or of the life that ends.
    /// Whether the author's signature came with it.
    suspected: BTreeSet<(LinkId, FeedId, Position, bool)>,
    loads: BTreeMap<u64, Load>,
    next_load: u64,
    ack_due: BTreeSet<(LinkId, FeedId)>,
    dirty: BTreeSet<SpaceId>,
    allowance: BTreeMap<PublicKey, Allowance>,
    /// Nothing can be stored for now, and why: nothing is asked for.
    halted: Option<HoldCause>,
    out: VecDeque<Output>,
    now: Moment,
}

/// A space: who is in it besides us, and its feeds that are not closed.
#[derive(Debug, Default)]
struct Space {
    others: Vec<PublicKey>,
    active: BTreeSet<FeedId>,
    links: BTreeSet<LinkId>,
    stored: bool,
}

impl Replicator {
    /// As the journal leaves it: `facts` of every feed held but those that are `closed`, `spaces` with their other
    /// members, `proofs` of forks.
    pub fn new(
        config: Config,
        facts: impl IntoIterator<Item = (FeedId, FeedFacts)>,
        spaces: impl IntoIterator<Item = (SpaceId, PublicKey)>,
        proofs: impl IntoIterator<Item = ForkProof>,
        closed: BTreeSet<ClosedMark>,
    ) -> Self {
        let mut this = Replicator {
            config,
            feeds: BTreeMap::new(),
            closed,
            continued: BTreeMap::new(),
            wanted: BTreeMap::new(),
            spaces: BTreeMap::new(),
            links: BTreeMap::new(),
            source: BTreeMap::new(),
            missing_since: BTreeMap::new(),
            probes: BTreeMap::new(),
            suspected: BTreeSet::new(),
            loads: BTreeMap::new(),
            next_load: 0,
            ack_due: BTreeSet::new(),
            dirty: BTreeSet::new(),
            allowance: BTreeMap::new(),
            halted: None,
            out: VecDeque::new(),
            now: Moment::default(),
        };
        for (space, peer) in spaces {
            let space = this.spaces.entry(space).or_default();
            space.others = vec![peer];
            space.stored = true;
        }
        this.restore(facts);
        for proof in proofs {
            this.restore_proof(proof);
        }
        this
    }

    /// Nothing can be stored for now, for this cause, or it can again (C45). Meanwhile nothing is
    /// asked for, what comes is not taken, and peers are told to wait.
    pub fn halt(&mut self, now: Moment, halted: Option<HoldCause>) {
        self.now = now;
        self.halted = halted;
        if halted.is_none() {
            for side in self.links.values_mut() {
                side.hold_told = false;
            }
            self.dirty.extend(self.spaces.keys().copied());
            self.pump();
        }
    }

    /// The next thing to do; drain to `None` after each call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`timeout`](Self::timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let asks = self
            .source
            .iter()
            .filter_map(|(feed, link)| self.overdue_at(feed, *link))
            .min();
        let gaps = self
            .missing_since
            .values()
            .map(|since| *since + GAP_AFTER)
            .min();
        let probes = self.next_probe_timeout();
        asks.into_iter().chain(gaps).chain(probes).min()
    }

    /// We ourselves go on in a new life (INC-8): the feeds of the one before are earlier ones from now on.
    pub fn new_own_life(&mut self, now: Moment, live: Incarnation) {
        self.now = now;
        let before = std::mem::replace(&mut self.config.live, live);
        let ended: Vec<FeedId> = self
            .feeds
            .keys()
            .filter(|id| id.author == self.config.me && id.incarnation == before)
            .copied()
            .collect();
        for id in ended {
            self.settle(&id);
        }
        self.retry_suspected();
        self.dirty.extend(self.spaces.keys().copied());
        self.pump();
    }

    /// A frame of service 1.
    ///
    /// # Errors
    /// [`Violation`]: the link is to be closed.
    pub fn handle(
        &mut self,
        now: Moment,
        link: LinkId,
        message: SyncMessage,
    ) -> Result<(), Violation> {
        self.now = now;
        if !self.links.contains_key(&link) {
            return Ok(());
        }
        match message {
            SyncMessage::HaveHash(have) => self.on_have_hash(link, &have),
            SyncMessage::Have(have) => self.on_have(link, have)?,
            SyncMessage::Want(want) => self.on_want(link, want)?,
            SyncMessage::NotHeld { feed } => self.on_not_held(link, feed),
            SyncMessage::Owed { feed, acked } => self.on_owed(link, feed, acked)?,
            SyncMessage::Ack(ack) => self.on_ack(link, ack)?,
            SyncMessage::Hold(hold) => self.on_hold(link, hold.scope, hold.cause),
            SyncMessage::ForkProof(proof) => self.on_fork_proof(link, *proof)?,
            SyncMessage::Statement(_) | SyncMessage::Unknown { .. } => {}
        }
        self.pump();
        Ok(())
    }

    /// How much more of this author may be stored.
    pub fn allow(&mut self, peer: PublicKey, allowance: Allowance) {
        if self.allowance.insert(peer, allowance) != Some(allowance) {
            let links: Vec<LinkId> = self
                .links
                .iter()
                .filter(|(_, side)| side.peer == peer)
                .map(|(link, _)| *link)
                .collect();
            for link in links {
                if allowance.is_some()
                    && let Some(side) = self.links.get_mut(&link)
                {
                    side.hold_told = false;
                }
                self.dirty_link(link);
            }
            self.pump();
        }
    }

    /// The instant from [`poll_timeout`](Self::poll_timeout) has come.
    pub fn timeout(&mut self, now: Moment) {
        self.now = now;
        let stale: Vec<(FeedId, LinkId)> = self
            .source
            .iter()
            .filter(|(feed, link)| self.overdue_at(feed, **link).is_some_and(|at| at <= now))
            .map(|(feed, link)| (*feed, *link))
            .collect();
        for (feed, link) in stale {
            if let Some(side) = self.links.get_mut(&link) {
                side.ask.remove(&feed);
                side.skip.insert(feed);
            }
            self.source.remove(&feed);
            self.dirty.insert(feed.space);
        }
        let gone: Vec<FeedId> = self
            .missing_since
            .iter()
            .filter(|(_, since)| **since + GAP_AFTER <= now)
            .map(|(feed, _)| *feed)
            .collect();
        for feed in gone {
            self.give_up(feed);
        }
        self.probe_timeout(now);
        self.pump();
    }

    /// The direct peers: key, space, links, owed entries, hold.
    pub fn peers(
        &self,
    ) -> impl Iterator<Item = (PublicKey, SpaceId, usize, u64, Option<HoldCause>)> {
        self.spaces.iter().filter_map(|(id, space)| {
            let peer = *space.others.first()?;
            let owed = space
                .active
                .iter()
                .filter(|feed| feed.author == self.config.me)
                .filter_map(|feed| self.feeds.get(feed))
                .map(|feed| feed.top().entries_since(feed.acked_by_all(&space.others)))
                .fold(0_u64, u64::saturating_add);
            let held = space
                .links
                .iter()
                .filter_map(|link| self.links.get(link)?.held)
                .next();
            Some((peer, *id, space.links.len(), owed, held))
        })
    }

    /// How many feeds are held, how many of them are known in memory, and how many are not closed.
    pub fn counts(&self) -> (usize, usize, usize) {
        let active = self.spaces.values().map(|space| space.active.len()).sum();
        let known = self.feeds.len();
        (known.saturating_add(self.closed.len()), known, active)
    }

    /// Pushes, announces and asks in every space in which something changed.
    fn pump(&mut self) {
        while let Some(space) = self.dirty.pop_first() {
            let links: Vec<LinkId> = match self.spaces.get(&space) {
                Some(state) => state.links.iter().copied().collect(),
                None => continue,
            };
            for link in &links {
                self.serve(*link, space);
                self.announce(*link, space);
            }
            if self.config.kind != WriterKind::OneShot {
                self.ask(space, &links);
            }
        }
    }

    fn send(&mut self, link: LinkId, message: SyncMessage) {
        self.out.push_back(Output::Send { link, message });
    }

    fn put(&mut self, table: skychat_proto::ids::TableId, key: Vec<u8>, value: Vec<u8>) {
        self.out.push_back(Output::Put { table, key, value });
    }

    fn put_feed(&mut self, feed: &FeedId) {
        if let Some(state) = self.feeds.get(feed) {
            let row = tables::encode_row(&state.row());
            self.put(tables::FEED, feed.to_bytes().to_vec(), row);
        }
    }
}

/// Acknowledgements in the order they came, while the hash of one is read from disk.
type AckQueue = VecDeque<(LinkId, Ack)>;
