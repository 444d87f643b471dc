//! Names and numbers: each idea has its own type, so that one cannot be passed for another.
//!
//! Identifiers made of bytes have one text form, lower-case hex of their full length, which is
//! what `Display`, `FromStr` and serde use; `Debug` and `short()` show the first ten digits.
//! Numbers print in decimal and are numbers in serde. All of them are `Copy` and ordered, and the
//! order of the values is the order of their bytes on wire and disk.
//!
//! Spec: `docs/protocol/feed.md`, section 2.

mod bytes;
mod feed;
mod numbers;
mod time;

pub use bytes::{BodyHash, EntryId, IdError, Incarnation, KeyId, MessageId, SpaceId};
pub use feed::{FeedId, FeedIdError, SelfSpace};
pub use numbers::{BatchId, EventSeq, LinkId, Position, Seq, ServiceId, Stream, TableId};
pub use time::{Moment, Timestamp};

#[cfg(test)]
mod tests;
