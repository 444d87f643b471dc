//! Our side without sockets: who we are, a handshake, and the way of a message from the queue to
//! the handler.

use std::hint::black_box;
use std::sync::Arc;

use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::{Incarnation, ServiceId};
use skychat_proto::link::{Hello, LinkMessage};
use skychat_proto::open::WriterKind;
use skychat_transport::{
    Backend, Handler, Initiator, LinkIdentity, LinkKeys, MESSAGE_1, MESSAGE_2, MESSAGE_3, Outbound,
    Receiver, RekeyLimits, SealingKey, Suite, Violation, respond,
};

/// With which cipher something is sealed: like is compared with like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    None,
    ChaCha,
    Aes,
}

/// One way to set up our links.
#[derive(Clone, Copy)]
pub(crate) struct Ours {
    pub(crate) name: &'static str,
    pub(crate) backend: Backend,
    pub(crate) suite: Suite,
    pub(crate) cipher: Cipher,
}

/// The first is the default of programs.
const ALL: [Ours; 3] = [
    Ours {
        name: "aws-lc",
        backend: Backend::AwsLc,
        suite: Suite::ChaChaPoly,
        cipher: Cipher::ChaCha,
    },
    Ours {
        name: "rust-crypto",
        backend: Backend::RustCrypto,
        suite: Suite::ChaChaPoly,
        cipher: Cipher::ChaCha,
    },
    Ours {
        name: "aws-lc-aes",
        backend: Backend::AwsLc,
        suite: Suite::AesGcm,
        cipher: Cipher::Aes,
    },
];

impl Ours {
    /// What is measured: the last one only where the processor has instructions for it.
    pub(crate) fn all() -> &'static [Ours] {
        match ALL.split_last() {
            Some((last, others)) if !last.backend.offers(last.suite) => others,
            _ => &ALL,
        }
    }

    /// The one that peers with this cipher are judged against, if there is one.
    pub(crate) fn rival(cipher: Cipher) -> Option<usize> {
        Ours::all().iter().position(|ours| ours.cipher == cipher)
    }
}

/// The `n`th of those who dial and are dialled.
pub(crate) fn identity(n: u16, backend: Backend) -> LinkIdentity {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&n.to_le_bytes());
    LinkIdentity::new(Arc::new(SecretKey::from_seed(seed)), backend)
}

pub(crate) fn hello() -> Hello {
    Hello {
        incarnation: Incarnation::from_bytes([1; 8]),
        line: Vec::new(),
        line_complete: true,
        writer: WriterKind::Node,
        services: vec![ServiceId::SYNC, ServiceId::RANGE],
        agent: String::new(),
        statements: Vec::new(),
    }
}

/// A whole handshake in memory, both proofs included.
pub(crate) fn handshake(
    suite: Suite,
    ann: &LinkIdentity,
    bob: &LinkIdentity,
) -> (LinkKeys, LinkKeys) {
    let limits = RekeyLimits::default();
    let (mut first, mut second, mut third) = ([0; MESSAGE_1], [0; MESSAGE_2], [0; MESSAGE_3]);
    let initiator = Initiator {
        identity: ann,
        peer: bob.public(),
        suite,
        limits,
    };
    let waiting = initiator.start([3; 32], &mut first).unwrap();
    let answering = respond(bob, limits, [4; 32], &first, &mut second).unwrap();
    let (ann, expected) = waiting.finish(&second, &mut third).unwrap();
    let (bob, proof) = answering.finish(&third).unwrap().accept().unwrap();
    expected.check(&proof).unwrap();
    (ann, bob)
}

struct Seen(usize);

impl Handler for Seen {
    type Error = Violation;

    fn proven(&mut self, _: PublicKey) -> Result<(), Violation> {
        Ok(())
    }

    fn hello(&mut self, _: Hello) -> Result<(), Violation> {
        Ok(())
    }

    fn link(&mut self, _: LinkMessage, _: &[u8]) -> Result<(), Violation> {
        Ok(())
    }

    fn message(&mut self, _: ServiceId, message: &[u8]) -> Result<(), Violation> {
        self.0 += black_box(message).len();
        Ok(())
    }
}

/// One direction of a link, both ends of it.
pub(crate) struct Path {
    queue: Outbound,
    turn: Vec<Vec<u8>>,
    seal: SealingKey,
    receiver: Receiver,
    seen: Seen,
}

impl Path {
    pub(crate) fn new(ours: Ours) -> Self {
        let (ann, bob) = (identity(1, ours.backend), identity(2, ours.backend));
        let (ann, bob) = handshake(ours.suite, &ann, &bob);
        let mut path = Path {
            queue: Outbound::new(Arc::default()),
            turn: Vec::new(),
            seal: ann.seal,
            receiver: Receiver::new(bob.open, None, &hello().services),
            seen: Seen(0),
        };
        let hello = LinkMessage::Hello(hello()).encode();
        path.queue.push(ServiceId::LINK, &[&hello]).unwrap();
        path.flush();
        path
    }

    /// Takes `times` messages from queue to handler, as many to a record as fit.
    pub(crate) fn pass(&mut self, message: &[u8], times: usize) {
        let before = self.seen.0;
        for _ in 0..times {
            self.queue.push(ServiceId::RANGE, &[message]).unwrap();
        }
        self.flush();
        assert_eq!(self.seen.0 - before, message.len() * times);
    }

    fn flush(&mut self) {
        let bytes = self.queue.take(&mut self.turn);
        for record in &mut self.turn {
            self.seal.seal(record).unwrap();
            if let Some(body) = record.get_mut(2..) {
                self.receiver.record(body, &mut self.seen).unwrap();
            }
        }
        self.queue.written(bytes);
        self.queue.recycle(&mut self.turn);
    }
}
