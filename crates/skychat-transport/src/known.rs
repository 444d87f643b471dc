//! Keys whose claims held before, so that a peer that comes again is spared the check of its key.
//!
//! That check is a multiplication by the group order (IDENT-1), an eighth of a handshake. It is
//! looked up by the X25519 key that the peer has authenticated with in this very handshake: so
//! how long an answer takes tells nobody but the owner of a key whether it was here before.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use skychat_identity::PublicKey;

/// Keys remembered; the one that was away the longest goes first. 256 take 20 KiB.
pub(crate) const REMEMBERED: usize = 256;

/// Keys by their X25519 form. Of a key and its negative, which share it, the last one is
/// remembered.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Keys>);

#[derive(Debug, Default)]
struct Keys {
    keys: BTreeMap<[u8; 32], Seen>,
    clock: u64,
}

#[derive(Debug)]
struct Seen {
    key: PublicKey,
    at: u64,
}

impl Known {
    /// The key with the bytes `claimed`, if it proved itself with this X25519 form before.
    pub(crate) fn find(&self, x25519: &[u8; 32], claimed: &[u8; 32]) -> Option<PublicKey> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.clock = keys.clock.saturating_add(1);
        let now = keys.clock;
        let seen = keys.keys.get_mut(x25519)?;
        if seen.key.as_bytes() != claimed {
            return None;
        }
        seen.at = now;
        Some(seen.key)
    }

    /// `key` has proved itself, and this is its X25519 form.
    pub(crate) fn remember(&self, x25519: [u8; 32], key: PublicKey) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = keys.clock;
        if keys.keys.insert(x25519, Seen { key, at }).is_none() && keys.keys.len() > REMEMBERED {
            let oldest = keys.keys.iter().min_by_key(|(_, seen)| seen.at);
            if let Some(oldest) = oldest.map(|(form, _)| *form) {
                keys.keys.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use skychat_identity::SecretKey;

    use super::*;

    fn key(n: u16) -> PublicKey {
        let [high, low] = n.to_be_bytes();
        let mut seed = [7; 32];
        (seed[0], seed[1]) = (high, low);
        SecretKey::from_seed(seed).public()
    }

    #[test]
    fn a_key_is_found_by_its_form_and_its_bytes() {
        let known = Known::default();
        let (ann, bob) = (key(1), key(2));
        assert_eq!(known.find(&ann.x25519(), ann.as_bytes()), None);
        known.remember(ann.x25519(), ann);
        assert_eq!(known.find(&ann.x25519(), ann.as_bytes()), Some(ann));
        assert_eq!(known.find(&ann.x25519(), bob.as_bytes()), None);
        assert_eq!(known.find(&bob.x25519(), ann.as_bytes()), None);
    }

    /// They share an X25519 form, and neither stands for the other.
    #[test]
    fn a_key_does_not_answer_for_its_negative() {
        let known = Known::default();
        let ann = key(1);
        let mut negative = *ann.as_bytes();
        negative[31] ^= 0x80;
        known.remember(ann.x25519(), ann);
        assert_eq!(known.find(&ann.x25519(), &negative), None);
        let negative = PublicKey::from_bytes(&negative).unwrap();
        known.remember(negative.x25519(), negative);
        assert_eq!(known.find(&ann.x25519(), ann.as_bytes()), None);
        let found = known.find(&ann.x25519(), negative.as_bytes());
        assert_eq!(found, Some(negative));
    }

    #[test]
    fn the_one_that_was_away_the_longest_goes_first() {
        let known = Known::default();
        let most = REMEMBERED as u16;
        let there = |n| known.find(&key(n).x25519(), key(n).as_bytes()).is_some();
        for n in 0..most {
            known.remember(key(n).x25519(), key(n));
            assert!(there(n));
        }
        assert!(there(0));
        known.remember(key(most).x25519(), key(most));
        assert!(there(0) && there(most) && !there(1));
        assert_eq!(known.0.lock().unwrap().keys.len(), REMEMBERED);
    }
}
