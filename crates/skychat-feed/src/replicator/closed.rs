//! Closed feeds: they stay on disk, and come back when somebody speaks of them (INC-9).

use skychat_proto::ids::FeedId;

use super::feeds::Feed;
use super::{FeedFacts, Replicator};

/// What is kept in memory of a feed that was left on disk: enough to say of every other feed that it is not one of
/// them. Two feeds may have the same mark; then a look at the disk says which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClosedMark(u64);

impl ClosedMark {
    /// The mark of a feed.
    pub fn of(feed: &FeedId) -> Self {
        let bytes = feed.to_bytes();
        let (words, rest) = bytes.as_chunks::<8>();
        let rest = rest.iter().fold(0, |sum, byte| sum ^ u64::from(*byte));
        let word = |sum: u64, word: &[u8; 8]| sum.rotate_left(7) ^ u64::from_be_bytes(*word);
        ClosedMark(words.iter().fold(rest, word))
    }
}

impl Replicator {
    /// Whether this feed may be one that was left on disk: then [`reopen`](Self::reopen) comes before anything that
    /// is said of it is handed in.
    pub fn is_left_on_disk(&self, feed: &FeedId) -> bool {
        !self.feeds.contains_key(feed) && self.closed.contains(&ClosedMark::of(feed))
    }

    /// Whether any feed is left on disk.
    pub fn leaves_feeds(&self) -> bool {
        !self.closed.is_empty()
    }

    /// What is on disk of a closed feed. It is known again until the node stops.
    pub fn reopen(&mut self, feed: FeedId, facts: FeedFacts) {
        if self.feeds.contains_key(&feed) || facts.head.is_start() {
            return;
        }
        self.closed.remove(&ClosedMark::of(&feed));
        let facts = Feed::from_facts(facts);
        // What continues it may still be on disk only.
        self.continued.entry(feed).or_default().push(facts.top());
        let names: Vec<_> = facts.all_names().copied().collect();
        self.feeds.insert(feed, facts);
        self.note_names(&feed, &names, false);
        self.settle(&feed);
    }
}
