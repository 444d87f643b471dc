//! Predecessors that are not there: what holds a feed up, and for how long (INC-4).

use skychat_proto::ids::{FeedId, LinkId, SpaceId};
use skychat_proto::open::WriterKind;
use skychat_proto::record::tables::{Event, GapCause};

use super::{Output, Replicator};

impl Replicator {
    /// The predecessors that its first entry names and that are not there (INC-4).
    pub(super) fn missing_of(&self, id: &FeedId) -> Vec<FeedId> {
        let Some(feed) = self.feeds.get(id) else {
            return Vec::new();
        };
        feed.names
            .iter()
            .map(|(life, at, _)| {
                (
                    FeedId {
                        incarnation: *life,
                        ..*id
                    },
                    *at,
                )
            })
            .filter(|(named, at)| !self.feeds.get(named).is_some_and(|held| held.is_there(*at)))
            .filter(|(named, _)| !self.is_live(named) && !self.is_left_on_disk(named))
            .map(|(named, _)| named)
            .collect()
    }

    /// Starts and stops the clock of INC-4: it runs while a predecessor holds a feed up although every linked peer
    /// was asked for it.
    pub(super) fn watch_missing(&mut self, space: SpaceId, links: &[LinkId]) {
        let Some(state) = self.spaces.get(&space) else {
            return;
        };
        let mut waiting: Vec<FeedId> = Vec::new();
        for id in &state.active {
            for missing in self.missing_of(id) {
                let asked = |link: &LinkId| {
                    self.links.get(link).is_none_or(|side| {
                        side.kind == WriterKind::OneShot
                            || side.not_held.contains(&missing)
                            || side.ask.contains_key(&missing)
                            || side.skip.contains(&missing)
                    })
                };
                if !links.is_empty() && links.iter().all(asked) {
                    waiting.push(missing);
                }
            }
        }
        self.missing_since
            .retain(|id, _| id.space != space || waiting.contains(id));
        for id in waiting {
            self.missing_since.entry(id).or_insert(self.now);
        }
    }

    /// The clock has run out: the successor is taken, and the missing feed stays wanted.
    pub(super) fn give_up(&mut self, feed: FeedId) {
        self.missing_since.remove(&feed);
        let from = self.head_of(&feed);
        let to = self.wanted.get(&feed).copied().unwrap_or(from);
        self.feeds.entry(feed).or_default().given_up = true;
        self.put_feed(&feed);
        self.out.push_back(Output::Event(Event::Gap {
            cause: GapCause::Missing,
            feed,
            from,
            to,
        }));
        self.dirty.insert(feed.space);
    }
}
