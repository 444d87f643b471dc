//! Records: what is sealed at once. A length, the sealed frames, a tag.

use skychat_proto::append;

use crate::frame::{self, HEADER};

/// Bytes of the length in front of a record.
pub const LENGTH: usize = 2;
/// Bytes of the tag at its end.
pub const TAG: usize = 16;
/// The longest record without its length: a Noise message.
pub const MAX_BODY: usize = skychat_proto::limits::MAX_RECORD;
/// The longest record on the wire.
pub const MAX_WIRE: usize = LENGTH + MAX_BODY;
/// Bytes of frames that a record holds at most.
pub const MAX_PLAINTEXT: usize = MAX_BODY - TAG;

/// A record that frames are still appended to, laid out as it will go on the wire, so that sealing
/// it moves nothing: room for the length, the frames, and in the end room for the tag.
#[derive(Debug)]
pub(crate) struct OpenRecord(Vec<u8>);

impl OpenRecord {
    /// A record in the memory of an old one.
    pub(crate) fn reuse(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&[0; LENGTH]);
        OpenRecord(buffer)
    }

    /// Bytes it takes on the wire.
    pub(crate) fn wire_len(&self) -> usize {
        self.0.len().saturating_add(TAG)
    }

    /// Bytes of payload that one more frame may carry.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        (LENGTH + MAX_PLAINTEXT - HEADER).saturating_sub(self.0.len())
    }

    /// Makes room for a frame of `payload` bytes and the tag. Memory doubles, but never goes past
    /// one full record.
    #[inline]
    pub(crate) fn reserve(&mut self, payload: usize) {
        let needed = self.0.len().saturating_add(payload + HEADER + TAG);
        if needed > self.0.capacity() {
            self.grow(needed);
        }
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        let capacity = self
            .0
            .capacity()
            .saturating_mul(2)
            .min(MAX_WIRE)
            .max(needed);
        self.0.reserve_exact(capacity.saturating_sub(self.0.len()));
    }

    /// Appends a frame: its header, then its payload, which the caller has counted.
    #[inline]
    pub(crate) fn frame(&mut self, service: u16, more: bool, length: u16, parts: &[&[u8]]) {
        self.0
            .extend_from_slice(&frame::header(service, more, length));
        for part in parts {
            append(&mut self.0, part);
        }
    }

    /// Appends a frame with the next `length` bytes of `message`.
    pub(crate) fn fragment(
        &mut self,
        service: u16,
        more: bool,
        length: u16,
        message: &mut Parts<'_>,
    ) {
        self.0
            .extend_from_slice(&frame::header(service, more, length));
        message.take(usize::from(length), |piece| append(&mut self.0, piece));
    }

    /// Ends it: the bytes to seal.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; TAG]);
        self.0
    }
}

/// A message given in pieces, read from front to back.
pub(crate) struct Parts<'a> {
    current: &'a [u8],
    rest: &'a [&'a [u8]],
}

impl<'a> Parts<'a> {
    pub(crate) fn of(parts: &'a [&'a [u8]]) -> Self {
        Parts {
            current: &[],
            rest: parts,
        }
    }

    /// Hands the next `length` bytes to `sink`, piece by piece.
    fn take(&mut self, mut length: usize, mut sink: impl FnMut(&[u8])) {
        while length > 0 {
            if self.current.is_empty() {
                let Some((next, rest)) = self.rest.split_first() else {
                    return;
                };
                (self.current, self.rest) = (next, rest);
                continue;
            }
            let (piece, left) = self.current.split_at(length.min(self.current.len()));
            self.current = left;
            length = length.saturating_sub(piece.len());
            sink(piece);
        }
    }
}
