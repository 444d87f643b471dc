//! Who waits at the door of a listener, and what it has seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use crate::lobby::{Lobby, LobbyLimits};

/// What a listener has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListenerStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that had to go for newer ones before their key was proven.
    pub evicted: u64,
    /// Handshakes that failed or were not finished in time.
    pub failed: u64,
    /// Keys proven but not admitted.
    pub refused: u64,
    /// Handshakes finished.
    pub proven: u64,
    /// Failures to accept, for want of descriptors or otherwise.
    pub accept_errors: u64,
}

#[derive(Debug)]
pub(super) struct Door {
    lobby: Mutex<Lobby<AbortHandle>>,
    pub(super) counters: Counters,
}

impl Door {
    pub(super) fn new(limits: LobbyLimits) -> Self {
        Door {
            lobby: Mutex::new(Lobby::new(limits)),
            counters: Counters::default(),
        }
    }

    pub(super) fn lobby(&self) -> MutexGuard<'_, Lobby<AbortHandle>> {
        self.lobby.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the lobby; given up when dropped.
pub(super) struct Place {
    pub(super) door: Arc<Door>,
    pub(super) id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.lobby().leave(self.id);
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) evicted: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) proven: AtomicU64,
    pub(super) accept_errors: AtomicU64,
}

impl Counters {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ListenerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ListenerStats {
            accepted: read(&self.accepted),
            evicted: read(&self.evicted),
            failed: read(&self.failed),
            refused: read(&self.refused),
            proven: read(&self.proven),
            accept_errors: read(&self.accept_errors),
        }
    }
}
