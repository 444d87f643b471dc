//! What we ask for, of whom, and what we do with what comes (SYNC-2, SYNC-6, INC-4, RANGE-4).

use std::collections::BTreeMap;

use skychat_proto::ids::{EntryId, FeedId, LinkId, Moment, Position, SpaceId};
use skychat_proto::limits::ASK_NEXT_AFTER;
use skychat_proto::open::WriterKind;
use skychat_proto::sync::{Hold, HoldCause, Scope, SyncMessage, Want};

use super::{Allowance, Ask, Offer, Replicator};
use crate::VerifiedRange;

/// When a peer may ask again whether there is room; it is told as soon as there is.
const FULL_RETRY_MS: u32 = 5_000;

impl Replicator {
    /// What to do with a range that a link's verifier let through.
    pub fn offer(&mut self, link: LinkId, range: &VerifiedRange) -> Offer {
        let id = range.feed();
        if self.is_live(&id) || !self.links.contains_key(&link) {
            return Offer::Ignore;
        }
        if self.probe_range(link, range) {
            return Offer::Ignore;
        }
        if self.is_past_fork(&id, range.end(), None) {
            self.tell_fork(link, &id);
            return Offer::Ignore;
        }
        let (head, tip) = (self.head_of(&id), self.tip_of(&id));
        if let Some(cause) = self.halted {
            self.put_off(link, id, cause);
            return Offer::Ignore;
        }
        if range.start() == head && range.first_prev() == tip {
            return Offer::Take;
        }
        self.misfit(link, id, (range.start(), range.end()), range.first_prev());
        Offer::Ignore
    }

    /// A range that does not join (RANGE-4).
    pub fn misfit(
        &mut self,
        link: LinkId,
        id: FeedId,
        (start, end): (Position, Position),
        prev: EntryId,
    ) {
        if self.is_live(&id) {
            return;
        }
        if self.probe_misfit(link, id, start) {
            self.pump();
            return;
        }
        if self.is_past_fork(&id, end, None) {
            self.tell_fork(link, &id);
            return;
        }
        if self.halted.is_some() {
            return;
        }
        let head = self.head_of(&id);
        let other = start == head && prev != self.tip_of(&id);
        if end <= head || other {
            self.ack_again(link, &id);
        }
        if let Some(side) = self.links.get_mut(&link) {
            let again = side
                .ask
                .get(&id)
                .is_none_or(|ask| ask.answered || start == ask.from);
            if again && end > head {
                side.ask.remove(&id);
                self.source.remove(&id);
                if other {
                    side.not_held.insert(id);
                }
                self.dirty.insert(id.space);
            }
        }
        if other {
            self.suspect(link, id, head, false);
        }
        self.pump();
    }

    /// A range that came on this link was not looked at: the feed is asked for again from where it stands.
    pub fn ask_again(&mut self, now: Moment, link: LinkId, id: FeedId) {
        self.now = now;
        self.forget_ask(link, &id);
        self.dirty.insert(id.space);
        self.pump();
    }

    pub(super) fn forget_ask(&mut self, link: LinkId, id: &FeedId) {
        if let Some(side) = self.links.get_mut(&link) {
            side.ask.remove(id);
        }
        if self.source.get(id) == Some(&link) {
            self.source.remove(id);
        }
    }

    /// What came cannot be stored: it will be asked for again when it can.
    fn put_off(&mut self, link: LinkId, id: FeedId, cause: HoldCause) {
        self.forget_ask(link, &id);
        self.hold(link, id.space, cause, FULL_RETRY_MS);
    }

    pub(super) fn is_live(&self, id: &FeedId) -> bool {
        id.author == self.config.me && id.incarnation == self.config.live
    }

    /// Notes that `link` answered, up to `end`.
    pub(super) fn answered(&mut self, link: LinkId, id: &FeedId, end: Position) {
        let Some(side) = self.links.get_mut(&link) else {
            return;
        };
        let told = side.rows.entry(*id).or_default();
        *told = (*told).max(end);
        let told = *told;
        let follows = side.peer == id.author && side.incarnation == id.incarnation;
        let done = match side.ask.get_mut(id) {
            None => false,
            Some(ask) => {
                ask.answered = true;
                ask.limit.is_some_and(|limit| end >= limit) || (!follows && told <= end)
            }
        };
        if done {
            side.ask.remove(id);
            if self.source.get(id) == Some(&link) {
                self.source.remove(id);
            }
        }
    }

    pub(super) fn on_not_held(&mut self, link: LinkId, id: FeedId) {
        let head = self.head_of(&id);
        let wanted = self.wanted.contains_key(&id);
        if let Some(side) = self.links.get_mut(&link) {
            // Said of something that nobody asked about, it is not remembered: the set stays bounded.
            if !side.ask.contains_key(&id) && !side.rows.contains_key(&id) && !wanted {
                return;
            }
            side.not_held.insert(id);
            side.ask.remove(&id);
            if let Some(told) = side.rows.get_mut(&id) {
                *told = head;
            }
        }
        if self.source.get(&id) == Some(&link) {
            self.source.remove(&id);
        }
        self.dirty.insert(id.space);
    }

    /// Asks for whatever of the space is wanted and not asked for yet.
    pub(super) fn ask(&mut self, space: SpaceId, links: &[LinkId]) {
        let mut needed: BTreeMap<FeedId, Position> = BTreeMap::new();
        for link in links {
            for (id, head) in self.links.get(link).into_iter().flat_map(|side| &side.rows) {
                if id.space == space {
                    let need = needed.entry(*id).or_default();
                    *need = (*need).max(*head);
                }
            }
        }
        for (id, up_to) in &self.wanted {
            if id.space == space {
                let need = needed.entry(*id).or_default();
                *need = (*need).max(*up_to);
            }
        }
        for (id, need) in needed {
            self.ask_feed(id, need, links);
        }
        self.watch_missing(space, links);
    }

    fn ask_feed(&mut self, id: FeedId, need: Position, links: &[LinkId]) {
        let head = self.head_of(&id);
        let frozen = self.feeds.get(&id).and_then(|feed| feed.frozen);
        if self.halted.is_some()
            || self.is_live(&id)
            || self.probes.contains_key(&id)
            || frozen.is_some_and(|at| at <= head)
        {
            return;
        }
        let need = frozen.map_or(need, |at| need.min(at));
        if let Some(source) = self.source.get(&id).copied() {
            let has_more = |link: &LinkId| {
                self.links
                    .get(link)
                    .is_some_and(|side| side.rows.get(&id).copied().unwrap_or_default() > head)
            };
            let stays = !links.contains(&source)
                || has_more(&source)
                || !links.iter().any(|link| *link != source && has_more(link));
            if links.contains(&source) && stays {
                return;
            }
            self.source.remove(&id);
            if let Some(side) = self.links.get_mut(&source) {
                side.ask.remove(&id);
                side.skip.insert(id);
            }
        }
        let live_at = |link: &LinkId| {
            self.links
                .get(link)
                .is_some_and(|side| side.peer == id.author && side.incarnation == id.incarnation)
        };
        if head >= need && !links.iter().any(live_at) {
            return;
        }
        if !head.is_start() && !self.missing_of(&id).is_empty() {
            return;
        }
        let Some(link) = self.pick(&id, head, need, links) else {
            return;
        };
        let mut limit = head.is_start().then(|| Position::new(1)).or(frozen);
        if let Some(Allowance::Entries {
            left,
            cause,
            retry_after_ms,
        }) = self.allowance.get(&id.author).copied()
            && id.author != self.config.me
        {
            if left == 0 {
                self.hold(link, id.space, cause, retry_after_ms);
                return;
            }
            let end = head.saturating_add(left);
            limit = Some(limit.map_or(end, |limit| limit.min(end)));
        }
        self.source.insert(id, link);
        let (now, tip) = (self.now, self.tip_of(&id));
        if let Some(side) = self.links.get_mut(&link) {
            let ask = Ask {
                from: head,
                limit,
                answered: false,
                at: now,
            };
            side.ask.insert(id, ask);
            side.ack_from
                .entry(id)
                .or_insert(if side.peer == id.author {
                    Position::START
                } else {
                    head
                });
        }
        self.out.push_back(super::Output::Expect {
            link,
            feed: id,
            position: head,
            tip,
        });
        self.send(
            link,
            SyncMessage::Want(Want {
                feed: id,
                from: head,
                limit,
            }),
        );
    }

    /// When the next holder is asked instead of this one (SYNC-6). Never while nobody is known to have more than we
    /// do: who is followed has nothing to answer until there is something new.
    pub(super) fn overdue_at(&self, id: &FeedId, link: LinkId) -> Option<Moment> {
        let ask = self.links.get(&link)?.ask.get(id)?;
        let links = &self.spaces.get(&id.space)?.links;
        let head = self.head_of(id);
        let wanted = self.wanted.get(id).is_some_and(|up_to| *up_to > head);
        let told = |link: &LinkId| {
            let side = self.links.get(link);
            side.is_some_and(|side| side.rows.get(id).is_some_and(|told| *told > head))
        };
        let more = wanted || links.iter().any(told);
        (!ask.answered && links.len() > 1 && more).then(|| ask.at + ASK_NEXT_AFTER)
    }

    /// One holder at a time: the author's own life first, then who told more than we have, then, for predecessors
    /// that are wanted, anybody. When everybody was passed over, the round begins again.
    fn pick(
        &mut self,
        id: &FeedId,
        head: Position,
        need: Position,
        links: &[LinkId],
    ) -> Option<LinkId> {
        if let Some(link) = self.best_holder(id, head, need, links) {
            return Some(link);
        }
        let mut passed_over = false;
        for link in links {
            if let Some(side) = self.links.get_mut(link) {
                passed_over |= side.skip.remove(id);
            }
        }
        if passed_over {
            self.best_holder(id, head, need, links)
        } else {
            None
        }
    }

    fn best_holder(
        &self,
        id: &FeedId,
        head: Position,
        need: Position,
        links: &[LinkId],
    ) -> Option<LinkId> {
        let wanted = self.wanted.get(id).is_some_and(|up_to| *up_to > head);
        let mut best: Option<(u8, LinkId)> = None;
        for link in links {
            let Some(side) = self.links.get(link) else {
                continue;
            };
            let live = side.peer == id.author && side.incarnation == id.incarnation;
            let silent = side.kind == WriterKind::OneShot && !live;
            if silent
                || side.not_held.contains(id)
                || side.skip.contains(id)
                || side.ask.contains_key(id)
            {
                continue;
            }
            let told = side.rows.get(id).copied().unwrap_or_default();
            let class = if live && (side.rows.contains_key(id) || need > head) {
                0
            } else if told > head {
                1
            } else if wanted {
                2
            } else {
                continue;
            };
            if best.is_none_or(|(held, _)| class < held) {
                best = Some((class, *link));
            }
        }
        best.map(|(_, link)| link)
    }

    fn hold(&mut self, link: LinkId, space: SpaceId, cause: HoldCause, retry_after_ms: u32) {
        let Some(side) = self.links.get_mut(&link) else {
            return;
        };
        if std::mem::replace(&mut side.hold_told, true) {
            return;
        }
        let hold = Hold {
            scope: Scope::Space(space),
            cause,
            retry_after_ms,
        };
        self.send(link, SyncMessage::Hold(hold));
    }
}
