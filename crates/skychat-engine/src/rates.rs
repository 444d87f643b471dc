//! How many messages of one peer are taken in a minute.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use skychat_identity::PublicKey;
use skychat_proto::ids::Moment;

const MINUTE: Duration = Duration::from_secs(60);

/// A bucket for each peer: a minute's worth when it is full, filled evenly. Of peers whose buckets
/// are full nothing is remembered, so there are as many as have had something stored of late.
#[derive(Debug)]
pub(crate) struct Rates {
    per_minute: Option<NonZeroU32>,
    /// When a bucket is full again.
    full_at: BTreeMap<PublicKey, Moment>,
    /// Those that are empty.
    waiting: BTreeMap<PublicKey, Moment>,
}

impl Rates {
    pub(crate) const fn new(per_minute: Option<NonZeroU32>) -> Self {
        Rates {
            per_minute,
            full_at: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    pub(crate) const fn are_kept(&self) -> bool {
        self.per_minute.is_some()
    }

    /// So many messages of a peer were taken; whether what it may do has changed.
    pub(crate) fn count(&mut self, now: Moment, peer: &PublicKey, messages: u32) -> bool {
        let Some(per_minute) = self.per_minute else {
            return false;
        };
        self.full_at.retain(|_, at| *at > now);
        let spent = (MINUTE / per_minute.get()).saturating_mul(messages);
        let at = self.full_at.get(peer).copied().unwrap_or(now).max(now) + spent;
        self.full_at.insert(*peer, at);
        let first = (MINUTE / per_minute.get()).saturating_mul(per_minute.get().saturating_sub(1));
        let refilled = at.checked_sub(first).unwrap_or(now);
        if refilled > now {
            self.waiting.insert(*peer, refilled);
        }
        true
    }

    /// How many more are taken at once, and how long it takes until there is one more; `None`:
    /// as many as come.
    pub(crate) fn left(&self, now: Moment, peer: &PublicKey) -> Option<(u64, Duration)> {
        let per_minute = self.per_minute?.get();
        let each = MINUTE / per_minute;
        let lacks = self
            .full_at
            .get(peer)
            .map_or(Duration::ZERO, |at| at.saturating_since(now));
        let gone = lacks.as_nanos().div_ceil(each.as_nanos().max(1));
        let gone = u64::try_from(gone).unwrap_or(u64::MAX);
        let wait = self
            .waiting
            .get(peer)
            .map_or(each, |at| at.saturating_since(now));
        Some((u64::from(per_minute).saturating_sub(gone), wait.max(each)))
    }

    /// When a peer whose bucket is empty may go on.
    pub(crate) fn refilled_at(&self, peer: &PublicKey) -> Option<Moment> {
        self.waiting.get(peer).copied()
    }

    /// It was told so.
    pub(crate) fn told(&mut self, peer: &PublicKey) {
        self.waiting.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use skychat_identity::SecretKey;

    fn at(millis: u64) -> Moment {
        Moment::since_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_minute_s_worth_at_once_and_then_one_by_one() {
        let peer = SecretKey::from_seed([1; 32]).public();
        let mut rates = Rates::new(NonZeroU32::new(20));
        let left = |rates: &Rates, now| rates.left(now, &peer).unwrap().0;
        assert_eq!(left(&rates, at(0)), 20);
        assert!(rates.count(at(0), &peer, 19));
        assert_eq!(left(&rates, at(0)), 1);
        assert_eq!(rates.refilled_at(&peer), None);
        rates.count(at(0), &peer, 1);
        assert_eq!(left(&rates, at(2_999)), 0);
        assert_eq!(rates.refilled_at(&peer), Some(at(3_000)));
        assert_eq!(left(&rates, at(3_000)), 1);
        assert_eq!(left(&rates, at(6_000)), 2);
        assert_eq!(
            left(&rates, at(1_000_000)),
            20,
            "never more than a minute's"
        );
        rates.count(at(1_000_000), &peer, 1);
        assert_eq!(rates.full_at.len(), 1);
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        let peer = SecretKey::from_seed([1; 32]).public();
        let mut rates = Rates::new(None);
        assert!(!rates.count(at(0), &peer, 1_000));
        assert_eq!(rates.left(at(0), &peer), None);
        assert_eq!(rates.refilled_at(&peer), None);
    }
}
