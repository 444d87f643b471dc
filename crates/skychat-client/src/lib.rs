//! Skychat: an async client of the control surface of a daemon.
//!
//! [`Daemon::find`] reads where a daemon listens and the token that opens it from its data
//! directory; [`Client`] speaks to it; [`EventStream`] follows its events over restarts without
//! losing or repeating one. The shapes are those of `skychat-api`; every error has one of its
//! [`Code`]s. The surface itself is described in `docs/control-api.md`.
//!
//! ```no_run
//! use skychat_api::{SendRequest, WaitFor};
//! use skychat_client::{Client, Daemon};
//!
//! # async fn example(bob: skychat_identity::PublicKey) -> Result<(), skychat_client::ClientError> {
//! let client = Client::new(Daemon::find("/home/ann/.local/share/skychat".as_ref())?);
//! let sent = client
//!     .send(&SendRequest {
//!         to: bob,
//!         text: "hello".into(),
//!         message_id: None,
//!         wait: Some(WaitFor::Acked),
//!         timeout_ms: Some(5_000),
//!     })
//!     .await?;
//! println!("{} is {}", sent.message_id, sent.delivery.word());
//! # Ok(())
//! # }
//! ```
//!
//! [`Code`]: skychat_api::Code

mod client;
mod connection;
mod daemon;
mod error;
mod events;

pub use client::{Client, HistoryQuery};
pub use daemon::Daemon;
pub use error::ClientError;
pub use events::{EventQuery, EventStream, Start, StreamItem};
