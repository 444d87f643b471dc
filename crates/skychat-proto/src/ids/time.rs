//! Wall time, which is a label, and monotonic time, which machines run on.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Wall time: milliseconds since 1970-01-01 00:00 UTC, without leap seconds. In an entry it is a
/// label its author signed, and orders nothing (FEED-5).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Timestamp(millis)
    }

    /// In milliseconds since 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// So much later; stays at the last instant there is.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Timestamp(self.0.saturating_add(millis(duration)))
    }

    /// So much earlier, at the earliest 1970.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Timestamp(self.0.saturating_sub(millis(duration)))
    }

    /// How long after `earlier` it is; zero if it is not.
    pub const fn saturating_since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The milliseconds, as a decimal number.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Monotonic time, as it is passed into machines: the time since an arbitrary start that the
/// driver chose. Only differences mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(Duration);

impl Moment {
    /// The arbitrary start.
    pub const START: Moment = Moment(Duration::ZERO);
    /// Later than everything: stands for "never".
    pub const NEVER: Moment = Moment(Duration::MAX);

    /// So long after the start.
    pub const fn since_start(duration: Duration) -> Self {
        Moment(duration)
    }

    /// How long after the start it is.
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// So much earlier; `None` before the start.
    pub fn checked_sub(self, duration: Duration) -> Option<Moment> {
        self.0.checked_sub(duration).map(Moment)
    }

    /// How long after `earlier` it is; zero if it is not.
    pub fn saturating_since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// How long after `earlier` it is; `None` if it is before that.
    pub fn checked_since(self, earlier: Moment) -> Option<Duration> {
        self.0.checked_sub(earlier.0)
    }
}

/// So much later; stays at [`Moment::NEVER`].
impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(duration))
    }
}
