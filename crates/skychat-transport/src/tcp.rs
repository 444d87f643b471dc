//! Links over TCP: dialling, listening, and the two tasks of each link.

mod arrivals;
mod config;
mod counters;
mod dial;
mod door;
mod end;
mod greet;
mod greeter;
mod guest;
mod link;
mod links;
mod listen;
mod pace;
mod pool;
mod reader;
mod shared;
mod socket;
mod ticks;
mod wire;
mod writer;

pub use config::{Admission, Anyone, Factory, LinkConfig, Nobody, Service, Timing};
pub use dial::{DialError, Stage, dial};
pub use door::ListenerStats;
pub use end::CloseReason;
pub use link::{Link, LinkStats};
pub use links::Links;
pub use listen::{BindError, Listener, ListenerLimits};
