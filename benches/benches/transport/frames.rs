//! The hot path in memory: a record is sealed and opened; and all of the way, on which a message is queued, sealed,
//! opened, and handed to a handler.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::{Incarnation, ServiceId};
use skychat_proto::link::{Hello, LinkMessage};
use skychat_proto::open::WriterKind;
use skychat_transport::{
    Backend, Handler, Initiator, LinkIdentity, LinkKeys, MESSAGE_1, MESSAGE_2, MESSAGE_3,
    OpeningKey, Outbound, Receiver, RekeyLimits, SealingKey, Suite, Violation, respond,
};

use skychat_benches::{Better, Report, Row, cpu_seconds_each, in_turn};

use crate::aead::{Kind, Raw, kinds};
use crate::part::Amount;

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

impl Path {
    pub(crate) fn new(kind: Kind) -> Self {
        let (ann, bob) = (identity(1, kind.backend), identity(2, kind.backend));
        let (ann, bob) = handshake(kind.suite, &ann, &bob);
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

/// The keys of one direction of a link, and one record that they seal and open in place.
struct Record {
    seal: SealingKey,
    open: OpeningKey,
    /// Room for the length, the frames, room for the tag.
    bytes: Vec<u8>,
}

impl Record {
    fn new(kind: Kind, text: usize) -> Self {
        let (ann, bob) = (identity(1, kind.backend), identity(2, kind.backend));
        let (ann, bob) = handshake(kind.suite, &ann, &bob);
        Record {
            seal: ann.seal,
            open: bob.open,
            bytes: vec![0x5a; 2 + text + 16],
        }
    }

    fn pass(&mut self) {
        self.seal.seal(black_box(&mut self.bytes)).unwrap();
        if let Some(body) = self.bytes.get_mut(2..) {
            black_box(self.open.open(body).unwrap());
        }
    }
}

/// Bytes a second of one direction of the AEAD at 64 KiB.
pub(crate) fn one_way(raw: &Raw, amount: Amount) -> f64 {
    let mut text = vec![0x5a; 65_519];
    let seconds = cpu_seconds_each(span(amount), || raw.seal_and_open(black_box(&mut text)));
    65_519.0 * 2.0 / seconds
}

/// Of one sample. They are short and many, since the processor of a virtual machine keeps its speed for less than a
/// second at times.
fn span(amount: Amount) -> Duration {
    Duration::from_millis(amount.of(4, 1))
}

fn rounds(amount: Amount) -> usize {
    amount.of(121, 1)
}

/// Frames of a record and the bytes of their headers: what the AEAD sees of a message.
fn sealed_size(payload: usize) -> usize {
    payload + 5 * payload.div_ceil(16_384)
}

/// What is sealed at once: a kilobyte, the longest frame, and what fills a record (64 KiB without its tag).
const TEXTS: [(&str, usize, f64); 3] = [
    ("1KiB", 1024, 0.92),
    ("16KiB", 16_384, 0.97),
    ("64KiB", 65_519, 0.97),
];

/// Messages, and what the way of one may cost beside the raw AEAD: one copy into the queue, and of what is longer than
/// a frame one more at the other end, where its fragments are put together.
const MESSAGES: [(&str, usize, Option<f64>); 4] = [
    ("64B", 64, None),
    ("1KiB", 1024, Some(0.92)),
    ("16KiB", 16_384 - 5, Some(0.90)),
    // What fills a record, without the headers of its four frames.
    ("64KiB", 65_519 - 20, Some(0.90)),
];

pub(crate) fn compare(report: &mut Report, amount: Amount) {
    report.section(
        "in memory: seal and open a record",
        "raw AEAD of the same library on the same bytes",
    );
    for kind in kinds() {
        let raw = Raw::of(kind);
        for (size, bytes, target) in TEXTS {
            let mut record = Record::new(kind, bytes);
            let mut text = vec![0x5a; bytes];
            let [ours, bare] = in_turn(rounds(amount), |candidate| match candidate {
                0 => cpu_seconds_each(span(amount), || record.pass()),
                _ => cpu_seconds_each(span(amount), || raw.seal_and_open(black_box(&mut text))),
            });
            let id = format!("sealed/{}/{size}", kind.name);
            show(
                report,
                id,
                kind,
                size,
                ours,
                bare / ours,
                judged(kind, target),
            );
        }
    }
    report.section(
        "in memory: queue, seal, open, handler, one message a record",
        "raw AEAD of the same library on the same bytes",
    );
    for kind in kinds() {
        let raw = Raw::of(kind);
        for (size, payload, target) in MESSAGES {
            let mut path = Path::new(kind);
            let message = vec![0x5a; payload];
            let mut text = vec![0x5a; sealed_size(payload)];
            let [ours, bare] = in_turn(rounds(amount), |candidate| match candidate {
                0 => cpu_seconds_each(span(amount), || path.pass(black_box(&message))),
                _ => cpu_seconds_each(span(amount), || raw.seal_and_open(black_box(&mut text))),
            });
            let id = format!("memory/{}/{size}", kind.name);
            let target = target.and_then(|least| judged(kind, least));
            show(report, id, kind, size, ours, bare / ours, target);
        }
        let mut path = Path::new(kind);
        let mut text = vec![0x5a; 65_519];
        let [packed, bare] = in_turn(rounds(amount), |candidate| match candidate {
            0 => cpu_seconds_each(span(amount), || path.pass_packed(&[0x5a; 64], 900)) / 900.0,
            _ => cpu_seconds_each(span(amount), || raw.seal_and_open(black_box(&mut text))),
        });
        let share = bare * (69.0 * 900.0 / 65_519.0) / 900.0;
        let id = format!("memory/{}/64B-packed", kind.name);
        let size = "64 B frames, 900 a record";
        show(report, id, kind, size, packed, share / packed, None);
    }
}

/// A copy of 16 KiB alone is a twentieth of what AES takes for it: suite 2 has no target.
fn judged(kind: Kind, least: f64) -> Option<f64> {
    (kind.suite == Suite::ChaChaPoly).then_some(least)
}

fn show(
    report: &mut Report,
    id: String,
    kind: Kind,
    size: &str,
    seconds: f64,
    ratio: f64,
    target: Option<f64>,
) {
    let row = Row::shown(id, format!("{}, {size}", kind.name), seconds * 1e9, "ns");
    report.row(match target {
        Some(least) => row.at_least(ratio, least),
        None => row.ratio(ratio, Better::Higher),
    });
}
