//! The driver of the engine: it hands facts in, and does what comes out. It has no opinions.

mod loads;
mod outlet;
mod ports;
mod turn;

pub(crate) use ports::{Command, Placed, Ports, Snapshot};
pub(crate) use turn::{Driver, Ended};
