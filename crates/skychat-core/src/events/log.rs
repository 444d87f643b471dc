//! The event log as readers see it: what the store has committed, and the ring in front of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skychat_api::{Cursor, GapCause};
use skychat_proto::ids::EventSeq;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Event;
use super::ring::{Found, Ring};
use crate::ReadError;

/// Events that are rendered at once.
const PAGE: usize = 64;

/// An event as it is shown; `None`: one of a later version, which takes its number and is passed
/// over.
pub(crate) type Rendered = Option<Event>;

/// Where committed events come from. It blocks on the disk.
pub(crate) trait EventSource: Send + Sync + 'static {
    /// Events from `from` on, in order, at most `limit`; the first one may be later if older ones
    /// are kept no longer.
    fn page(&self, from: EventSeq, limit: usize) -> Result<Vec<(EventSeq, Rendered)>, ReadError>;

    /// Where reading begins for whoever asks for what follows `after`, and the gap that has to be
    /// told first.
    fn place(&self, after: Cursor) -> Result<(EventSeq, Option<GapCause>), ReadError>;

    /// The cursor of an event.
    fn cursor(&self, seq: EventSeq) -> Cursor;
}

/// The log: shared by the node and all readers.
pub(crate) struct EventLog {
    source: Box<dyn EventSource>,
    ring: Mutex<Ring<Rendered>>,
    /// Held by the one who fills the ring.
    filling: tokio::sync::Mutex<()>,
    last: watch::Sender<EventSeq>,
    /// The node has stopped: readers end.
    pub(super) ended: CancellationToken,
}

impl EventLog {
    pub(crate) fn new(
        source: impl EventSource,
        last: EventSeq,
        ended: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(EventLog {
            source: Box::new(source),
            ring: Mutex::new(Ring::new()),
            filling: tokio::sync::Mutex::new(()),
            last: watch::Sender::new(last),
            ended,
        })
    }

    /// Everything up to this event is on disk.
    pub(crate) fn committed(&self, last: EventSeq) {
        self.last.send_if_modified(|now| {
            let moved = last > *now;
            *now = last.max(*now);
            moved
        });
    }

    /// Some of what was told up to this event is told no more: it is rendered anew.
    pub(crate) fn forget(&self, upto: EventSeq) {
        self.ring().forget(upto);
    }

    /// The newest event on disk.
    pub(crate) fn last(&self) -> EventSeq {
        *self.last.borrow()
    }

    /// Is cancelled when the node has stopped.
    pub(crate) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    pub(super) fn watch(&self) -> watch::Receiver<EventSeq> {
        self.last.subscribe()
    }

    /// Event `seq` from the ring, filling it as needed; `None`: it is older, read a page.
    pub(super) async fn shared(
        self: &Arc<Self>,
        seq: EventSeq,
    ) -> Result<Option<Rendered>, ReadError> {
        match self.ring().find(seq) {
            Found::Here(event) => return Ok(Some(event)),
            Found::Older => return Ok(None),
            Found::Next => {}
        }
        let _filling = self.filling.lock().await;
        // Somebody else may have filled it meanwhile.
        match self.ring().find(seq) {
            Found::Here(event) => return Ok(Some(event)),
            Found::Older => return Ok(None),
            Found::Next => {}
        }
        let page = self.page(seq).await?;
        let mut ring = self.ring();
        for (at, event) in page {
            let bytes = event.as_ref().map_or(0, Event::weight);
            ring.push(at, event, bytes);
        }
        Ok(match ring.find(seq) {
            Found::Here(event) => Some(event),
            Found::Next | Found::Older => None,
        })
    }

    /// A page of events from `from` on, read for one reader.
    pub(super) async fn page(
        self: &Arc<Self>,
        from: EventSeq,
    ) -> Result<Vec<(EventSeq, Rendered)>, ReadError> {
        self.blocking(move |source| source.page(from, PAGE)).await
    }

    pub(super) async fn place(
        self: &Arc<Self>,
        after: Cursor,
    ) -> Result<(EventSeq, Option<GapCause>), ReadError> {
        self.blocking(move |source| source.place(after)).await
    }

    /// The gap for a reader that stands behind one event and goes on behind another.
    pub(super) fn retention(&self, after: EventSeq, resume: EventSeq) -> GapCause {
        GapCause::Retention {
            after: self.source.cursor(after),
            resume: self.source.cursor(resume),
        }
    }

    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&dyn EventSource) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let log = Arc::clone(self);
        crate::read::blocking(move || read(&*log.source)).await
    }

    fn ring(&self) -> MutexGuard<'_, Ring<Rendered>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventLog(at {})", self.last())
    }
}
