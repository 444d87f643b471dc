//! Acknowledgements, both ways (ACK).

use skychat_proto::ids::{EntryId, FeedId, LinkId, Position, Seq};
use skychat_proto::limits::MAX_REFUSALS;
use skychat_proto::open::WriterKind;
use skychat_proto::range::RawRange;
use skychat_proto::record::tables::{self, Event, RefusedRow};
use skychat_proto::sync::{Ack, Kept, Refusal, SyncMessage};

use super::{Load, Output, Replicator};
use crate::Violation;

/// Entries of one state event (EVENT-2).
const MAX_EVENT_SPAN: u64 = 256;

/// Acknowledgements of one feed that wait for a hash to be read; further ones are dropped, and asked again at link-up.
const MAX_WAITING_ACKS: usize = 256;

impl Replicator {
    // -- ours, about feeds of others ----------------------------------------------------------

    /// After a range was taken: acknowledge it when its batch is closed, to the link it came by and to every link of
    /// the author.
    pub(super) fn due_acks(&mut self, source: LinkId, id: &FeedId, before: Position) {
        if self.config.kind == WriterKind::OneShot {
            return;
        }
        let links: Vec<LinkId> = match self.spaces.get(&id.space) {
            Some(space) => space.links.iter().copied().collect(),
            None => return,
        };
        for link in links {
            let Some(side) = self.links.get_mut(&link) else {
                continue;
            };
            if link == source {
                let from_author = side.peer == id.author;
                side.ack_from.entry(*id).or_insert(if from_author {
                    Position::START
                } else {
                    before
                });
            }
            if link == source || (side.peer == id.author && side.ack_from.contains_key(id)) {
                self.ack_due.insert((link, *id));
            }
        }
    }

    /// Makes the acknowledgements of what was taken since the last call; they belong behind the batch that is closed.
    pub fn flush_acks(&mut self) {
        while let Some((link, id)) = self.ack_due.pop_first() {
            self.emit_acks(link, &id);
        }
    }

    fn kept(&self) -> Kept {
        match self.config.kind {
            WriterKind::Node => Kept::Disk,
            WriterKind::Memory | WriterKind::OneShot => Kept::Memory,
        }
    }

    fn emit_acks(&mut self, link: LinkId, id: &FeedId) {
        let kept = self.kept();
        let (Some(side), Some(feed)) = (self.links.get_mut(&link), self.feeds.get(id)) else {
            return;
        };
        let Some(at) = side.ack_from.get_mut(id) else {
            return;
        };
        let top = feed.top();
        while *at < top {
            let from = *at;
            let refused: Vec<(Seq, Refusal)> = feed
                .refused
                .range(from.next()..top.next())
                .take(MAX_REFUSALS)
                .map(|(seq, cause)| (*seq, *cause))
                .collect();
            let full = refused.len() >= MAX_REFUSALS;
            let (head, hash) = match refused.last() {
                // It ends at its 64th refusal; unless that is the last entry, its id is not at hand, so it ends where
                // one is known.
                Some((seq, _)) if full && seq.after() != top => {
                    match feed.ends.range(..=seq.after()).next_back() {
                        Some((end, id)) if *end > from => (*end, *id),
                        _ => (top, feed.top_tip()),
                    }
                }
                _ => (top, feed.top_tip()),
            };
            let refused = refused
                .into_iter()
                .filter(|(seq, _)| head.covers(*seq))
                .collect();
            self.out.push_back(Output::Send {
                link,
                message: SyncMessage::Ack(Ack {
                    feed: *id,
                    from,
                    head,
                    hash,
                    kept,
                    refused,
                    read_up_to: None,
                }),
            });
            *at = head;
        }
    }

    /// A range at or below the tip, or one that does not fit it: the head once more (RANGE-4).
    pub(super) fn ack_again(&mut self, link: LinkId, id: &FeedId) {
        if self.config.kind == WriterKind::OneShot || id.author == self.config.me {
            return;
        }
        let kept = self.kept();
        let Some(feed) = self.feeds.get(id) else {
            return;
        };
        let (head, hash) = (feed.top(), feed.top_tip());
        self.send(
            link,
            SyncMessage::Ack(Ack {
                feed: *id,
                from: head,
                head,
                hash,
                kept,
                refused: Vec::new(),
                read_up_to: None,
            }),
        );
    }

    /// The author states what it knows to be acknowledged: our first `Ack` begins there, or at our head if that is
    /// lower (ACK-3).
    pub(super) fn on_owed(
        &mut self,
        link: LinkId,
        id: FeedId,
        acked: Position,
    ) -> Result<(), Violation> {
        if self.config.kind == WriterKind::OneShot {
            return Ok(());
        }
        let head = self
            .feeds
            .get(&id)
            .map_or(Position::START, |feed| feed.top());
        let Some(side) = self.links.get_mut(&link) else {
            return Ok(());
        };
        if side.peer != id.author {
            return Err(Violation::new(
                "ACK-3",
                "a position of a feed that is not the peer's is stated",
            ));
        }
        if side.ack_from.len() < super::MAX_ROWS || side.ack_from.contains_key(&id) {
            side.ack_from.insert(id, acked.min(head));
        }
        self.emit_acks(link, &id);
        Ok(())
    }

    // -- theirs, about feeds of ours ------------------------------------------------------------

    pub(super) fn on_ack(&mut self, link: LinkId, ack: Ack) -> Result<(), Violation> {
        self.window(link, &ack.feed, ack.head);
        let Some(side) = self.links.get(&link) else {
            return Ok(());
        };
        let member = side.peer;
        if ack.feed.author != self.config.me || member == self.config.me {
            return Ok(());
        }
        let in_space = self
            .spaces
            .get(&ack.feed.space)
            .is_some_and(|space| space.others.contains(&member));
        let id = ack.feed;
        let held = self
            .feeds
            .get(&id)
            .is_some_and(|feed| !feed.head.is_start());
        if !in_space || !held {
            return Ok(());
        }
        if self.is_past_fork(&id, ack.head, Some(&ack.hash)) {
            self.tell_fork(link, &id);
            self.state_one(link, &id);
            return Ok(());
        }
        let Some(feed) = self.feeds.get_mut(&id) else {
            return Ok(());
        };
        if ack.head > feed.durable {
            // More than we hold: of an earlier life it is asked for (ACK-4). Of the live one it is a sign (INC-8).
            if id.incarnation == self.config.live {
                self.ask_row(link, id, ack.head);
            } else if let Some(side) = self.links.get_mut(&link) {
                let told = side.rows.entry(id).or_default();
                *told = (*told).max(ack.head);
                side.not_held.remove(&id);
                self.dirty.insert(id.space);
            }
            return Ok(());
        }
        if feed.acks.len() < MAX_WAITING_ACKS {
            feed.acks.push_back((link, ack));
            self.work_acks(id, None);
        }
        Ok(())
    }

    pub(super) fn drop_acks_of(&mut self, link: LinkId) {
        for feed in self.feeds.values_mut() {
            feed.acks.retain(|(from, _)| *from != link);
        }
    }

    pub(super) fn ack_hash_loaded(&mut self, id: FeedId, range: Option<RawRange>) {
        let known = range.map(|range| (range.end(), range.tip()));
        if known.is_none()
            && let Some(feed) = self.feeds.get_mut(&id)
        {
            // It cannot be read: what waits for it is asked again at the next link-up.
            feed.acks.clear();
        }
        self.work_acks(id, known);
    }

    /// Works off the acknowledgements of a feed in order, until one needs a hash that is not in memory.
    fn work_acks(&mut self, id: FeedId, read: Option<(Position, EntryId)>) {
        loop {
            let Some(feed) = self.feeds.get_mut(&id) else {
                return;
            };
            if let Some((at, hash)) = read {
                feed.note_end(at, hash);
            }
            let Some((_, ack)) = feed.acks.front() else {
                return;
            };
            let head = ack.head;
            let ours = if head.is_start() {
                Some(EntryId::ZERO)
            } else if head == feed.top() {
                Some(feed.top_tip())
            } else {
                feed.ends.get(&head).copied()
            };
            let Some(ours) = ours else {
                let under_way = self
                    .loads
                    .values()
                    .any(|load| matches!(load, Load::AckHash { feed } if *feed == id));
                if !under_way {
                    self.load(
                        Load::AckHash { feed: id },
                        id,
                        head.saturating_sub(1),
                        1,
                        u32::MAX,
                    );
                }
                return;
            };
            let Some((link, ack)) = feed.acks.pop_front() else {
                return;
            };
            if ours == ack.hash {
                self.acknowledged(link, ack);
            } else if self.is_live(&id) {
                self.ask_row(link, id, ack.head);
            } else {
                self.suspect(link, id, ack.head, false);
            }
        }
    }

    fn acknowledged(&mut self, link: LinkId, ack: Ack) {
        let Some(side) = self.links.get(&link) else {
            return;
        };
        let (member, id) = (side.peer, ack.feed);
        let Some(feed) = self.feeds.get_mut(&id) else {
            return;
        };
        let acked = feed.acked.entry(member).or_default();
        let have = match ack.kept {
            Kept::Disk => acked.0,
            Kept::Memory => acked.0.max(acked.1),
        };
        if ack.from > have || ack.head <= have {
            return;
        }
        match ack.kept {
            Kept::Disk => acked.0 = ack.head,
            Kept::Memory => acked.1 = ack.head,
        }
        let done = acked.0.max(acked.1);
        let keep_from = done.saturating_sub(1);
        while feed
            .ends
            .first_key_value()
            .is_some_and(|(end, _)| *end < keep_from)
        {
            feed.ends.pop_first();
        }
        while feed.recent.front().is_some_and(|range| range.end() <= done) {
            feed.recent.pop_front();
        }
        self.store_acked(&id, &member);
        let refused: Vec<(Seq, Refusal)> = ack
            .refused
            .iter()
            .filter(|(seq, _)| !have.covers(*seq))
            .copied()
            .collect();
        if ack.kept == Kept::Disk {
            for (seq, cause) in &refused {
                let row = RefusedRow {
                    cause: cause.number().into(),
                };
                self.put(
                    tables::REFUSED,
                    tables::refused_key(&id, *seq),
                    tables::encode_row(&row),
                );
            }
        }
        let mut from = have;
        while from < ack.head {
            let head = from.saturating_add(MAX_EVENT_SPAN).min(ack.head);
            let refused = refused
                .iter()
                .filter(|(seq, _)| head.covers(*seq) && !from.covers(*seq))
                .copied()
                .collect();
            self.out.push_back(Output::Event(Event::Acked {
                feed: id,
                member,
                from,
                head,
                kept: ack.kept,
                refused,
            }));
            from = head;
        }
        self.out.push_back(Output::Acked {
            link,
            feed: id,
            member,
            from: have,
            head: ack.head,
            kept: ack.kept,
            refused,
        });
        self.settle(&id);
        self.dirty.insert(id.space);
    }
}
