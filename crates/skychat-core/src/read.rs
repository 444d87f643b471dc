//! What can go wrong when something stored is read.

use std::sync::Arc;

use skychat_api::Code;

use crate::Blame;

/// Something stored could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store could not read it.
    #[error("the store could not be read")]
    Store(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// What was read is not what was written.
    #[error("the store is damaged: {0}; stop the node and run `skychatd store check`")]
    Damaged(#[source] Arc<skychat_store::ReadError>),
    /// The index of older messages is being opened, or made from the journal.
    #[error("the index of older messages is being opened; try again shortly")]
    Indexing,
    /// As many reads as the node takes are under way.
    #[error("the node has as many reads under way as it takes; try again shortly")]
    Busy,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl ReadError {
    /// Whose doing it is.
    pub fn blame(&self) -> Blame {
        Blame::Environment
    }

    /// The word, HTTP status and exit code of this error.
    pub fn code(&self) -> Code {
        match self {
            ReadError::Store(_) => Code::StoreFailed,
            ReadError::Damaged(_) => Code::StoreDamaged,
            ReadError::Indexing => Code::IndexOpening,
            ReadError::Busy => Code::Busy,
            ReadError::Stopped => Code::Stopping,
        }
    }
}

/// What the store, or a decoder of what it holds, says.
pub(crate) fn store_failed(error: impl std::error::Error + Send + Sync + 'static) -> ReadError {
    ReadError::Store(Arc::new(error))
}

/// What the store says when it is read.
pub(crate) fn unread(error: skychat_store::ReadError) -> ReadError {
    match error {
        skychat_store::ReadError::Indexing => ReadError::Indexing,
        error @ skychat_store::ReadError::Damaged { .. } => ReadError::Damaged(Arc::new(error)),
        error => store_failed(error),
    }
}

/// Runs a read on a thread that may block.
///
/// # Cancel safety
/// Dropped early, the read still ends by itself.
pub(crate) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result,
        // It panicked, or the runtime is going away.
        Err(_) => Err(ReadError::Stopped),
    }
}
