//! What is fuzzed here: everything that takes bytes of a peer, as plain functions.
//! `fuzz/fuzz_targets/*.rs` hand them what libFuzzer makes up, and `tests/fuzz_corpus.rs` replays
//! `fuzz/corpus` on stable.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fuzz target that panics has found something"
)]

use std::sync::{Arc, LazyLock};

use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::{Incarnation, ServiceId};
use skychat_proto::link::{Hello, LinkMessage};
use skychat_proto::open::WriterKind;
use skychat_transport::{
    AwaitClaim, AwaitProof, AwaitReply, Backend, Handler, InBuffer, Initiator, LinkIdentity,
    LinkKeys, MAX_PLAINTEXT, MESSAGE_1, MESSAGE_2, MESSAGE_3, Receiver, RekeyLimits, SealingKey,
    Suite, Violation, respond,
};

pub(crate) type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub(crate) const TARGETS: [(&str, Target); 3] = [
    ("noise_initiator_bytes", noise_initiator_bytes),
    ("noise_responder_bytes", noise_responder_bytes),
    ("record_deframer", record_deframer),
];

static ANN: LazyLock<LinkIdentity> = LazyLock::new(|| identity(0x00));
static BOB: LazyLock<LinkIdentity> = LazyLock::new(|| identity(0x20));
/// Often enough to matter in short runs.
const LIMITS: RekeyLimits = RekeyLimits {
    records: 3,
    bytes: 1 << 20,
};

fn counted(first: u8) -> [u8; 32] {
    std::array::from_fn(|n| first.wrapping_add(n as u8))
}

fn identity(first: u8) -> LinkIdentity {
    let secret = Arc::new(SecretKey::from_seed(counted(first)));
    LinkIdentity::new(secret, Backend::default())
}

/// Suite 2 where it is asked for and to be had: builds without its backend fuzz the other one.
fn suite(mode: u8) -> Suite {
    match mode & 4 != 0 && Backend::default().offers(Suite::AesGcm) {
        true => Suite::AesGcm,
        false => Suite::ChaChaPoly,
    }
}

fn dial(suite: Suite) -> (AwaitReply, [u8; MESSAGE_1]) {
    let mut out = [0; MESSAGE_1];
    let initiator = Initiator {
        identity: &ANN,
        peer: BOB.public(),
        suite,
        limits: LIMITS,
    };
    (initiator.start(counted(0x40), &mut out).unwrap(), out)
}

fn answer(first: &[u8; MESSAGE_1]) -> Option<(AwaitClaim, [u8; MESSAGE_2])> {
    let mut out = [0; MESSAGE_2];
    let state = respond(&BOB, LIMITS, counted(0x60), first, &mut out).ok()?;
    Some((state, out))
}

/// The first bytes of `data` stand for `real`: as they are if `raw`, else as changes to it.
/// Returns what is left, and whether anything differs from `real`.
fn mix<'a>(raw: bool, data: &'a [u8], real: &mut [u8]) -> (&'a [u8], bool) {
    let (mine, rest) = data.split_at(data.len().min(real.len()));
    let before = real.to_vec();
    for (byte, other) in real.iter_mut().zip(mine) {
        *byte = if raw { *other } else { *byte ^ *other };
    }
    (rest, before != real)
}

/// A responder is sent messages 1 and 3, of either suite, made up or changed from real ones, then records.
pub(crate) fn noise_responder_bytes(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else {
        return;
    };
    let (waiting, mut first) = dial(suite(mode));
    let (data, changed) = mix(mode & 1 != 0, data, &mut first);
    let Some((state, reply)) = answer(&first) else {
        assert!(changed);
        return;
    };
    assert!(!changed, "message 1 changed, and accepted");
    let mut third = [0; MESSAGE_3];
    let (LinkKeys { seal, .. }, _) = waiting.finish(&reply, &mut third).unwrap();
    let (data, changed) = mix(mode & 2 != 0, data, &mut third);
    match state.finish(&third) {
        Ok(claimed) => {
            assert!(!changed, "message 3 changed, and accepted");
            assert_eq!(claimed.peer(), ANN.public());
            let (keys, _) = claimed.accept().unwrap();
            records(seal, keys, None, data);
        }
        Err(_) => assert!(changed),
    }
}

/// An initiator of either suite is sent message 2, made up or changed, then records.
pub(crate) fn noise_initiator_bytes(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else {
        return;
    };
    let (waiting, first) = dial(suite(mode));
    let (state, mut reply) = answer(&first).unwrap();
    let (data, changed) = mix(mode & 1 != 0, data, &mut reply);
    let mut third = [0; MESSAGE_3];
    match waiting.finish(&reply, &mut third) {
        Ok((keys, proof)) => {
            assert!(!changed, "message 2 changed, and accepted");
            let (LinkKeys { seal, .. }, _) = state.finish(&third).unwrap().accept().unwrap();
            records(seal, keys, Some(proof), data);
        }
        Err(_) => assert!(changed),
    }
}

/// A link that is up is sent records, sealed or not, in pieces of any size: what comes of it does
/// not depend on the pieces.
pub(crate) fn record_deframer(data: &[u8]) {
    let Some((&sizes, data)) = data.split_first() else {
        return;
    };
    let run = |piece: usize| {
        let (waiting, first) = dial(Suite::ChaChaPoly);
        let (state, reply) = answer(&first).unwrap();
        let mut third = [0; MESSAGE_3];
        let (mut ann, _) = waiting.finish(&reply, &mut third).unwrap();
        let (bob, _) = state.finish(&third).unwrap().accept().unwrap();
        let hello = LinkMessage::Hello(hello()).encode();
        let mut wire = sealed(&mut ann.seal, &frame(ServiceId::LINK, &hello));
        // The first byte says how many records of what follows are sealed; the rest goes as it is.
        let (sealed_records, mut rest) = match data.split_first() {
            Some((&count, rest)) => (count & 7, rest),
            None => (0, data),
        };
        for _ in 0..sealed_records {
            let Some((&length, after)) = rest.split_first() else {
                break;
            };
            let (frames, after) = after.split_at(after.len().min(usize::from(length)));
            if !frames.is_empty() {
                wire.extend(sealed(&mut ann.seal, frames));
            }
            rest = after;
        }
        wire.extend_from_slice(rest);
        feed(bob, None, &wire, piece)
    };
    assert_eq!(run(usize::from(sizes).max(1)), run(usize::MAX));
}

fn hello() -> Hello {
    Hello {
        incarnation: Incarnation::from_bytes([1; 8]),
        line: Vec::new(),
        line_complete: true,
        writer: WriterKind::Node,
        services: Vec::new(),
        agent: String::new(),
        statements: Vec::new(),
    }
}

fn frame(service: ServiceId, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&service.get().to_be_bytes()[..], &[0], &length, payload].concat()
}

fn sealed(seal: &mut SealingKey, frames: &[u8]) -> Vec<u8> {
    let frames = &frames[..frames.len().min(MAX_PLAINTEXT)];
    let mut record = [&[0; 2], frames, &[0; 16]].concat();
    seal.seal(&mut record).unwrap();
    record
}

/// What follows the handshake: `data` as the frames of one record.
fn records(mut seal: SealingKey, keys: LinkKeys, proof: Option<AwaitProof>, data: &[u8]) {
    if !data.is_empty() {
        feed(keys, proof, &sealed(&mut seal, data), usize::MAX);
    }
}

/// What the receiving side has seen, and how it ended.
fn feed(
    keys: LinkKeys,
    proof: Option<AwaitProof>,
    wire: &[u8],
    piece: usize,
) -> (Seen, Option<Violation>, usize) {
    let services = [ServiceId::SYNC, ServiceId::RANGE];
    let mut receiver = Receiver::new(keys.open, proof, &services);
    let mut buffer = InBuffer::default();
    let mut seen = Seen::default();
    buffer.lend(Vec::new());
    for mut part in wire.chunks(piece.min(wire.len()).max(1)) {
        while !part.is_empty() {
            let space = buffer.space();
            let some = part.len().min(space.len());
            assert!(some > 0);
            space[..some].copy_from_slice(&part[..some]);
            buffer.filled(some);
            part = &part[some..];
            loop {
                match buffer.next_record() {
                    Ok(Some(record)) => {
                        if let Err(violation) = receiver.record(record, &mut seen) {
                            assert!(receiver.record(&mut [0; 40], &mut seen).is_err());
                            return (seen, Some(violation), 0);
                        }
                    }
                    Ok(None) => break,
                    Err(violation) => return (seen, Some(violation), 0),
                }
            }
        }
    }
    let held = buffer.held();
    assert!(held <= 65_537);
    (seen, None, held)
}

/// Counts what it is handed, and holds it against the order of the beginning.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    proven: bool,
    up: bool,
    link: Vec<LinkMessage>,
    messages: Vec<(ServiceId, Vec<u8>)>,
}

impl Handler for Seen {
    type Error = Violation;

    fn proven(&mut self, peer: PublicKey) -> Result<(), Violation> {
        assert_eq!(peer, BOB.public());
        assert!(!self.proven && !self.up);
        self.proven = true;
        Ok(())
    }

    fn hello(&mut self, _: Hello) -> Result<(), Violation> {
        assert!(!self.up);
        self.up = true;
        Ok(())
    }

    fn link(&mut self, message: LinkMessage, _: &[u8]) -> Result<(), Violation> {
        assert!(self.up);
        self.link.push(message);
        Ok(())
    }

    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        assert!(self.up);
        assert!(service == ServiceId::SYNC || service == ServiceId::RANGE);
        self.messages.push((service, message.to_vec()));
        Ok(())
    }
}
