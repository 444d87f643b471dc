//! The words of Skychat: ids, limits, and every byte layout on wire and disk.
//!
//! - [`ids`] and [`limits`]: names, numbers with a meaning, and every bound of the protocol.
//! - [`entry`]: the header of an entry, 206 signed bytes. [`open`]: the clear body of the entries
//!   that open a feed. [`content`]: what a sealed body says.
//! - [`range`]: consecutive entries under one signature, encoded the same on wire and disk, and
//!   handled without copying.
//! - [`link`] and [`sync`]: the messages of services 0 and 1, as checked types. The protobuf types
//!   behind them do not leave this crate.
//! - [`record`]: what is handed to the journal.
//! - [`text`]: the one sanitizer of remote text.
//!
//! Everything that reads bytes of a peer checks lengths and counts before it allocates, refuses
//! trailing bytes, and returns an error that names what it found; nothing panics. What is read is
//! well formed and no more: signatures and chains are verified in `skychat-feed`.
//!
//! The crate is pure: no I/O, no clock, no randomness. Byte tables and numbered rules are in
//! `docs/protocol/feed.md`, fixed vectors in `tests/vectors/`.
//!
//! ```
//! use skychat_identity::{KeyCache, SecretKey};
//! use skychat_proto::content::Content;
//! use skychat_proto::entry::{Flags, Kind, Suite};
//! use skychat_proto::ids::{EntryId, FeedId, Incarnation, MessageId, Seq, SpaceId, Stream, Timestamp};
//! use skychat_proto::range::{RangeBuilder, RawRange, Row, RowLabel};
//!
//! let ann = SecretKey::from_seed([1; 32]);
//! let bob = SecretKey::from_seed([2; 32]);
//!
//! // A feed of Ann's, in the direct space of the two, during one life of her node.
//! let feed = FeedId {
//!     author: ann.public(),
//!     space: SpaceId::direct(&ann.public(), &bob.public())?,
//!     stream: Stream::MESSAGES,
//!     incarnation: Incarnation::from_bytes([7; 8]),
//! };
//!
//! // Its first entry. (A real one would be sealed, and follow an `open` entry.)
//! let body = Content::text("hello")?.encode();
//! let label = RowLabel {
//!     time: Timestamp::from_millis(1_800_000_000_000),
//!     kind: Kind::Content,
//!     suite: Suite::CLEAR,
//!     flags: Flags::NONE,
//!     context: Seq::FIRST,
//!     message: MessageId::from_bytes([9; 16]),
//! };
//! let mut builder = RangeBuilder::new(feed, Seq::FIRST, EntryId::ZERO)?;
//! builder.push(&Row::of_body(label, &body)?, Some(&body))?;
//! let (range, tip) = builder.sign(&ann)?;
//!
//! // What Bob gets is the same bytes.
//! let got = RawRange::decode(range.to_bytes(), &mut KeyCache::new())?;
//! let (header, id) = got.headers().last().ok_or("empty")?;
//! assert_eq!((header.feed, id), (feed, tip));
//! header.verify(&got.signature())?;
//! assert_eq!(Content::decode(&got.body(0).ok_or("absent")?)?, Content::text("hello")?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod copy;
mod error;
mod layout;
mod wire;

pub mod content;
pub mod entry;
pub mod ids;
pub mod limits;
pub mod link;
pub mod open;
pub mod range;
pub mod record;
pub mod sync;
pub mod text;

pub use copy::append;
pub use error::DecodeError;
pub use ids::{
    BatchId, BodyHash, EntryId, EventSeq, FeedId, Incarnation, KeyId, LinkId, MessageId, Moment,
    Position, Seq, ServiceId, SpaceId, Stream, TableId, Timestamp,
};

#[cfg(test)]
mod arbitrary;
