//! Stopping, in order: nothing new is taken, the engine brings what is under way to disk, links
//! are told and drain, the store syncs, readers end.

use std::sync::Arc;
use std::time::Duration;

use skychat_api::Code;

use crate::Blame;

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

