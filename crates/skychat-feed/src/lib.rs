//! Signed append-only feeds: ranges that are verified, and their replication between peers.
//!
//! A feed belongs to one life of one writer. Its entries are chained by hash and flow as *ranges* under one signature.
//! A [`Verifier`] looks at what comes in on one link and lets through what was asked for, joins, and holds; the
//! [`Replicator`] keeps book of what is held, asks for what is missing, serves what is wanted within windows, and
//! acknowledges what is on disk. Both are pure: no clock, no randomness, no I/O.
//!
//! ```
//! use bytes::Bytes;
//! use skychat_feed::{Checked, VerifiedRange, Verifier};
//! use skychat_identity::SecretKey;
//! use skychat_proto::entry::{Flags, Kind, Suite};
//! use skychat_proto::ids::{EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, Stream, Timestamp};
//! use skychat_proto::open::{Open, WriterKind};
//! use skychat_proto::range::{RangeBuilder, Row, RowLabel};
//!
//! let (ann, bob) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
//! let space = SpaceId::direct(&ann.public(), &bob.public())?;
//! let incarnation = Incarnation::from_bytes([7; 8]);
//! let feed = FeedId { author: ann.public(), space, stream: Stream::MESSAGES, incarnation };
//!
//! // Ann opens a feed and signs its first range.
//! let open = Open { writer: WriterKind::Node, parent: None, epoch: 0, heads: vec![], continues: vec![] };
//! let body = open.encode()?;
//! let label = RowLabel {
//!     time: Timestamp::from_millis(0),
//!     kind: Kind::Open,
//!     suite: Suite::CLEAR,
//!     flags: Flags::NONE,
//!     context: Seq::FIRST,
//!     message: MessageId::ZERO,
//! };
//! let mut builder = RangeBuilder::new(feed, Seq::FIRST, EntryId::ZERO)?;
//! builder.push(&Row::of_body(label, &body)?, Some(&body))?;
//! let range = VerifiedRange::sign(builder, &ann)?;
//!
//! // Bob asked for it, so his verifier lets it through.
//! let mut verifier = Verifier::new();
//! let bytes: Bytes = range.raw().to_bytes();
//! assert!(verifier.check(bytes.clone()).is_err(), "nobody asked for it");
//! verifier.expect(feed, Position::START, EntryId::ZERO);
//! assert!(matches!(verifier.check(bytes)?, Checked::Range(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Spec: `docs/protocol/feed.md`.

mod fork;
mod lives;
pub mod replicator;
mod verified;
mod verifier;
mod violation;

pub use fork::{VerifiedFork, own_branch};
pub use lives::{Learned, MAX_PEER_LIVES, OwnLine, PeerLives};
pub use replicator::{Allowance, ClosedMark, FeedFacts, Named, Offer, Replicator};
pub use verified::VerifiedRange;
pub use verifier::{Checked, MAX_EXPECTED, Verifier};
pub use violation::Violation;
