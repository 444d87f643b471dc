//! Every shape: through JSON and back unchanged, exact examples, and each word in the documentation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use skychat_api::*;
use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::{EventSeq, Incarnation, MessageId, Position, Seq, SpaceId, Timestamp};

fn key() -> impl Strategy<Value = PublicKey> {
    any::<u8>().prop_map(|seed| SecretKey::from_seed([seed; 32]).public())
}

fn space() -> impl Strategy<Value = SpaceId> {
    any::<[u8; 32]>().prop_map(SpaceId::from_bytes)
}

fn life() -> impl Strategy<Value = Incarnation> {
    any::<[u8; 8]>().prop_map(Incarnation::from_bytes)
}

fn id() -> impl Strategy<Value = MessageId> {
    any::<[u8; 16]>().prop_map(MessageId::from_bytes)
}

fn seq() -> impl Strategy<Value = Seq> {
    any::<u64>().prop_map(Seq::new)
}

fn position() -> impl Strategy<Value = Position> {
    any::<u64>().prop_map(Position::new)
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_millis)
}

fn cursor() -> impl Strategy<Value = Cursor> {
    (life(), any::<u64>()).prop_map(|(life, seq)| Cursor::new(life, EventSeq::new(seq)))
}

fn record() -> impl Strategy<Value = RecordId> {
    (any::<u64>(), any::<u16>()).prop_map(|(group, index)| RecordId { group, index })
}

fn word<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        Just(Delivery::Queued),
        Just(Delivery::Accepted),
        Just(Delivery::Relayed),
        word(Kept::ALL).prop_map(|kept| Delivery::Stored { kept }),
        Just(Delivery::Read),
        word(FailCause::ALL).prop_map(|cause| Delivery::Failed { cause }),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        any::<String>().prop_map(Body::Text),
        any::<u16>().prop_map(Body::Unsupported),
        word(Missing::ALL).prop_map(Body::Missing),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    (life(), seq()).prop_map(|(incarnation, seq)| Place { incarnation, seq })
}

fn message() -> impl Strategy<Value = Message> {
    let head = (
        proptest::option::of(cursor()),
        proptest::option::of(record()),
        word(Direction::ALL),
        key(),
        proptest::option::of(key()),
        space(),
    );
    let rest = (
        id(),
        body(),
        timestamp(),
        delivery(),
        proptest::collection::btree_set(word(Mark::ALL), 0..4),
        proptest::option::of(place()),
    );
    (head, rest).prop_map(|((cursor, record, direction, from, to, space), rest)| {
        let (message_id, body, time, delivery, marks, place) = rest;
        Message {
            cursor,
            record,
            direction,
            from,
            to,
            space,
            message_id,
            body,
            time,
            delivery,
            marks,
            place,
        }
    })
}

fn gap() -> impl Strategy<Value = GapCause> {
    prop_oneof![
        (key(), space(), life(), position(), position()).prop_map(
            |(author, space, incarnation, from, to)| GapCause::Dropped {
                author,
                space,
                incarnation,
                from,
                to
            }
        ),
        (key(), space(), life(), position(), position()).prop_map(
            |(author, space, incarnation, from, to)| GapCause::Unavailable {
                author,
                space,
                incarnation,
                from,
                to
            }
        ),
        (key(), space(), life(), seq()).prop_map(|(author, space, incarnation, seq)| {
            GapCause::Mismatch {
                author,
                space,
                incarnation,
                seq,
            }
        }),
        (cursor(), cursor()).prop_map(|(after, resume)| GapCause::Retention { after, resume }),
        (cursor(), cursor()).prop_map(|(after, resume)| GapCause::UnknownCursor { after, resume }),
    ]
}

fn refused() -> impl Strategy<Value = RefusedEntry> {
    (seq(), proptest::option::of(id()), word(FailCause::ALL)).prop_map(
        |(seq, message_id, cause)| RefusedEntry {
            seq,
            message_id,
            cause,
        },
    )
}

fn state() -> impl Strategy<Value = StateChange> {
    (
        (cursor(), space(), key(), life()),
        (position(), position(), delivery()),
        proptest::collection::vec(id(), 0..4),
        proptest::collection::vec(refused(), 0..3),
    )
        .prop_map(
            |((cursor, space, member, incarnation), (from, to, delivery), ids, refused)| {
                StateChange {
                    cursor,
                    space,
                    member,
                    incarnation,
                    from,
                    to,
                    delivery,
                    message_ids: ids,
                    refused,
                }
            },
        )
}

fn link() -> impl Strategy<Value = LinkChange> {
    let text = || proptest::option::of(any::<String>());
    (
        key(),
        word(LinkState::ALL),
        word(Direction::ALL),
        text(),
        text(),
    )
        .prop_map(|(peer, link, direction, addr, reason)| LinkChange {
            peer,
            link,
            direction,
            addr,
            reason,
        })
}

fn kind() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        message().prop_map(EventKind::Message),
        state().prop_map(EventKind::State),
        (cursor(), key(), life(), life()).prop_map(|(cursor, peer, incarnation, known)| {
            EventKind::Incarnation(Branch {
                cursor,
                peer,
                incarnation,
                known,
            })
        }),
        (cursor(), key(), life(), life()).prop_map(|(cursor, peer, a, b)| {
            EventKind::Clone(Cloned {
                cursor,
                peer,
                incarnations: [a, b],
            })
        }),
        (proptest::option::of(cursor()), gap())
            .prop_map(|(cursor, cause)| EventKind::Gap(Gap { cursor, cause })),
        (cursor(), key(), space(), life(), position()).prop_map(
            |(cursor, author, space, incarnation, common)| {
                EventKind::Fork(Fork {
                    cursor,
                    author,
                    space,
                    incarnation,
                    common,
                })
            }
        ),
        (
            cursor(),
            space(),
            life(),
            position(),
            position(),
            any::<bool>()
        )
            .prop_map(|(cursor, space, incarnation, from, to, foreign)| {
                EventKind::Recovered(Recovered {
                    cursor,
                    space,
                    incarnation,
                    from,
                    to,
                    foreign,
                })
            }),
        link().prop_map(EventKind::Link),
        (key(), space(), any::<u64>(), any::<u64>()).prop_map(|(peer, space, held, offered)| {
            EventKind::Sync(SyncProgress {
                peer,
                space,
                held,
                offered,
            })
        }),
        (key(), word(LimitCause::ALL))
            .prop_map(|(peer, cause)| EventKind::Limited(Limited { peer, cause })),
        any::<u64>().prop_map(|notices| EventKind::Missed(Missed { notices })),
        (key(), life(), cursor()).prop_map(|(public_key, incarnation, last)| {
            EventKind::Ready(Ready {
                public_key,
                incarnation,
                last,
            })
        }),
        Just(EventKind::Stopping(Stopping {})),
    ]
}

fn waits() -> impl Strategy<Value = WaitReason> {
    prop_oneof![
        Just(WaitReason::InFlight),
        Just(WaitReason::NoAddress),
        proptest::option::of(timestamp()).prop_map(|since| WaitReason::Offline { since }),
        Just(WaitReason::NotAdmitted),
        word(LimitCause::ALL).prop_map(|cause| WaitReason::Limited { cause }),
        Just(WaitReason::NoKey),
    ]
}

fn peer() -> impl Strategy<Value = PeerStatus> {
    (
        (key(), any::<bool>(), any::<bool>(), any::<Vec<String>>()),
        (
            any::<u64>(),
            proptest::option::of(waits()),
            proptest::option::of(any::<String>()),
        ),
    )
        .prop_map(
            |((peer, configured, linked, addresses), (owed, waits, last_error))| PeerStatus {
                peer,
                configured,
                linked,
                addresses,
                owed,
                waits,
                last_error,
            },
        )
}

fn link_status() -> impl Strategy<Value = LinkStatus> {
    let addr = proptest::option::of(any::<String>());
    (
        key(),
        addr,
        word(Direction::ALL),
        life(),
        timestamp(),
        any::<u64>(),
        any::<u64>(),
    )
        .prop_map(
            |(peer, addr, direction, incarnation, since, received, sent)| LinkStatus {
                peer,
                addr,
                direction,
                incarnation,
                since,
                received,
                sent,
            },
        )
}

fn status() -> impl Strategy<Value = Status> {
    let store = (
        proptest::option::of(any::<String>()),
        any::<u64>(),
        any::<u64>(),
        cursor(),
        any::<bool>(),
    )
        .prop_map(
            |(path, bytes, commits, last_event, index_opening)| StoreStatus {
                path,
                bytes,
                commits,
                last_event,
                index_opening,
            },
        );
    let listen = (any::<String>(), any::<String>(), any::<bool>())
        .prop_map(|(carrier, addr, up)| ListenStatus { carrier, addr, up });
    (
        (
            any::<String>(),
            key(),
            word(IdentitySource::ALL),
            life(),
            word(WriterKind::ALL),
        ),
        (
            any::<u64>(),
            (any::<u32>(), any::<u64>()),
            word(Admission::ALL),
            any::<Vec<String>>(),
            store,
        ),
        proptest::collection::vec(listen, 0..3),
        proptest::collection::vec(link_status(), 0..3),
        proptest::collection::vec(peer(), 0..3),
    )
        .prop_map(|(who, how, listen, links, peers)| {
            let (version, public_key, identity, incarnation, writer) = who;
            let (uptime_ms, (pid, tasks), admission, degraded, store) = how;
            Status {
                v: V1,
                version,
                public_key,
                identity,
                incarnation,
                writer,
                uptime_ms,
                pid,
                tasks,
                listen,
                admission,
                links,
                peers,
                store,
                degraded,
            }
        })
}

fn request() -> impl Strategy<Value = SendRequest> {
    (
        key(),
        any::<String>(),
        proptest::option::of(id()),
        proptest::option::of(word(WaitFor::ALL)),
        proptest::option::of(any::<u64>()),
    )
        .prop_map(|(to, text, message_id, wait, timeout_ms)| SendRequest {
            to,
            text,
            message_id,
            wait,
            timeout_ms,
        })
}

fn response() -> impl Strategy<Value = SendResponse> {
    (
        (id(), delivery(), proptest::option::of(place())),
        (
            proptest::option::of(key()),
            proptest::option::of(any::<u64>()),
            proptest::option::of(any::<String>()),
        ),
    )
        .prop_map(
            |((message_id, delivery, place), (by, elapsed_us, via))| SendResponse {
                v: V1,
                message_id,
                delivery,
                place,
                by,
                elapsed_us,
                via,
            },
        )
}

fn error() -> impl Strategy<Value = ErrorBody> {
    (
        proptest::sample::select(Code::all().collect::<Vec<_>>()),
        any::<String>(),
        proptest::option::of((id(), proptest::option::of(delivery()))),
        proptest::option::of(any::<u64>()),
    )
        .prop_map(|(code, message, about, retry)| {
            let mut body = ErrorBody::new(code, message);
            if let Some((id, delivery)) = about {
                body = body.about(id, delivery);
            }
            if let Some(retry) = retry {
                body = body.retry_after(retry);
            }
            body
        })
}

/// Through JSON and back; the JSON is one line.
fn same<T>(value: &T) -> Result<(), TestCaseError>
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let json = serde_json::to_string(value).unwrap();
    prop_assert!(!json.contains(['\n', '\r']), "{}", json);
    let back = serde_json::from_str::<T>(&json);
    prop_assert!(back.is_ok(), "{}: {}", back.unwrap_err(), json);
    prop_assert_eq!(&back.unwrap(), value);
    Ok(())
}

proptest! {
    #[test]
    fn events_round_trip(kind in kind()) {
        let event = Event::new(kind);
        same(&event)?;
        let json = serde_json::to_value(&event).unwrap();
        prop_assert_eq!(EventKind::DURABLE.contains(&event.kind.word()), !event.is_notice());
        prop_assert_eq!(json.get("type").and_then(|v| v.as_str()), Some(event.kind.word()));
        let cursor = json.get("cursor").and_then(|v| v.as_str()).map(str::to_owned);
        prop_assert_eq!(cursor, event.cursor().map(|cursor| cursor.to_string()));
    }

    #[test]
    fn messages_round_trip(message in message(), before in proptest::option::of(record())) {
        same(&message)?;
        // The history row and the event have one shape.
        let row = serde_json::to_value(&message).unwrap();
        let mut event = serde_json::to_value(Event::new(EventKind::Message(message.clone()))).unwrap();
        let fields = event.as_object_mut().unwrap();
        fields.remove("v");
        fields.remove("type");
        prop_assert_eq!(event, row);
        same(&History { v: V1, messages: vec![message.clone()], before })?;
        let conversation = Conversation {
            space: message.space, peer: message.to, messages: 3, last: Some(message),
        };
        same(&Conversations { v: V1, conversations: vec![conversation] })?;
    }

    #[test]
    fn statuses_round_trip(status in status()) {
        same(&status)?;
    }

    #[test]
    fn sends_round_trip(request in request(), response in response()) {
        same(&request)?;
        same(&response)?;
    }

    #[test]
    fn errors_round_trip(error in error()) {
        same(&error)?;
    }

    #[test]
    fn reading_never_panics(text in "\\PC{0,64}|\\{\"v\":1,\"type\":\"[a-z]{0,9}\"[^\\x00]{0,32}\\}") {
        let _ = serde_json::from_str::<Event>(&text);
        let _ = serde_json::from_str::<SendRequest>(&text);
        let _ = serde_json::from_str::<ErrorBody>(&text);
    }
}

#[test]
fn a_message_event_to_the_letter() {
    let ann = SecretKey::from_seed([1; 32]).public();
    let bob = SecretKey::from_seed([2; 32]).public();
    let life = Incarnation::from_bytes([0xab; 8]);
    let event = Event::new(EventKind::Message(Message {
        cursor: Some(Cursor::new(life, EventSeq::new(7))),
        record: Some(RecordId {
            group: 12,
            index: 1,
        }),
        direction: Direction::In,
        from: ann,
        to: Some(bob),
        space: SpaceId::from_bytes([3; 32]),
        message_id: MessageId::from_bytes([4; 16]),
        body: Body::Text("hello".into()),
        time: Timestamp::from_millis(1_700_000_000_000),
        delivery: Delivery::Stored { kept: Kept::Disk },
        marks: [Mark::Late].into(),
        place: Some(Place {
            incarnation: life,
            seq: Seq::new(u64::MAX),
        }),
    }));
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        format!(
            "{{\"v\":1,\"type\":\"message\",\"cursor\":\"abababab-7\",\"record\":\"12-1\",\
             \"direction\":\"in\",\"from\":\"{ann}\",\"to\":\"{bob}\",\"space\":\"{}\",\
             \"message_id\":\"{}\",\"text\":\"hello\",\"time\":1700000000000,\"state\":\"stored\",\
             \"kept\":\"disk\",\"marks\":[\"late\"],\"place\":{{\"incarnation\":\"abababababababab\",\
             \"seq\":\"18446744073709551615\"}}}}",
            "03".repeat(32),
            "04".repeat(16),
        )
    );
}

#[test]
fn a_newer_node_is_read() {
    let event: Event =
        serde_json::from_str(r#"{"v":1,"type":"weather","cursor":"00000000-1","sky":"blue"}"#)
            .unwrap();
    assert_eq!(event.kind, EventKind::Unknown);
    let error: ErrorBody =
        serde_json::from_str(r#"{"v":1,"code":"busy","message":"m","later":true}"#).unwrap();
    assert_eq!(error.code, Code::Busy);
    assert!(serde_json::from_str::<ErrorBody>(r#"{"v":2,"code":"busy","message":"m"}"#).is_err());
}

#[test]
fn a_request_is_read_strictly() {
    let to = SecretKey::from_seed([1; 32]).public();
    let read = |rest: &str| {
        serde_json::from_str::<SendRequest>(&format!(r#"{{"to":"{to}","text":"t"{rest}}}"#))
    };
    assert!(read("").is_ok());
    assert_eq!(
        read(r#","wait":"stored-disk""#).unwrap().wait,
        Some(WaitFor::Stored)
    );
    for rest in [
        r#","wiat":"stored""#,
        r#","wait":"soon""#,
        r#","message_id":"0102""#,
        r#","message_id":"0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A""#,
        r#","timeout_ms":-1"#,
        r#","timeout_ms":"5""#,
        r#","text":"twice""#,
    ] {
        assert!(read(rest).is_err(), "{rest}");
    }
    let shown = format!(
        "{:?}",
        read(r#","message_id":"00000000000000000000000000000001""#).unwrap()
    );
    assert!(
        shown.contains("1 bytes") && !shown.contains("\"t\""),
        "{shown}"
    );
    let upper = to.to_string().to_uppercase();
    assert!(
        serde_json::from_str::<SendRequest>(&format!(r#"{{"to":"{upper}","text":"t"}}"#)).is_err()
    );
}

/// Every word a client may meet is in the page people read.
#[test]
fn every_word_is_documented() {
    let page = include_str!("../../../docs/control-api.md");
    let mut words = BTreeSet::new();
    words.extend(Code::all().map(Code::word));
    macro_rules! all {
        ($($name:ident),+) => { $(words.extend($name::ALL.iter().map(|word| word.word()));)+ };
    }
    all!(
        Admission,
        Direction,
        FailCause,
        IdentitySource,
        Kept,
        LimitCause,
        LinkState,
        Mark,
        Missing,
        WaitFor,
        WriterKind
    );
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..2_000 {
        let mut draw =
            |strategy: &dyn Fn(&mut proptest::test_runner::TestRunner) -> &'static str| {
                words.insert(strategy(&mut runner));
            };
        draw(&|runner| kind().new_tree(runner).unwrap().current().word());
        draw(&|runner| gap().new_tree(runner).unwrap().current().word());
        draw(&|runner| waits().new_tree(runner).unwrap().current().word());
        draw(&|runner| delivery().new_tree(runner).unwrap().current().word());
        draw(&|runner| match body().new_tree(runner).unwrap().current() {
            Body::Text(_) => "text",
            Body::Unsupported(_) => "unsupported",
            _ => "missing",
        });
    }
    let missing: Vec<_> = words
        .into_iter()
        .filter(|word| !page.contains(&format!("`{word}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "not in docs/control-api.md: {missing:?}"
    );
}

/// And every field.
#[test]
fn every_field_is_documented() {
    fn collect(value: &serde_json::Value, fields: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(object) => {
                for (name, value) in object {
                    fields.insert(name.clone());
                    collect(value, fields);
                }
            }
            serde_json::Value::Array(values) => values.iter().for_each(|v| collect(v, fields)),
            _ => {}
        }
    }
    let page = include_str!("../../../docs/control-api.md");
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut fields = BTreeSet::new();
    for _ in 0..300 {
        macro_rules! add {
            ($($strategy:expr),+) => {$(
                let value = $strategy.new_tree(&mut runner).unwrap().current();
                collect(&serde_json::to_value(value).unwrap(), &mut fields);
            )+};
        }
        add!(kind(), status(), request(), response(), error());
    }
    fields.extend(["messages", "before", "conversations", "last", "peer"].map(str::to_owned));
    let missing: Vec<_> = fields
        .into_iter()
        .filter(|field| !page.contains(&format!("`{field}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "not in docs/control-api.md: {missing:?}"
    );
}
