//! How long to wait before a peer is dialled again.

use std::time::Duration;

use skychat_proto::limits::{REDIAL_MAX, REDIAL_MIN};

/// A link that lived at least this long was a good one: the next pause is the shortest again.
pub(crate) const GOOD_LINK: Duration = Duration::from_secs(30);

/// Pauses that double from one second to thirty, each shortened by up to a fifth, so that nodes
/// that lost each other at one time do not come back at one time.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after another failure. `chance` is a random number.
    pub(crate) fn next(&mut self, chance: u32) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let pause = REDIAL_MIN.saturating_mul(factor).min(REDIAL_MAX);
        let off = pause.as_micros().saturating_mul(chance.into()) / (u128::from(u32::MAX) * 5);
        pause.saturating_sub(Duration::from_micros(u64::try_from(off).unwrap_or(0)))
    }

    /// The peer was heard of: the next pause is the shortest.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_one_second_to_thirty() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..8).map(|_| backoff.next(0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.next(0).as_secs(), 1);
    }

    #[test]
    fn a_server_that_hangs_up_is_dialled_at_most_eight_times_a_minute() {
        for chance in [0, u32::MAX / 2, u32::MAX] {
            let mut backoff = Backoff::default();
            let (mut at, mut dials) = (Duration::ZERO, 0);
            while at < Duration::from_secs(60) {
                dials += 1;
                at += backoff.next(chance);
            }
            assert!(dials <= 8, "{dials}");
        }
    }

    #[test]
    fn the_longest_pause_is_thirty_seconds_at_any_chance_and_count() {
        let mut backoff = Backoff::default();
        for n in 0..100_u32 {
            let pause = backoff.next(n.wrapping_mul(0x9E37_79B9));
            assert!((Duration::from_millis(800)..=REDIAL_MAX).contains(&pause));
        }
    }
}
