//! What we say of our own feeds: up to where they are known to be acknowledged (ACK-3).

use skychat_proto::ids::{FeedId, LinkId, SpaceId};
use skychat_proto::open::WriterKind;
use skychat_proto::sync::SyncMessage;

use super::Replicator;

impl Replicator {
    /// States the acknowledged position of each of our feeds that is not closed.
    pub(super) fn state_all_owed(&mut self, link: LinkId, space: SpaceId) {
        let owed: Vec<FeedId> = self
            .spaces
            .get(&space)
            .into_iter()
            .flat_map(|state| &state.active)
            .filter(|id| id.author == self.config.me)
            .copied()
            .collect();
        for id in owed {
            self.state_one(link, &id);
        }
    }

    /// A feed of ours came in, or grew, from outside: its position is stated to everybody linked.
    pub(super) fn state_owed(&mut self, id: &FeedId) {
        let links: Vec<LinkId> = self
            .spaces
            .get(&id.space)
            .map(|space| space.links.iter().copied().collect())
            .unwrap_or_default();
        for link in links {
            self.state_one(link, id);
        }
    }

    pub(super) fn state_one(&mut self, link: LinkId, id: &FeedId) {
        let (Some(side), Some(feed)) = (self.links.get(&link), self.feeds.get(id)) else {
            return;
        };
        if side.kind == WriterKind::OneShot || feed.head.is_start() {
            return;
        }
        let (disk, memory) = feed.acked.get(&side.peer).copied().unwrap_or_default();
        let acked = if side.kind == WriterKind::Memory {
            disk.max(memory)
        } else {
            disk
        };
        self.send(link, SyncMessage::Owed { feed: *id, acked });
    }
}
