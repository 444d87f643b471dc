//! Buffers for reading, lent to links while they have something to read.

use std::sync::{Mutex, PoisonError};

use crate::READ_BUFFER;

/// Buffers kept; about as many links can be reading at one moment as there are worker threads.
const KEPT: usize = 8;

#[derive(Debug, Default)]
pub(super) struct BufferPool(Mutex<Vec<Vec<u8>>>);

impl BufferPool {
    pub(super) fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![0; READ_BUFFER])
    }

    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}
