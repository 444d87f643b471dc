//! The way from the links to the engine: one queue, bounded in items and bytes, of all links and
//! of each. A link that finds it full stops reading its socket, and TCP slows its peer.

use std::collections::VecDeque;
use std::sync::Arc;

use skychat_engine::Input;
use skychat_feed::Verifier;
use skychat_proto::ids::LinkId;
use skychat_proto::limits::{
    INBOUND_BYTES, INBOUND_LINK_BYTES, INBOUND_LINK_MESSAGES, INBOUND_MESSAGES,
};
use skychat_transport::{CloseReason, Link};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::TaskTracker;

/// What a message of a link costs at least, so that the bound on bytes bounds messages too.
const LINK_COST: usize = INBOUND_LINK_BYTES / INBOUND_LINK_MESSAGES;

/// The verifier of a link: its task checks ranges with it, the engine tells it what to expect.
pub(crate) type SharedVerifier = Arc<std::sync::Mutex<Verifier>>;

/// Something that came by a link.
pub(crate) enum Arrival {
    /// The link is up.
    Up {
        /// Its handle.
        link: Link,
        /// What checks its ranges.
        verifier: SharedVerifier,
    },
    /// A message.
    Message {
        /// For the engine.
        input: Input,
        /// Given back when the engine takes the message.
        room: [OwnedSemaphorePermit; 2],
    },
    /// The link is over.
    Down {
        /// Which.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
}

/// The end of the queue that all links write to.
#[derive(Clone)]
pub(crate) struct Inlet {
    queue: mpsc::Sender<Arrival>,
    bytes: Arc<Semaphore>,
}

/// Makes the queue.
pub(crate) fn inlet() -> (Inlet, mpsc::Receiver<Arrival>) {
    let (queue, arrivals) = mpsc::channel(INBOUND_MESSAGES);
    let bytes = Arc::new(Semaphore::new(INBOUND_BYTES));
    (Inlet { queue, bytes }, arrivals)
}

impl Inlet {
    /// The part of one link, which is up.
    pub(crate) fn of_link(&self, link: Link, verifier: SharedVerifier) -> LinkInlet {
        LinkInlet {
            inlet: self.clone(),
            id: link.id(),
            bytes: Arc::new(Semaphore::new(INBOUND_LINK_BYTES)),
            announce: Some(Arrival::Up { link, verifier }),
            waiting: VecDeque::new(),
        }
    }
}

/// One link's way to the engine.
pub(crate) struct LinkInlet {
    inlet: Inlet,
    id: LinkId,
    bytes: Arc<Semaphore>,
    /// The news that the link is up, until the engine has it.
    announce: Option<Arrival>,
    /// What was read and does not fit yet: at most what one read brought.
    waiting: VecDeque<(Input, usize)>,
}

impl LinkInlet {
    /// Takes a message that was `bytes` long on the wire.
    pub(crate) fn push(&mut self, input: Input, bytes: usize) {
        self.waiting.push_back((input, bytes));
    }

    /// Hands on everything that was taken, as there is room.
    ///
    /// # Cancel safety
    /// Safe: what was not handed on is still there.
    pub(crate) async fn flush(&mut self) {
        if self.announce.is_some() {
            let Ok(place) = self.inlet.queue.reserve().await else {
                return self.waiting.clear();
            };
            if let Some(up) = self.announce.take() {
                place.send(up);
            }
        }
        while let Some((_, bytes)) = self.waiting.front() {
            let (own, all) = (
                cost(*bytes, LINK_COST, INBOUND_LINK_BYTES),
                cost(*bytes, 1, INBOUND_BYTES),
            );
            let own = Arc::clone(&self.bytes).acquire_many_owned(own).await;
            let all = Arc::clone(&self.inlet.bytes).acquire_many_owned(all).await;
            let place = self.inlet.queue.reserve().await;
            // The engine is gone: what comes now is what the peer had under way, and will send again.
            let (Ok(own), Ok(all), Ok(place)) = (own, all, place) else {
                return self.waiting.clear();
            };
            if let Some((input, _)) = self.waiting.pop_front() {
                place.send(Arrival::Message {
                    input,
                    room: [own, all],
                });
            }
        }
    }

    /// The link is over: the engine is told, if it was told that the link was up. What waited is
    /// dropped, as what was in flight.
    pub(crate) fn close(&mut self, reason: CloseReason, tracker: &TaskTracker) {
        self.waiting.clear();
        if self.announce.take().is_none() {
            let (queue, link) = (self.inlet.queue.clone(), self.id);
            if let Err(mpsc::error::TrySendError::Full(down)) =
                queue.try_send(Arrival::Down { link, reason })
            {
                tracker.spawn(async move { queue.send(down).await });
            }
        }
    }
}

/// What a message takes of a bound: a bound always admits one message.
fn cost(bytes: usize, least: usize, most: usize) -> u32 {
    u32::try_from(bytes.clamp(least, most)).unwrap_or(u32::MAX)
}
