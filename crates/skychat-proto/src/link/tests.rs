use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::arbitrary;
use crate::limits::{MAX_AGENT, MAX_HELLO_LINE, MAX_LINE, MAX_LINK_MESSAGE, MAX_STATEMENT};

fn hello() -> Hello {
    Hello {
        incarnation: Incarnation::from_bytes([1; 8]),
        line: vec![Incarnation::from_bytes([2; 8])],
        line_complete: true,
        writer: WriterKind::Node,
        services: vec![ServiceId::LINK, ServiceId::SYNC, ServiceId::RANGE],
        agent: "skychatd 0.1".into(),
        statements: vec![],
    }
}

fn message() -> impl Strategy<Value = LinkMessage> {
    let line = || vec(arbitrary::incarnation(), 0..=MAX_HELLO_LINE);
    let hello = (
        arbitrary::incarnation(),
        line(),
        any::<bool>(),
        arbitrary::writer(),
        btree_set(any::<u16>(), 0..=64),
        "[a-zé]{0,32}",
        vec(vec(any::<u8>(), 0..100), 0..=8),
    )
        .prop_map(
            |(incarnation, line, line_complete, writer, services, agent, statements)| Hello {
                incarnation,
                line,
                line_complete,
                writer,
                services: services.into_iter().map(ServiceId::new).collect(),
                agent,
                statements: statements.into_iter().map(Bytes::from).collect(),
            },
        );
    let goodbye = prop::sample::select(vec![
        Goodbye::Stopping,
        Goodbye::Replaced,
        Goodbye::Stalled,
        Goodbye::Violation,
        Goodbye::NotAdmitted,
        Goodbye::Busy,
        Goodbye::Done,
        Goodbye::Other,
    ]);
    prop_oneof![
        hello.prop_map(LinkMessage::Hello),
        any::<u64>().prop_map(LinkMessage::Ping),
        any::<u64>().prop_map(LinkMessage::Pong),
        goodbye.prop_map(LinkMessage::Goodbye),
        arbitrary::incarnation().prop_map(|incarnation| LinkMessage::LineRequest { incarnation }),
        (arbitrary::incarnation(), line(), any::<bool>()).prop_map(
            |(incarnation, ancestors, complete)| LinkMessage::Line {
                incarnation,
                ancestors,
                complete,
            }
        ),
        arbitrary::signature().prop_map(LinkMessage::Proof),
    ]
}

#[test]
fn the_largest_messages_fit() {
    let line = LinkMessage::Line {
        incarnation: Incarnation::ZERO,
        ancestors: vec![Incarnation::ZERO; MAX_LINE],
        complete: false,
    };
    assert!(line.encode().len() <= MAX_LINK_MESSAGE);
    assert_eq!(LinkMessage::decode(&line.encode()), Ok(line));
    let largest = LinkMessage::Hello(Hello {
        line: vec![Incarnation::ZERO; MAX_HELLO_LINE],
        services: (u16::MAX - 63..=u16::MAX).map(ServiceId::new).collect(),
        agent: "x".repeat(MAX_AGENT),
        statements: vec![vec![0; MAX_STATEMENT].into(); 8],
        ..hello()
    });
    assert!(largest.encode().len() <= MAX_LINK_MESSAGE);
    assert_eq!(LinkMessage::decode(&largest.encode()), Ok(largest));
}

/// Changes one thing in an encoded hello.
fn refused(change: impl FnOnce(&mut crate::wire::generated::link::Hello)) -> DecodeError {
    use crate::wire::generated::link::{self as wire, link_message::Message as Kind};
    use prost::Message;
    let bytes = LinkMessage::Hello(hello()).encode();
    let mut message = wire::LinkMessage::decode(&bytes[..]).unwrap();
    match &mut message.message {
        Some(Kind::Hello(hello)) => change(hello),
        _ => unreachable!(),
    }
    LinkMessage::decode(&message.encode_to_vec()).unwrap_err()
}

#[test]
fn a_hello_is_checked_field_by_field() {
    let text = |error: DecodeError| error.to_string();
    assert_eq!(
        text(refused(|hello| hello.incarnation = Bytes::new())),
        "hello: found 0 bytes in `incarnation`, expected 8"
    );
    assert_eq!(
        text(refused(|hello| hello.incarnation = vec![0; 9].into())),
        "hello: found 9 in `incarnation`, expected at most 8"
    );
    assert_eq!(
        text(refused(|hello| hello.line = vec![0; 9].into())),
        "hello: found 9 bytes in `line`, expected 8"
    );
    assert_eq!(
        text(refused(|hello| hello.line = vec![0; 65 * 8].into())),
        "hello: found 520 in `line`, expected at most 512"
    );
    assert_eq!(
        text(refused(|hello| hello.writer = 3)),
        "hello: found `writer` that is none of the three"
    );
    assert_eq!(
        text(refused(|hello| hello.services = vec![2, 1])),
        "hello: found `services` that do not ascend"
    );
    assert_eq!(
        text(refused(|hello| hello.services = vec![65_536])),
        "hello: found 65536 in `services`, expected at most 65535"
    );
    assert_eq!(
        text(refused(|hello| hello.services = (0..65).collect())),
        "hello: found `services` more than 64 times"
    );
    assert_eq!(
        text(refused(|hello| hello.agent = "x".repeat(65))),
        "hello: found 65 in `agent`, expected at most 64"
    );
    assert_eq!(
        text(refused(|hello| hello.statements = vec![Bytes::new(); 9])),
        "hello: found `statements` more than 8 times"
    );
}

#[test]
fn later_kinds_of_message_are_skipped() {
    let unknown = LinkMessage::decode(&[0x7a, 2, 1, 2]);
    assert_eq!(unknown, Ok(LinkMessage::Unknown { kind: 15 }));
    assert!(LinkMessage::Unknown { kind: 15 }.encode().is_empty());
    assert!(LinkMessage::decode(&[]).is_err());
    // A field inside of a message that is known, too.
    let pong = LinkMessage::decode(&[0x1a, 12, 0x09, 7, 0, 0, 0, 0, 0, 0, 0, 0x12, 1, 9]);
    assert_eq!(pong, Ok(LinkMessage::Pong(7)));
    // A goodbye for a reason that is not known is a goodbye.
    let goodbye = LinkMessage::decode(&[0x22, 2, 0x08, 99]);
    assert_eq!(goodbye, Ok(LinkMessage::Goodbye(Goodbye::Other)));
}

proptest! {
    #[test]
    fn it_survives(message in message()) {
        let bytes = message.encode();
        prop_assert_eq!(LinkMessage::decode(&bytes), Ok(message));
        for end in 0..bytes.len() {
            prop_assert!(LinkMessage::decode(&bytes[..end]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(LinkMessage::decode(&longer).is_err());
    }

    #[test]
    fn a_changed_byte_does_no_harm(
        message in message(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = message.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(message) = LinkMessage::decode(&bytes) {
            let again = message.encode();
            let is_unknown = matches!(message, LinkMessage::Unknown { .. });
            prop_assert!(is_unknown || LinkMessage::decode(&again) == Ok(message));
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(kind in 0_u8..12, bytes in vec(any::<u8>(), 0..120)) {
        let _ = LinkMessage::decode(&bytes);
        let frame = [&[kind << 3 | 2, bytes.len() as u8][..], &bytes].concat();
        let _ = LinkMessage::decode(&frame);
    }
}
