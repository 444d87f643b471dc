//! The control surface of a real daemon, byte by byte.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::*;
use serde_json::Value;
use skychat_identity::SecretKey;

/// A request and its whole answer.
fn ask(
    daemon: &Daemon,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(daemon.http()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text += &format!("Host: {}\r\n", daemon.http());
    }
    if !headers.iter().any(|(name, _)| *name == "Authorization") {
        text += &format!("Authorization: Bearer {}\r\n", daemon.token());
    }
    if method == "POST" {
        text += &format!("Content-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Content-Type") {
            text += "Content-Type: application/json\r\n";
        }
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    stream
        .write_all(format!("{text}\r\n{body}").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

fn error(answer: &(u16, String, String)) -> (u16, String) {
    let document: Value = serde_json::from_str(&answer.2).unwrap_or_default();
    assert_eq!(document["v"], 1, "{answer:?}");
    (
        answer.0,
        document["code"].as_str().unwrap_or("?").to_owned(),
    )
}

#[test]
fn every_mistake_has_its_answer() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let bob = SecretKey::from_seed([9; 32]).public();
    let own = daemon.key();
    let check = |expected: (u16, &str),
                 method: &str,
                 target: &str,
                 headers: &[(&str, &str)],
                 body: &str| {
        let answer = ask(&daemon, method, target, headers, body);
        assert_eq!(
            error(&answer),
            (expected.0, expected.1.to_owned()),
            "{method} {target} {headers:?}: {answer:?}"
        );
    };
    // Who is let in.
    check(
        (403, "forbidden"),
        "GET",
        "/v1/status",
        &[("Host", "evil.example")],
        "",
    );
    check(
        (403, "forbidden"),
        "GET",
        "/v1/status",
        &[("Origin", "null")],
        "",
    );
    check(
        (403, "forbidden"),
        "POST",
        "/v1/messages",
        &[("Sec-Fetch-Site", "cross-site")],
        "{}",
    );
    check(
        (401, "unauthorized"),
        "GET",
        "/v1/status",
        &[("Authorization", "Bearer x")],
        "",
    );
    check(
        (401, "unauthorized"),
        "GET",
        "/nowhere",
        &[("Authorization", "")],
        "",
    );
    check(
        (415, "unsupported_media_type"),
        "POST",
        "/v1/messages",
        &[("Content-Type", "text/plain")],
        "{}",
    );
    // Routes.
    check((404, "not_found"), "GET", "/v1/nowhere", &[], "");
    check((404, "not_found"), "GET", "/", &[], "");
    check(
        (405, "method_not_allowed"),
        "DELETE",
        "/v1/messages",
        &[],
        "",
    );
    check((405, "method_not_allowed"), "POST", "/v1/status", &[], "{}");
    check((400, "bad_request"), "GET", "/v1/status?token=x", &[], "");
    // Sending.
    let send = |rest: &str| format!("{{\"to\":\"{bob}\"{rest}}}");
    check((400, "bad_request"), "POST", "/v1/messages", &[], "");
    check((400, "bad_request"), "POST", "/v1/messages", &[], &send(""));
    check(
        (400, "bad_text"),
        "POST",
        "/v1/messages",
        &[],
        &send(",\"text\":\"\""),
    );
    check(
        (400, "malformed_key"),
        "POST",
        "/v1/messages",
        &[],
        "{\"to\":\"bob\",\"text\":\"x\"}",
    );
    check(
        (400, "own_key"),
        "POST",
        "/v1/messages",
        &[],
        &format!("{{\"to\":\"{own}\",\"text\":\"x\"}}"),
    );
    check(
        (400, "malformed_id"),
        "POST",
        "/v1/messages",
        &[],
        &send(",\"text\":\"x\",\"message_id\":\"5\""),
    );
    let long = "x".repeat(66_000);
    check(
        (413, "too_large"),
        "POST",
        "/v1/messages",
        &[],
        &send(&format!(",\"text\":\"{long}\"")),
    );
    let huge = "x".repeat(300_000);
    check(
        (413, "too_large"),
        "POST",
        "/v1/messages",
        &[],
        &send(&format!(",\"text\":\"{huge}\"")),
    );
    // Reading.
    check((400, "bad_request"), "GET", "/v1/messages", &[], "");
    check(
        (400, "malformed_key"),
        "GET",
        "/v1/messages?peer=bob",
        &[],
        "",
    );
    check(
        (400, "own_key"),
        "GET",
        &format!("/v1/messages?peer={own}"),
        &[],
        "",
    );
    check(
        (400, "malformed_cursor"),
        "GET",
        &format!("/v1/messages?peer={bob}&before=x"),
        &[],
        "",
    );
    for limit in ["0", "257", "x", "-1"] {
        check(
            (400, "bad_request"),
            "GET",
            &format!("/v1/messages?peer={bob}&limit={limit}"),
            &[],
            "",
        );
    }
    check(
        (400, "malformed_cursor"),
        "GET",
        "/v1/events?after=7",
        &[],
        "",
    );
    check(
        (400, "malformed_cursor"),
        "GET",
        "/v1/events",
        &[("Last-Event-ID", "7")],
        "",
    );
    check(
        (400, "bad_request"),
        "GET",
        "/v1/events?types=weather",
        &[],
        "",
    );
    check(
        (406, "not_acceptable"),
        "GET",
        "/v1/events",
        &[("Accept", "text/html")],
        "",
    );

    let (status, head, body) = ask(&daemon, "GET", "/v1/status", &[], "");
    assert_eq!(status, 200, "{body}");
    assert!(
        head.to_lowercase().contains("cache-control: no-store"),
        "{head}"
    );
    let status: skychat_api::Status = serde_json::from_str(&body).unwrap();
    assert_eq!(status.public_key.to_string(), own);
    assert_eq!(status.listen.len(), 2, "{body}");
    let token = daemon.token();
    assert!(!body.contains(&token));
    let page = ask(&daemon, "GET", &format!("/v1/messages?peer={bob}"), &[], "");
    assert_eq!(
        (page.0, page.2.as_str()),
        (200, "{\"v\":1,\"messages\":[]}")
    );
}

#[test]
fn c37_an_internal_token_opens_by_its_own_header() {
    let home = tempfile::tempdir().unwrap();
    let secret = "fedcba9876543210fedcba9876543210";
    let file = home.path().join("internal");
    std::fs::write(&file, secret).unwrap();
    let tight = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, tight).unwrap();
    let named = format!("@{}", file.display());
    let flags = ["--internal-token", &named, "--log-level", "trace"];
    let daemon = Daemon::start(&home.path().join("x"), &flags);
    let status = |headers: &[(&str, &str)]| ask(&daemon, "GET", "/v1/status", headers, "").0;
    let none = ("Authorization", "");
    assert_eq!(status(&[none, ("X-Skychat-Internal-Token", secret)]), 200);
    assert_eq!(status(&[none, ("X-Skychat-Internal-Token", "x")]), 401);
    assert_eq!(status(&[none]), 401);
    assert_eq!(status(&[]), 200, "the token of the directory opens too");
    let (_, log, _) = daemon.stop();
    assert!(!log.contains(secret), "a secret in the log");

    // As an argument others can see it, and that is said.
    let daemon = Daemon::start(&home.path().join("x"), &["--internal-token", secret]);
    let (_, log, _) = daemon.stop();
    assert!(log.contains("@FILE") && !log.contains(secret), "{log}");
}

#[test]
fn a_message_id_is_the_idempotency_key() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let bob = SecretKey::from_seed([9; 32]).public();
    let id = "0123456789abcdef0123456789abcdef";
    let send = |text: &str, wait: &str| {
        let body = format!(
            "{{\"to\":\"{bob}\",\"text\":\"{text}\",\"message_id\":\"{id}\",\"timeout_ms\":300{wait}}}"
        );
        ask(&daemon, "POST", "/v1/messages", &[], &body)
    };
    let first = send("hello", "");
    assert_eq!(first.0, 200, "{first:?}");
    let document: Value = serde_json::from_str(&first.2).unwrap();
    assert_eq!(document["state"], "accepted");
    assert_eq!(document["message_id"], id);
    assert_eq!(
        send("hello", "").2,
        first.2,
        "the same message, the same answer"
    );
    assert_eq!(error(&send("other", "")), (409, "id_conflict".into()));
    let waited = send("hello", ",\"wait\":\"stored\"");
    assert_eq!(error(&waited), (504, "timed_out".into()));
    let document: Value = serde_json::from_str(&waited.2).unwrap();
    assert_eq!(
        (&document["state"], &document["message_id"]),
        (&"accepted".into(), &id.into())
    );

    let page = ask(&daemon, "GET", &format!("/v1/messages?peer={bob}"), &[], "");
    let page: skychat_api::History = serde_json::from_str(&page.2).unwrap();
    assert_eq!(page.messages.len(), 1, "one message");
    let status = daemon.json(&["status"]);
    let peer = &status["peers"][0];
    let owed: u64 = peer["owed"].as_str().unwrap().parse().unwrap();
    assert!(
        (1..=2).contains(&owed),
        "the message, and what opens the feed: {status}"
    );
    assert_eq!(peer["waits"]["why"], "no_address", "{status}");
}

#[test]
fn events_as_server_sent_events_resume_by_last_event_id() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let bob = SecretKey::from_seed([9; 32]).public();
    for n in 0..5 {
        let body = format!("{{\"to\":\"{bob}\",\"text\":\"line one\\r\\nline {n}\"}}");
        assert_eq!(ask(&daemon, "POST", "/v1/messages", &[], &body).0, 200);
    }
    // Reads a stream for a moment.
    let read = |target: &str, headers: &str| {
        let mut stream = TcpStream::connect(daemon.http()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(700)))
            .unwrap();
        let (http, token) = (daemon.http(), daemon.token());
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(n) = stream.read(&mut buffer)
            && n > 0
        {
            text.extend_from_slice(&buffer[..n]);
        }
        String::from_utf8(text).unwrap()
    };
    let ids = |text: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix("id: "))
            .map(str::to_owned)
            .collect()
    };
    let all = read("/v1/events?after=first&types=message", "");
    assert!(
        all.to_lowercase()
            .contains("content-type: text/event-stream"),
        "{all}"
    );
    assert!(all.contains("event: message\n"), "{all}");
    assert!(all.contains("retry: 1000\n"), "{all}");
    let seen = ids(&all);
    assert_eq!(seen.len(), 5, "{all}");
    let rest = read(
        "/v1/events?after=first&types=message",
        &format!("Last-Event-ID: {}\r\n", seen[2]),
    );
    assert_eq!(ids(&rest), seen[3..], "the header wins over the target");
    assert_eq!(
        ids(&read("/v1/events", "")),
        Vec::<String>::new(),
        "from now on"
    );

    let stranger = read("/v1/events?after=ffffffff-3", "");
    assert!(
        stranger.contains("\"cause\":\"unknown_cursor\""),
        "{stranger}"
    );
}

#[test]
fn f15_streams_end_first_when_the_daemon_stops() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let (http, token) = (daemon.http(), daemon.token());
    let mut stream = TcpStream::connect(&http).unwrap();
    stream.write_all(format!("GET /v1/events?notices=true HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).unwrap();
    // One that never reads, too.
    let mut deaf = TcpStream::connect(&http).unwrap();
    deaf.write_all(
        format!("GET /v1/events HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {token}\r\n\r\n")
            .as_bytes(),
    )
    .unwrap();
    let mut buffer = [0; 4096];
    let n = stream.read(&mut buffer).unwrap();
    assert!(n > 0);
    let (status, log, took) = daemon.stop();
    assert!(status.success(), "{log}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut rest = String::new();
    let _ = stream.read_to_string(&mut rest);
    assert!(rest.contains("\"type\":\"stopping\""), "{rest}");
    assert!(rest.ends_with("0\r\n\r\n"), "ended in order: {rest}");
}

#[test]
fn f15_a_stop_under_load_loses_nothing_that_was_accepted() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("x");
    let daemon = Daemon::start(&dir, &[]);
    let bob = SecretKey::from_seed([9; 32]).public();
    let accepted = std::sync::Mutex::new(Vec::new());
    let (http, token) = (daemon.http(), daemon.token());
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (accepted, http, token) = (&accepted, &http, &token);
            scope.spawn(move || {
                for n in 0..100_000 {
                    let body = format!("{{\"to\":\"{bob}\",\"text\":\"{worker}-{n}\"}}");
                    let head = format!(
                        "POST /v1/messages HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {token}\r\n\
                         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                        body.len()
                    );
                    let Ok(mut stream) = TcpStream::connect(http) else { return };
                    let _ = stream.write_all(format!("{head}{body}").as_bytes());
                    let mut answer = String::new();
                    let _ = stream.read_to_string(&mut answer);
                    if !answer.starts_with("HTTP/1.1 200") {
                        return;
                    }
                    accepted.lock().unwrap().push(format!(">{worker}-{n}"));
                }
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        let (status, log, took) = daemon.stop();
        assert!(status.success(), "{status}: {log}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    });
    let accepted = accepted.into_inner().unwrap();
    assert!(accepted.len() > 10, "{}", accepted.len());
    let daemon = Daemon::start(&dir, &[]);
    let texts = daemon.texts_up_to(&bob.to_string(), 100_000);
    for text in &accepted {
        assert_eq!(texts.iter().filter(|t| *t == text).count(), 1, "{text}");
    }
    // What was in flight when it stopped may be there too, and nothing else.
    assert!(
        texts.len() <= accepted.len() + 4,
        "{} of {}",
        texts.len(),
        accepted.len()
    );
}

#[test]
fn c33_logs_hold_no_secrets_and_no_messages() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &["--log-level", "trace"]);
    let bob = SecretKey::from_seed([9; 32]).public();
    let token = daemon.token();
    let body = format!("{{\"to\":\"{bob}\",\"text\":\"marker-of-a-secret\"}}");
    assert_eq!(ask(&daemon, "POST", "/v1/messages", &[], &body).0, 200);
    ask(
        &daemon,
        "GET",
        "/v1/status",
        &[("Authorization", "Bearer marker-of-a-token")],
        "",
    );
    daemon.texts(&bob.to_string());
    let (status, log, _) = daemon.stop();
    assert!(status.success());
    for secret in ["marker-of-a-secret", "marker-of-a-token", &token] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[test]
fn garbage_on_either_port_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let mut kept = Vec::new();
    for n in 0..60_u8 {
        for port in [daemon.links(), daemon.http()] {
            let mut stream = TcpStream::connect(port).unwrap();
            let _ = stream.write_all(&vec![n.wrapping_mul(37); usize::from(n) * 40]);
            kept.push(stream);
        }
    }
    let status = daemon.json(&["status"]);
    assert_eq!(status["links"].as_array().unwrap().len(), 0);
    assert_eq!(status["degraded"].as_array().unwrap().len(), 0, "{status}");
}
