//! The listeners of a node, as `status` sees them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skychat_proto::ids::Moment;
use skychat_transport::Listener;

/// A listener that failed to accept counts as lost for so long after the last time.
const LOST_FOR: Duration = Duration::from_secs(10);

/// The listeners of a node. One that cannot accept, for want of descriptors say, goes on trying.
pub(crate) struct Listening {
    listeners: Vec<Arc<Listener>>,
    /// For each, how often it had failed when it was looked at, and since when it is that often.
    failures: Mutex<Vec<(u64, Option<Moment>)>>,
}

impl Listening {
    pub(crate) fn new(listeners: Vec<Arc<Listener>>) -> Self {
        let failures = Mutex::new(vec![(0, None); listeners.len()]);
        Listening {
            listeners,
            failures,
        }
    }

    /// Where they listen.
    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .map(|listener| listener.local_addr())
            .collect()
    }

    /// Where they listen, and whether each takes links.
    pub(crate) fn states(&self, now: Moment) -> Vec<(SocketAddr, bool)> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let listeners = self.listeners.iter().zip(failures.iter_mut());
        listeners
            .map(|(listener, (seen, since))| {
                let failed = listener.stats().accept_errors;
                if failed > *seen {
                    (*seen, *since) = (failed, Some(now));
                }
                let lost = since.is_some_and(|since| now.saturating_since(since) < LOST_FOR);
                (listener.local_addr(), !lost && !listener.is_stopped())
            })
            .collect()
    }
}
