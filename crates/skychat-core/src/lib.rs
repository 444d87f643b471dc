//! Skychat: a Skychat node to embed.

pub mod datadir;
pub mod one_shot;

mod blame;
mod builder;
mod config;
mod events;
mod message;
mod node;
mod read;
mod start;
mod stop;

pub use blame::Blame;
pub use builder::{NodeBuilder, StartError};
pub use config::{Admission, Config};
pub use events::{Event, EventReader, Notices};
pub use message::{
    Accepted, Acknowledged, DeliverError, Delivered, Draft, SendError, WaitError,
};
pub use node::Node;
pub use read::ReadError;
pub use stop::{ShutdownReport, StopError};
