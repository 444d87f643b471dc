//! The fuzz target, run over its corpus, on stable and without libFuzzer.
//!
//! The seeds are written anew with `SKYCHAT_WRITE_VECTORS=1`; whatever a fuzzer found and somebody added stays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use skychat_identity::SecretKey;
use targets::{HOST, TOKEN, answers, http_request_to_handler};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/http_request_to_handler")
}

fn request(line: &str, headers: &str, body: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {TOKEN}\r\n{headers}\r\n{body}"
    )
}

fn get(target: &str) -> String {
    request(&format!("GET {target}"), "", "")
}

fn post(body: &str) -> String {
    let headers = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    request("POST /v1/messages", &headers, body)
}

/// A request, and the status of its answer; 0: none.
fn seeds() -> Vec<(&'static str, String, u16)> {
    let bob = SecretKey::from_seed([8; 32]).public();
    let own = SecretKey::from_seed([7; 32]).public();
    let text = r#""text":"hello""#;
    let head = |lines: &str| format!("GET /v1/status HTTP/1.1\r\n{lines}\r\n");
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let host = format!("Host: {HOST}\r\n");
    let chunked = request(
        "POST /v1/messages",
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n",
        "2\r\n{}\r\n0\r\n\r\n",
    );
    vec![
        ("status", get("/v1/status"), 200),
        ("two", get("/v1/status") + &get("/v1/conversations"), 200),
        ("conversations", get("/v1/conversations"), 200),
        (
            "history",
            get(&format!("/v1/messages?peer={bob}&limit=256")),
            200,
        ),
        ("history-own", get(&format!("/v1/messages?peer={own}")), 400),
        (
            "history-limit",
            get(&format!("/v1/messages?peer={bob}&limit=257")),
            400,
        ),
        (
            "history-before",
            get(&format!("/v1/messages?peer={bob}&before=1-65536")),
            400,
        ),
        (
            "history-twice",
            get(&format!("/v1/messages?peer={bob}&peer={bob}")),
            400,
        ),
        ("history-escape", get("/v1/messages?peer=%2e%2e"), 400),
        ("events", get("/v1/events?format=ndjson"), 400),
        ("events-after", get("/v1/events?after=00000000-1"), 200),
        ("events-cursor", get("/v1/events?after=0A0A0A0A-1"), 400),
        ("send", post(&format!(r#"{{"to":"{bob}",{text}}}"#)), 200),
        (
            "send-own",
            post(&format!(r#"{{"to":"{own}",{text}}}"#)),
            400,
        ),
        ("send-key", post(&format!(r#"{{"to":"bob",{text}}}"#)), 400),
        (
            "send-empty",
            post(&format!(r#"{{"to":"{bob}","text":""}}"#)),
            400,
        ),
        ("send-deep", post(&"[".repeat(5_000)), 400),
        ("send-surrogate", post(r#"{"text":"\ud800"}"#), 400),
        (
            "send-number",
            post(&format!(r#"{{"to":"{bob}",{text},"timeout_ms":1e400}}"#)),
            400,
        ),
        (
            "send-form",
            request("POST /v1/messages", "Content-Length: 3\r\n", "a=b"),
            415,
        ),
        ("send-chunked", chunked, 400),
        (
            "send-two-lengths",
            request(
                "POST /v1/messages",
                "Content-Length: 3\r\nContent-Length: 4\r\n",
                "a=b",
            ),
            400,
        ),
        (
            "send-length-and-chunks",
            request(
                "POST /v1/messages",
                "Content-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
            400,
        ),
        (
            "send-huge",
            request(
                "POST /v1/messages",
                "Content-Type: application/json\r\nContent-Length: 4294967296\r\n",
                "",
            ),
            413,
        ),
        ("no-route", get("/v1/../identity.key"), 404),
        ("no-method", request("DELETE /v1/messages", "", ""), 405),
        ("no-token", head(&host), 401),
        (
            "wrong-token",
            head(&format!("{host}Authorization: Bearer x\r\n")),
            401,
        ),
        (
            "token-in-query",
            head(&host).replace("status", &format!("status?token={TOKEN}")),
            401,
        ),
        ("no-host", head(&bearer), 403),
        ("host-twice", head(&format!("{host}{host}{bearer}")), 403),
        (
            "host-other",
            head(&format!("Host: example.org\r\n{bearer}")),
            403,
        ),
        (
            "host-decimal",
            head(&format!("Host: 2130706433:8002\r\n{bearer}")),
            403,
        ),
        (
            "host-dot",
            head(&format!("Host: localhost.:8002\r\n{bearer}")),
            403,
        ),
        (
            "host-user",
            head(&format!("Host: a@{HOST}\r\n{bearer}")),
            403,
        ),
        (
            "host-capitals",
            head(&format!("Host: LocalHost:8002\r\n{bearer}")),
            200,
        ),
        (
            "host-absolute",
            head(&format!("{host}{bearer}")).replace("/v1", "http://evil/v1"),
            403,
        ),
        (
            "origin-null",
            request("GET /v1/status", "Origin: null\r\n", ""),
            403,
        ),
        (
            "cross-site",
            request("GET /v1/status", "Sec-Fetch-Site: cross-site\r\n", ""),
            403,
        ),
        (
            "folded",
            head(&format!("{host}X: a\r\n b\r\n{bearer}")),
            400,
        ),
        ("nul", head(&format!("{host}X: \0\r\n{bearer}")), 400),
        ("bare-lf", get("/v1/status").replace("\r\n", "\n"), 200),
        ("http-0.9", "GET /v1/status\r\n\r\n".into(), 400),
        ("http-2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 0),
        ("tls", "\u{16}\u{3}\u{1}\0\u{5}hello".into(), 400),
        ("nothing", String::new(), 401),
        ("half", get("/v1/status")[..40].into(), 403),
    ]
}

/// Generous: a loaded machine is no fault.
const LIMIT: Duration = Duration::from_secs(20);

fn status(answers: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(answers);
    let word = text.split(' ').nth(1).unwrap_or("0");
    word.parse().unwrap()
}

/// Every request of the corpus has the answer it is meant to have.
#[test]
fn the_seeds_have_their_answers() {
    let wrong: Vec<_> = seeds()
        .into_iter()
        .map(|(name, request, expected)| {
            (name, status(&answers(request.as_bytes(), LIMIT)), expected)
        })
        .filter(|(_, found, expected)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "(name, found, expected): {wrong:?}");
}

#[test]
fn the_corpus_replays() {
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        fs::create_dir_all(corpus()).unwrap();
        for (name, request, _) in seeds() {
            fs::write(corpus().join(name), request).unwrap();
        }
    }
    let mut files = 0;
    for file in fs::read_dir(corpus()).unwrap() {
        let data = fs::read(file.unwrap().path()).unwrap();
        http_request_to_handler(&data);
        for at in (0..data.len()).step_by(data.len() / 6 + 1) {
            http_request_to_handler(&data[..at]);
            let mut changed = data.clone();
            changed[at] ^= 1 << (at % 8);
            http_request_to_handler(&changed);
        }
        files += 1;
    }
    assert!(files >= 30, "{files} files");
}
