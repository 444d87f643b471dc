//! Who somebody is on Skychat, and how that is written down.
//!
//! An identity is an Ed25519 key pair; the public key *is* the address. This crate holds
//!
//! - [`PublicKey`], which exists only for encodings that passed one strict check, with its text
//!   form (64 lower-case hex digits) and its X25519 form for Noise and sealing; [`KeyPoint`] is
//!   one whose point is at hand,
//! - [`SecretKey`], [`X25519Secret`] and [`Signature`],
//! - [`Domain`] and [`Tagged`]: what is signed begins with a tag that says what it is, so that a
//!   signature made for one purpose means nothing for another,
//! - [`Address`]: a key with hints where it may be reached (`skychat:` and `tcp://` forms),
//! - [`keyfile`]: the bytes of `identity.key`.
//!
//! It is pure: no files, no clock, no randomness. A new key is made from 32 random bytes that the
//! caller brings ([`SecretKey::from_seed`]). Byte tables and the list of what has to be refused
//! are in `docs/protocol/identity.md`.
//!
//! ```
//! use skychat_identity::{Domain, PublicKey, SecretKey, Tagged};
//!
//! let ann = SecretKey::from_seed([7; 32]);                 // real seeds come from the system
//!
//! // What is signed says what it is for.
//! let mut card = Domain::Card.tag().to_vec();
//! card.extend_from_slice(b"reach me at ann.example:8801");
//! let signature = ann.sign(Tagged::new(Domain::Card, &card)?);
//!
//! // Somebody else knows Ann by 64 hex digits.
//! let known: PublicKey = ann.public().to_string().parse()?;
//! known.verify(Tagged::new(Domain::Card, &card)?, &signature)?;
//!
//! // The same bytes are no invite.
//! assert!(Tagged::new(Domain::Invite, &card).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod cache;
mod domain;
mod host;
pub mod keyfile;
mod public;
mod secret;
mod signature;
mod text;

pub use address::{Address, AddressError, MAX_ADDRESS_TEXT, MAX_HINTS};
pub use cache::{KEY_CACHE_SIZE, KeyCache};
pub use domain::{Domain, Tagged, WrongTag};
pub use host::{Host, HostName, HostPort, HostPortError};
pub use keyfile::KeyFileError;
pub use public::{KeyError, KeyPoint, PublicKey};
pub use secret::{SecretKey, SecretKeyError, X25519Secret};
pub use signature::{BadSignature, Signature};
pub use text::Quoted;
