//! The disk of the system, and the thread that writes.

mod file;
mod thread;

pub use file::FileDisk;
#[cfg(feature = "sled")]
pub(crate) use thread::now;
#[cfg(feature = "sled")]
pub use thread::spawn_indexed_writer;
pub use thread::{Done, QueueError, WriterHandle, spawn_writer};
