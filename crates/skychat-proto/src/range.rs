//! Ranges: consecutive entries of one feed under one signature, the unit that flows and is stored.
//!
//! The encoding is the same on the wire and in the journal: a *head block* (a prefix that states
//! feed, first index and first `prev` once, a row of 72 bytes for each entry, the signature of the
//! last entry) and then the *bodies* that are present, one after the other. [`RawRange`] is a view
//! of those bytes: taking one apart, cutting it and sending it on copies nothing but rows.
//!
//! Spec: `docs/protocol/feed.md`, section 4 (RANGE-1).

mod build;
mod chain;
mod cut;
mod error;
mod known;
mod raw;
mod row;

pub use build::{BuildError, RangeBuilder};
pub use chain::Headers;
pub use error::RangeError;
pub use raw::{Entries, RawRange};
pub use row::{Row, RowLabel};

#[cfg(test)]
mod tests;
