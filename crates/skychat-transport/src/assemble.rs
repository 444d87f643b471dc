//! Messages from frames.

use skychat_proto::append;
use skychat_proto::ids::ServiceId;
use skychat_proto::limits::{MAX_LINK_MESSAGE, MAX_MESSAGE, MAX_SYNC_MESSAGE};

use crate::Violation;
use crate::frame::Frame;

/// Services that one link knows, service 0 included.
pub const MAX_KNOWN_SERVICES: usize = 16;

/// Puts the fragments of each service together. One that came whole is passed through without a
/// copy.
#[derive(Debug)]
pub struct Assembler {
    slots: Vec<Slot>,
}

/// What a frame was.
#[derive(Debug, PartialEq, Eq)]
pub enum Assembled<'a> {
    /// It ended a message.
    Message(ServiceId, &'a [u8]),
    /// The message goes on.
    Part,
    /// It is of a service nobody here knows; ignored, so that later versions may add some.
    Unknown,
}

#[derive(Debug)]
struct Slot {
    service: ServiceId,
    limit: usize,
    buffer: Vec<u8>,
    /// The buffer holds a message that was handed out.
    complete: bool,
}

impl Assembler {
    /// Knows service 0 and the first [`MAX_KNOWN_SERVICES`] - 1 others of `services`.
    pub fn new(services: &[ServiceId]) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        for &service in std::iter::once(&ServiceId::LINK).chain(services) {
            if slots.len() < MAX_KNOWN_SERVICES && slots.iter().all(|s| s.service != service) {
                slots.push(Slot {
                    service,
                    limit: limit_of(service),
                    buffer: Vec::new(),
                    complete: false,
                });
            }
        }
        Assembler { slots }
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// A [`Violation`] of LINK-6: the message is longer than its service allows.
    #[inline]
    pub fn accept<'a>(&'a mut self, frame: Frame<'a>) -> Result<Assembled<'a>, Violation> {
        let slot = self.slots.iter_mut().find(|s| s.service == frame.service);
        let Some(slot) = slot else {
            return Ok(Assembled::Unknown);
        };
        if !frame.more && (slot.complete || slot.buffer.is_empty()) {
            if frame.payload.len() > slot.limit {
                return Err(TOO_LONG);
            }
            return Ok(Assembled::Message(frame.service, frame.payload));
        }
        slot.part(frame)
    }

    /// Whether some message is unfinished.
    pub fn has_parts(&self) -> bool {
        self.slots
            .iter()
            .any(|slot| !slot.complete && !slot.buffer.is_empty())
    }

    /// Gives up memory that holds no part of a message; for a link that has gone quiet.
    pub fn trim(&mut self) {
        for slot in &mut self.slots {
            if slot.complete || slot.buffer.is_empty() {
                slot.buffer = Vec::new();
                slot.complete = false;
            }
        }
    }
}

const TOO_LONG: Violation = Violation::new("LINK-6", "a message over the limit of its service");

impl Slot {
    fn part<'a>(&'a mut self, frame: Frame<'a>) -> Result<Assembled<'a>, Violation> {
        if self.complete {
            self.buffer.clear();
            self.complete = false;
        }
        let length = self.buffer.len().saturating_add(frame.payload.len());
        if length > self.limit {
            return Err(TOO_LONG);
        }
        append(&mut self.buffer, frame.payload);
        if frame.more {
            return Ok(Assembled::Part);
        }
        self.complete = true;
        Ok(Assembled::Message(self.service, &self.buffer))
    }
}

/// The longest message of a service (LINK-2).
pub(crate) const fn limit_of(service: ServiceId) -> usize {
    match service {
        ServiceId::LINK => MAX_LINK_MESSAGE,
        ServiceId::SYNC => MAX_SYNC_MESSAGE,
        _ => MAX_MESSAGE,
    }
}

#[cfg(test)]
mod tests;
