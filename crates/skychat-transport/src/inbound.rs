//! What arrives: bytes into records, records into frames, frames into messages.

use skychat_identity::PublicKey;
use skychat_proto::ids::ServiceId;
use skychat_proto::link::{Hello, LinkMessage};

use crate::assemble::{Assembled, Assembler};
use crate::frame::Frames;
use crate::handshake::AwaitProof;
use crate::record::{LENGTH, MAX_WIRE, TAG};
use crate::{OpeningKey, Violation};

/// Bytes that a read may take at once: about three full records.
pub const READ_BUFFER: usize = 192 * 1024;

/// Bytes as they came, from which whole records are cut without copying them.
///
/// It has memory only while it has bytes: the caller lends it a buffer when there is something to
/// read and takes it back when all of it is used.
#[derive(Debug, Default)]
pub struct InBuffer {
    /// All of it initialised; what counts is between `start` and `end`.
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl InBuffer {
    /// Lends it `buffer`, of at least [`READ_BUFFER`] bytes. What it held is moved over.
    pub fn lend(&mut self, mut buffer: Vec<u8>) {
        if buffer.len() < READ_BUFFER {
            buffer.resize(READ_BUFFER, 0);
        }
        let held = self.data.get(self.start..self.end).unwrap_or_default();
        if let Some(room) = buffer.get_mut(..held.len()) {
            room.copy_from_slice(held);
        }
        self.end = held.len();
        self.start = 0;
        self.data = buffer;
    }

    /// Takes the buffer back, if all bytes in it are used.
    pub fn take_back(&mut self) -> Option<Vec<u8>> {
        if self.held() > 0 || self.data.is_empty() {
            return None;
        }
        (self.start, self.end) = (0, 0);
        Some(std::mem::take(&mut self.data))
    }

    /// Takes the buffer back although a record is unfinished: its beginning is copied.
    pub fn shrink(&mut self) -> Option<Vec<u8>> {
        if self.data.len() < READ_BUFFER {
            return None;
        }
        let held = self.data.get(self.start..self.end).unwrap_or_default();
        let small = held.to_vec();
        (self.start, self.end) = (0, small.len());
        Some(std::mem::replace(&mut self.data, small))
    }

    /// Whether it has room for more.
    pub fn has_buffer(&self) -> bool {
        self.data.len() >= READ_BUFFER
    }

    /// Bytes that wait for the rest of their record.
    pub fn held(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Where the next bytes go: room for at least one whole record, if it has a buffer.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.data.len().saturating_sub(self.start) < 2 * MAX_WIRE {
            self.data.copy_within(self.start..self.end, 0);
            self.end = self.held();
            self.start = 0;
        }
        self.data.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes were written to [`space`](Self::space).
    pub fn filled(&mut self, bytes: usize) {
        self.end = self.end.saturating_add(bytes).min(self.data.len());
    }

    /// The next whole record, without its length; `None`: more bytes are needed.
    ///
    /// # Errors
    /// A [`Violation`] of LINK-4: a length that no record has.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<&mut [u8]>, Violation> {
        const SHORT: Violation = Violation::new("LINK-4", "a record too short for its tag");
        let held = self.data.get(self.start..self.end).unwrap_or_default();
        let Some(&length) = held.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(length));
        if length <= TAG {
            return Err(SHORT);
        }
        let begin = self.start.saturating_add(LENGTH);
        let end = begin.saturating_add(length);
        if end > self.end {
            return Ok(None);
        }
        self.start = end;
        Ok(self.data.get_mut(begin..end))
    }
}

/// Whom a [`Receiver`] hands what it has put together.
pub trait Handler {
    /// Why it may stop. What the receiver finds by itself comes as a [`Violation`].
    type Error: From<Violation>;

    /// The responder has proven its key. Comes first, and on the initiator's side only.
    ///
    /// # Errors
    /// Any: nothing more is received.
    fn proven(&mut self, peer: PublicKey) -> Result<(), Self::Error>;

    /// The peer has said who it is: the link is up.
    ///
    /// # Errors
    /// Any: nothing more is received.
    fn hello(&mut self, hello: Hello) -> Result<(), Self::Error>;

    /// A further message of service 0, decoded and as it came.
    ///
    /// # Errors
    /// Any: nothing more is received.
    fn link(&mut self, message: LinkMessage, bytes: &[u8]) -> Result<(), Self::Error>;

    /// A message of another service that this side knows.
    ///
    /// # Errors
    /// Any: nothing more is received.
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Self::Error>;
}

/// The receiving half of a link: opens records, puts messages together, and keeps the order of the
/// beginning, which is proof, hello, everything else.
#[derive(Debug)]
pub struct Receiver {
    key: OpeningKey,
    assembler: Assembler,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Apart: it is larger than all that is left when it is done with.
    Proof(Box<AwaitProof>),
    Hello,
    Up,
    /// Something was wrong; nothing is taken any more.
    Over,
}

impl Receiver {
    /// For a link whose handshake is done. `proof` is there on the initiator's side; `services`
    /// are those this side knows.
    pub fn new(key: OpeningKey, proof: Option<AwaitProof>, services: &[ServiceId]) -> Self {
        Receiver {
            key,
            assembler: Assembler::new(services),
            phase: match proof {
                Some(proof) => Phase::Proof(Box::new(proof)),
                None => Phase::Hello,
            },
        }
    }

    /// Whether the peer's hello has arrived.
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up)
    }

    /// Takes one record, without its length, and hands on what it completes.
    ///
    /// # Errors
    /// Those of `handler`, and every [`Violation`]. The link is over then.
    pub fn record<H: Handler>(
        &mut self,
        record: &mut [u8],
        handler: &mut H,
    ) -> Result<Received, H::Error> {
        let taken = self.take(record, handler);
        if taken.is_err() {
            self.phase = Phase::Over;
        }
        taken
    }

    #[inline]
    fn take<H: Handler>(
        &mut self,
        record: &mut [u8],
        handler: &mut H,
    ) -> Result<Received, H::Error> {
        let mut received = Received::default();
        let plaintext = self.key.open(record)?;
        for frame in Frames::of(plaintext) {
            received.frames = received.frames.saturating_add(1);
            let frame = frame?;
            if frame.service != ServiceId::LINK && !matches!(self.phase, Phase::Up) {
                return Err(EARLY.into());
            }
            match self.assembler.accept(frame)? {
                Assembled::Message(ServiceId::LINK, bytes) => {
                    link_message(&mut self.phase, bytes, handler)?;
                }
                Assembled::Message(service, message) => {
                    received.messages = received.messages.saturating_add(1);
                    handler.message(service, message)?;
                }
                Assembled::Part => {}
                Assembled::Unknown => received.unknown = received.unknown.saturating_add(1),
            }
        }
        Ok(received)
    }

    /// Whether some message is unfinished.
    pub fn has_parts(&self) -> bool {
        self.assembler.has_parts()
    }

    /// Gives up memory that holds nothing; for a link that has gone quiet.
    pub fn trim(&mut self) {
        self.assembler.trim();
    }
}

/// What one record held.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Frames.
    pub frames: u32,
    /// Messages completed, those of service 0 not counted.
    pub messages: u32,
    /// Frames of services that nobody here knows.
    pub unknown: u32,
}

const EARLY: Violation = Violation::new("LINK-7", "something before the hello");

fn link_message<H: Handler>(
    phase: &mut Phase,
    bytes: &[u8],
    handler: &mut H,
) -> Result<(), H::Error> {
    const MALFORMED: Violation = Violation::new("LINK-7", "a malformed message of service 0");
    const UNPROVEN: Violation = Violation::new("LINK-1", "the responder did not prove its key");
    const PROOF: Violation = Violation::new("LINK-7", "a proof where none is expected");
    let message = LinkMessage::decode(bytes).map_err(|_| MALFORMED)?;
    match (std::mem::replace(phase, Phase::Over), message) {
        (Phase::Up, LinkMessage::Proof(_)) => Err(PROOF.into()),
        (Phase::Up, LinkMessage::Unknown { .. }) => {
            *phase = Phase::Up;
            Ok(())
        }
        (Phase::Up, message) => {
            *phase = Phase::Up;
            handler.link(message, bytes)
        }
        (Phase::Proof(expected), LinkMessage::Proof(proof)) => {
            let peer = expected.check(&proof).map_err(|_| UNPROVEN)?;
            *phase = Phase::Hello;
            handler.proven(peer)
        }
        (Phase::Proof(_), _) => Err(UNPROVEN.into()),
        (Phase::Hello, LinkMessage::Hello(hello)) => {
            *phase = Phase::Up;
            handler.hello(hello)
        }
        (Phase::Hello | Phase::Over, _) => Err(EARLY.into()),
    }
}

#[cfg(test)]
mod tests;
