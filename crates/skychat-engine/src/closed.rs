//! Closed feeds: what a start leaves on disk, and how one that is spoken of comes back (INC-9).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use skychat_feed::{Checked, ClosedMark, VerifiedRange};
use skychat_identity::PublicKey;
use skychat_proto::entry::Kind;
use skychat_proto::ids::{FeedId, LinkId, Position, SpaceId};
use skychat_proto::open::Open;
use skychat_proto::record::tables;
use skychat_proto::sync::SyncMessage;

use crate::engine::Engine;
use crate::port::{Input, Output};
use crate::recovered::{Facts, Recovered};

/// Inputs that wait for a closed feed to be read; with so many the engine takes nothing new.
pub(crate) const MAX_BEHIND: usize = 256;

/// Links whose next input is about closed feeds that are being read.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    links: BTreeMap<LinkId, Behind>,
    loads: BTreeMap<u64, FeedId>,
}

/// What a link brought, in order. The first of it waits for these feeds.
#[derive(Debug, Default)]
struct Behind {
    waits_for: BTreeSet<FeedId>,
    inputs: VecDeque<Input>,
    /// One of them cannot be read: the first is not looked at, and its sender says it again on another link.
    is_void: bool,
}

impl Closed {
    pub(crate) fn has_room(&self) -> bool {
        self.links
            .values()
            .map(|behind| behind.inputs.len())
            .sum::<usize>()
            < MAX_BEHIND
    }
}

impl Engine {
    /// What of the inputs can be worked off: not what is said of a feed that is still to be read, nor what the same
    /// link brings after it.
    pub(crate) fn in_turn(&mut self, input: Input) -> Option<Input> {
        if !self.replicator.leaves_feeds() && self.closed.links.is_empty() {
            return Some(input);
        }
        let link = match &input {
            Input::Sync { link, .. } | Input::Checked { link, .. } | Input::Link { link, .. } => {
                *link
            }
            Input::LinkDown { link } => {
                self.closed.links.remove(link);
                return Some(input);
            }
            _ => return Some(input),
        };
        if let Some(behind) = self.closed.links.get_mut(&link) {
            behind.inputs.push_back(input);
            return None;
        }
        let waits_for = self.left_on_disk(&input);
        if waits_for.is_empty() {
            return Some(input);
        }
        self.read_feeds(&waits_for);
        let behind = Behind {
            waits_for,
            inputs: VecDeque::from([input]),
            is_void: false,
        };
        self.closed.links.insert(link, behind);
        None
    }

    /// A feed was read; `None`: it could not be. What waited for it is worked off.
    pub(crate) fn loaded_feed(&mut self, load: u64, found: Option<Recovered>) {
        let Some(feed) = self.closed.loads.remove(&load) else {
            return;
        };
        let facts = found.and_then(|found| found.read().ok());
        let is_void = facts.is_none();
        if let Some(facts) = facts.and_then(|mut facts| facts.feeds.remove(&feed)) {
            self.replicator.reopen(feed, facts);
        }
        let mut ready = Vec::new();
        for (link, behind) in &mut self.closed.links {
            if behind.waits_for.remove(&feed) {
                behind.is_void |= is_void;
            }
            if behind.waits_for.is_empty() {
                ready.push(*link);
            }
        }
        for link in ready {
            self.work_off(link);
        }
    }

    fn work_off(&mut self, link: LinkId) {
        let mut is_first = true;
        while let Some(behind) = self.closed.links.get_mut(&link) {
            let is_void = std::mem::take(&mut behind.is_void);
            let Some(input) = behind.inputs.pop_front() else {
                self.closed.links.remove(&link);
                return;
            };
            if is_first && is_void {
                is_first = false;
                continue;
            }
            // The first was waited for, whatever was found.
            let waits_for = if is_first {
                BTreeSet::new()
            } else {
                self.left_on_disk(&input)
            };
            is_first = false;
            if waits_for.is_empty() {
                self.work(input);
                continue;
            }
            self.read_feeds(&waits_for);
            if let Some(behind) = self.closed.links.get_mut(&link) {
                behind.inputs.push_front(input);
                behind.waits_for = waits_for;
            }
            return;
        }
    }

    fn read_feeds(&mut self, feeds: &BTreeSet<FeedId>) {
        for feed in feeds {
            if self.closed.loads.values().any(|known| known == feed) {
                continue;
            }
            let load = self.question();
            self.closed.loads.insert(load, *feed);
            self.batches.now(Output::LoadFeed { load, feed: *feed });
        }
    }

    /// The feeds of the conversation on that link that an input is about, and that were left on disk.
    fn left_on_disk(&self, input: &Input) -> BTreeSet<FeedId> {
        let (link, feeds) = match input {
            Input::Sync { link, message } => (link, named_in(message)),
            Input::Checked { link, checked } => match checked {
                Checked::Range(range) => (link, continued_in(range)),
                Checked::Misfit { feed, .. } => (link, vec![*feed]),
            },
            _ => return BTreeSet::new(),
        };
        let space: Option<SpaceId> = self.links.get(link).map(|side| side.space);
        let feeds = feeds.into_iter();
        feeds
            .filter(|feed| Some(feed.space) == space && self.replicator.is_left_on_disk(feed))
            .collect()
    }
}

fn named_in(message: &SyncMessage) -> Vec<FeedId> {
    match message {
        SyncMessage::Have(have) => have.rows.iter().map(|row| row.feed(have.space)).collect(),
        SyncMessage::Want(want) => vec![want.feed],
        SyncMessage::NotHeld { feed } | SyncMessage::Owed { feed, .. } => vec![*feed],
        SyncMessage::Ack(ack) => vec![ack.feed],
        SyncMessage::ForkProof(proof) => vec![proof.feed],
        _ => Vec::new(),
    }
}

/// The feed of a range, and those that its `open` entries name.
fn continued_in(range: &VerifiedRange) -> Vec<FeedId> {
    let mut feeds = vec![range.feed()];
    for (header, _, body) in range.entries() {
        if header.kind == Kind::Open
            && let Some(open) = body.and_then(|body| Open::decode(body).ok())
        {
            feeds.extend(open.continues.iter().map(|named| FeedId {
                incarnation: named.incarnation,
                ..range.feed()
            }));
        }
    }
    feeds
}

impl Recovered {
    /// Leaves out what of the feeds of a node with this key is closed: only their marks stay. Rows that cannot be read
    /// are left as they are, for [`Engine::new`] to name.
    #[must_use]
    pub fn without_closed(mut self, me: &PublicKey) -> Self {
        let Ok(facts) = self.read() else {
            return self;
        };
        let closed = facts.closed(me);
        let of_closed = |key: &[u8]| {
            let feed = key.first_chunk::<{ FeedId::LEN }>();
            feed.is_some_and(|feed| closed.contains_key(feed))
        };
        self.tables.retain(|(table, key), _| {
            let of_feeds = [tables::FEED, tables::ACKED, tables::REFUSED].contains(table);
            !(of_feeds && of_closed(key))
        });
        self.tips
            .retain(|feed, _| !closed.contains_key(&feed.to_bytes()));
        self.closed = closed.into_values().collect();
        self
    }
}

impl Facts {
    /// The feeds that nothing is to be known of until somebody speaks of them: continued at exactly their head and, if
    /// they are ours, on the disk of the other side; and with no feed beside them that is not, which they name or are
    /// named by.
    fn closed(&self, me: &PublicKey) -> BTreeMap<[u8; FeedId::LEN], ClosedMark> {
        let mut named: BTreeMap<FeedId, Vec<Position>> = BTreeMap::new();
        let mut names: BTreeMap<FeedId, Vec<FeedId>> = BTreeMap::new();
        for (id, facts) in &self.feeds {
            let rows = facts.row.continues.iter().chain(&facts.row.named_later);
            for (life, at, _) in rows.filter_map(|row| row.read().ok()) {
                let other = FeedId {
                    incarnation: life,
                    ..*id
                };
                named.entry(other).or_default().push(at);
                names.entry(*id).or_default().push(other);
            }
        }
        let is_open = |id: &FeedId| {
            let Some(facts) = self.feeds.get(id) else {
                return false;
            };
            let row = &facts.row;
            let continued = named
                .get(id)
                .is_some_and(|heads| heads.contains(&facts.head));
            let member = self.spaces.get(&id.space);
            let acked = member.and_then(|member| facts.acked.get(member));
            let owed = id.author == *me && acked.is_none_or(|(disk, _)| *disk < facts.head);
            let odd = row.frozen > 0 || row.given_up || row.suspect;
            facts.head.is_start() || !continued || owed || odd
        };
        let mut stay: BTreeSet<FeedId> = self.feeds.keys().copied().filter(is_open).collect();
        let beside: Vec<FeedId> = names
            .iter()
            .flat_map(|(id, others)| others.iter().map(move |other| (*id, *other)))
            .filter(|(id, other)| stay.contains(id) || stay.contains(other))
            .flat_map(|(id, other)| [id, other])
            .collect();
        stay.extend(beside);
        let closed = self.feeds.keys().filter(|id| !stay.contains(*id));
        closed
            .map(|id| (id.to_bytes(), ClosedMark::of(id)))
            .collect()
    }
}
