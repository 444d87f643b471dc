//! The disk of the system, and the thread that writes.

mod bell;
mod file;
mod filler;
mod lane;
mod thread;

#[cfg(feature = "sled")]
pub(crate) use bell::{Bell, Heard, Listener};
pub use file::FileDisk;
pub use lane::{QueueError, WriterHandle};
#[cfg(feature = "sled")]
pub(crate) use thread::now;
#[cfg(feature = "sled")]
pub use thread::spawn_indexed_writer;
pub use thread::{Done, spawn_writer};
