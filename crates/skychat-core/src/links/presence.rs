//! Who was heard of, for those who wait for it and for `status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skychat_identity::PublicKey;
use skychat_proto::ids::Timestamp;
use skychat_transport::CloseReason;
use tokio::sync::Notify;

use crate::clock::Clock;

/// Peers of which it is remembered when and how their last link ended.
const MAX_REMEMBERED: usize = 4096;

/// Who was heard of.
#[derive(Debug)]
pub(crate) struct Presence {
    clock: Clock,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Those who want to know that a key came to us.
    waiting: BTreeMap<PublicKey, Arc<Notify>>,
    last: BTreeMap<PublicKey, LastLink>,
}

/// How the last link to a peer ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastLink {
    pub(crate) ended: Timestamp,
    pub(crate) reason: CloseReason,
}

impl Presence {
    pub(crate) fn new(clock: Clock) -> Self {
        Presence {
            clock,
            inner: Mutex::default(),
        }
    }

    /// Whoever waits on it is woken when `peer` opens a link to us. There is one for each kept peer.
    pub(super) fn contact_of(&self, peer: PublicKey) -> Arc<Notify> {
        Arc::clone(self.lock().waiting.entry(peer).or_default())
    }

    /// The peer opened a link to us.
    pub(super) fn contact(&self, peer: &PublicKey) {
        if let Some(notify) = self.lock().waiting.get(peer) {
            // Nothing is kept for later: only a contact during a pause ends that pause.
            notify.notify_waiters();
        }
    }

    pub(super) fn gone(&self, peer: &PublicKey, reason: CloseReason) {
        let ended = self.clock.wall();
        let mut inner = self.lock();
        if inner.last.len() >= MAX_REMEMBERED && !inner.last.contains_key(peer) {
            let oldest = inner
                .last
                .iter()
                .min_by_key(|(_, last)| last.ended)
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                inner.last.remove(&oldest);
            }
        }
        inner.last.insert(*peer, LastLink { ended, reason });
    }

    /// How the last link to a peer ended, if there was one.
    pub(crate) fn last_of(&self, peer: &PublicKey) -> Option<LastLink> {
        self.lock().last.get(peer).copied()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
