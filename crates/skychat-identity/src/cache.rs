//! Remembering which encodings passed the strict check.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::{KeyError, PublicKey};

/// How many keys a [`KeyCache`] remembers.
pub const KEY_CACHE_SIZE: usize = 64;

/// Remembers the last [`KEY_CACHE_SIZE`] keys that passed [`PublicKey::from_bytes`], so that the
/// costly check runs once per author and not once per range. What was refused is not remembered:
/// whoever sends it loses the link.
#[derive(Clone, Debug, Default)]
pub struct KeyCache {
    /// Key, and when it was last asked for.
    seen: BTreeMap<PublicKey, u64>,
    /// The same bytes come in runs: the last answer, without a search.
    last: Option<PublicKey>,
    clock: u64,
}

impl KeyCache {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that remembers a key, which was checked before.
    pub fn knowing(key: PublicKey) -> Self {
        KeyCache {
            seen: BTreeMap::from([(key, 0)]),
            last: Some(key),
            clock: 0,
        }
    }

    /// The key with these bytes; checked in full unless it is remembered.
    ///
    /// # Errors
    /// Those of [`PublicKey::from_bytes`].
    pub fn get(&mut self, bytes: &[u8; 32]) -> Result<PublicKey, KeyError> {
        if let Some(last) = self.last
            && last.as_bytes() == bytes
        {
            return Ok(last);
        }
        // The bytes of a key are its order, so the search needs no checked key.
        let candidate = PublicKey::unchecked(*bytes);
        self.clock = self.clock.saturating_add(1);
        let key = match self.seen.get_mut(&candidate) {
            Some(used) => {
                *used = self.clock;
                candidate
            }
            None => {
                let key = PublicKey::from_bytes(bytes)?;
                self.make_room();
                self.seen.insert(key, self.clock);
                key
            }
        };
        self.last = Some(key);
        Ok(key)
    }

    /// How many keys are remembered now.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn make_room(&mut self) {
        if self.seen.len() >= KEY_CACHE_SIZE
            && let Some(oldest) = self
                .seen
                .iter()
                .min_by_key(|(_, used)| **used)
                .map(|(key, _)| *key)
        {
            self.seen.remove(&oldest);
        }
    }
}

thread_local! {
    static SEEN: RefCell<KeyCache> = RefCell::default();
}

/// The key with these bytes, checked in full unless this thread took it not long ago.
pub(crate) fn remembered(bytes: &[u8; 32]) -> Result<PublicKey, KeyError> {
    SEEN.with_borrow_mut(|seen| seen.get(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    fn key(n: u8) -> PublicKey {
        SecretKey::from_seed([n; 32]).public()
    }

    #[test]
    fn it_gives_what_the_strict_check_gives() {
        let mut cache = KeyCache::new();
        for n in 0..3 {
            assert_eq!(cache.get(key(n).as_bytes()), Ok(key(n)));
            assert_eq!(cache.get(key(n).as_bytes()), Ok(key(n)));
        }
        assert_eq!(cache.len(), 3);
        for _ in 0..2 {
            assert_eq!(cache.get(&[0; 32]), Err(KeyError::SmallOrder));
        }
        assert_eq!(cache.len(), 3);
    }

    #[test]
    fn it_stays_small_and_forgets_the_longest_unused() {
        let mut cache = KeyCache::new();
        for n in 0..KEY_CACHE_SIZE as u8 {
            cache.get(key(n).as_bytes()).unwrap();
        }
        cache.get(key(0).as_bytes()).unwrap(); // used again: now 1 is the oldest
        for n in 100..110 {
            cache.get(key(n).as_bytes()).unwrap();
            assert_eq!(cache.len(), KEY_CACHE_SIZE);
        }
        assert!(cache.seen.contains_key(&key(0)));
        assert!(!cache.seen.contains_key(&key(1)));
    }
}
