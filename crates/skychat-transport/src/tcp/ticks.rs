//! The moments at which a node looks after its quiet links, the same for all of them.
//!
//! Whether a peer is asked now or a little later is all the same. So what is due between two ticks
//! is done at the next one, and one waking of the node serves all links that are due, where each
//! would have had its own.

use std::time::Duration;

use tokio::time::Instant;

/// Ticks in the time after which a quiet peer is asked: 250 ms each, if that is 30 s.
const TICKS: u32 = 120;

#[derive(Debug, Clone, Copy)]
pub(super) struct Ticks {
    origin: Instant,
    every: Duration,
}

impl Ticks {
    /// Those since `origin`, for links that ask after `ping_after`.
    pub(super) fn new(origin: Instant, ping_after: Duration) -> Self {
        Ticks {
            origin,
            every: ping_after / TICKS,
        }
    }

    /// The first one that is not before `at`.
    pub(super) fn not_before(&self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.origin);
        let over = since.as_nanos().checked_rem(self.every.as_nanos());
        let over = over.and_then(|over| u64::try_from(over).ok()).unwrap_or(0);
        match Duration::from_nanos(over) {
            Duration::ZERO => at,
            over => at + self.every.saturating_sub(over),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING_AFTER: Duration = Duration::from_secs(30);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn what_is_due_between_two_ticks_is_done_at_the_next() {
        let origin = Instant::now();
        let ticks = Ticks::new(origin, PING_AFTER);
        for (at, tick) in [(0, 0), (1, 250), (249, 250), (250, 250), (30_001, 30_250)] {
            assert_eq!(ticks.not_before(origin + ms(at)), origin + ms(tick), "{at}");
        }
        let just_over = origin + ms(250) + Duration::from_nanos(1);
        assert_eq!(ticks.not_before(just_over), origin + ms(500));
    }

    #[test]
    fn nothing_is_done_early_and_nothing_before_the_origin_is_moved() {
        let origin = Instant::now() + ms(1000);
        let ticks = Ticks::new(origin, PING_AFTER);
        assert_eq!(ticks.not_before(origin - ms(7)), origin - ms(7));
        for at in (0..1000).map(|n| origin + Duration::from_micros(n * 977)) {
            let tick = ticks.not_before(at);
            assert!(at <= tick && tick < at + ms(250), "{at:?}, {tick:?}");
        }
    }

    #[test]
    fn without_time_between_them_there_is_nothing_to_wait_for() {
        let origin = Instant::now();
        let ticks = Ticks::new(origin, Duration::ZERO);
        assert_eq!(ticks.not_before(origin + ms(3)), origin + ms(3));
    }
}
