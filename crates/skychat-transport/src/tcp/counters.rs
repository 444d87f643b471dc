//! What is counted of one link.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent_bytes: AtomicU64,
    pub(super) sent_records: AtomicU64,
    pub(super) received_bytes: AtomicU64,
    pub(super) received_records: AtomicU64,
    pub(super) received_messages: AtomicU64,
    /// Frames of services that nobody here knows.
    pub(super) unknown_frames: AtomicU64,
    /// The last round trip of a ping in microseconds plus one; 0: none yet.
    pub(super) round_trip: AtomicU64,
}

/// One writer per counter, so no read-modify-write is needed.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(n);
    counter.store(sum, Ordering::Relaxed);
}
