//! What a node tells while it runs.

use std::sync::Arc;

use skychat_api as api;

use crate::ReadError;

/// A durable event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event(Arc<api::Event>);

impl Event {
    /// What it says.
    pub fn into_inner(self) -> api::Event {
        Arc::unwrap_or_clone(self.0)
    }
}

impl std::ops::Deref for Event {
    type Target = api::Event;

    fn deref(&self) -> &api::Event {
        &self.0
    }
}

/// Reads the event log forward from a place.
#[derive(Debug)]
pub struct EventReader(());

impl EventReader {
    /// The next event.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn next(&mut self) -> Result<Option<Event>, ReadError> {
        unimplemented!()
    }
}

/// Passing news of a node.
#[derive(Debug)]
pub struct Notices(());

impl Notices {
    /// The next one.
    pub async fn next(&mut self) -> Option<api::Event> {
        unimplemented!()
    }
}
