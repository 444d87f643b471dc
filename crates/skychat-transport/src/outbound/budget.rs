//! What the links of a node may queue together.

use std::sync::atomic::{AtomicUsize, Ordering};

use skychat_proto::limits::OUTBOUND_BYTES;

/// Bytes queued of all links of a node together.
#[derive(Debug)]
pub struct OutboundBudget {
    used: AtomicUsize,
    limit: usize,
}

impl OutboundBudget {
    /// A budget of `limit` bytes. What a link queues up to 64 KiB does not count.
    pub const fn new(limit: usize) -> Self {
        OutboundBudget {
            used: AtomicUsize::new(0),
            limit,
        }
    }

    /// Bytes given out.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self, bytes: usize) -> bool {
        let grant = |used: usize| Some(used.checked_add(bytes)?).filter(|&sum| sum <= self.limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grant)
            .is_ok()
    }

    /// For what is admitted whatever the budget says.
    pub(super) fn overdraw(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Default for OutboundBudget {
    fn default() -> Self {
        OutboundBudget::new(OUTBOUND_BYTES)
    }
}
