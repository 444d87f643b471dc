//! What a node tells while it runs: durable events, read from the store by cursor, and passing
//! notices.
//!
//! Spec: rules EVENT of `docs/protocol/journal.md`.

mod log;
mod notice;
mod reader;
mod render;
mod ring;

use std::sync::Arc;

use skychat_api::{self as api, Body, EventKind};

pub(crate) use log::EventLog;
pub use notice::Notices;
pub(crate) use notice::render_notice;
pub use reader::EventReader;
pub(crate) use render::Renderer;

/// A durable event: something that is on disk. Only a node makes one, and only of what its store
/// has committed, or of a gap in its log; what it says is [`skychat_api::Event`]. A clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event(Arc<api::Event>);

impl Event {
    fn made(event: api::Event) -> Self {
        Event(Arc::new(event))
    }

    /// What it says.
    pub fn into_inner(self) -> api::Event {
        Arc::unwrap_or_clone(self.0)
    }

    /// About how many bytes of memory it takes.
    fn weight(&self) -> usize {
        let text = match &self.0.kind {
            EventKind::Message(message) => match &message.body {
                Body::Text(text) => text.len(),
                _ => 0,
            },
            EventKind::State(state) => {
                let ids = state.message_ids.len().saturating_mul(16);
                ids.saturating_add(state.refused.len().saturating_mul(40))
            }
            _ => 0,
        };
        text.saturating_add(std::mem::size_of::<api::Event>())
    }
}

impl std::ops::Deref for Event {
    type Target = api::Event;

    fn deref(&self) -> &api::Event {
        &self.0
    }
}
