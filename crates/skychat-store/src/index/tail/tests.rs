#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use skychat_identity::SecretKey;
use skychat_proto::ids::{Incarnation, Stream};

use super::*;

type Key = (PublicKey, SpaceId, MessageId);

/// What was written last, as one would say it: a list, and of each key the first that is in it.
#[derive(Default)]
struct Said {
    items: VecDeque<(Key, MessageRef)>,
    first: BTreeMap<Key, MessageRef>,
}

impl Said {
    fn add(&mut self, key: Key, found: MessageRef, most: usize) {
        self.first.entry(key).or_insert(found);
        self.items.push_back((key, found));
        if self.items.len() > most {
            let (key, found) = self.items.pop_front().unwrap();
            if self.first.get(&key) == Some(&found) {
                self.first.remove(&key);
            }
        }
    }
}

/// Ids are used again by the same author, by another one, and in another space, while others of
/// them are forgotten.
#[test]
fn a_message_is_found_by_whose_it_is_and_its_id() {
    const MOST: usize = 24;
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let authors = [1, 2, 3].map(|seed| SecretKey::from_seed([seed; 32]).public());
    let spaces = [1, 2].map(|byte| SpaceId::from_bytes([byte; 32]));
    // Some differ in one bit only, at either end.
    let mut ids: Vec<MessageId> = (0..6).map(|n| MessageId::from_bytes([n; 16])).collect();
    for at in [0, 15] {
        let mut bytes = [3; 16];
        bytes[at] ^= 0x80;
        ids.push(MessageId::from_bytes(bytes));
    }
    let mut tail = Tail::bounded(MOST);
    let mut said = Said::default();
    let mut pick = |from: usize| rng.next_u32() as usize % from;
    let (mut again, mut hits) = (0, 0);
    for number in 0..4000_u64 {
        let key = (authors[pick(3)], spaces[pick(2)], ids[pick(ids.len())]);
        let (author, space, id) = key;
        again += usize::from(said.first.keys().any(|held| held.2 == id && *held != key));
        let found = MessageRef {
            feed: FeedId {
                author,
                space,
                stream: Stream::MESSAGES,
                incarnation: Incarnation::from_bytes([4; 8]),
            },
            seq: Seq::new(number),
            record: RecordId {
                group: number + 1,
                index: 0,
            },
        };
        tail.add_message(id, found);
        said.add(key, found, MOST);
        for author in authors {
            for space in spaces {
                for id in &ids {
                    let expected = said.first.get(&(author, space, *id)).copied();
                    assert_eq!(tail.message(author, space, *id), expected, "{number}");
                    hits += usize::from(expected.is_some());
                }
            }
        }
        // Nothing is held of what was forgotten.
        assert_eq!(
            tail.messages.len() + tail.others.len(),
            said.first.len(),
            "{number}"
        );
    }
    assert!(again > 1000 && hits > 10_000, "{again} {hits}");
}
