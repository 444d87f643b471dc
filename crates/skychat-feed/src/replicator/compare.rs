//! Comparing what rows say of a feed with what is held: where signs of a fork come from (RANGE-5, INC-8).

use skychat_proto::ids::{EntryId, FeedId, LinkId, Position};
use skychat_proto::open::WriterKind;
use skychat_proto::range::RawRange;
use skychat_proto::sync::HaveRow;

use super::{Load, Output, Replicator, is_row_of};
use crate::VerifiedRange;

impl Replicator {
    /// What a row says of a feed that is held: nothing new, past a fork, or the sign of one.
    pub(super) fn compare_row(&mut self, link: LinkId, id: FeedId, row: &HaveRow) {
        let (head, hash) = (row.head, row.hash);
        if self.is_past_fork(&id, head, Some(&hash)) {
            self.tell_fork(link, &id);
            return;
        }
        let (ours, tip) = (self.head_of(&id), self.tip_of(&id));
        let feed = self.feeds.get(&id);
        let known = if head == ours {
            Some(tip)
        } else {
            feed.and_then(|feed| feed.ends.get(&head).copied())
        };
        let frozen = feed.is_some_and(|feed| feed.frozen.is_some());
        if frozen || known == Some(hash) || self.config.kind == WriterKind::OneShot {
            return;
        }
        // Of a feed of ours the row carries our own signature, if it is true.
        let signed = id.author == self.config.me && is_row_of(row, &id.author);
        let live = self.is_live(&id);
        if live && !signed {
            return;
        }
        if head > ours {
            if live {
                self.live_elsewhere();
            } else if let Some(side) = self.links.get_mut(&link)
                && (side.ahead.len() < super::MAX_ROWS || side.ahead.contains_key(&id))
            {
                // Compared when that has come.
                side.ahead.insert(id, (head, hash, signed));
            }
        } else if known.is_some() {
            self.differs(link, id, head, signed);
        } else if let Some(side) = self.links.get_mut(&link) {
            // Once on each link: what is below our head does not change.
            if side.compared.len() < super::MAX_ROWS && side.compared.insert(id) {
                let load = Load::RowTip {
                    link,
                    feed: id,
                    head,
                    hash,
                    signed,
                };
                self.load(load, id, head.saturating_sub(1), 1, u32::MAX);
            }
        }
    }

    /// What rows said beyond what we had is compared with what has come since.
    pub(super) fn compare_ahead(&mut self, range: &VerifiedRange) {
        let (id, end) = (range.feed(), range.end());
        let told = |(link, side): (&LinkId, &super::Side)| {
            let (head, hash, signed) = side.ahead.get(&id).copied()?;
            (head <= end).then_some((*link, head, hash, signed))
        };
        let due: Vec<(LinkId, Position, EntryId, bool)> =
            self.links.iter().filter_map(told).collect();
        for (link, head, hash, signed) in due {
            if let Some(side) = self.links.get_mut(&link) {
                side.ahead.remove(&id);
            }
            let known = range
                .headers()
                .iter()
                .find(|(header, _)| header.seq.after() == head);
            if known.is_some_and(|(_, known)| *known != hash) {
                self.differs(link, id, head, signed);
            }
        }
    }

    pub(super) fn row_tip_loaded(
        &mut self,
        link: LinkId,
        id: FeedId,
        (head, hash, signed): (Position, EntryId, bool),
        range: Option<RawRange>,
    ) {
        let known = range.and_then(|range| {
            let (header, tip) = range.headers().next()?;
            (header.seq.after() == head).then_some(tip)
        });
        if known.is_some_and(|known| known != hash) {
            self.differs(link, id, head, signed);
        }
    }

    pub(super) fn live_elsewhere(&mut self) {
        let life = self.config.live;
        self.out.push_back(Output::LiveElsewhere { life });
    }

    /// What a sign was about may be on disk now.
    pub(super) fn retry_suspected(&mut self) {
        for (link, id, until, signed) in std::mem::take(&mut self.suspected) {
            if self.is_live(&id) {
                self.suspected.insert((link, id, until, signed));
            } else {
                self.suspect(link, id, until, signed);
            }
        }
    }

    /// A peer holds another entry before `head` than we do.
    fn differs(&mut self, link: LinkId, id: FeedId, head: Position, signed: bool) {
        if self.is_live(&id) {
            // Looked into as soon as this life has ended.
            if self.suspected.len() < super::MAX_ROWS {
                self.suspected.insert((link, id, head, signed));
            }
            self.live_elsewhere();
        } else {
            self.suspect(link, id, head, signed);
        }
    }
}
