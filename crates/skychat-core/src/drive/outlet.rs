//! The way from the engine to one link.

use std::collections::VecDeque;

use skychat_engine::Payload;
use skychat_proto::ids::{LinkId, ServiceId};
use skychat_proto::link::Goodbye;
use skychat_transport::{Link, SendError};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::links::SharedVerifier;

/// Frames that are kept for a link that takes nothing. The engine pauses its feeds as soon as the
/// link is full, so what comes then is little; a link that collects more has been stuck for long.
const MAX_KEPT: usize = 4096;

/// One link that is up, as the engine's driver sees it.
pub(super) struct Outlet {
    link: Link,
    pub(super) verifier: SharedVerifier,
    /// What the link did not take.
    kept: VecDeque<Payload>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The link has it, or is over.
    Taken,
    /// It is kept, and the link was free before: the engine is to be told that it is full.
    Full,
    /// It is kept behind others.
    Kept,
}

impl Outlet {
    pub(super) fn new(link: Link, verifier: SharedVerifier) -> Self {
        Outlet {
            link,
            verifier,
            kept: VecDeque::new(),
        }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Hands a frame to the link, or keeps it.
    pub(super) fn send(&mut self, payload: Payload) -> Sent {
        if self.kept.is_empty() {
            if self.offer(&payload) {
                return Sent::Taken;
            }
            self.kept.push_back(payload);
            return Sent::Full;
        }
        if self.kept.len() >= MAX_KEPT {
            warn!(peer = %self.link.peer().short(), "the peer takes nothing: closing");
            self.link.close(Goodbye::Stalled);
            self.kept.clear();
            return Sent::Taken;
        }
        self.kept.push_back(payload);
        Sent::Kept
    }

    /// The link has room: hands over what was kept; whether that was all.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(payload) = self.kept.pop_front() {
            if !self.offer(&payload) {
                self.kept.push_front(payload);
                return false;
            }
        }
        true
    }

    /// Tells `ready` when the link has room again, or is over. There is one such task for a link,
    /// so no more of them than links.
    pub(super) fn announce(&self, ready: &mpsc::Sender<LinkId>, tracker: &TaskTracker) {
        let (link, ready) = (self.link.clone(), ready.clone());
        tracker.spawn(async move {
            link.ready().await;
            // The engine is gone: nobody waits for it.
            let _ = ready.send(link.id()).await;
        });
    }

    /// Whether the link took it, or never will.
    fn offer(&self, payload: &Payload) -> bool {
        let sent = match payload {
            Payload::Link(message) => self.link.try_send(ServiceId::LINK, &[&message.encode()]),
            Payload::Sync(message) => self.link.try_send(ServiceId::SYNC, &[&message.encode()]),
            Payload::Range(range) => self
                .link
                .try_send(ServiceId::RANGE, &[range.head_block(), range.bodies()]),
        };
        match sent {
            Ok(()) => true,
            Err(SendError::Full) => false,
            // Its end is on its way to the engine.
            Err(SendError::Closed) => true,
            Err(error) => {
                debug!(%error, "a frame was not sent");
                true
            }
        }
    }
}
