//! The hot path in memory: a message is queued, sealed, opened, and handed to a handler.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::{Incarnation, ServiceId};
use skychat_proto::link::{Hello, LinkMessage};
use skychat_proto::open::WriterKind;
use skychat_transport::{
    Backend, Handler, Initiator, LinkIdentity, LinkKeys, MESSAGE_1, MESSAGE_2, MESSAGE_3, Outbound,
    Receiver, RekeyLimits, SealingKey, Suite, Violation, respond,
};

use crate::aead::Raw;
use crate::sample::{head, in_turn, line, seconds_each};

/// One direction of a link, both ends of it.
pub(crate) struct Path {
    queue: Outbound,
    turn: Vec<Vec<u8>>,
    seal: SealingKey,
    receiver: Receiver,
    seen: Seen,
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

pub(crate) fn identity(n: u8, backend: Backend) -> LinkIdentity {
    LinkIdentity::new(Arc::new(SecretKey::from_seed([n; 32])), backend)
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

/// A whole handshake in memory, the proof included.
pub(crate) fn handshake(ann: &LinkIdentity, bob: &LinkIdentity) -> (LinkKeys, LinkKeys) {
    let limits = RekeyLimits::default();
    let (mut first, mut second, mut third) = ([0; MESSAGE_1], [0; MESSAGE_2], [0; MESSAGE_3]);
    let initiator = Initiator {
        identity: ann,
        peer: bob.public(),
        suite: Suite::ChaChaPoly,
        limits,
    };
    let waiting = initiator.start([3; 32], &mut first).unwrap();
    let answering = respond(bob, limits, [4; 32], &first, &mut second).unwrap();
    let (ann, expected) = waiting.finish(&second, &mut third).unwrap();
    let (bob, proof) = answering.finish(&third).unwrap().accept().unwrap();
    expected.check(&proof).unwrap();
    (ann, bob)
}

impl Path {
    pub(crate) fn new(backend: Backend) -> Self {
        let (ann, bob) = (identity(1, backend), identity(2, backend));
        let (ann, bob) = handshake(&ann, &bob);
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

    /// Takes one message from queue to handler, in a record of its own.
    pub(crate) fn pass(&mut self, message: &[u8]) {
        self.queue.push(ServiceId::RANGE, &[message]).unwrap();
        self.flush();
    }

    /// Takes `times` messages, as many to a record as fit.
    pub(crate) fn pass_packed(&mut self, message: &[u8], times: usize) {
        for _ in 0..times {
            self.queue.push(ServiceId::RANGE, &[message]).unwrap();
        }
        self.flush();
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

const SPAN: Duration = Duration::from_millis(40);

/// Bytes a second of one direction of the AEAD at 64 KiB.
pub(crate) fn one_way(raw: &Raw) -> f64 {
    let mut text = vec![0x5a; 65_519];
    65_519.0 * 2.0 / seconds_each(SPAN, || raw.seal_and_open(black_box(&mut text)))
}

pub(crate) fn compare() {
    head(
        "in memory: queue, seal, open, handler, one message a record; against the raw AEAD",
        "of raw",
    );
    for &backend in Backend::BUILT_IN {
        let raw = Raw::of(backend);
        for (name, payload, target) in [
            ("64 B", 64, ""),
            ("1 KiB", 1024, ""),
            ("16 KiB record", 16_384 - 5, ">= 0.95"),
        ] {
            let mut path = Path::new(backend);
            let message = vec![0x5a; payload];
            let mut text = vec![0x5a; payload + 5];
            let [ours, bare] = in_turn(15, |candidate| match candidate {
                0 => seconds_each(SPAN, || path.pass(black_box(&message))),
                _ => seconds_each(SPAN, || raw.seal_and_open(black_box(&mut text))),
            });
            let figure = format!("{:.0} ns", ours * 1e9);
            let what = format!("{}, {name}", backend.name());
            line(&what, &figure, bare / ours, target);
        }
        let mut path = Path::new(backend);
        let mut text = vec![0x5a; 65_519];
        let [packed, bare] = in_turn(9, |candidate| match candidate {
            0 => seconds_each(SPAN, || path.pass_packed(&[0x5a; 64], 900)) / 900.0,
            _ => seconds_each(SPAN, || raw.seal_and_open(black_box(&mut text))),
        });
        let what = format!("{}, 64 B frames, 900 a record", backend.name());
        let share = bare * (69.0 * 900.0 / 65_519.0) / 900.0;
        line(
            &what,
            &format!("{:.1} ns a frame", packed * 1e9),
            share / packed,
            "",
        );
    }
    println!();
}
