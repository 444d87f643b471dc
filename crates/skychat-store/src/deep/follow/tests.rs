#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::sync::Mutex;

use rand_core::SeedableRng;
use skychat_identity::SecretKey;
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::{
    BatchId, EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, Stream, Timestamp,
};
use skychat_proto::range::{RangeBuilder, Row, RowLabel};
use skychat_proto::record::{Batch, ContentOf, Record};
use skychat_seal::StoreKey;
use zeroize::Zeroizing;

use super::*;
use crate::deep::GoOn;
use crate::{MemoryDisk, OpenOptions, Store, StoreWriter};

type Chunks = Vec<Vec<u8>>;
/// By the last group and the one before the first.
type ByRun<T> = BTreeMap<(u64, u64), T>;
/// Keys and values, and for each run its items and its chunks.
type All = (BTreeMap<Vec<u8>, Vec<u8>>, ByRun<(u64, Chunks)>);

#[derive(Debug, Default)]
struct Memory {
    all: Mutex<All>,
    unfinished: Mutex<ByRun<Chunks>>,
}

impl Memory {
    fn of(all: &All) -> Self {
        Memory {
            all: Mutex::new(all.clone()),
            unfinished: Mutex::default(),
        }
    }

    fn all(&self) -> All {
        self.all.lock().unwrap().clone()
    }
}

impl DeepIndex for Memory {
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        backwards: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> GoOn,
    ) -> Result<(), DeepError> {
        let all = &self.all.lock().unwrap().0;
        let found = all.range(from.to_vec()..=to.to_vec());
        if backwards {
            found.rev().all(|(key, value)| each(key, value));
        } else {
            let mut found = found;
            found.all(|(key, value)| each(key, value));
        }
        Ok(())
    }

    fn runs(&self) -> Vec<Run> {
        let all = self.all.lock().unwrap();
        let run = |(name, (items, _)): (&(u64, u64), &(u64, _))| Run {
            from: name.1,
            to: name.0,
            items: *items,
        };
        all.1.iter().map(run).collect()
    }

    fn chunk(&self, run: Run, at: u64) -> Result<Option<Vec<Item>>, DeepError> {
        let all = self.all.lock().unwrap();
        let Some((_, chunks)) = all.1.get(&(run.to, run.from)) else {
            return Ok(None);
        };
        let chunk = chunks.get(at as usize);
        let items = chunk.and_then(|chunk| run.decode(at, chunk));
        items
            .map(Some)
            .ok_or_else(|| DeepError("no chunk".to_owned()))
    }
}

impl DeepIndexMut for Memory {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), DeepError> {
        let mut all = self.all.lock().unwrap();
        all.0.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<(), DeepError> {
        self.all.lock().unwrap().0.remove(key);
        Ok(())
    }

    fn flush(&self) -> Result<(), DeepError> {
        Ok(())
    }

    fn append_chunk(&self, run: Run, at: u64, chunk: &[u8]) -> Result<(), DeepError> {
        let mut all = self.unfinished.lock().unwrap();
        let unfinished = all.entry((run.to, run.from)).or_default();
        unfinished.truncate(at as usize);
        assert_eq!(unfinished.len() as u64, at);
        unfinished.push(chunk.to_vec());
        Ok(())
    }

    fn finish_run(&self, run: Run) -> Result<(), DeepError> {
        let chunks = self.unfinished.lock().unwrap().remove(&(run.to, run.from));
        let chunks = chunks.unwrap();
        let mut all = self.all.lock().unwrap();
        all.1.insert((run.to, run.from), (run.items, chunks));
        Ok(())
    }

    fn remove_run(&self, run: Run) -> Result<(), DeepError> {
        let gone = self.all.lock().unwrap().1.remove(&(run.to, run.from));
        gone.map(drop).ok_or_else(|| DeepError("no run".to_owned()))
    }
}

fn open() -> (StoreWriter, Arc<Shared>) {
    let key = StoreKey::generate(&mut chacha20::ChaCha20Rng::from_seed([3; 32]));
    let owner = SecretKey::from_seed([1; 32]).public();
    let life = Incarnation::from_bytes([7; 8]);
    let options = OpenOptions::new(owner, key, life, [5; 32]);
    let (writer, _, _) = Store::open(MemoryDisk::new(), options).unwrap();
    let shared = Arc::clone(&writer.shared);
    (writer, shared)
}

/// Writes messages into feeds of as many lives as `lives`, in turns.
struct Author {
    secret: SecretKey,
    feeds: Vec<(FeedId, Position, EntryId)>,
    number: u64,
}

impl Author {
    fn new(lives: u8) -> Self {
        let secret = SecretKey::from_seed([1; 32]);
        let peer = SecretKey::from_seed([2; 32]).public();
        let feed = |n| FeedId {
            author: secret.public(),
            space: SpaceId::direct(&secret.public(), &peer).unwrap(),
            stream: Stream::MESSAGES,
            incarnation: Incarnation::from_bytes([n; 8]),
        };
        let feeds = (0..lives).map(|n| (feed(n), Position::START, EntryId::ZERO));
        Author {
            feeds: feeds.collect(),
            secret,
            number: 0,
        }
    }

    fn batch(&mut self) -> Batch {
        self.number += 1;
        let at = self.number as usize % self.feeds.len();
        let (feed, head, tip) = self.feeds[at];
        let mut builder = RangeBuilder::new(feed, head.next(), tip).unwrap();
        // Every fifth id was used before.
        let id = self.number - u64::from(self.number.is_multiple_of(5));
        let label = RowLabel {
            time: Timestamp::from_millis(1),
            kind: Kind::Content,
            suite: Suite::HPKE_X25519,
            flags: Flags::NONE,
            context: Seq::FIRST,
            message: MessageId::from_bytes(u128::from(id).to_be_bytes()),
        };
        let row = Row::of_body(label, b"sealed").unwrap();
        builder.push(&row, Some(b"sealed")).unwrap();
        let (range, id) = builder.sign(&self.secret).unwrap();
        self.feeds[at] = (feed, range.end(), id);
        let content = Record::Content {
            of: ContentOf::Entry {
                back: 1,
                row: 0,
                id,
            },
            event: true,
            plaintext: Zeroizing::new(b"\0said".to_vec()),
        };
        Batch {
            id: BatchId::new(self.number),
            records: vec![Record::Range { range }, content],
        }
    }
}

fn all_steps(follower: &mut Follower, index: &Memory, shared: &Arc<Shared>) {
    while follower.step(index, shared, 50).unwrap() {}
    follower.flush(index).unwrap();
    while follower.merge(index, follower.mark().group, 10).unwrap() {}
}

#[test]
fn in_however_many_steps_it_comes_to_the_same() {
    let (mut writer, shared) = open();
    let mut author = Author::new(3);
    let (one, many) = (Memory::default(), Memory::default());
    let mut follower = Follower::new(shared.store);
    for n in 0..400_usize {
        let batches = (0..1 + n % 3).map(|_| author.batch()).collect();
        writer.commit(batches).unwrap();
        if n % 7 == 0 {
            follower.step(&many, &shared, n % 5).unwrap();
        }
        if n % 11 == 0 {
            follower.flush(&many).unwrap();
        }
    }
    all_steps(&mut follower, &many, &shared);
    let mut at_once = Follower::new(shared.store);
    all_steps(&mut at_once, &one, &shared);
    assert_eq!(follower.mark(), at_once.mark());
    // Small runs are written again with what comes next: there is one here and there.
    assert!(one.all() == many.all());
    assert_eq!(count(&one, u64::MAX).unwrap(), {
        (follower.mark().items, follower.mark().sum)
    });
}

#[test]
fn more_feeds_than_are_remembered_come_to_the_same() {
    let (mut writer, shared) = open();
    let mut author = Author::new(250);
    for _ in 0..OPEN_CHUNKS / 50 {
        for _ in 0..50 {
            writer
                .commit((0..3).map(|_| author.batch()).collect())
                .unwrap();
        }
    }
    let index = Memory::default();
    let mut follower = Follower::new(shared.store);
    let mut other = Follower::new(shared.store);
    let forgetful = Memory::default();
    while follower.step(&index, &shared, 10).unwrap() {
        other.step(&forgetful, &shared, 10).unwrap();
        other.write(&forgetful).unwrap();
        other.forget_oldest();
    }
    all_steps(&mut follower, &index, &shared);
    all_steps(&mut other, &forgetful, &shared);
    assert!(index.all() == forgetful.all());
}

#[test]
fn it_resumes_from_any_mark_of_the_same_journal_only() {
    let (mut writer, shared) = open();
    let mut author = Author::new(2);
    let index = Memory::default();
    let mut follower = Follower::new(shared.store);
    let mut marks = vec![follower.mark()];
    for n in 0..300 {
        writer.commit(vec![author.batch()]).unwrap();
        if n % 11 == 0 {
            follower.step(&index, &shared, 1000).unwrap();
            follower.flush(&index).unwrap();
            marks.push(follower.mark());
        }
    }
    all_steps(&mut follower, &index, &shared);
    let whole = index.all();
    for mark in marks {
        let copy = Memory::of(&whole);
        let mut resumed = Follower::resume(&copy, &shared, mark).unwrap();
        all_steps(&mut resumed, &copy, &shared);
        assert_eq!(
            (resumed.mark(), copy.all()),
            (follower.mark(), whole.clone())
        );

        let other = IndexMark {
            chain: Chain([1; 32]),
            ..mark
        };
        if mark.group > 0 {
            assert!(Follower::resume(&copy, &shared, other).is_err());
        }
        let other = IndexMark {
            items: mark.items + 1,
            ..mark
        };
        assert!(Follower::resume(&copy, &shared, other).is_err());
    }
    // Any item or key.
    for (key, value) in &whole.0 {
        let copy = Memory::of(&whole);
        let mut changed = value.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        copy.put(key, &changed).unwrap();
        assert!(Follower::resume(&copy, &shared, follower.mark()).is_err());

        let copy = Memory::of(&whole);
        let mut changed = key.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        copy.remove(key).unwrap();
        copy.put(&changed, value).unwrap();
        assert!(Follower::resume(&copy, &shared, follower.mark()).is_err());
    }
    // Any byte of a run, a part of it, or all of it.
    for (name, (_, chunks)) in &whole.1 {
        for (at, chunk) in chunks.iter().enumerate() {
            for byte in 0..chunk.len() {
                let copy = Memory::of(&whole);
                copy.all.lock().unwrap().1.get_mut(name).unwrap().1[at][byte] ^= 1;
                assert!(Follower::resume(&copy, &shared, follower.mark()).is_err());
            }
        }
        let copy = Memory::of(&whole);
        copy.all.lock().unwrap().1.get_mut(name).unwrap().1.pop();
        assert!(Follower::resume(&copy, &shared, follower.mark()).is_err());
        let copy = Memory::of(&whole);
        copy.all.lock().unwrap().1.remove(name);
        assert!(Follower::resume(&copy, &shared, follower.mark()).is_err());
    }
    let ahead = IndexMark {
        group: follower.mark().group + 1,
        ..follower.mark()
    };
    assert!(Follower::resume(&index, &shared, ahead).is_err());
}

/// The tags of all ids and the last groups they are used in.
fn every_id(shared: &Arc<Shared>) -> BTreeMap<Tag, u64> {
    let index = Memory::default();
    let mut follower = Follower::new(shared.store);
    while follower.step(&index, shared, 1000).unwrap() {}
    let items = follower.fresh.iter();
    items.map(|item| (item.tag, item.record.group)).collect()
}

fn finds_all(index: &Memory, ids: &BTreeMap<Tag, u64>, most: usize) {
    let every = ids.len() / most + 1;
    for (tag, group) in ids.iter().step_by(every) {
        let found = super::super::runs::find(index, tag).unwrap();
        assert!(found.is_some_and(|record| record.group <= *group));
    }
    assert_eq!(super::super::runs::find(index, &[7; 16]).unwrap(), None);
}

#[test]
fn runs_are_merged_and_everything_is_found_at_every_moment() {
    let (mut writer, shared) = open();
    let mut author = Author::new(1);
    let index = Memory::default();
    let mut follower = Follower::new(shared.store);
    for _ in 0..9 {
        for _ in 0..9 {
            let batches = (0..500).map(|_| author.batch()).collect();
            writer.commit(batches).unwrap();
        }
        while follower.step(&index, &shared, 1000).unwrap() {}
        assert!(follower.is_due());
        follower.flush(&index).unwrap();
        assert!(!follower.has_fresh());
    }
    let ids = every_id(&shared);
    let mark = follower.mark();
    assert_eq!(follower.runs.len(), 9);
    // None that goes further than what was kept.
    assert!(!follower.merge(&index, 7, 1000).unwrap());
    let mut parts = 0;
    while follower.merge(&index, mark.group, 3000).unwrap() {
        parts += 1;
        finds_all(&index, &ids, 300);
        // A stop here, and what is found then.
        let copy = Memory::of(&index.all());
        let resumed = Follower::resume(&copy, &shared, mark).unwrap();
        finds_all(&copy, &ids, 300);
        assert_eq!(resumed.mark(), mark);
        assert_eq!(resumed.runs, copy.runs());
    }
    assert!(parts > 10);
    assert_eq!(follower.runs.len(), 2);
    finds_all(&index, &ids, ids.len());
    Follower::resume(&index, &shared, mark).unwrap();
    assert_eq!(follower.runs, index.runs());
}

#[test]
fn more_of_one_id_than_a_chunk_holds_are_found() {
    let index = Memory::default();
    let mut writer = RunWriter::new(0, 900);
    let tags = [[4; 16], [5; 16], [6; 16]];
    for tag in tags {
        for group in 1..=200 {
            let record = RecordId { group, index: 1 };
            writer.push(&index, Item { tag, record }).unwrap();
        }
    }
    let run = writer.finish(&index).unwrap().unwrap();
    assert_eq!(read(&index, run).unwrap().len(), 600);
    for tag in tags {
        let found = super::super::runs::find(&index, &tag).unwrap();
        assert!(found.is_some());
    }
    index.remove_run(run).unwrap();
    assert!(index.runs().is_empty());
}
