//! The disk of the system, and the thread that writes.

mod file;
mod thread;

pub use file::FileDisk;
pub use thread::{Done, QueueError, WriterHandle, spawn_writer};
