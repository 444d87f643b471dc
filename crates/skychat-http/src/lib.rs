//! Skychat: the HTTP control surface of a node.
//!
//! A [`Listener`] accepts connections within [`Caps`]; each request passes the [`Gate`] before it
//! is routed; answers are the documents of `skychat-api`, errors by its one table, events as a
//! stream of server-sent events or NDJSON. `docs/control-api.md` is the contract.

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
pub use server::{BindError, Caps, Listener};
