//! The event stream against a server that plays a script.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

use std::time::Duration;

use skychat_api::{Code, Cursor, Event};
use skychat_client::{Client, ClientError, Daemon, EventQuery, Start, StreamItem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n";

/// Answers one connection after the other with these texts; gives back what was asked.
async fn script(answers: Vec<String>) -> (Client, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let served = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            asked.push(String::from_utf8(head).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (Client::new(Daemon::at(&addr, TOKEN).unwrap()), served)
}

fn unknown(n: u64) -> String {
    // A type only a newer node has.
    format!("{{\"v\":1,\"type\":\"weather\",\"cursor\":\"0a0a0a0a-{n}\"}}\n")
}

/// An incarnation event, with a cursor.
fn event(n: u64) -> String {
    let key = skychat_identity::SecretKey::from_seed([7; 32]).public();
    format!(
        "{{\"v\":1,\"type\":\"incarnation\",\"cursor\":\"0a0a0a0a-{n}\",\"peer\":\"{key}\",\
         \"incarnation\":\"0101010101010101\",\"known\":\"0202020202020202\"}}\n"
    )
}

fn number(event: &Event) -> u64 {
    event.cursor().unwrap().seq().get()
}

#[tokio::test]
async fn a_lost_connection_is_taken_up_behind_the_last_event() {
    let position = "Skychat-Cursor: 0a0a0a0a-5\r\n\r\n";
    let torn = event(8);
    let (client, served) = script(vec![
        // Nothing at all, then two events and the beginning of a third, then one of them again.
        format!("{STREAM}{position}\n\n"),
        format!(
            "{STREAM}{position}{}\n{}{}",
            event(6),
            event(7),
            &torn[..40]
        ),
        format!("{STREAM}\r\n{}{}{}", event(7), event(8), event(9)),
    ])
    .await;
    let mut stream = client.events(EventQuery::default()).await.unwrap();
    let (mut numbers, mut pauses) = (Vec::new(), Vec::new());
    while numbers.len() < 4 {
        match stream.next().await.unwrap() {
            StreamItem::Event(event) => numbers.push(number(&event)),
            StreamItem::Interrupted { pause, .. } => pauses.push(pause),
        }
    }
    assert_eq!(numbers, [6, 7, 8, 9]);
    // It begins anew after something was heard.
    assert_eq!(pauses, [Duration::from_secs(1), Duration::from_secs(1)][..]);
    assert_eq!(stream.cursor(), Some("0a0a0a0a-9".parse().unwrap()));
    let asked = served.await.unwrap();
    assert!(asked[0].starts_with("GET /v1/events HTTP"), "{}", asked[0]);
    assert!(
        asked[1].starts_with("GET /v1/events?after=0a0a0a0a-5 HTTP"),
        "{}",
        asked[1]
    );
    assert!(
        asked[2].starts_with("GET /v1/events?after=0a0a0a0a-7 HTTP"),
        "{}",
        asked[2]
    );
    let token = format!("authorization: Bearer {TOKEN}");
    assert!(asked.iter().all(|head| head.contains(&token)), "{asked:?}");
}

#[tokio::test]
async fn pauses_double() {
    let (client, served) = script(vec![format!("{STREAM}\r\n"), format!("{STREAM}\r\n")]).await;
    let mut stream = client
        .events(EventQuery {
            start: Start::First,
            types: vec!["message".into()],
            notices: true,
        })
        .await
        .unwrap();
    for expected in [1, 2] {
        match stream.next().await.unwrap() {
            StreamItem::Interrupted { pause, error } => {
                assert_eq!(pause.as_secs(), expected);
                assert_eq!(error.code(), Code::NoDaemon);
            }
            StreamItem::Event(event) => panic!("{event:?}"),
        }
    }
    let asked = served.await.unwrap();
    let path = "GET /v1/events?after=first&types=message&notices=true HTTP";
    assert!(asked.iter().all(|head| head.starts_with(path)), "{asked:?}");
}

#[tokio::test]
async fn a_gap_of_the_log_moves_the_place() {
    let gap = "{\"v\":1,\"type\":\"gap\",\"cause\":\"unknown_cursor\",\"after\":\"0b0b0b0b-90\",\
               \"resume\":\"0a0a0a0a-3\"}\n";
    let (client, _served) = script(vec![format!("{STREAM}\r\n{gap}{}", event(4))]).await;
    let start = Start::After("0b0b0b0b-90".parse::<Cursor>().unwrap());
    let mut stream = client
        .events(EventQuery {
            start,
            ..EventQuery::default()
        })
        .await
        .unwrap();
    assert!(matches!(stream.next().await.unwrap(), StreamItem::Event(_)));
    match stream.next().await.unwrap() {
        StreamItem::Event(event) => assert_eq!(number(&event), 4),
        StreamItem::Interrupted { error, .. } => panic!("{error}"),
    }
}

#[tokio::test]
async fn what_waiting_cannot_mend_is_an_error() {
    let refused = "{\"v\":1,\"code\":\"unauthorized\",\"message\":\"no\"}";
    let refused = format!(
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n{refused}",
        refused.len()
    );
    let (client, _served) = script(vec![refused.clone(), refused]).await;
    let error = client.events(EventQuery::default()).await.unwrap_err();
    assert_eq!((error.code(), error.code().exit()), (Code::Unauthorized, 7));

    let (client, _served) = script(vec![format!("{STREAM}\r\nnot JSON\n")]).await;
    let mut stream = client.events(EventQuery::default()).await.unwrap();
    assert!(matches!(
        stream.next().await,
        Err(ClientError::NotUnderstood { .. })
    ));

    let (client, _served) = script(vec![format!(
        "{STREAM}\r\n{}",
        "x".repeat(1024 * 1024 + 65_536)
    )])
    .await;
    let mut stream = client.events(EventQuery::default()).await.unwrap();
    assert!(matches!(
        stream.next().await,
        Err(ClientError::NotUnderstood { .. })
    ));

    let other = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned();
    let (client, _served) = script(vec![other]).await;
    assert!(matches!(
        client.status().await,
        Err(ClientError::NotUnderstood { .. })
    ));
}

#[tokio::test]
async fn types_that_are_no_words_are_not_even_asked_for() {
    let client = Client::new(Daemon::at("127.0.0.1:1", TOKEN).unwrap());
    for odd in ["", "a b", "a&notices=true", "Message"] {
        let query = EventQuery {
            types: vec![odd.into()],
            ..EventQuery::default()
        };
        assert_eq!(
            client.events(query).await.unwrap_err().code(),
            Code::BadRequest,
            "{odd:?}"
        );
    }
}

#[tokio::test]
async fn types_of_a_newer_node_are_given_too() {
    let (client, _served) = script(vec![format!("{STREAM}\r\n{}{}", unknown(1), event(2))]).await;
    let mut stream = client.events(EventQuery::default()).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(stream.next().await.unwrap(), StreamItem::Event(_)));
    }
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = Client::new(Daemon::at(&addr, TOKEN).unwrap());
    let error = client.status().await.unwrap_err();
    assert_eq!((error.code(), error.code().exit()), (Code::NoDaemon, 4));
    assert!(error.is_temporary());
}
