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

#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Memory {
    fn all(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.0.lock().unwrap().clone()
    }
}

impl KeyValues for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DeepError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        backwards: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> GoOn,
    ) -> Result<(), DeepError> {
        let all = self.all();
        let found = all.range(from.to_vec()..=to.to_vec());
        if backwards {
            found.rev().all(|(key, value)| each(key, value));
        } else {
            let mut found = found;
            found.all(|(key, value)| each(key, value));
        }
        Ok(())
    }
}

impl KeyValuesMut for Memory {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), DeepError> {
        let mut all = self.0.lock().unwrap();
        all.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn put_new(&self, key: &[u8], value: &[u8]) -> Result<bool, DeepError> {
        let mut all = self.0.lock().unwrap();
        let is_new = !all.contains_key(key);
        all.entry(key.to_vec()).or_insert_with(|| value.to_vec());
        Ok(is_new)
    }

    fn remove(&self, key: &[u8]) -> Result<(), DeepError> {
        self.0.lock().unwrap().remove(key);
        Ok(())
    }

    fn flush(&self) -> Result<(), DeepError> {
        Ok(())
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
    }
    all_steps(&mut follower, &many, &shared);
    let mut at_once = Follower::new(shared.store);
    all_steps(&mut at_once, &one, &shared);
    assert_eq!(follower.mark(), at_once.mark());
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
        other.forget_oldest();
    }
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
            marks.push(follower.mark());
        }
    }
    all_steps(&mut follower, &index, &shared);
    let whole = index.all();
    for mark in marks {
        let copy = Memory(Mutex::new(whole.clone()));
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
    // Any byte of any item or key.
    for (key, value) in &whole {
        let copy = Memory(Mutex::new(whole.clone()));
        let mut value = value.clone();
        let last = value.len() - 1;
        value[last] ^= 1;
        copy.put(key, &value).unwrap();
        assert!(Follower::resume(&copy, &shared, follower.mark()).is_err());
    }
    let ahead = IndexMark {
        group: follower.mark().group + 1,
        ..follower.mark()
    };
    assert!(Follower::resume(&index, &shared, ahead).is_err());
}
