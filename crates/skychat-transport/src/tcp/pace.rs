//! How fast connections are accepted.

use std::time::Duration;

use tokio::time::Instant;

use super::ListenerLimits;

/// A bucket of tokens.
#[derive(Debug)]
pub(super) struct Pace {
    /// What one costs.
    interval: Duration,
    /// How far ahead of time we may be.
    burst: Duration,
    /// When the bucket would be empty if nothing were taken from now on.
    paid_until: Instant,
}

impl Pace {
    pub(super) fn new(limits: &ListenerLimits, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / limits.accepts_per_second.max(1);
        Pace {
            interval,
            burst: interval.saturating_mul(limits.burst.max(1)),
            paid_until: now,
        }
    }

    /// When the next one may be accepted; `None`: now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Instant> {
        self.paid_until = self.paid_until.max(now);
        let next = self.paid_until + self.interval;
        (next > now + self.burst).then(|| self.paid_until + self.interval - self.burst)
    }

    pub(super) fn took(&mut self) {
        self.paid_until += self.interval;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep_until;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_are_accepted_at_a_bounded_rate() {
        let limits = ListenerLimits {
            accepts_per_second: 100,
            burst: 10,
            ..ListenerLimits::default()
        };
        let start = Instant::now();
        let mut pace = Pace::new(&limits, start);
        let mut taken = 0;
        while start.elapsed() < Duration::from_secs(3) {
            match pace.next(Instant::now()) {
                Some(next) => sleep_until(next).await,
                None => {
                    pace.took();
                    taken += 1;
                }
            }
        }
        assert!((300..=311).contains(&taken), "{taken}");
    }
}
