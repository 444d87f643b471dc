//! Have-lists: what each side tells of what it holds (SYNC-1).

use skychat_identity::PublicKey;
use skychat_proto::ids::{FeedId, LinkId, Position, SpaceId};
use skychat_proto::limits::MAX_HAVE_ROWS;
use skychat_proto::open::WriterKind;
use skychat_proto::sync::{Have, HaveHash, HaveRow, SyncMessage};

use super::{Load, MAX_ROWS, Replicator};
use crate::Violation;

/// Whether a row is about a feed of `author`, and its proof, if it has one, is signed by it.
pub fn is_row_of(row: &HaveRow, author: &PublicKey) -> bool {
    row.author == *author
        && row
            .proof
            .as_ref()
            .is_some_and(|proof| proof.0.verify(&proof.1).is_ok() && proof.0.feed.author == *author)
}

impl Replicator {
    /// The first words on a link: the hash of our rows, and what is owed.
    pub(super) fn greet(&mut self, link: LinkId, space: SpaceId) {
        let rows = self.rows(space);
        let have = HaveHash {
            space,
            hash: Have::hash(&rows),
            rows: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        };
        self.send(link, SyncMessage::HaveHash(have));
        let told: Vec<(FeedId, Position)> = self
            .spaces
            .get(&space)
            .into_iter()
            .flat_map(|state| &state.active)
            .filter_map(|id| Some((*id, self.feeds.get(id)?.top())))
            .collect();
        if let Some(side) = self.links.get_mut(&link) {
            side.told.extend(told);
        }
        if self.config.kind != WriterKind::OneShot {
            self.state_all_owed(link, space);
        }
    }

    /// Every feed held of the space that no feed held here continues at exactly its head.
    fn rows(&self, space: SpaceId) -> Vec<HaveRow> {
        let Some(state) = self.spaces.get(&space) else {
            return Vec::new();
        };
        state
            .active
            .iter()
            .filter_map(|id| {
                let feed = self.feeds.get(id)?;
                let top = feed.top();
                (!top.is_start() && !self.is_continued(id, top))
                    .then(|| HaveRow::new(id, top, feed.top_tip()))
            })
            .collect()
    }

    pub(super) fn on_have_hash(&mut self, link: LinkId, have: &HaveHash) {
        let shared = self
            .spaces
            .get(&have.space)
            .is_some_and(|space| space.links.contains(&link));
        if !shared || self.config.kind == WriterKind::OneShot {
            return;
        }
        if Have::hash(&self.rows(have.space)) != have.hash {
            self.send_rows(link, have.space);
        }
    }

    /// Sends our rows, once the anchors that prove those about the peer's own feeds are at hand.
    pub(super) fn send_rows(&mut self, link: LinkId, space: SpaceId) {
        let Some(side) = self.links.get(&link) else {
            return;
        };
        let peer = side.peer;
        let rows = self.rows(space);
        let lacking: Vec<(FeedId, Position)> = rows
            .iter()
            .map(|row| (row.feed(space), row.head))
            .filter(|(id, _)| {
                id.author == peer && self.feeds.get(id).is_some_and(|feed| feed.anchor.is_none())
            })
            .collect();
        if let Some(side) = self.links.get_mut(&link) {
            if !lacking.is_empty() {
                side.rows_due.insert(space);
            } else {
                side.rows_due.remove(&space);
            }
        }
        if !lacking.is_empty() {
            for (id, head) in lacking {
                let under_way = self
                    .loads
                    .values()
                    .any(|load| matches!(load, Load::Anchor { feed } if *feed == id));
                if !under_way {
                    self.load(
                        Load::Anchor { feed: id },
                        id,
                        head.saturating_sub(1),
                        1,
                        u32::MAX,
                    );
                }
            }
            return;
        }
        let rows: Vec<HaveRow> = rows
            .into_iter()
            .map(|row| self.prove(row, space, &peer))
            .collect();
        if let Some(side) = self.links.get_mut(&link) {
            side.told
                .extend(rows.iter().map(|row| (row.feed(space), row.head)));
        }
        let pages = rows.chunks(MAX_HAVE_ROWS).count().max(1);
        let mut chunks = rows.chunks(MAX_HAVE_ROWS);
        for page in 1..=pages {
            let rows = chunks.next().unwrap_or_default().to_vec();
            let more = page < pages;
            self.send(link, SyncMessage::Have(Have { space, rows, more }));
        }
    }

    /// The row with its proof, if it is about a feed of the receiver.
    pub(super) fn prove(&self, row: HaveRow, space: SpaceId, receiver: &PublicKey) -> HaveRow {
        if row.author != *receiver {
            return row;
        }
        match self
            .feeds
            .get(&row.feed(space))
            .and_then(|feed| feed.anchor.as_deref())
        {
            Some((header, signature)) if header.seq.after() == row.head => {
                row.with_proof(*header, *signature)
            }
            _ => row,
        }
    }

    pub(super) fn anchor_loaded(
        &mut self,
        id: FeedId,
        range: Option<skychat_proto::range::RawRange>,
    ) {
        let anchor = range.and_then(|range| Some((range.last_header()?, range.signature())));
        if let Some(feed) = self.feeds.get_mut(&id) {
            match anchor {
                Some(anchor) => feed.anchor = Some(Box::new(anchor)),
                // It cannot be read: the row goes without proof rather than never.
                None => {
                    self.dirty.insert(id.space);
                }
            }
        }
        let waiting: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, side)| side.rows_due.contains(&id.space))
            .map(|(link, _)| *link)
            .collect();
        for link in waiting {
            self.send_rows(link, id.space);
        }
    }

    pub(super) fn on_have(&mut self, link: LinkId, have: Have) -> Result<(), Violation> {
        let Some(space) = self
            .spaces
            .get(&have.space)
            .filter(|space| space.links.contains(&link))
        else {
            return Ok(());
        };
        for row in &have.rows {
            if row.author != self.config.me && !space.others.contains(&row.author) {
                return Err(Violation::new(
                    "SYNC-1",
                    "a row about a feed of somebody who is not in the space",
                ));
            }
        }
        let Some(side) = self.links.get_mut(&link) else {
            return Ok(());
        };
        for row in &have.rows {
            let id = row.feed(have.space);
            let known = side.rows.get(&id).copied();
            if known.is_none() && side.rows.len() >= MAX_ROWS {
                continue;
            }
            if known.unwrap_or_default() < row.head {
                side.rows.insert(id, row.head);
                side.not_held.remove(&id);
            }
        }
        for row in &have.rows {
            self.compare_row(link, row.feed(have.space), row);
        }
        self.dirty.insert(have.space);
        Ok(())
    }

    /// Tells a link of every feed that grew since it was told of it, and is not served to it.
    pub(super) fn announce(&mut self, link: LinkId, space: SpaceId) {
        let (Some(side), Some(state)) = (self.links.get(&link), self.spaces.get(&space)) else {
            return;
        };
        if side.kind == WriterKind::OneShot {
            return;
        }
        let peer = side.peer;
        let mut rows = Vec::new();
        for id in &state.active {
            let Some(feed) = self.feeds.get(id) else {
                continue;
            };
            let top = feed.top().min(feed.durable);
            let of_the_peer = id.author == peer && id.incarnation == side.incarnation;
            let served = side
                .serve
                .get(id)
                .is_some_and(|serve| serve.follow && serve.end.is_none());
            let from_it = self.source.get(id) == Some(&link);
            let it_has = side.rows.get(id).is_some_and(|head| *head >= top);
            let told = side.told.get(id).is_some_and(|head| *head >= top);
            if top.is_start() || of_the_peer || served || from_it || it_has || told {
                continue;
            }
            // The tip that is told is that of the whole feed: told once all of it is on disk.
            if top == feed.top() {
                rows.push(self.prove(HaveRow::new(id, top, feed.top_tip()), space, &peer));
            }
        }
        for rows in rows.chunks(MAX_HAVE_ROWS) {
            if let Some(side) = self.links.get_mut(&link) {
                side.told
                    .extend(rows.iter().map(|row| (row.feed(space), row.head)));
            }
            let rows = rows.to_vec();
            self.send(
                link,
                SyncMessage::Have(Have {
                    space,
                    rows,
                    more: false,
                }),
            );
        }
    }
}
