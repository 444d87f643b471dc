//! Stopping, in order: nothing new is taken, the engine brings what is under way to disk, links
//! are told and drain, the store syncs, readers end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skychat_api::{self as api, Code, EventKind};
use skychat_proto::link::Goodbye;
use skychat_transport::{LinkConfig, Links, Listener};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::Blame;
use crate::drive::Ended;
use crate::journal::StoreThread;

/// How long a node that was dropped, or that failed, takes to stop at most.
pub(crate) const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// What a shutdown came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// How long it took.
    pub took: Duration,
    /// What had not ended by the deadline and was aborted, by name; empty if all went in order.
    pub aborted: Vec<String>,
}

/// Why a node stopped by itself. What was accepted is on disk; the next start goes on from there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// The store could not write any more.
    #[error("the store failed")]
    Store {
        /// What the store says.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
        /// Which code that is.
        code: Code,
    },
    /// A part of the node panicked.
    #[error("the {part} panicked")]
    Panicked {
        /// Which part.
        part: &'static str,
    },
}

impl StopError {
    /// Whose doing it is.
    pub fn blame(&self) -> Blame {
        Blame::Environment
    }

    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            StopError::Store { code, .. } => *code,
            StopError::Panicked { .. } => Code::Internal,
        }
    }
}

/// How a node ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) report: ShutdownReport,
    pub(crate) result: Ended,
}

/// Where a stop is asked for, and its outcome is found.
#[derive(Debug)]
pub(crate) struct Stopper {
    requested: CancellationToken,
    deadline: Mutex<Duration>,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Stopper {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Stopper {
            requested: CancellationToken::new(),
            deadline: Mutex::new(DEFAULT_DEADLINE),
            outcome: watch::Sender::new(None),
        })
    }

    /// Asks for a stop. The first deadline stands.
    pub(crate) fn request(&self, deadline: Duration) {
        if !self.requested.is_cancelled() {
            *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        }
        self.requested.cancel();
    }

    /// Is cancelled when a stop was asked for.
    pub(crate) fn requested(&self) -> &CancellationToken {
        &self.requested
    }

    /// Waits until the node has stopped.
    pub(crate) async fn outcome(&self) -> Outcome {
        let mut outcome = self.outcome.subscribe();
        let lost = || Outcome {
            report: ShutdownReport {
                took: Duration::ZERO,
                aborted: Vec::new(),
            },
            result: Err(StopError::Panicked { part: "node" }),
        };
        // The sender is in `self`: it cannot be gone.
        let outcome = outcome.wait_for(Option::is_some).await;
        outcome
            .ok()
            .and_then(|outcome| outcome.clone())
            .unwrap_or_else(lost)
    }
}

/// Everything that runs, held by the one task that ends it.
pub(crate) struct Supervisor {
    pub(crate) stopper: Arc<Stopper>,
    pub(crate) engine: JoinHandle<Ended>,
    /// Tells the engine's driver to stop.
    pub(crate) engine_stop: CancellationToken,
    /// Ends the tasks that dial.
    pub(crate) dialling: CancellationToken,
    pub(crate) listeners: Vec<Arc<Listener>>,
    /// Is cancelled when a listener ends that nobody stopped.
    pub(crate) listener_lost: CancellationToken,
    pub(crate) config: LinkConfig,
    pub(crate) tasks: TaskTracker,
    pub(crate) store: StoreThread,
    pub(crate) notices: broadcast::Sender<api::Event>,
    /// Ends the readers of events and notices.
    pub(crate) ended: CancellationToken,
}

impl Supervisor {
    /// Waits for a reason to stop, then stops.
    pub(crate) async fn run(mut self) {
        let mut ended = None;
        tokio::select! {
            () = self.stopper.requested.cancelled() => {}
            early = &mut self.engine => ended = Some(engine_ended(early)),
            () = self.listener_lost.cancelled() => {}
        }
        // Whoever sends or waits learns of it now.
        self.stopper.requested.cancel();
        let deadline = *self
            .stopper
            .deadline
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        let by = began + deadline;
        let mut aborted = Vec::new();
        debug!(?deadline, "stopping");

        self.dialling.cancel();
        for listener in &self.listeners {
            listener.stop();
        }
        // Nobody may be listening.
        let _ = self
            .notices
            .send(api::Event::new(EventKind::Stopping(api::Stopping {})));

        self.engine_stop.cancel();
        let ended = match ended {
            Some(ended) => ended,
            None => match timeout_at(by, &mut self.engine).await {
                Ok(ended) => engine_ended(ended),
                Err(_) => {
                    self.engine.abort();
                    aborted.push("engine".to_owned());
                    Ok(())
                }
            },
        };
        let result = match self.listener_lost.is_cancelled() {
            true => ended.and(Err(StopError::Panicked { part: "listener" })),
            false => ended,
        };

        // A peer that takes nothing leaves the store its part of the time.
        let links_by = began + deadline.saturating_mul(3) / 4;
        end_links(&self.config.links, links_by, &mut aborted).await;
        for listener in &self.listeners {
            if timeout_at(links_by, listener.ended()).await.is_err() {
                aborted.push(format!("listener {}", listener.local_addr()));
            }
        }
        self.tasks.close();
        if timeout_at(by, self.tasks.wait()).await.is_err() {
            aborted.push("tasks".to_owned());
        }
        if timeout_at(by, self.store.end()).await.is_err() {
            aborted.push("store".to_owned());
        }

        self.ended.cancel();
        let report = ShutdownReport {
            took: began.elapsed(),
            aborted,
        };
        match (&result, report.aborted.as_slice()) {
            (Err(error), _) => error!(%error, "stopped"),
            (Ok(()), []) => info!(took = ?report.took, "stopped"),
            (Ok(()), aborted) => warn!(?aborted, "stopped, not everything in order"),
        }
        self.stopper
            .outcome
            .send_replace(Some(Outcome { report, result }));
    }
}

/// What the driver's task came to.
fn engine_ended(ended: Result<Ended, tokio::task::JoinError>) -> Ended {
    match ended {
        Ok(ended) => ended,
        Err(error) if error.is_panic() => Err(StopError::Panicked { part: "engine" }),
        // The runtime is going away.
        Err(_) => Ok(()),
    }
}

/// Says goodbye on every link and waits until all are over; what is left then is cut.
async fn end_links(links: &Links, by: Instant, aborted: &mut Vec<String>) {
    let open = links.all();
    links.close_all(Goodbye::Stopping);
    for link in open {
        if timeout_at(by, link.closed()).await.is_err() {
            aborted.push(format!("link {}", link.peer().short()));
            link.abort();
        }
    }
}

#[cfg(test)]
mod tests;
