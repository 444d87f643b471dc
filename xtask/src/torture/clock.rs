//! The clock of a run, and pauses.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "a run of real processes is timed by the clock on the wall"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Rests between two looks at something.
pub(crate) fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// Looks until `probe` finds something, for at most `limit`.
pub(crate) fn eventually<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let start = now();
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if start.elapsed() > limit {
            return None;
        }
        pause(Duration::from_millis(20));
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
