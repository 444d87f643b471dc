//! The links of a node that are up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skychat_identity::PublicKey;
use skychat_proto::ids::{Incarnation, LinkId, Moment};
use skychat_proto::link::Goodbye;
use tokio::time::Instant;

use super::Link;
use super::ticks::Ticks;
use crate::registry::{Contender, NotTaken, Registry};

/// Links that a node holds at most, unless it says otherwise.
pub(super) const MAX_LINKS: usize = 16_384;

/// The links that are up, of all listeners and dials that share it. Cheap to clone; clones share
/// everything.
#[derive(Clone)]
pub struct Links(Arc<Inner>);

struct Inner {
    start: Instant,
    next: AtomicU64,
    registry: Mutex<Registry<Link>>,
}

impl Default for Links {
    fn default() -> Self {
        Links::of(Registry::new(MAX_LINKS))
    }
}

impl Links {
    /// Holds at most `limit` links.
    pub fn new(limit: usize) -> Self {
        Links::of(Registry::new(limit))
    }

    /// The same with another span in which two links count as opened at once; for tests.
    pub fn with_tie_break(limit: usize, within: Duration) -> Self {
        Links::of(Registry::new(limit).with_tie_break(within))
    }

    fn of(registry: Registry<Link>) -> Self {
        Links(Arc::new(Inner {
            start: Instant::now(),
            next: AtomicU64::new(1),
            registry: Mutex::new(registry),
        }))
    }

    /// The links to one key.
    pub fn of_peer(&self, peer: &PublicKey) -> Vec<Link> {
        self.registry().of(peer).cloned().collect()
    }

    /// All links.
    pub fn all(&self) -> Vec<Link> {
        self.registry().all().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.registry().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes every link in order.
    pub fn close_all(&self, goodbye: Goodbye) {
        for link in self.all() {
            link.close(goodbye);
        }
    }

    /// When the links of this node that ask after `ping_after` are looked after.
    pub(super) fn ticks(&self, ping_after: Duration) -> Ticks {
        Ticks::new(self.0.start, ping_after)
    }

    pub(super) fn next_id(&self) -> LinkId {
        LinkId::new(self.0.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes a link that is complete; those it replaces begin to drain.
    pub(super) fn admit(
        &self,
        link: &Link,
        incarnation: Incarnation,
        initiator: PublicKey,
    ) -> Result<(), NotTaken> {
        let contender = Contender {
            id: link.id(),
            incarnation,
            initiator,
            completed: Moment::since_start(self.0.start.elapsed()),
        };
        let replaced = self
            .registry()
            .admit(link.peer(), contender, link.clone())?;
        for older in replaced {
            older.close(Goodbye::Replaced);
        }
        Ok(())
    }

    pub(super) fn remove(&self, link: &Link) {
        // Dropped outside of the lock.
        let removed = self.registry().remove(&link.peer(), link.id());
        drop(removed);
    }

    fn registry(&self) -> MutexGuard<'_, Registry<Link>> {
        let registry = self.0.registry.lock();
        registry.unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Links({})", self.len())
    }
}
