//! Reading the log forward.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use skychat_api::{self as api, Cursor, EventKind, Gap, GapCause};
use skychat_proto::ids::EventSeq;
use tokio::sync::watch;

use super::Event;
use super::log::{EventLog, Rendered};
use crate::ReadError;

/// How long a reader rests when an event that is committed cannot be found yet.
const NOT_YET: Duration = Duration::from_millis(5);

/// Reads the event log forward from a place, each event once, in order. There is no queue for a
/// reader: a slow one is behind, and nobody else pays.
#[derive(Debug)]
pub struct EventReader {
    log: Arc<EventLog>,
    last: watch::Receiver<EventSeq>,
    /// The place that was asked for, until it was looked up.
    asked: Option<Cursor>,
    /// The event that was given out last.
    at: EventSeq,
    /// Events after `at` that were read for this reader alone.
    page: VecDeque<(EventSeq, Rendered)>,
}

impl EventReader {
    pub(crate) fn new(log: Arc<EventLog>, after: Option<Cursor>) -> Self {
        let last = log.watch();
        let at = log.last();
        EventReader {
            log,
            last,
            asked: after,
            at,
            page: VecDeque::new(),
        }
    }

    /// The next event; waits for it. `None`: the node has stopped; go on from the last cursor when
    /// it runs again.
    ///
    /// # Errors
    /// [`ReadError`]: the place of the reader is unchanged; try again.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Result<Option<Event>, ReadError> {
        let ended = self.log.ended.clone();
        tokio::select! {
            biased;
            () = ended.cancelled() => Ok(None),
            next = self.find() => next.map(Some),
        }
    }

    async fn find(&mut self) -> Result<Event, ReadError> {
        if let Some(after) = self.asked {
            let (at, gap) = self.log.place(after).await?;
            self.at = at;
            self.asked = None;
            if let Some(cause) = gap {
                return Ok(gap_event(cause));
            }
        }
        loop {
            let wanted = self.at.next();
            if let Some((seq, _)) = self.page.front() {
                if *seq > wanted {
                    // Older ones are kept no longer.
                    let resume = seq.saturating_sub(1);
                    let cause = self.log.retention(self.at, resume);
                    self.at = resume;
                    return Ok(gap_event(cause));
                }
                if let Some((seq, event)) = self.page.pop_front() {
                    self.at = seq;
                    if let Some(event) = event {
                        return Ok(event);
                    }
                    continue;
                }
            }
            if wanted > *self.last.borrow_and_update() {
                // The sender lives in the log, which this reader holds.
                let _ = self.last.changed().await;
                continue;
            }
            if let Some(event) = self.log.shared(wanted).await? {
                self.at = wanted;
                if let Some(event) = event {
                    return Ok(event);
                }
                continue;
            }
            self.page = self.log.page(wanted).await?.into();
            if self.page.is_empty() {
                tokio::time::sleep(NOT_YET).await;
            }
        }
    }
}

fn gap_event(cause: GapCause) -> Event {
    Event::made(api::Event::new(EventKind::Gap(Gap {
        cursor: None,
        cause,
    })))
}
