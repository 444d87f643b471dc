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
mod missing;
mod owed;
mod probe;
mod serving;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use skychat_identity::PublicKey;
use skychat_proto::ids::{EntryId, FeedId, Incarnation, LinkId, Moment, Position, Seq, SpaceId};
use skychat_proto::limits::GAP_AFTER;
use skychat_proto::open::WriterKind;
use skychat_proto::range::RawRange;
use skychat_proto::record::tables::{self, Event};
use skychat_proto::sync::{Ack, Branch, ForkProof, HoldCause, Kept, Refusal, Scope, SyncMessage};

use crate::Violation;
use feeds::Feed;
use probe::Probe;

pub use closed::ClosedMark;
pub use feeds::{FeedFacts, Named};
pub use fork::MAX_PROOFS;
pub use have::is_row_of;

/// How many rows of a peer are remembered on one link; further ones are ignored until it links again.
pub const MAX_ROWS: usize = 4096;

/// Bytes of our own newest ranges kept in memory per feed, so that a push reads no disk.
pub const MAX_RECENT_BYTES: usize = 1024 * 1024;

/// What the replicator says.
#[derive(Debug)]
pub enum Output {
    /// A frame of service 1.
    Send {
        /// To which link.
        link: LinkId,
        /// What.
        message: SyncMessage,
    },
    /// A range for service 2. One of our own feeds may still need its signature (zeros).
    Push {
        /// To which link.
        link: LinkId,
        /// What.
        range: RawRange,
    },
    /// What the link's verifier is to expect.
    Expect {
        /// Which link.
        link: LinkId,
        /// Which feed.
        feed: FeedId,
        /// What we have of it.
        position: Position,
        /// Its last entry.
        tip: EntryId,
    },
    /// Read what is committed.
    Load {
        /// Comes back in [`Replicator::loaded`].
        load: u64,
        /// Which feed.
        feed: FeedId,
        /// Where it is to begin.
        from: Position,
        /// At most so many entries.
        max_entries: u32,
        /// At most so many bytes, but one entry.
        max_bytes: u32,
        /// It need not end at an anchor.
        any_end: bool,
    },
    /// A row of machine state changed.
    Put {
        /// Which table.
        table: skychat_proto::ids::TableId,
        /// Which row.
        key: Vec<u8>,
        /// What.
        value: Vec<u8>,
    },
    /// Something happened that is kept.
    Event(Event),
    /// An acknowledgement moved what is known to be stored.
    Acked {
        /// The link it came by.
        link: LinkId,
        /// A feed of ours.
        feed: FeedId,
        /// Who acknowledged.
        member: PublicKey,
        /// From here …
        from: Position,
        /// … to here, exclusive.
        head: Position,
        /// Where they are kept.
        kept: Kept,
        /// What was refused of them.
        refused: Vec<(Seq, Refusal)>,
    },
    /// A peer holds our own signature over something of the feed of this life that we did not write in it, or no
    /// longer know of (INC-8).
    LiveElsewhere {
        /// The life.
        life: Incarnation,
    },
    /// A feed of ours was written twice. The proof lacks our side: this header, signed. It goes to
    /// [`Replicator::forked`].
    SignFork {
        /// The first of our entries that is other than theirs.
        header: skychat_proto::entry::Header,
        /// What the peer holds instead.
        theirs: Branch,
    },
    /// A feed of ours is frozen: what was accepted behind this is to be issued again.
    Forked {
        /// Which.
        feed: FeedId,
        /// The last position that both sides have.
        common: Position,
    },
    /// The peer asked us to wait.
    Held {
        /// Which link.
        link: LinkId,
        /// Why.
        cause: HoldCause,
    },
    /// A feed of a peer that was far behind moves on: about a hundred times on its way, the last
    /// time when all is here that the peer has.
    Progress {
        /// Which.
        feed: FeedId,
        /// What we have.
        done: Position,
        /// What the peer has.
        total: Position,
    },
}

/// What to do with a range that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is next: judge its entries.
    Take,
    /// Nothing is to be done with it.
    Ignore,
}

/// How much more of an author may be stored for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// As much as there is.
    Unlimited,
    /// So many further entries; when there are none left, the peer is told to wait.
    Entries {
        /// How many.
        left: u64,
        /// What it is told: a stranger's quota (D12), or a rate.
        cause: HoldCause,
        /// When it may expect more, in milliseconds.
        retry_after_ms: u32,
    },
}

impl Allowance {
    const fn is_some(&self) -> bool {
        !matches!(self, Allowance::Entries { left: 0, .. })
    }
}

/// Who we are.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our key.
    pub me: PublicKey,
    /// What kind of writer we are.
    pub kind: WriterKind,
    /// The life that writes now.
    pub live: Incarnation,
}

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

/// One side of a link: ours.
#[derive(Debug)]
struct Side {
    peer: PublicKey,
    kind: WriterKind,
    incarnation: Incarnation,
    /// What the peer asked for.
    serve: BTreeMap<FeedId, Serve>,
    in_flight: usize,
    paused: bool,
    /// What we asked for.
    ask: BTreeMap<FeedId, Ask>,
    /// What the peer told of its feeds.
    rows: BTreeMap<FeedId, Position>,
    /// What we told of ours.
    told: BTreeMap<FeedId, Position>,
    /// Where our next `Ack` begins.
    ack_from: BTreeMap<FeedId, Position>,
    not_held: BTreeSet<FeedId>,
    skip: BTreeSet<FeedId>,
    /// Feeds of which it was told, or told us, that they were written twice.
    fork_told: BTreeSet<FeedId>,
    /// Feeds that were probed on this link.
    probed: BTreeSet<FeedId>,
    /// What rows said of feeds beyond what we have of them, and whether the author's signature came with it.
    ahead: BTreeMap<FeedId, (Position, EntryId, bool)>,
    /// Feeds of which a row was compared with what is on disk.
    compared: BTreeSet<FeedId>,
    /// Feeds of ours whose row was asked for because of an acknowledgement.
    row_asked: BTreeSet<FeedId>,
    rows_due: BTreeSet<SpaceId>,
    held: Option<HoldCause>,
    hold_told: bool,
    carried: VecDeque<(Moment, usize)>,
}

/// What a peer asked for and has not acknowledged yet.
#[derive(Debug)]
struct Serve {
    next: Position,
    end: Option<Position>,
    acked: Position,
    in_flight: VecDeque<(Position, usize)>,
    held: bool,
    follow: bool,
    loading: bool,
    /// The range at `next`, read while the window was shut.
    ahead: Option<RawRange>,
}

/// What we asked a peer for.
#[derive(Clone, Copy, Debug)]
struct Ask {
    from: Position,
    limit: Option<Position>,
    answered: bool,
    at: Moment,
}

/// What a read is for.
#[derive(Debug)]
enum Load {
    Serve {
        link: LinkId,
        feed: FeedId,
    },
    Anchor {
        feed: FeedId,
    },
    AckHash {
        feed: FeedId,
    },
    RowTip {
        link: LinkId,
        feed: FeedId,
        head: Position,
        hash: EntryId,
        signed: bool,
    },
    ProbeTip {
        feed: FeedId,
    },
    ProbeOurs {
        feed: FeedId,
    },
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

    /// A link is up and the peer's hello is known. `space`: the direct space with it.
    pub fn link_up(
        &mut self,
        now: Moment,
        link: LinkId,
        peer: PublicKey,
        kind: WriterKind,
        incarnation: Incarnation,
        space: SpaceId,
    ) {
        self.now = now;
        let state = self.spaces.entry(space).or_default();
        if !state.others.contains(&peer) {
            state.others.push(peer);
        }
        state.links.insert(link);
        self.links.insert(
            link,
            Side {
                peer,
                kind,
                incarnation,
                serve: BTreeMap::new(),
                in_flight: 0,
                paused: false,
                ask: BTreeMap::new(),
                rows: BTreeMap::new(),
                told: BTreeMap::new(),
                ack_from: BTreeMap::new(),
                not_held: BTreeSet::new(),
                skip: BTreeSet::new(),
                fork_told: BTreeSet::new(),
                probed: BTreeSet::new(),
                ahead: BTreeMap::new(),
                compared: BTreeSet::new(),
                row_asked: BTreeSet::new(),
                rows_due: BTreeSet::new(),
                held: None,
                hold_told: false,
                carried: VecDeque::new(),
            },
        );
        self.greet(link, space);
        self.dirty.insert(space);
        self.pump();
    }

    /// A peer has a new life on a link that is up.
    pub fn new_life(
        &mut self,
        now: Moment,
        link: LinkId,
        kind: WriterKind,
        incarnation: Incarnation,
    ) {
        self.now = now;
        if let Some(side) = self.links.get_mut(&link) {
            side.kind = kind;
            side.incarnation = incarnation;
        }
        self.dirty_link(link);
        self.pump();
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

    /// A link is gone.
    pub fn link_down(&mut self, now: Moment, link: LinkId) {
        self.now = now;
        self.dirty_link(link);
        self.end_probes_of(link);
        self.suspected.retain(|(on, ..)| *on != link);
        self.links.remove(&link);
        for space in self.spaces.values_mut() {
            space.links.remove(&link);
        }
        // Of who only knocked and left nothing behind, nothing is kept.
        self.spaces
            .retain(|_, space| space.stored || !space.links.is_empty() || !space.active.is_empty());
        let spaces = &self.spaces;
        self.allowance
            .retain(|peer, _| spaces.values().any(|space| space.others.contains(peer)));
        self.source.retain(|_, source| *source != link);
        self.ack_due.retain(|(due, _)| *due != link);
        self.drop_acks_of(link);
        self.pump();
    }

    /// The link takes nothing more for now, or does again.
    pub fn pause(&mut self, now: Moment, link: LinkId, paused: bool) {
        self.now = now;
        if let Some(side) = self.links.get_mut(&link) {
            side.paused = paused;
        }
        if !paused {
            self.dirty_link(link);
            self.pump();
        }
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

    fn on_hold(&mut self, link: LinkId, scope: Scope, cause: HoldCause) {
        let Some(side) = self.links.get_mut(&link) else {
            return;
        };
        for (feed, serve) in &mut side.serve {
            let meant = match scope {
                Scope::Space(space) => feed.space == space,
                Scope::Feed(held) => *feed == held,
            };
            serve.held |= meant;
        }
        side.held = Some(cause);
        self.out.push_back(Output::Held { link, cause });
    }

    fn dirty_link(&mut self, link: LinkId) {
        for (id, space) in &self.spaces {
            if space.links.contains(&link) {
                self.dirty.insert(*id);
            }
        }
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

    fn load(
        &mut self,
        purpose: Load,
        feed: FeedId,
        from: Position,
        max_entries: u32,
        max_bytes: u32,
    ) {
        let load = self.next_load;
        self.next_load = self.next_load.wrapping_add(1);
        let any_end = feed.author == self.config.me;
        self.loads.insert(load, purpose);
        self.out.push_back(Output::Load {
            load,
            feed,
            from,
            max_entries,
            max_bytes,
            any_end,
        });
    }

    /// The answer to [`Output::Load`].
    pub fn loaded(&mut self, now: Moment, load: u64, range: Option<RawRange>) {
        self.now = now;
        match self.loads.remove(&load) {
            Some(Load::Serve { link, feed }) => self.served(link, feed, range),
            Some(Load::Anchor { feed }) => self.anchor_loaded(feed, range),
            Some(Load::AckHash { feed }) => self.ack_hash_loaded(feed, range),
            Some(Load::RowTip {
                link,
                feed,
                head,
                hash,
                signed,
            }) => self.row_tip_loaded(link, feed, (head, hash, signed), range),
            Some(Load::ProbeTip { feed }) => self.probe_tip_loaded(feed, range),
            Some(Load::ProbeOurs { feed }) => self.probe_ours_loaded(feed, range),
            None => {}
        }
        self.pump();
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

    /// How much a link carried in the last 5 s, for RANGE-6.
    fn range_bytes(&self, link: LinkId) -> usize {
        const SPAN: Duration = skychat_proto::limits::RANGE_SPAN;
        let carried = self.links.get(&link).map_or(0, |side| {
            side.carried
                .iter()
                .filter(|(at, _)| self.now.saturating_since(*at) <= SPAN)
                .fold(0, |sum: usize, (_, bytes)| sum.saturating_add(*bytes))
        });
        carried.clamp(FIRST_RANGE_BYTES, skychat_proto::limits::MAX_RANGE_BYTES)
    }
}

/// Bytes of a range on a link that has carried nothing yet.
const FIRST_RANGE_BYTES: usize = 32 * 1024;

/// Acknowledgements in the order they came, while the hash of one is read from disk.
type AckQueue = VecDeque<(LinkId, Ack)>;
