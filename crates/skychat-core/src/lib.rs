//! Skychat: a node to embed. A program that holds a [`Node`] talks to other nodes, addressed by
//! public key, with no server in between.
//!
//! **The one promise: a message that was accepted arrives, or you are told why.** [`Node::send`]
//! returns when the message is in our signed feed and on disk; from then on it is owed, over
//! restarts of either side, until the recipient's disk has acknowledged it or it was refused.
//!
//! Two nodes on loopback:
//!
//! ```
//! use std::time::Duration;
//!
//! use skychat_core::{Admission, Draft, EventKind, Node, SecretKey, WaitFor};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ann = Node::builder(SecretKey::from_seed([1; 32]))
//!     .listen("127.0.0.1:0".parse()?)
//!     .admission(Admission::Anyone)
//!     .spawn()
//!     .await?;
//! let bob = Node::builder(SecretKey::from_seed([2; 32]))
//!     .peer(ann.address())                    // dials, and keeps the link
//!     .spawn()
//!     .await?;
//!
//! let mut events = ann.events(None);          // what comes from now on
//! let draft = Draft::text(ann.public_key(), "hello, Ann")?;
//! let delivered = bob.deliver(draft, WaitFor::Acked, Duration::from_secs(10)).await?;
//! assert_eq!(delivered.acknowledged.map(|acknowledged| acknowledged.by), Some(ann.public_key()));
//!
//! while let Some(event) = events.next().await? {
//!     if let EventKind::Message(message) = &event.kind {
//!         assert_eq!(message.from, bob.public_key());
//!         break;
//!     }
//! }
//! for node in [ann, bob] {
//!     node.shutdown(Duration::from_secs(5)).await;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! These nodes live in memory; [`NodeBuilder::data_dir`] puts one on disk. Whoever wants to send
//! one message and leave uses [`one_shot`].
//!
//! What stands beneath is here as modules, each usable alone: [`identity`], [`proto`], [`seal`],
//! [`transport`], [`feed`], [`direct`], [`store`](mod@store), [`engine`] and the shapes of the
//! control surface, [`api`].

pub mod datadir;
pub mod one_shot;
pub mod upkeep;

mod blame;
mod builder;
mod clock;
mod config;
mod drive;
mod events;
mod journal;
mod links;
mod message;
mod messages;
mod node;
mod read;
mod retention;
mod sends;
mod shared;
mod start;
mod status;
mod stop;
mod waiters;
mod words;

#[doc(inline)]
pub use {
    skychat_api as api, skychat_direct as direct, skychat_engine as engine, skychat_feed as feed,
    skychat_identity as identity, skychat_proto as proto, skychat_seal as seal,
    skychat_store as store, skychat_transport as transport,
};

pub use blame::Blame;
pub use builder::{NodeBuilder, StartError};
pub use config::{Admission, Config};
pub use events::{Event, EventReader, Notices};
pub use message::{Accepted, Acknowledged, DeliverError, Delivered, Draft, SendError, WaitError};
pub use node::Node;
pub use read::ReadError;
pub use retention::Retention;
pub use stop::{ShutdownReport, StopError};

// The paved path, so that most programs name one crate.
pub use skychat_api::{Cursor, EventKind, WaitFor};
pub use skychat_identity::{Address, PublicKey, SecretKey};
pub use skychat_proto::content::Content;
pub use skychat_proto::ids::MessageId;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
