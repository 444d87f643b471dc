//! The right to seal and write, which one task at a time has.

use std::io;
use std::sync::Arc;

use skychat_proto::ids::ServiceId;
use tokio::net::tcp::OwnedWriteHalf;

use crate::record::OpenRecord;
use crate::{SealError, SealingKey};

/// Memory that a quiet link keeps for the next message written directly.
const KEEP: usize = 2 * 1024;

/// The right to seal and write.
pub(super) struct Wire {
    key: SealingKey,
    half: Arc<OwnedWriteHalf>,
    /// Sealed bytes that the socket did not take yet, from `at` on.
    pub(super) rest: Vec<u8>,
    pub(super) at: usize,
}

impl Wire {
    pub(super) fn new(key: SealingKey, half: Arc<OwnedWriteHalf>) -> Self {
        Wire {
            key,
            half,
            rest: Vec::new(),
            at: 0,
        }
    }

    pub(super) fn seal(&mut self, record: &mut [u8]) -> Result<(), SealError> {
        self.key.seal(record)
    }

    /// Seals one message as a record of its own, into `rest`.
    pub(super) fn seal_one(
        &mut self,
        service: ServiceId,
        length: usize,
        parts: &[&[u8]],
    ) -> Result<(), SealError> {
        let mut record = OpenRecord::reuse(std::mem::take(&mut self.rest));
        record.reserve(length);
        let length = u16::try_from(length).map_err(|_| SealError::Layout)?;
        record.frame(service.get(), false, length, parts);
        self.rest = record.finish();
        self.at = 0;
        self.key.seal(&mut self.rest)
    }

    /// Gives the socket what it takes of `rest`; returns how much that was.
    pub(super) fn write_rest(&mut self) -> io::Result<usize> {
        let left = self.rest.get(self.at..).unwrap_or_default();
        let taken = match self.half.try_write(left) {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.at = self.at.saturating_add(taken);
        Ok(taken)
    }

    /// Whether it has memory that a quiet link does not need.
    pub(super) fn keeps_memory(&self) -> bool {
        self.rest.capacity() > KEEP
    }

    /// Gives up memory that a quiet link does not need.
    pub(super) fn trim(&mut self) {
        self.rest.shrink_to(KEEP);
    }

    /// Sealed bytes that wait for the socket.
    pub(super) fn left(&self) -> usize {
        self.rest.len().saturating_sub(self.at)
    }
}
