//! Links as they come and go, and what is known of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use skychat_identity::PublicKey;
use skychat_proto::ids::{EntryId, FeedId, Incarnation, LinkId, Moment, Position, SpaceId};
use skychat_proto::open::WriterKind;
use skychat_proto::range::RawRange;
use skychat_proto::sync::{HoldCause, Scope};

use super::{Output, Replicator};

/// Bytes of a range on a link that has carried nothing yet.
const FIRST_RANGE_BYTES: usize = 32 * 1024;

/// One side of a link: ours.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) peer: PublicKey,
    pub(super) kind: WriterKind,
    pub(super) incarnation: Incarnation,
    /// What the peer asked for.
    pub(super) serve: BTreeMap<FeedId, Serve>,
    pub(super) in_flight: usize,
    pub(super) paused: bool,
    /// What we asked for.
    pub(super) ask: BTreeMap<FeedId, Ask>,
    /// What the peer told of its feeds.
    pub(super) rows: BTreeMap<FeedId, Position>,
    /// What we told of ours.
    pub(super) told: BTreeMap<FeedId, Position>,
    /// Where our next `Ack` begins.
    pub(super) ack_from: BTreeMap<FeedId, Position>,
    pub(super) not_held: BTreeSet<FeedId>,
    pub(super) skip: BTreeSet<FeedId>,
    /// Feeds of which it was told, or told us, that they were written twice.
    pub(super) fork_told: BTreeSet<FeedId>,
    /// Feeds that were probed on this link.
    pub(super) probed: BTreeSet<FeedId>,
    /// What rows said of feeds beyond what we have of them, and whether the author's signature came with it.
    pub(super) ahead: BTreeMap<FeedId, (Position, EntryId, bool)>,
    /// Feeds of which a row was compared with what is on disk.
    pub(super) compared: BTreeSet<FeedId>,
    /// Feeds of ours whose row was asked for because of an acknowledgement.
    pub(super) row_asked: BTreeSet<FeedId>,
    pub(super) rows_due: BTreeSet<SpaceId>,
    pub(super) held: Option<HoldCause>,
    pub(super) hold_told: bool,
    pub(super) carried: VecDeque<(Moment, usize)>,
}

/// What a peer asked for and has not acknowledged yet.
#[derive(Debug)]
pub(super) struct Serve {
    pub(super) next: Position,
    pub(super) end: Option<Position>,
    pub(super) acked: Position,
    pub(super) in_flight: VecDeque<(Position, usize)>,
    pub(super) held: bool,
    pub(super) follow: bool,
    pub(super) loading: bool,
    /// The range at `next`, read while the window was shut.
    pub(super) ahead: Option<RawRange>,
}

/// What we asked a peer for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) from: Position,
    pub(super) limit: Option<Position>,
    pub(super) answered: bool,
    pub(super) at: Moment,
}

impl Replicator {
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

    pub(super) fn on_hold(&mut self, link: LinkId, scope: Scope, cause: HoldCause) {
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

    pub(super) fn dirty_link(&mut self, link: LinkId) {
        for (id, space) in &self.spaces {
            if space.links.contains(&link) {
                self.dirty.insert(*id);
            }
        }
    }

    /// How much a link carried in the last 5 s, for RANGE-6.
    pub(super) fn range_bytes(&self, link: LinkId) -> usize {
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
