//! The server with a router of its own: what does not depend on a node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use skychat_http::{Caps, Gate, Listener, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Server {
    addr: std::net::SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn server(caps: Caps) -> Server {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let addr = listener.local_addr();
    let gate = Gate::new(addr, Token::new(TOKEN).unwrap());
    let router = Router::new()
        .route("/v1/status", get(|| async { "well" }))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("as asked")
                }
            }),
        )
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                "late"
            }),
        )
        .route("/big", get(|| async { vec![b'x'; 64 * 1024 * 1024] }));
    let stop = CancellationToken::new();
    let task = tokio::spawn(listener.serve(gate, router, caps, stop.clone()));
    Server { addr, stop, task }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    fn head(&self, path: &str, more: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{more}\r\n", self.addr)
    }

    fn good(&self, path: &str) -> String {
        self.head(
            path,
            &format!("Authorization: Bearer {TOKEN}\r\nConnection: close\r\n"),
        )
    }

    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }
}

/// What comes until the connection ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset ends it as well as an orderly close.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn the_gate_stands_before_the_routes() {
    let server = server(Caps::default()).await;
    let answer = server.ask(&server.good("/v1/status")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("cache-control: no-store"), "{answer}");
    assert!(
        answer.contains("x-content-type-options: nosniff"),
        "{answer}"
    );
    assert!(
        !answer.to_lowercase().contains("access-control"),
        "{answer}"
    );

    for path in ["/v1/status", "/nowhere", "/"] {
        let answer = server.ask(&server.head(path, "")).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
        assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
        assert!(answer.contains("\"code\":\"unauthorized\""), "{answer}");
    }
    let foreign = format!(
        "GET /v1/status HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    let answer = server.ask(&foreign).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("\"code\":\"forbidden\""), "{answer}");
    let none = format!("GET /v1/status HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    assert!(server.ask(&none).await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn garbage_gets_an_error_and_is_closed() {
    let server = server(Caps::default()).await;
    for garbage in [
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}",
        "GET\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = server.ask(garbage).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    let many: String = (0..100).map(|n| format!("X-{n}: y\r\n")).collect();
    let answer = server.ask(&server.head("/v1/status", &many)).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let long = format!("X-Long: {}\r\n", "y".repeat(100_000));
    let answer = server.ask(&server.head("/v1/status", &long)).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    assert!(
        server
            .ask(&server.good("/v1/status"))
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn f13_a_head_that_drips_is_closed() {
    let server = server(Caps {
        head: Duration::from_millis(300),
        ..Caps::default()
    })
    .await;
    let mut stream = server.connect().await;
    let start = Instant::now();
    let drip = async {
        for byte in server.good("/v1/status").bytes() {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        rest(&mut stream).await
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), drip).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(!answer.unwrap_or_default().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn f13_those_without_a_token_push_out_each_other_only() {
    let server = server(Caps {
        unproven: 10,
        ..Caps::default()
    })
    .await;
    // One that has shown the token and keeps its connection.
    let mut kept = server.connect().await;
    let again = server.head("/v1/status", &format!("Authorization: Bearer {TOKEN}\r\n"));
    kept.write_all(again.as_bytes()).await.unwrap();
    let mut buffer = [0; 4_096];
    assert!(kept.read(&mut buffer).await.unwrap() > 0);

    let mut drips = Vec::new();
    for _ in 0..50 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HT").await.unwrap();
        drips.push(stream);
        // Others come through all the while.
        let answer = server.ask(&server.good("/v1/status")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // The oldest are closed, the newest are not.
    assert_eq!(rest(&mut drips[0]).await, "");
    let newest =
        tokio::time::timeout(Duration::from_millis(200), drips[49].read(&mut buffer)).await;
    assert!(newest.is_err(), "{newest:?}");
    kept.write_all(again.as_bytes()).await.unwrap();
    assert!(kept.read(&mut buffer).await.unwrap() > 0);
}

#[tokio::test]
async fn connections_are_capped() {
    let server = server(Caps {
        connections: 3,
        ..Caps::default()
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET").await.unwrap();
        open.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.ask(&server.good("/v1/status")).await, "");
    open.pop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        server
            .ask(&server.good("/v1/status"))
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn c34_a_client_that_does_not_read_is_closed() {
    let server = server(Caps {
        stall: Duration::from_millis(500),
        ..Caps::default()
    })
    .await;
    let mut stream = server.connect().await;
    stream
        .write_all(server.good("/big").as_bytes())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let got = rest(&mut stream).await;
    assert!(got.len() < 64 * 1024 * 1024, "{}", got.len());
    assert!(
        server
            .ask(&server.good("/v1/status"))
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn f18_a_panic_loses_its_connection_only() {
    let server = server(Caps::default()).await;
    assert_eq!(server.ask(&server.good("/panic")).await, "");
    assert!(
        server
            .ask(&server.good("/v1/status"))
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_stop_lets_a_request_finish() {
    let server = server(Caps::default()).await;
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(server.good("/slow").as_bytes())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.cancel();
    assert!(rest(&mut busy).await.ends_with("late"));
    assert_eq!(rest(&mut idle).await, "");
    tokio::time::timeout(Duration::from_secs(1), server.task)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(server.addr).await.is_err());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = Listener::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let error = Listener::bind(first.local_addr()).await.unwrap_err();
    assert!(error.is_in_use());
    assert!(error.to_string().contains(&first.local_addr().to_string()));
}
