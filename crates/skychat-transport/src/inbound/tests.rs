use proptest::prelude::*;
use skychat_proto::ids::Incarnation;
use skychat_proto::open::WriterKind;

use super::*;
use crate::testing::{Finished, ann, bob, handshake};
use crate::{Backend, Outbound, RekeyLimits, SealingKey};

const LIMITS: RekeyLimits = RekeyLimits {
    records: 5,
    bytes: 1 << 30,
};

/// Writes down what it is handed.
#[derive(Debug, Default, PartialEq)]
struct Log(Vec<Said>);

#[derive(Debug, PartialEq, Clone)]
enum Said {
    Proven,
    Hello,
    Link(LinkMessage),
    Message(ServiceId, Vec<u8>),
}

impl Handler for Log {
    type Error = Violation;

    fn proven(&mut self, _: PublicKey) -> Result<(), Violation> {
        self.0.push(Said::Proven);
        Ok(())
    }

    fn hello(&mut self, _: Hello) -> Result<(), Violation> {
        self.0.push(Said::Hello);
        Ok(())
    }

    fn link(&mut self, message: LinkMessage, bytes: &[u8]) -> Result<(), Violation> {
        assert_eq!(message.encode(), bytes);
        self.0.push(Said::Link(message));
        Ok(())
    }

    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        if message == b"stop" {
            return Err(Violation::new("TEST-1", "asked for"));
        }
        self.0.push(Said::Message(service, message.to_vec()));
        Ok(())
    }
}

fn hello() -> LinkMessage {
    LinkMessage::Hello(Hello {
        incarnation: Incarnation::from_bytes([1; 8]),
        line: Vec::new(),
        line_complete: true,
        writer: WriterKind::Node,
        services: vec![ServiceId::SYNC, ServiceId::RANGE],
        agent: String::new(),
        statements: Vec::new(),
    })
}

fn finished() -> Finished {
    let backend = Backend::default();
    handshake(&ann(backend), &bob(backend), LIMITS)
}

/// One record with these messages.
fn record(key: &mut SealingKey, messages: &[(ServiceId, &[u8])]) -> Vec<u8> {
    let mut queue = Outbound::new(Default::default());
    for (service, message) in messages {
        queue.push_last(*service, &[message]).unwrap();
    }
    let mut turn = Vec::new();
    queue.take(&mut turn);
    assert_eq!(turn.len(), 1);
    key.seal(&mut turn[0]).unwrap();
    turn.remove(0)
}

fn link(message: &LinkMessage) -> Vec<u8> {
    message.encode()
}

/// The receiving side of whoever was dialled; and what dials it.
fn dialled() -> (Receiver, SealingKey) {
    let done = finished();
    let services = [ServiceId::SYNC, ServiceId::RANGE];
    (Receiver::new(done.bob.open, None, &services), done.ann.seal)
}

fn take(receiver: &mut Receiver, wire: &mut [u8]) -> (Log, Result<Received, Violation>) {
    let mut log = Log::default();
    let taken = receiver.record(&mut wire[LENGTH..], &mut log);
    (log, taken)
}

#[test]
fn link_7_proof_then_hello_then_the_rest_in_one_record() {
    let mut done = finished();
    let proof = link(&LinkMessage::Proof(done.proof));
    let hello = link(&hello());
    let mut wire = record(
        &mut done.bob.seal,
        &[
            (ServiceId::LINK, &proof),
            (ServiceId::LINK, &hello),
            (ServiceId::RANGE, b"and on"),
            (ServiceId::new(700), b"later version"),
        ],
    );
    let services = [ServiceId::RANGE];
    let mut receiver = Receiver::new(done.ann.open, Some(done.expected), &services);
    assert!(!receiver.is_up());
    let (log, taken) = take(&mut receiver, &mut wire);
    let expected = Received {
        frames: 4,
        messages: 1,
        unknown: 1,
    };
    assert_eq!(taken, Ok(expected));
    let message = Said::Message(ServiceId::RANGE, b"and on".to_vec());
    assert_eq!(log.0, [Said::Proven, Said::Hello, message]);
    assert!(receiver.is_up());
}

#[test]
fn link_7_nothing_comes_before_proof_and_hello() {
    let hello = link(&hello());
    let ping = link(&LinkMessage::Ping(1));
    let unknown = [0xfa, 0x07, 0x00];
    let early: [&[(ServiceId, &[u8])]; 6] = [
        &[(ServiceId::RANGE, b"early")],
        &[(ServiceId::RANGE, &[7; 20_000])],
        &[(ServiceId::new(900), b"of a later version")],
        &[(ServiceId::LINK, &ping)],
        &[(ServiceId::LINK, &unknown)],
        &[(ServiceId::LINK, b"\xff")],
    ];
    for messages in early {
        let (mut receiver, mut seal) = dialled();
        let (log, taken) = take(&mut receiver, &mut record(&mut seal, messages));
        assert_eq!(taken.unwrap_err().rule(), "LINK-7", "{messages:?}");
        assert_eq!(log.0, []);
        // Too late now.
        let (log, taken) = take(
            &mut receiver,
            &mut record(&mut seal, &[(ServiceId::LINK, &hello)]),
        );
        assert!(taken.is_err());
        assert_eq!(log.0, []);
    }
    // The initiator takes nothing before the proof, not even the hello.
    for messages in early
        .into_iter()
        .chain([&[(ServiceId::LINK, &hello[..])][..]])
    {
        let mut done = finished();
        let mut receiver = Receiver::new(done.ann.open, Some(done.expected), &[ServiceId::RANGE]);
        let (log, taken) = take(&mut receiver, &mut record(&mut done.bob.seal, messages));
        assert!(taken.is_err(), "{messages:?}");
        assert_eq!(log.0, []);
    }
}

#[test]
fn link_1_a_false_proof_ends_the_link() {
    let mut done = finished();
    let mut bytes = done.proof.to_bytes();
    bytes[0] ^= 1;
    let false_proof = LinkMessage::Proof(skychat_identity::Signature::from_bytes(bytes));
    let mut wire = record(
        &mut done.bob.seal,
        &[(ServiceId::LINK, &link(&false_proof))],
    );
    let mut receiver = Receiver::new(done.ann.open, Some(done.expected), &[]);
    let (log, taken) = take(&mut receiver, &mut wire);
    assert_eq!(taken.unwrap_err().rule(), "LINK-1");
    assert_eq!(log.0, []);
}

#[test]
fn link_7_a_second_proof_is_refused_and_a_second_hello_is_news() {
    let (mut receiver, mut seal) = dialled();
    let hello_bytes = link(&hello());
    let twice = [
        (ServiceId::LINK, &hello_bytes[..]),
        (ServiceId::LINK, &hello_bytes),
    ];
    let (log, taken) = take(&mut receiver, &mut record(&mut seal, &twice));
    taken.unwrap();
    assert_eq!(log.0, [Said::Hello, Said::Link(hello())]);
    let proof = link(&LinkMessage::Proof(finished().proof));
    let (_, taken) = take(
        &mut receiver,
        &mut record(&mut seal, &[(ServiceId::LINK, &proof)]),
    );
    assert_eq!(taken.unwrap_err().rule(), "LINK-7");
}

#[test]
fn kinds_of_later_versions_are_skipped() {
    let (mut receiver, mut seal) = dialled();
    let hello = link(&hello());
    let unknown = [0xfa, 0x07, 0x00];
    let messages = [(ServiceId::LINK, &hello[..]), (ServiceId::LINK, &unknown)];
    let (log, taken) = take(&mut receiver, &mut record(&mut seal, &messages));
    taken.unwrap();
    assert_eq!(log.0, [Said::Hello]);
}

#[test]
fn what_the_handler_refuses_ends_the_link() {
    let (mut receiver, mut seal) = dialled();
    let hello = link(&hello());
    let messages = [
        (ServiceId::LINK, &hello[..]),
        (ServiceId::RANGE, b"go"),
        (ServiceId::RANGE, b"stop"),
        (ServiceId::RANGE, b"on"),
    ];
    let (log, taken) = take(&mut receiver, &mut record(&mut seal, &messages));
    assert_eq!(taken.unwrap_err().rule(), "TEST-1");
    assert_eq!(log.0.len(), 2);
    assert!(!receiver.is_up());
}

/// A stream of records of every size, with what it says.
fn stream() -> (Vec<u8>, Vec<Said>, Receiver) {
    let (receiver, mut seal) = dialled();
    let mut queue = Outbound::new(Default::default());
    let mut wire = Vec::new();
    let mut said = vec![Said::Hello];
    queue.push(ServiceId::LINK, &[&link(&hello())]).unwrap();
    for size in [0, 1, 300, 16_384, 16_385, 70_000, 3] {
        let mut turn = Vec::new();
        queue.take(&mut turn);
        for record in &mut turn {
            seal.seal(record).unwrap();
            wire.extend_from_slice(record);
        }
        let message = vec![size as u8; size];
        queue.push(ServiceId::RANGE, &[&message]).unwrap();
        said.push(Said::Message(ServiceId::RANGE, message));
    }
    said.pop();
    (wire, said, receiver)
}

/// Feeds `wire` in pieces, as a driver does.
fn feed<'a>(
    receiver: &mut Receiver,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Log, usize), Violation> {
    let (mut buffer, mut log) = (InBuffer::default(), Log::default());
    let mut lent = Vec::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            if !buffer.has_buffer() {
                buffer.lend(std::mem::take(&mut lent));
            }
            let space = buffer.space();
            assert!(space.len() > crate::MAX_BODY);
            let some = piece.len().min(space.len());
            space[..some].copy_from_slice(&piece[..some]);
            buffer.filled(some);
            piece = &piece[some..];
            while let Some(record) = buffer.next_record()? {
                receiver.record(record, &mut log)?;
            }
        }
        lent = buffer.take_back().unwrap_or_default();
        if lent.is_empty() {
            lent = buffer.shrink().unwrap_or_default();
        }
    }
    Ok((log, buffer.held()))
}

#[test]
fn link_4_bytes_may_come_one_at_a_time() {
    let (wire, said, mut receiver) = stream();
    let (log, held) = feed(&mut receiver, wire.chunks(1)).unwrap();
    assert_eq!(log.0, said);
    assert_eq!(held, 0);
}

#[test]
fn link_4_bytes_may_come_all_at_once() {
    let (wire, said, mut receiver) = stream();
    let (log, held) = feed(&mut receiver, [&wire[..]]).unwrap();
    assert_eq!(log.0, said);
    assert_eq!(held, 0);
}

/// A stream that is cut gives what is whole before the cut, and never a part.
#[test]
fn link_4_a_cut_at_any_byte_loses_no_more_than_is_cut() {
    let (wire, said, _) = stream();
    let mut last = 0;
    for cut in (0..wire.len()).step_by(if cfg!(feature = "aws-lc") { 251 } else { 2503 }) {
        let (_, _, mut receiver) = stream();
        let (log, _) = feed(&mut receiver, [&wire[..cut]]).unwrap();
        assert_eq!(log.0, said[..log.0.len()]);
        assert!(log.0.len() >= last);
        last = log.0.len();
    }
    assert!(last + 1 >= said.len());
}

/// The same at every single byte of small records.
#[test]
fn link_4_a_cut_at_every_byte_of_a_record() {
    let build = || {
        let (receiver, mut seal) = dialled();
        let hello = link(&hello());
        let first = record(&mut seal, &[(ServiceId::LINK, &hello)]);
        let second = record(
            &mut seal,
            &[(ServiceId::RANGE, b"whole"), (ServiceId::SYNC, b"too")],
        );
        (receiver, [first, second])
    };
    let (_, [first, second]) = build();
    for cut in 0..=second.len() {
        let (mut receiver, _) = build();
        let pieces = [&first[..], &second[..cut]];
        let (log, held) = feed(&mut receiver, pieces).unwrap();
        if cut == second.len() {
            assert_eq!((log.0.len(), held), (3, 0));
        } else {
            assert_eq!((log.0.len(), held), (1, cut));
        }
    }
}

#[test]
fn link_4_lengths_that_no_record_has() {
    for length in 0..=TAG as u16 {
        let mut buffer = InBuffer::default();
        buffer.lend(Vec::new());
        buffer.space()[..2].copy_from_slice(&length.to_be_bytes());
        buffer.filled(2);
        assert_eq!(
            buffer.next_record().unwrap_err().rule(),
            "LINK-4",
            "{length}"
        );
    }
}

/// The longest record fits whatever came before it, and never makes the buffer grow.
#[test]
fn the_buffer_never_grows() {
    let mut buffer = InBuffer::default();
    buffer.lend(Vec::new());
    let mut total = 0;
    for _ in 0..50 {
        for length in [17_u16, 65_535, 40_000, 65_535] {
            let wire = [&length.to_be_bytes()[..], &vec![0; length.into()]].concat();
            for piece in wire.chunks(50_001) {
                assert!(buffer.space().len() >= piece.len());
                buffer.space()[..piece.len()].copy_from_slice(piece);
                buffer.filled(piece.len());
            }
            total += buffer.next_record().unwrap().unwrap().len();
        }
    }
    assert_eq!(buffer.take_back().unwrap().len(), READ_BUFFER);
    assert_eq!(total, 50 * (17 + 65_535 + 40_000 + 65_535));
    assert!(buffer.take_back().is_none());
    assert!(buffer.shrink().is_none());
    assert!(buffer.space().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn link_4_bytes_may_come_in_any_pieces(
        sizes in prop::collection::vec(prop_oneof![1..40_usize, 1000..70_000_usize], 1..20),
    ) {
        let (wire, said, mut receiver) = stream();
        let mut pieces = Vec::new();
        let mut rest = &wire[..];
        for size in sizes.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, left) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = left;
        }
        let (log, held) = feed(&mut receiver, pieces).unwrap();
        prop_assert_eq!(log.0, said);
        prop_assert_eq!(held, 0);
    }
}
