//! Skychat: the HTTP control surface of a node.
//!
//! A [`Listener`] accepts connections within [`Caps`]; each request passes the [`Gate`] before it
//! is routed; answers are the documents of `skychat-api`, errors by its one table, events as a
//! stream of server-sent events or NDJSON. `docs/control-api.md` is the contract.
//!
//! ```
//! use std::time::Duration;
//!
//! use skychat_core::Node;
//! use skychat_http::{Caps, Gate, Listener, Token, routes};
//! use skychat_identity::SecretKey;
//! use tokio_util::sync::CancellationToken;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::builder(SecretKey::from_seed([7; 32])).spawn().await?; // in memory
//! let listener = Listener::bind("127.0.0.1:0".parse()?).await?;
//! let addr = listener.local_addr();
//! let gate = Gate::new(addr, Token::new("0123456789abcdef0123456789abcdef")?);
//!
//! let stop = CancellationToken::new();
//! let router = routes(node.clone(), addr, stop.clone());
//! let server = tokio::spawn(listener.serve(gate, router, Caps::default(), stop.clone()));
//! // … until it is time to stop: streams end first, then the node.
//! stop.cancel();
//! node.shutdown(Duration::from_secs(5)).await;
//! server.await?;
//! # Ok(())
//! # }
//! ```

mod answer;
mod encode;
mod follow;
mod gate;
mod query;
mod request;
mod routes;
mod server;
mod stall;
mod stream;

pub use encode::StreamForm;
pub use gate::{BadName, BadToken, Gate, Token};
pub use routes::routes;
#[doc(hidden)]
pub use server::serve_stream;
pub use server::{BindError, Caps, Listener};
