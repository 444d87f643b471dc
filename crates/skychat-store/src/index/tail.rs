//! What was written last: which ranges, messages and pages there are.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use skychat_identity::PublicKey;
use skychat_proto::ids::{FeedId, MessageId, Position, Seq, SpaceId};

use super::{Place, RecordId};

/// What the tail holds at most, in ranges and messages, if there is an index behind it. What is
/// older and not in that index yet is not found meanwhile.
pub const MAX_TAIL: usize = 32 * 1024;
#[cfg(feature = "sled")]
/// What stays in the tail although the index has it.
const KEPT: usize = 2 * 1024;

/// Entries that were written as one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) start: Position,
    /// The position after its last entry.
    pub(crate) end: Position,
    pub(crate) place: Place,
}

/// A message with a content that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRef {
    /// In which feed.
    pub feed: FeedId,
    /// Which entry of it.
    pub seq: Seq,
    /// The record of its content.
    pub record: RecordId,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Block(FeedId),
    Message(MessageId, MessageRef),
}

/// The bytes of an id as a number, which is compared at once.
fn id_number(message: &MessageId) -> u128 {
    u128::from_be_bytes(*message.as_bytes())
}

/// The newest groups, up to a number of items.
#[derive(Debug)]
pub(crate) struct Tail {
    most: usize,
    /// By group, in order.
    items: VecDeque<(u64, Item)>,
    /// How many items were forgotten: the number of the first that is left.
    forgotten: u64,
    /// The first group of which nothing was forgotten, nor of any behind it.
    from: u64,
    blocks: BTreeMap<FeedId, VecDeque<Block>>,
    /// By their ids: the numbers of their items. An id is random, so nothing but the id is compared;
    /// whose it is stands in the item.
    messages: BTreeMap<u128, u64>,
    /// The same of those whose id was another one's before.
    others: BTreeMap<(u128, PublicKey, SpaceId), u64>,
    pages: BTreeMap<SpaceId, VecDeque<RecordId>>,
}

impl Tail {
    /// One that never forgets: there is no index behind it.
    pub(crate) const fn whole() -> Self {
        Tail::of(usize::MAX)
    }

    /// One with an index behind it.
    pub(crate) const fn bounded(most: usize) -> Self {
        Tail::of(most)
    }

    /// The same, from this group on.
    pub(crate) const fn beginning_at(mut self, group: u64) -> Self {
        self.from = group;
        self
    }

    const fn of(most: usize) -> Self {
        Tail {
            most,
            items: VecDeque::new(),
            forgotten: 0,
            from: 1,
            blocks: BTreeMap::new(),
            messages: BTreeMap::new(),
            others: BTreeMap::new(),
            pages: BTreeMap::new(),
        }
    }

    /// The first group of which all is here, and of those behind it.
    pub(crate) const fn from(&self) -> u64 {
        self.from
    }

    pub(crate) fn add_block(&mut self, feed: FeedId, block: Block) {
        self.blocks.entry(feed).or_default().push_back(block);
        self.add(block.place.record.group, Item::Block(feed));
    }

    pub(crate) fn add_message(&mut self, message: MessageId, found: MessageRef) {
        let feed = found.feed;
        let number = self.forgotten.saturating_add(self.items.len() as u64);
        let id = id_number(&message);
        // Of several of one author in one space the first counts.
        let key = (id, feed.author, feed.space);
        match self.messages.entry(id) {
            Entry::Vacant(place) => {
                if !self.others.contains_key(&key) {
                    place.insert(number);
                }
            }
            Entry::Occupied(first) => {
                let first = *first.get();
                if !self.is_of(first, feed.author, feed.space) {
                    self.others.entry(key).or_insert(number);
                }
            }
        }
        let page = self.pages.entry(feed.space).or_default();
        page.push_back(found.record);
        self.add(found.record.group, Item::Message(message, found));
    }

    fn add(&mut self, group: u64, item: Item) {
        self.items.push_back((group, item));
        if self.items.len() > self.most {
            self.forget_first();
        }
    }

    #[cfg(feature = "sled")]
    /// The index behind has everything up to this group: what is there to be forgotten is, at most
    /// `most` items; whether there may be more.
    pub(crate) fn forget(&mut self, indexed: u64, most: usize) -> bool {
        let over = self.items.len().saturating_sub(KEPT).min(most);
        for _ in 0..over {
            let first = self.items.front();
            if first.is_none_or(|(group, _)| *group > indexed) {
                return false;
            }
            self.forget_first();
        }
        over == most
    }

    fn forget_first(&mut self) {
        let Some((group, item)) = self.items.pop_front() else {
            return;
        };
        let number = self.forgotten;
        self.forgotten = number.saturating_add(1);
        self.from = self.from.max(group.saturating_add(1));
        match item {
            Item::Block(feed) => {
                if let Some(blocks) = self.blocks.get_mut(&feed) {
                    blocks.pop_front();
                    if blocks.is_empty() {
                        self.blocks.remove(&feed);
                    }
                }
            }
            Item::Message(message, found) => {
                let space = found.feed.space;
                if let Some(page) = self.pages.get_mut(&space) {
                    page.pop_front();
                    if page.is_empty() {
                        self.pages.remove(&space);
                    }
                }
                // Another one may have come before it under the same id.
                let id = id_number(&message);
                if self.messages.get(&id) == Some(&number) {
                    self.messages.remove(&id);
                } else {
                    let key = (id, found.feed.author, space);
                    if self.others.get(&key) == Some(&number) {
                        self.others.remove(&key);
                    }
                }
            }
        }
    }

    /// The blocks of a feed that entries from `from` to `to` are in.
    pub(crate) fn blocks(&self, feed: &FeedId, from: Position, to: Position) -> Vec<Block> {
        let Some(blocks) = self.blocks.get(feed) else {
            return Vec::new();
        };
        let first = blocks.partition_point(|block| block.end <= from);
        let blocks = blocks.range(first..);
        let covering = blocks.take_while(|block| block.start < to);
        covering.copied().collect()
    }

    /// The message of an author in a space under an id.
    pub(crate) fn message(
        &self,
        author: PublicKey,
        space: SpaceId,
        message: MessageId,
    ) -> Option<MessageRef> {
        let id = id_number(&message);
        let first = self.messages.get(&id).copied();
        let own = first.filter(|first| self.is_of(*first, author, space));
        let number = own.or_else(|| self.others.get(&(id, author, space)).copied())?;
        self.message_at(number)
    }

    fn message_at(&self, number: u64) -> Option<MessageRef> {
        let at = usize::try_from(number.checked_sub(self.forgotten)?).ok()?;
        match self.items.get(at) {
            Some((_, Item::Message(_, found))) => Some(*found),
            _ => None,
        }
    }

    fn is_of(&self, number: u64, author: PublicKey, space: SpaceId) -> bool {
        let found = self.message_at(number);
        found.is_some_and(|found| (found.feed.author, found.feed.space) == (author, space))
    }

    /// The newest messages of a space before a record, at most `most`, the newest first.
    pub(crate) fn page(
        &self,
        space: &SpaceId,
        before: Option<RecordId>,
        most: usize,
    ) -> Vec<RecordId> {
        let Some(page) = self.pages.get(space) else {
            return Vec::new();
        };
        let end = before.map_or(page.len(), |before| {
            page.partition_point(|record| *record < before)
        });
        page.range(..end).rev().take(most).copied().collect()
    }
}

#[cfg(test)]
mod tests;
