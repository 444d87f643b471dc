//! The batch that is being filled, and what waits until one is on disk.

use std::collections::{BTreeMap, VecDeque};

use skychat_proto::ids::{BatchId, FeedId, LinkId, Position, TableId};
use skychat_proto::record::{Batch, Record};

use crate::port::Output;

/// Records of one batch; beyond it the engine takes nothing new.
pub const MAX_BATCH_RECORDS: usize = 4096;

/// Bytes of one batch; beyond it the engine takes nothing new. A record more may still be added.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Outputs that wait for the disk; beyond it the engine takes nothing new.
pub const MAX_WAITING: usize = 16 * 1024;

/// Collects records, and holds back each output until the batch it may depend on is committed.
#[derive(Debug)]
pub(crate) struct Batches {
    id: BatchId,
    records: Vec<Record>,
    /// Entries were appended that are in no record yet: they join the batch when it is taken.
    unsigned: bool,
    bytes: usize,
    heads: Vec<(FeedId, Position)>,
    under_way: VecDeque<(BatchId, Vec<(FeedId, Position)>)>,
    committed: BatchId,
    waiting: VecDeque<(BatchId, Output)>,
    /// How much of that is for which link; a link is left out when nothing is.
    waiting_on: BTreeMap<LinkId, usize>,
    /// What one input led to: the driver takes all of it before the next. Ranges among it are held to their windows.
    at_once: VecDeque<Output>,
}

impl Batches {
    pub(crate) fn new() -> Self {
        Batches {
            id: BatchId::new(1),
            records: Vec::new(),
            unsigned: false,
            bytes: 0,
            heads: Vec::new(),
            under_way: VecDeque::new(),
            committed: BatchId::new(0),
            waiting: VecDeque::new(),
            waiting_on: BTreeMap::new(),
            at_once: VecDeque::new(),
        }
    }

    /// Adds a record; its index in the batch.
    pub(crate) fn push(&mut self, record: Record, bytes: usize) -> usize {
        self.bytes = self.bytes.saturating_add(bytes);
        self.records.push(record);
        self.records.len().saturating_sub(1)
    }

    pub(crate) fn put(&mut self, table: TableId, key: Vec<u8>, value: Vec<u8>, event: bool) {
        let bytes = key.len().saturating_add(value.len());
        self.push(
            Record::Put {
                table,
                key,
                value,
                event,
            },
            bytes,
        );
    }

    pub(crate) fn delete(&mut self, table: TableId, key: Vec<u8>) {
        let bytes = key.len();
        let event = false;
        self.push(Record::Delete { table, key, event }, bytes);
    }

    /// An entry was appended that will be in this batch.
    pub(crate) fn appended(&mut self) {
        self.unsigned = true;
    }

    /// Entries up to here are in this batch.
    pub(crate) fn head(&mut self, feed: FeedId, head: Position) {
        self.heads.push((feed, head));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn id(&self) -> BatchId {
        self.id
    }

    pub(crate) fn committed_id(&self) -> BatchId {
        self.committed
    }

    pub(crate) fn has_room(&self) -> bool {
        self.records.len() < MAX_BATCH_RECORDS
            && self.bytes < MAX_BATCH_BYTES
            && self.waiting.len() < MAX_WAITING
    }

    pub(crate) fn take(&mut self) -> Batch {
        let id = self.id;
        self.id = id.next();
        self.bytes = 0;
        self.unsigned = false;
        self.under_way
            .push_back((id, std::mem::take(&mut self.heads)));
        Batch {
            id,
            records: std::mem::take(&mut self.records),
        }
    }

    /// That batch, and with it every earlier one, is on disk: the feeds that grew.
    pub(crate) fn committed(&mut self, batch: BatchId) -> Vec<(FeedId, Position)> {
        self.committed = self.committed.max(batch);
        let mut heads = Vec::new();
        while let Some((id, _)) = self.under_way.front() {
            if *id > batch {
                break;
            }
            if let Some((_, mut grown)) = self.under_way.pop_front() {
                heads.append(&mut grown);
            }
        }
        heads
    }

    /// To be done when everything known so far is on disk.
    pub(crate) fn after(&mut self, output: Output) {
        let barrier = if self.records.is_empty() && !self.unsigned {
            self.under_way.back().map_or(self.committed, |(id, _)| *id)
        } else {
            self.id
        };
        if let Some(link) = link_of(&output) {
            let waiting = self.waiting_on.entry(link).or_default();
            *waiting = waiting.saturating_add(1);
        }
        self.waiting.push_back((barrier, output));
    }

    /// To be done on a link, and about nothing but what is on disk: the batch that is being filled does not hold it
    /// up, only what waits to be done on that link before it.
    pub(crate) fn in_turn(&mut self, link: LinkId, output: Output) {
        if self.waiting_on.contains_key(&link) {
            self.after(output);
        } else {
            self.now(output);
        }
    }

    /// To be done at once.
    pub(crate) fn now(&mut self, output: Output) {
        self.at_once.push_back(output);
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.at_once.pop_front() {
            return Some(output);
        }
        let (barrier, _) = self.waiting.front()?;
        if *barrier > self.committed {
            return None;
        }
        let (_, output) = self.waiting.pop_front()?;
        if let Some(link) = link_of(&output)
            && let Some(waiting) = self.waiting_on.get_mut(&link)
        {
            *waiting = waiting.saturating_sub(1);
            if *waiting == 0 {
                self.waiting_on.remove(&link);
            }
        }
        Some(output)
    }
}

/// The link that something is to be done on in its turn.
fn link_of(output: &Output) -> Option<LinkId> {
    match output {
        Output::Send { link, .. } | Output::Expect { link, .. } => Some(*link),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use skychat_identity::SecretKey;
    use skychat_proto::ids::{EntryId, Incarnation, SpaceId, Stream};

    use super::*;

    /// Something to be done on a link, known by its position.
    fn on(link: u64, position: u64) -> Output {
        let feed = FeedId {
            author: SecretKey::from_seed([1; 32]).public(),
            space: SpaceId::from_bytes([2; 32]),
            stream: Stream::MESSAGES,
            incarnation: Incarnation::from_bytes([3; 8]),
        };
        Output::Expect {
            link: LinkId::new(link),
            feed,
            position: Position::new(position),
            tip: EntryId::ZERO,
        }
    }

    fn done(batches: &mut Batches) -> Vec<u64> {
        let outputs = std::iter::from_fn(|| batches.poll());
        let positions = outputs.filter_map(|output| match output {
            Output::Expect { position, .. } => Some(position.get()),
            _ => None,
        });
        positions.collect()
    }

    #[test]
    fn what_is_on_disk_waits_only_for_its_link() {
        let (one, other) = (LinkId::new(1), LinkId::new(2));
        let mut batches = Batches::new();
        batches.put(TableId::new(1), vec![1], vec![], false);
        batches.after(on(1, 10));
        batches.after(on(1, 11));
        batches.in_turn(one, on(1, 12));
        batches.in_turn(other, on(2, 20));
        assert_eq!(done(&mut batches), [20]);

        let first = batches.take();
        batches.put(TableId::new(1), vec![2], vec![], false);
        batches.committed(first.id);
        assert_eq!(done(&mut batches), [10, 11, 12]);
        batches.in_turn(one, on(1, 13));
        assert_eq!(done(&mut batches), [13]);
        batches.after(on(1, 14));
        assert_eq!(done(&mut batches), []);
    }
}
