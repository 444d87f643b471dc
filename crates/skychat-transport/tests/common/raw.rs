//! A peer that speaks the protocol by hand, as far as a test wants it to.
#![allow(unreachable_pub, reason = "a module that test binaries share")]

use std::net::SocketAddr;

use skychat_identity::PublicKey;
use skychat_proto::ids::ServiceId;
use skychat_proto::link::{Hello, LinkMessage};
use skychat_transport::{
    AwaitProof, Handler, InBuffer, Initiator, LinkIdentity, LinkKeys, MESSAGE_1, MESSAGE_2,
    MESSAGE_3, OpeningKey, Outbound, Receiver, RekeyLimits, SealingKey, Suite, Violation, respond,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Backend, hello, secret, within};

pub fn identity(n: u8) -> LinkIdentity {
    LinkIdentity::new(secret(n), Backend::default())
}

/// A connection after the handshake.
pub struct Raw {
    pub stream: TcpStream,
    pub seal: SealingKey,
    pub open: Option<OpeningKey>,
    pub proof: Option<AwaitProof>,
    buffer: InBuffer,
}

/// Both messages of an initiator, for a given connection.
pub async fn connect(addr: SocketAddr) -> TcpStream {
    within(TcpStream::connect(addr)).await.unwrap()
}

/// Whether the other side closes, without a byte.
pub async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    match within(stream.read(&mut byte)).await {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

impl Raw {
    /// Dials with the key of node `n`, up to and with message 3.
    pub async fn dial(n: u8, addr: SocketAddr, peer: PublicKey) -> Self {
        let mut stream = connect(addr).await;
        let own = identity(n);
        let mut first = [0; MESSAGE_1];
        let initiator = Initiator {
            identity: &own,
            peer,
            suite: Suite::ChaChaPoly,
            limits: RekeyLimits::default(),
        };
        let state = initiator.start([n; 32], &mut first).unwrap();
        stream.write_all(&first).await.unwrap();
        let mut reply = [0; MESSAGE_2];
        within(stream.read_exact(&mut reply)).await.unwrap();
        let mut third = [0; MESSAGE_3];
        let (keys, proof) = state.finish(&reply, &mut third).unwrap();
        stream.write_all(&third).await.unwrap();
        Raw::of(stream, keys, Some(proof))
    }

    /// Answers a dial as node `n`; the proof is sent, the hello is not.
    pub async fn answer(n: u8, mut stream: TcpStream, proof: bool) -> Self {
        let own = identity(n);
        let mut first = [0; MESSAGE_1];
        within(stream.read_exact(&mut first)).await.unwrap();
        let mut reply = [0; MESSAGE_2];
        let limits = RekeyLimits::default();
        let state = respond(&own, limits, [n; 32], &first, &mut reply).unwrap();
        stream.write_all(&reply).await.unwrap();
        let mut third = [0; MESSAGE_3];
        within(stream.read_exact(&mut third)).await.unwrap();
        let (keys, signature) = state.finish(&third).unwrap().accept().unwrap();
        let mut raw = Raw::of(stream, keys, None);
        if proof {
            raw.say(&LinkMessage::Proof(signature)).await;
        }
        raw
    }

    fn of(stream: TcpStream, keys: LinkKeys, proof: Option<AwaitProof>) -> Self {
        Raw {
            stream,
            seal: keys.seal,
            open: Some(keys.open),
            proof,
            buffer: InBuffer::default(),
        }
    }

    /// A sealed record with one message.
    pub fn record(&mut self, service: ServiceId, message: &[u8]) -> Vec<u8> {
        let mut queue = Outbound::new(std::sync::Arc::default());
        queue.push_last(service, &[message]).unwrap();
        let mut turn = Vec::new();
        queue.take(&mut turn);
        for record in &mut turn {
            self.seal.seal(record).unwrap();
        }
        turn.concat()
    }

    pub async fn send(&mut self, service: ServiceId, message: &[u8]) {
        let record = self.record(service, message);
        self.write(&record).await;
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    pub async fn say(&mut self, message: &LinkMessage) {
        self.send(ServiceId::LINK, &message.encode()).await;
    }

    /// Says hello as the life `n`.
    pub async fn greet(&mut self, n: u8) {
        self.say(&LinkMessage::Hello(hello(n))).await;
    }

    /// Reads until `enough` messages have come, or the end.
    pub async fn hear(&mut self, receiver: &mut Receiver, enough: usize) -> Heard {
        let mut heard = Heard::default();
        loop {
            while let Some(record) = self.buffer.next_record().unwrap() {
                receiver.record(record, &mut heard).unwrap();
            }
            if heard.messages.len() >= enough {
                return heard;
            }
            if !self.buffer.has_buffer() {
                self.buffer.lend(Vec::new());
            }
            match within(self.stream.read(self.buffer.space())).await {
                Ok(0) | Err(_) => {
                    heard.end = true;
                    return heard;
                }
                Ok(bytes) => self.buffer.filled(bytes),
            }
        }
    }

    /// Whether the other side ends in order.
    pub async fn hear_goodbye(&mut self) -> bool {
        let mut receiver = self.receiver();
        let heard = self.hear(&mut receiver, usize::MAX).await;
        matches!(heard.link.last(), Some(LinkMessage::Goodbye(_)))
    }

    /// What takes apart what comes.
    pub fn receiver(&mut self) -> Receiver {
        let services = [ServiceId::SYNC, ServiceId::RANGE];
        Receiver::new(self.open.take().unwrap(), self.proof.take(), &services)
    }
}

/// What has come.
#[derive(Default)]
pub struct Heard {
    pub messages: Vec<(ServiceId, Vec<u8>)>,
    pub link: Vec<LinkMessage>,
    pub end: bool,
}

impl Handler for Heard {
    type Error = Violation;

    fn proven(&mut self, _: PublicKey) -> Result<(), Violation> {
        Ok(())
    }

    fn hello(&mut self, _: Hello) -> Result<(), Violation> {
        Ok(())
    }

    fn link(&mut self, message: LinkMessage, _: &[u8]) -> Result<(), Violation> {
        self.link.push(message);
        Ok(())
    }

    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        self.messages.push((service, message.to_vec()));
        Ok(())
    }
}
