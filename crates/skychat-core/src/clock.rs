//! The one place where the node reads the clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use skychat_proto::ids::{Moment, Timestamp};

/// The clock of a node: monotonic time since the node was made, and wall time beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base: Instant,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the driver reads the clock for the machines beneath it"
    )]
    pub(crate) fn start() -> Self {
        Clock {
            base: Instant::now(),
        }
    }

    /// Monotonic time, as the machines take it.
    pub(crate) fn now(&self) -> Moment {
        Moment::since_start(self.base.elapsed())
    }

    /// Wall time: a label, which may jump.
    #[expect(
        clippy::disallowed_methods,
        reason = "the driver reads the clock for the machines beneath it"
    )]
    pub(crate) fn wall(&self) -> Timestamp {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long it is until `moment`; zero if it has passed.
    pub(crate) fn until(&self, moment: Moment) -> Duration {
        moment.saturating_since(self.now())
    }
}

/// Sleeps until `moment`; forever if there is none.
pub(crate) async fn wake_at(clock: &Clock, moment: Option<Moment>) {
    match moment {
        // A sleep of years is no sleep that a timer wheel holds.
        Some(moment) if clock.until(moment) < Duration::from_secs(60 * 60 * 24 * 365) => {
            tokio::time::sleep(clock.until(moment)).await;
        }
        _ => std::future::pending().await,
    }
}
