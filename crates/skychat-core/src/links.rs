//! Links: what runs in the task of each, and keeping those that are to be kept.

mod backoff;
mod dialer;
mod inlet;
mod listening;
mod presence;
mod service;

pub(crate) use dialer::{KeptPeer, dial_once, keep};
pub(crate) use inlet::{Arrival, SharedVerifier, inlet};
pub(crate) use listening::Listening;
pub(crate) use presence::{LastLink, Presence};
pub(crate) use service::Services;
