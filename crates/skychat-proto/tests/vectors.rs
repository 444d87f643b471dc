//! Fixed bytes for every format: what has to be read, and what has to be refused.
//!
//! `tests/vectors/*.json` are rewritten only with `SKYCHAT_WRITE_VECTORS=1` (`cargo xtask
//! vectors`); otherwise what the code makes is compared with them, byte for byte. Keys are made
//! from fixed seeds, so everything in them can be recomputed by another implementation.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

#[path = "vectors/support.rs"]
mod support;

#[path = "vectors/entries.rs"]
mod entries;
#[path = "vectors/messages.rs"]
mod messages;
