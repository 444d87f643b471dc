//! Frames: a piece of a message of one service.

use skychat_proto::ids::ServiceId;
use skychat_proto::limits::MAX_FRAME;

use crate::Violation;

/// Bytes of a frame before its payload: service u16, flags u8, length u16.
pub const HEADER: usize = 5;
/// Flag: the message goes on in the next frame of this service.
pub const MORE: u8 = 1;

pub(crate) fn header(service: u16, more: bool, length: u16) -> [u8; HEADER] {
    let [s0, s1] = service.to_be_bytes();
    let [l0, l1] = length.to_be_bytes();
    [s0, s1, if more { MORE } else { 0 }, l0, l1]
}

/// One frame of an opened record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Whose it is.
    pub service: ServiceId,
    /// Whether the message goes on in the next frame of this service.
    pub more: bool,
    /// At most [`MAX_FRAME`] bytes.
    pub payload: &'a [u8],
}

/// The frames of an opened record, in order. After an error there is nothing more.
#[derive(Debug, Clone)]
pub struct Frames<'a>(&'a [u8]);

impl<'a> Frames<'a> {
    /// `plaintext` is what [`OpeningKey::open`](crate::OpeningKey::open) returned.
    pub fn of(plaintext: &'a [u8]) -> Self {
        Frames(plaintext)
    }

    #[inline]
    fn split(&mut self) -> Result<Frame<'a>, Violation> {
        const CUT: Violation = Violation::new("LINK-5", "a frame that its record cuts off");
        const FLAGS: Violation = Violation::new("LINK-5", "a frame with unknown flags");
        const LONG: Violation = Violation::new("LINK-5", "a frame over 16 KiB");
        const IDLE: Violation = Violation::new("LINK-5", "an empty frame that is not the last");
        let (&[s0, s1, flags, l0, l1], rest) = self.0.split_first_chunk::<HEADER>().ok_or(CUT)?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if flags & !MORE != 0 {
            return Err(FLAGS);
        }
        if length > MAX_FRAME {
            return Err(LONG);
        }
        let more = flags & MORE != 0;
        if more && length == 0 {
            return Err(IDLE);
        }
        let (payload, rest) = rest.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(Frame {
            service: ServiceId::new(u16::from_be_bytes([s0, s1])),
            more,
            payload,
        })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Violation>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let frame = self.split();
        if frame.is_err() {
            self.0 = &[];
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests;
