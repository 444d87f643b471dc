//! The parts of Skychat as one state machine.
//!
//! An [`Engine`] is a whole node without its surroundings: it has no clock, no randomness but its seed, no disk and no
//! socket. Facts go in as [`Input`], what is to be done comes out as [`Output`], what is to be stored is taken as a
//! batch. The same inputs give the same outputs, so a network of engines can be simulated and a failure replayed.
//!
//! ```
//! use std::collections::BTreeSet;
//! use skychat_engine::{Config, Engine, Input, Output, Recovered};
//! use skychat_identity::SecretKey;
//! use skychat_proto::content::Content;
//! use skychat_proto::ids::{Incarnation, Moment, Timestamp};
//! use skychat_proto::open::WriterKind;
//!
//! let config = Config {
//!     kind: WriterKind::Node,
//!     incarnation: Incarnation::from_bytes([1; 8]),
//!     agent: "example".into(),
//!     consented: BTreeSet::new(),
//! };
//! let (now, wall) = (Moment::default(), Timestamp::from_millis(0));
//! let ann = SecretKey::from_seed([1; 32]);
//! let bob = SecretKey::from_seed([2; 32]).public();
//! let mut engine = Engine::new(config, ann, [0; 32], Recovered::default(), now, wall)?;
//!
//! let content = Content::text("hello")?;
//! engine.handle(now, wall, Input::Send { request: 1, to: bob, message: None, content });
//! assert!(engine.poll_output().is_none(), "nothing is said before it is on disk");
//! let batch = engine.take_batch();
//! engine.handle(now, wall, Input::Committed { batch: batch.id });
//! assert!(matches!(engine.poll_output(), Some(Output::Accepted { request: 1, .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Spec: `docs/ARCHITECTURE.md`.

mod batch;
mod closed;
mod dropping;
mod engine;
mod incoming;
mod outgoing;
mod peers;
pub mod port;
mod recovered;
mod resumed;

/// What a link's own task does with ranges before the engine sees them.
pub mod verify {
    pub use skychat_feed::{Checked, Verifier, Violation};
}

pub use batch::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_WAITING};
pub use engine::{Config, Engine};
pub use port::{CloseLink, Input, Notice, Output, Payload, PeerStatus, SendRejected, Told};
pub use recovered::{Recovered, Tip};
