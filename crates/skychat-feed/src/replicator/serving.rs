//! What peers asked for, within their windows (SYNC-2, SYNC-3, RANGE-6).

use std::collections::VecDeque;

use skychat_proto::ids::{FeedId, LinkId, Position, SpaceId};
use skychat_proto::limits::{
    MAX_RANGE_ENTRIES, WINDOW_FEED_BYTES, WINDOW_FEED_ENTRIES, WINDOW_LINK_BYTES,
};
use skychat_proto::open::WriterKind;
use skychat_proto::range::RawRange;
use skychat_proto::sync::{Have, HaveRow, SyncMessage, Want};

use super::{Feed, Load, MAX_ROWS, Output, Replicator, Serve};
use crate::Violation;

impl Replicator {
    pub(super) fn on_want(&mut self, link: LinkId, want: Want) -> Result<(), Violation> {
        let id = want.feed;
        let shared = self
            .spaces
            .get(&id.space)
            .is_some_and(|space| space.links.contains(&link));
        let live = id.author == self.config.me && id.incarnation == self.config.live;
        if shared
            && want
                .limit
                .is_none_or(|limit| self.is_past_fork(&id, limit, None))
        {
            self.tell_fork(link, &id);
        }
        let held = self
            .feeds
            .get(&id)
            .filter(|feed| !feed.head.is_start() && shared);
        let Some(feed) = held.filter(|feed| live || want.from < feed.top()) else {
            self.send(link, SyncMessage::NotHeld { feed: id });
            return Ok(());
        };
        let (top, tip) = (feed.top(), feed.top_tip());
        let unproven = feed.anchor.is_none();
        let Some(side) = self.links.get_mut(&link) else {
            return Ok(());
        };
        if side.serve.len() >= MAX_ROWS && !side.serve.contains_key(&id) {
            return Err(Violation::new(
                "SYNC-2",
                "more feeds are asked for than a link may",
            ));
        }
        side.held = None;
        let before = side.serve.insert(
            id,
            Serve {
                next: want.from,
                end: want.limit,
                acked: want.from,
                in_flight: VecDeque::new(),
                held: false,
                follow: live,
                loading: false,
                ahead: None,
            },
        );
        if let Some(before) = before {
            let freed: usize = before.in_flight.iter().map(|(_, bytes)| bytes).sum();
            side.in_flight = side.in_flight.saturating_sub(freed);
        }
        if !live {
            let told = side.told.entry(id).or_default();
            *told = (*told).max(top);
            let peer = side.peer;
            let row = self.prove(HaveRow::new(&id, top, tip), id.space, &peer);
            let rows = vec![row];
            self.send(
                link,
                SyncMessage::Have(Have {
                    space: id.space,
                    rows,
                    more: false,
                }),
            );
            if unproven && id.author == peer {
                // The proof of that row is still to be read: it follows with the others.
                self.send_rows(link, id.space);
            }
        }
        self.dirty.insert(id.space);
        Ok(())
    }

    /// Pushes what fits the windows of one link, one range of each feed in turn.
    pub(super) fn serve(&mut self, link: LinkId, space: SpaceId) {
        loop {
            let Some(side) = self.links.get(&link) else {
                return;
            };
            if side.paused {
                return;
            }
            let ready: Vec<FeedId> = side
                .serve
                .iter()
                .filter(|(id, serve)| id.space == space && !serve.held && !serve.loading)
                .map(|(id, _)| *id)
                .collect();
            let mut pushed = false;
            for id in ready {
                pushed |= self.serve_one(link, &id);
            }
            if !pushed {
                return;
            }
        }
    }

    /// One range, if the windows allow it; whether one went out.
    fn serve_one(&mut self, link: LinkId, id: &FeedId) -> bool {
        let range_bytes = self.range_bytes(link);
        let (Some(side), Some(feed)) = (self.links.get_mut(&link), self.feeds.get(id)) else {
            return false;
        };
        let link_in_flight = side.in_flight;
        let may_read_ahead = side.serve.len() <= MAX_AHEAD;
        let Some(serve) = side.serve.get_mut(id) else {
            return false;
        };
        let top = feed.top().min(feed.durable);
        let end = serve.end.map_or(top, |end| end.min(top));
        if serve.next >= end {
            // What is in memory and not yet on disk is still to be served: it was told, or will be.
            let all = serve.next >= feed.top() && !serve.follow;
            let over = serve.end.is_some_and(|end| serve.next >= end) || all;
            if over && serve.in_flight.is_empty() {
                side.serve.remove(id);
            }
            return false;
        }
        let bytes: usize = serve.in_flight.iter().map(|(_, bytes)| bytes).sum();
        let entries = usize::try_from(serve.next.entries_since(serve.acked)).unwrap_or(usize::MAX);
        let none = serve.in_flight.is_empty();
        let full = entries >= WINDOW_FEED_ENTRIES || bytes >= WINDOW_FEED_BYTES;
        let shut = (full && !none) || link_in_flight >= WINDOW_LINK_BYTES;
        let room = match WINDOW_FEED_ENTRIES.saturating_sub(entries) {
            // One range fits whatever its size.
            _ if none => MAX_RANGE_ENTRIES,
            room => room.min(MAX_RANGE_ENTRIES),
        };
        let left = usize::try_from(end.entries_since(serve.next)).unwrap_or(usize::MAX);
        let ahead = serve.ahead.take();
        if let Some(range) = ahead.filter(|range| range.start() == serve.next) {
            if shut || range.len() > room {
                serve.ahead = Some(range);
                return false;
            }
            self.push(link, range);
            return true;
        }
        let most = if shut { MAX_RANGE_ENTRIES } else { room }.min(left);
        let at_hand = feed.recent.iter().find(|range| range.start() == serve.next);
        if shut && (at_hand.is_some() || !may_read_ahead) {
            return false;
        }
        let fitting = at_hand.filter(|range| {
            range.len() <= most && (range.size() <= range_bytes || range.len() == 1)
        });
        if let Some(range) = fitting.cloned() {
            self.push(link, range);
            return true;
        }
        serve.loading = true;
        let (from, id) = (serve.next, *id);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let bytes = u32::try_from(range_bytes).unwrap_or(u32::MAX);
        self.load(Load::Serve { link, feed: id }, id, from, most, bytes);
        false
    }

    pub(super) fn served(&mut self, link: LinkId, id: FeedId, range: Option<RawRange>) {
        let Some(serve) = self
            .links
            .get_mut(&link)
            .and_then(|side| side.serve.get_mut(&id))
        else {
            return;
        };
        serve.loading = false;
        self.dirty.insert(id.space);
        let top = self.feeds.get(&id).map_or(Position::START, Feed::top);
        // Nobody but its author can end a range of a frozen feed where it is frozen.
        let range = range.filter(|range| range.end() <= top);
        match range {
            Some(range) => serve.ahead = Some(range),
            None => {
                if let Some(side) = self.links.get_mut(&link) {
                    side.serve.remove(&id);
                }
                self.send(link, SyncMessage::NotHeld { feed: id });
            }
        }
    }

    fn push(&mut self, link: LinkId, range: RawRange) {
        let id = range.feed();
        let Some(side) = self.links.get_mut(&link) else {
            return;
        };
        let mut range = range;
        if side.kind == WriterKind::Memory
            && id.author == self.config.me
            && let Some((disk, memory)) = self
                .feeds
                .get(&id)
                .and_then(|feed| feed.acked.get(&side.peer))
        {
            // A later memory life gets what an earlier one had without its bodies (ACK-5).
            let known = (*disk).max(*memory);
            range = range.without_bodies(|seq, row| {
                known.covers(seq) && row.kind == skychat_proto::entry::Kind::Content
            });
        }
        let (end, bytes) = (range.end(), range.encoded_len());
        let Some(serve) = side.serve.get_mut(&id) else {
            return;
        };
        serve.next = end;
        serve.in_flight.push_back((end, bytes));
        side.in_flight = side.in_flight.saturating_add(bytes);
        let told = side.told.entry(id).or_default();
        *told = (*told).max(end);
        let unknown = self
            .feeds
            .get(&id)
            .is_some_and(|feed| !feed.ends.contains_key(&end));
        if unknown && id.author == self.config.me {
            let tip = range.tip();
            if let Some(feed) = self.feeds.get_mut(&id) {
                feed.note_end(end, tip);
            }
        }
        self.out.push_back(Output::Push { link, range });
    }

    /// The peer acknowledged up to `head` on this link: its window moves.
    pub(super) fn window(&mut self, link: LinkId, id: &FeedId, head: Position) {
        let now = self.now;
        let Some(side) = self.links.get_mut(&link) else {
            return;
        };
        let Some(serve) = side.serve.get_mut(id) else {
            return;
        };
        serve.acked = serve.acked.max(head);
        let mut freed = 0_usize;
        while let Some((end, bytes)) = serve.in_flight.front().copied() {
            if end > head {
                break;
            }
            serve.in_flight.pop_front();
            freed = freed.saturating_add(bytes);
        }
        side.in_flight = side.in_flight.saturating_sub(freed);
        if freed > 0 {
            side.carried.push_back((now, freed));
            while side.carried.front().is_some_and(|(at, _)| {
                now.saturating_since(*at) > skychat_proto::limits::RANGE_SPAN
            }) || side.carried.len() > MAX_CARRIED
            {
                side.carried.pop_front();
            }
        }
        self.dirty.insert(id.space);
    }
}

/// On a link with at most so many feeds that are served, the next range of each is read while its window is shut: at
/// most 1 MiB a link.
const MAX_AHEAD: usize = 4;

/// How many acknowledgements of the last seconds are remembered for RANGE-6.
const MAX_CARRIED: usize = 64;
