//! What is known of each feed, and when it is there, closed, or wanted.

use std::collections::{BTreeMap, VecDeque};

use skychat_identity::{PublicKey, Signature};
use skychat_proto::entry::{Header, Kind};
use skychat_proto::ids::{EntryId, FeedId, Incarnation, LinkId, Moment, Position, Seq};
use skychat_proto::open::{Open, WriterKind};
use skychat_proto::range::RawRange;
use skychat_proto::record::tables::{
    self, AckedRow, ContinuesRow, Event, FeedRow, GapCause, SpaceRow,
};
use skychat_proto::sync::{ForkProof, Refusal};

use super::{AckQueue, MAX_RECENT_BYTES, Output, Replicator};
use crate::VerifiedRange;

/// A predecessor that an `open` entry names.
pub type Named = (Incarnation, Position, EntryId);

/// What the journal keeps of a feed.
#[derive(Clone, Debug, Default)]
pub struct FeedFacts {
    /// How many entries are held.
    pub head: Position,
    /// The id of the last of them.
    pub tip: EntryId,
    /// What was learnt beside its entries.
    pub row: FeedRow,
    /// Per member: what it acknowledged on disk, and in memory.
    pub acked: BTreeMap<PublicKey, (Position, Position)>,
    /// What was refused of it.
    pub refused: BTreeMap<Seq, Refusal>,
}

/// How many ids of ends of ranges are kept for comparing acknowledgements.
const MAX_ENDS: usize = 1024;

/// By so many entries a feed has to be behind for its progress to be told.
const FAR_BEHIND: u64 = 256;

#[derive(Debug, Default)]
pub(super) struct Feed {
    pub(super) head: Position,
    pub(super) tip: EntryId,
    pub(super) durable: Position,
    pub(super) writer: Option<WriterKind>,
    pub(super) parent: Option<Incarnation>,
    pub(super) names: Vec<Named>,
    pub(super) named_later: Vec<Named>,
    pub(super) frozen: Option<Position>,
    /// The entry before that position.
    pub(super) frozen_tip: EntryId,
    pub(super) proof: Option<Box<ForkProof>>,
    /// Ours, and a peer holds something else of it.
    pub(super) suspect: bool,
    pub(super) given_up: bool,
    pub(super) acked: BTreeMap<PublicKey, (Position, Position)>,
    pub(super) refused: BTreeMap<Seq, Refusal>,
    pub(super) anchor: Option<Box<(Header, Signature)>>,
    pub(super) ends: BTreeMap<Position, EntryId>,
    pub(super) recent: VecDeque<RawRange>,
    pub(super) acks: AckQueue,
    /// Whether it was told that this feed is far behind.
    pub(super) catching_up: bool,
}

impl Feed {
    /// What is shown of it: not past where it is frozen.
    pub(super) fn top(&self) -> Position {
        self.frozen.map_or(self.head, |at| at.min(self.head))
    }

    /// The last entry of what is shown.
    pub(super) fn top_tip(&self) -> EntryId {
        match self.frozen {
            Some(at) if at < self.head => self.frozen_tip,
            _ => self.tip,
        }
    }

    pub(super) fn is_there(&self, up_to: Position) -> bool {
        self.given_up || self.frozen.is_some() || self.head >= up_to
    }

    /// On the disk of each of these.
    pub(super) fn acked_by_all(&self, members: &[PublicKey]) -> Position {
        members
            .iter()
            .map(|member| {
                self.acked
                    .get(member)
                    .map_or(Position::START, |(disk, _)| *disk)
            })
            .min()
            .unwrap_or(Position::START)
    }

    pub(super) fn row(&self) -> FeedRow {
        let write = |names: &[Named]| {
            names
                .iter()
                .map(|(life, head, hash)| ContinuesRow::write(life, *head, hash))
                .collect()
        };
        FeedRow {
            writer: self
                .writer
                .map_or(0, |kind| u32::from(kind.number()).saturating_add(1)),
            parent: self
                .parent
                .map(|life| life.as_bytes().to_vec())
                .unwrap_or_default(),
            continues: write(&self.names),
            named_later: write(&self.named_later),
            frozen: self.frozen.map_or(0, |at| at.get().saturating_add(1)),
            given_up: self.given_up,
            frozen_tip: self
                .frozen
                .map(|_| self.frozen_tip.as_bytes().to_vec())
                .unwrap_or_default(),
            suspect: self.suspect,
        }
    }

    /// What its `open` entries name.
    pub(super) fn all_names(&self) -> impl Iterator<Item = &Named> {
        self.names.iter().chain(&self.named_later)
    }

    pub(super) fn from_facts(facts: FeedFacts) -> Self {
        let read = |rows: &[ContinuesRow]| rows.iter().filter_map(|row| row.read().ok()).collect();
        let row = &facts.row;
        Feed {
            head: facts.head,
            tip: facts.tip,
            durable: facts.head,
            writer: row
                .writer
                .checked_sub(1)
                .and_then(|number| WriterKind::from_number(u8::try_from(number).ok()?)),
            parent: Incarnation::from_slice(&row.parent),
            names: read(&row.continues),
            named_later: read(&row.named_later),
            frozen: row.frozen.checked_sub(1).map(Position::new),
            frozen_tip: EntryId::from_slice(&row.frozen_tip).unwrap_or(EntryId::ZERO),
            suspect: row.suspect,
            given_up: row.given_up,
            acked: facts.acked,
            refused: facts.refused,
            ..Feed::default()
        }
    }

    pub(super) fn note_end(&mut self, at: Position, id: EntryId) {
        self.ends.insert(at, id);
        while self.ends.len() > MAX_ENDS {
            self.ends.pop_first();
        }
    }

    fn keep_recent(&mut self, range: RawRange) {
        self.recent.push_back(range);
        let mut bytes: usize = self.recent.iter().map(RawRange::encoded_len).sum();
        while bytes > MAX_RECENT_BYTES && self.recent.len() > 1 {
            if let Some(gone) = self.recent.pop_front() {
                bytes = bytes.saturating_sub(gone.encoded_len());
            }
        }
    }
}

impl Replicator {
    pub(super) fn restore(&mut self, facts: impl IntoIterator<Item = (FeedId, FeedFacts)>) {
        for (id, facts) in facts {
            let feed = Feed::from_facts(facts);
            let names: Vec<Named> = feed.all_names().copied().collect();
            self.feeds.insert(id, feed);
            self.note_names(&id, &names, false);
        }
        let all: Vec<FeedId> = self.feeds.keys().copied().collect();
        for id in all {
            self.settle(&id);
        }
    }

    /// What we have of a feed.
    pub fn head_of(&self, feed: &FeedId) -> Position {
        self.feeds
            .get(feed)
            .map_or(Position::START, |feed| feed.head)
    }

    /// The last entry we have of a feed; zeros if none.
    pub fn tip_of(&self, feed: &FeedId) -> EntryId {
        self.feeds.get(feed).map_or(EntryId::ZERO, |feed| feed.tip)
    }

    /// Whether a gap was reported for this feed, so that what comes is late.
    pub fn is_late(&self, feed: &FeedId) -> bool {
        self.feeds.get(feed).is_some_and(|feed| feed.given_up)
    }

    /// Heads of ours in the space that no feed of ours continues at that position (INC-2).
    pub fn to_continue(&self, live: &FeedId) -> Vec<Named> {
        let Some(space) = self.spaces.get(&live.space) else {
            return Vec::new();
        };
        space
            .active
            .iter()
            .filter(|id| id.author == live.author && id.stream == live.stream && *id != live)
            .filter_map(|id| {
                let feed = self.feeds.get(id)?;
                let top = feed.top();
                let there = !top.is_start() && !feed.suspect;
                (there && !self.is_continued(id, top)).then_some((
                    id.incarnation,
                    top,
                    feed.top_tip(),
                ))
            })
            .collect()
    }

    pub(super) fn is_continued(&self, id: &FeedId, at: Position) -> bool {
        self.continued
            .get(id)
            .is_some_and(|heads| heads.contains(&at))
    }

    /// An `open` entry of ours names these; said when it is appended, before it is signed.
    pub fn named(
        &mut self,
        feed: &FeedId,
        writer: WriterKind,
        parent: Option<Incarnation>,
        names: &[Named],
    ) {
        let state = self.feeds.entry(*feed).or_default();
        if state.writer.is_none() {
            state.writer = Some(writer);
            state.parent = parent;
            state.names = names.to_vec();
        } else {
            state.named_later.extend_from_slice(names);
        }
        self.put_feed(feed);
        self.note_names(feed, names, true);
        self.settle(feed);
    }

    /// Notes what a feed continues. `fresh`: it was not known before.
    pub(super) fn note_names(&mut self, by: &FeedId, names: &[Named], fresh: bool) {
        for (life, at, hash) in names {
            let named = FeedId {
                incarnation: *life,
                ..*by
            };
            let heads = self.continued.entry(named).or_default();
            if !heads.contains(at) {
                heads.push(*at);
            }
            let frozen = self
                .feeds
                .get(&named)
                .is_some_and(|held| held.frozen.is_some());
            let other_hash = self.feeds.get(&named).is_some_and(|held| {
                let known = if held.head == *at {
                    Some(held.tip)
                } else {
                    held.ends.get(at).copied()
                };
                known.is_some_and(|known| known != *hash)
            });
            if fresh && other_hash && !frozen {
                self.out.push_back(Output::Event(Event::Gap {
                    cause: GapCause::Hash,
                    feed: named,
                    from: *at,
                    to: *at,
                }));
            }
            let there = frozen || self.is_left_on_disk(&named);
            if self.head_of(&named) < *at && !there {
                let wanted = self.wanted.entry(named).or_default();
                *wanted = (*wanted).max(*at);
            }
            self.settle(&named);
        }
    }

    /// Entries of ours were written in this batch.
    pub fn appended(&mut self, range: &VerifiedRange) {
        let id = range.feed();
        let feed = self.feeds.entry(id).or_default();
        feed.head = range.end();
        feed.tip = range.tip();
        feed.note_end(range.end(), range.tip());
        feed.keep_recent(range.raw().unhashed());
        self.store_space(id.space);
        self.settle(&id);
    }

    /// A range that [`offer`](Self::offer) wanted was taken, with these refusals. `absent`: bodies that were not there.
    pub fn taken(
        &mut self,
        now: Moment,
        link: LinkId,
        range: &VerifiedRange,
        refused: &[(Seq, Refusal)],
    ) {
        self.now = now;
        let id = range.feed();
        let before = self.head_of(&id);
        self.store_space(id.space);
        let feed = self.feeds.entry(id).or_default();
        feed.head = range.end();
        feed.tip = range.tip();
        feed.anchor = range
            .anchor()
            .map(|header| Box::new((*header, range.raw().signature())));
        feed.note_end(range.end(), range.tip());
        feed.refused.extend(refused.iter().copied());
        for (seq, cause) in refused {
            let row = tables::RefusedRow {
                cause: cause.number().into(),
            };
            self.put(
                tables::REFUSED,
                tables::refused_key(&id, *seq),
                tables::encode_row(&row),
            );
        }
        for (header, _, body) in range.entries() {
            if header.kind == Kind::Open
                && let Some(open) = body.and_then(|body| Open::decode(body).ok())
            {
                let names: Vec<Named> = open
                    .continues
                    .iter()
                    .map(|named| (named.incarnation, named.seq.after(), named.hash))
                    .collect();
                self.named(&id, open.writer, open.parent, &names);
            }
        }
        if self
            .wanted
            .get(&id)
            .is_some_and(|up_to| *up_to <= range.end())
        {
            self.wanted.remove(&id);
        }
        self.missing_since.remove(&id);
        self.settle(&id);
        self.compare_ahead(range);
        self.answered(link, &id, range.end());
        self.due_acks(link, &id, before);
        self.tell_progress(link, &id, before);
        self.dirty.insert(id.space);
        if id.author == self.config.me {
            self.state_owed(&id);
        }
        self.pump();
    }

    /// A feed that is far behind moved on from `before`: said for each hundredth of the way, and
    /// at the end.
    fn tell_progress(&mut self, link: LinkId, id: &FeedId, before: Position) {
        let side = self.links.get(&link);
        let total = side.and_then(|side| side.rows.get(id)).copied();
        let (Some(total), Some(feed)) = (total, self.feeds.get_mut(id)) else {
            return;
        };
        let (before, done, all) = (before.get(), feed.head.get(), total.get());
        let hundredth = |at: u64| u128::from(at) * 100 / u128::from(all.max(1));
        let is_far = all.saturating_sub(before) >= FAR_BEHIND;
        let is_done = done >= all;
        let was_told = feed.catching_up;
        feed.catching_up = (was_told || is_far) && !is_done;
        let moved = !was_told || is_done || hundredth(before) != hundredth(done);
        if (was_told || feed.catching_up) && moved {
            self.out.push_back(Output::Progress {
                feed: *id,
                done: feed.head,
                total: total.max(feed.head),
            });
        }
    }

    /// The entries of this feed up to `head` are on disk.
    pub fn committed(&mut self, now: Moment, feeds: &[(FeedId, Position)]) {
        self.now = now;
        for (id, head) in feeds {
            if let Some(feed) = self.feeds.get_mut(id) {
                feed.durable = feed.durable.max(*head);
            }
            self.settle(id);
            self.dirty.insert(id.space);
        }
        self.retry_suspected();
        self.pump();
    }

    fn store_space(&mut self, id: skychat_proto::ids::SpaceId) {
        let Some(space) = self.spaces.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut space.stored, true) {
            return;
        }
        if let Some(peer) = space.others.first() {
            let row = SpaceRow {
                peer: peer.as_bytes().to_vec(),
            };
            self.put(
                tables::SPACE,
                id.as_bytes().to_vec(),
                tables::encode_row(&row),
            );
        }
    }

    /// Makes the space of a conversation known, and keeps it: something is said there.
    pub fn know_space(&mut self, space: skychat_proto::ids::SpaceId, peer: PublicKey) {
        let state = self.spaces.entry(space).or_default();
        if !state.others.contains(&peer) {
            state.others.push(peer);
        }
        self.store_space(space);
    }

    /// A feed is active until it is closed: continued at exactly its head by a feed held here and, if it is ours, on
    /// the disk of every member (INC-9).
    pub(super) fn settle(&mut self, id: &FeedId) {
        let Some(feed) = self.feeds.get(id) else {
            return;
        };
        let others = self
            .spaces
            .get(&id.space)
            .map_or(&[][..], |space| &space.others);
        let owed = id.author == self.config.me
            && (feed.acked_by_all(others) < feed.top() || id.incarnation == self.config.live);
        let closed = self.is_continued(id, feed.top()) && !owed && feed.durable >= feed.top();
        if let Some(space) = self.spaces.get_mut(&id.space) {
            if closed || (feed.head.is_start() && !feed.given_up) {
                space.active.remove(id);
            } else {
                space.active.insert(*id);
            }
        }
        if closed && let Some(feed) = self.feeds.get_mut(id) {
            feed.recent.clear();
            feed.ends.clear();
        }
    }

    pub(super) fn store_acked(&mut self, id: &FeedId, member: &PublicKey) {
        let Some((disk, memory)) = self
            .feeds
            .get(id)
            .and_then(|feed| feed.acked.get(member))
            .copied()
        else {
            return;
        };
        let row = AckedRow {
            disk: disk.get(),
            memory: memory.get(),
        };
        self.put(
            tables::ACKED,
            tables::acked_key(id, member),
            tables::encode_row(&row),
        );
    }
}
