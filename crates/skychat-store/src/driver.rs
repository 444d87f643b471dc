//! The disk of the system, and the thread that writes.

mod file;
mod filler;
mod lane;
mod thread;

pub use file::FileDisk;
pub use lane::{QueueError, WriterHandle};
#[cfg(feature = "sled")]
pub(crate) use thread::now;
#[cfg(feature = "sled")]
pub use thread::spawn_indexed_writer;
pub use thread::{Done, spawn_writer};
