//! Direct conversations: the space of two people, how their messages are sealed, and how far a
//! message got.
//!
//! - [`Sessions`] seals what we say and opens what is said to us. A direct space has one way to
//!   write a body, suite 1 of `skychat-seal`; there is none in clear, and one that came in clear
//!   is refused.
//! - [`EntryContext`] is what a body is bound to. The author to display is the key whose
//!   signature over the header was verified, and nothing inside a content names another.
//! - [`state`] holds the states of a message, [`Delivery`](state::Delivery), the facts that
//!   change them, and what a refusal leads to.
//!
//! The crate is pure: time and randomness are passed in. Byte tables and rules:
//! `docs/protocol/direct.md`.
//!
//! ```
//! use rand_core::SeedableRng;
//! use skychat_direct::{EntryContext, SUITE, Sessions};
//! use skychat_identity::SecretKey;
//! use skychat_proto::content::Content;
//! use skychat_proto::entry::Flags;
//! use skychat_proto::sync::Refusal;
//! use skychat_proto::{FeedId, Incarnation, MessageId, Seq, SpaceId, Stream, Timestamp};
//!
//! # let mut rng = chacha20::ChaCha20Rng::from_seed([3; 32]);   // seeded by the system in earnest
//! let ann = SecretKey::from_seed([1; 32]);
//! let bob = SecretKey::from_seed([2; 32]);
//!
//! // Ann's entry 1 in the space of the two. Both sides know this from the signed header.
//! let context = EntryContext {
//!     feed: FeedId {
//!         author: ann.public(),
//!         space: SpaceId::direct(&ann.public(), &bob.public())?,
//!         stream: Stream::MESSAGES,
//!         incarnation: Incarnation::from_bytes([7; 8]),
//!     },
//!     seq: Seq::new(1),
//!     message: MessageId::from_bytes([5; 16]),
//!     recipient: bob.public(),
//! };
//! let now = Timestamp::from_millis(1_790_000_000_000);
//! let content = Content::text("see you at nine")?;
//! let body = Sessions::new().seal(&mut rng, now, &context, &content)?;
//!
//! let mut at_bob = Sessions::new();
//! let opened = at_bob.open(&bob, &context, SUITE, Flags::NONE, &body);
//! assert!(opened.is_ok_and(|opened| opened.content == content));
//!
//! // Nobody else opens it.
//! let eve = SecretKey::from_seed([9; 32]);
//! let opened = at_bob.open(&eve, &context, SUITE, Flags::NONE, &body);
//! assert_eq!(opened.err(), Some(Refusal::Unopenable));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod context;
mod sessions;
pub mod state;

pub use context::EntryContext;
pub use sessions::{
    MAX_INCOMING, MAX_SEALED, MAX_SESSIONS, Opened, SUITE, SealError, Sessions, precheck,
    sealed_len,
};
