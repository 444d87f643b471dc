//! `docs/protocol/feed.md` says what the code does.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

use std::fs;
use std::path::Path;

use skychat_proto::limits::*;

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("../../docs/protocol/feed.md")).unwrap()
}

#[test]
fn the_page_shows_the_proto_files() {
    let page = page();
    for file in ["content.proto", "link.proto", "sync.proto"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("proto")
            .join(file);
        let source = fs::read_to_string(path).unwrap();
        let shown = &source[source.find("package ").unwrap()..];
        assert!(
            page.contains(shown.trim_end()),
            "{file} differs from the page"
        );
    }
}

#[test]
fn the_page_has_the_limits() {
    let page = page();
    let mut rows = page.lines().filter(|line| {
        line.starts_with("| `MAX_")
            || line.starts_with("| `WINDOW")
            || line.starts_with("| `STRANGER")
    });
    let limits: [(&str, u64); 30] = [
        ("MAX_POSITION", MAX_POSITION),
        ("MAX_CONTENT", MAX_CONTENT as u64),
        ("MAX_MESSAGE_BODY", MAX_MESSAGE_BODY as u64),
        ("MAX_BODY", MAX_BODY as u64),
        ("MAX_HEADS", MAX_HEADS as u64),
        ("MAX_CONTINUES", MAX_CONTINUES as u64),
        ("MAX_RANGE_ENTRIES", MAX_RANGE_ENTRIES as u64),
        ("MAX_RANGE_BYTES", MAX_RANGE_BYTES as u64),
        ("MAX_RANGE_LEN", MAX_RANGE_LEN as u64),
        ("MAX_RECORD", MAX_RECORD as u64),
        ("MAX_FRAME", MAX_FRAME as u64),
        ("MAX_MESSAGE", MAX_MESSAGE as u64),
        ("MAX_LINK_MESSAGE", MAX_LINK_MESSAGE as u64),
        ("MAX_SYNC_MESSAGE", MAX_SYNC_MESSAGE as u64),
        ("MAX_HELLO_LINE", MAX_HELLO_LINE as u64),
        ("MAX_LINE", MAX_LINE as u64),
        ("MAX_SERVICES", MAX_SERVICES as u64),
        ("MAX_AGENT", MAX_AGENT as u64),
        ("MAX_HELLO_STATEMENTS", MAX_HELLO_STATEMENTS as u64),
        ("MAX_STATEMENT_BODY", MAX_STATEMENT_BODY as u64),
        ("MAX_STATEMENT", MAX_STATEMENT as u64),
        ("MAX_HAVE_ROWS", MAX_HAVE_ROWS as u64),
        ("MAX_REFUSALS", MAX_REFUSALS as u64),
        ("MAX_FORK_HEADERS", MAX_FORK_HEADERS as u64),
        ("WINDOW_FEED_ENTRIES", WINDOW_FEED_ENTRIES as u64),
        ("WINDOW_FEED_BYTES", WINDOW_FEED_BYTES as u64),
        ("WINDOW_LINK_BYTES", WINDOW_LINK_BYTES as u64),
        ("STRANGER_ENTRIES", STRANGER_ENTRIES),
        ("STRANGER_BYTES", STRANGER_BYTES),
        ("MAX_STRANGERS", MAX_STRANGERS as u64),
    ];
    for (name, value) in limits {
        let row = rows.next().unwrap();
        assert!(
            row.starts_with(&format!("| `{name}` | {} |", grouped(value))),
            "{name} is {value}, the page says {row}"
        );
    }
    assert_eq!(rows.next(), None);
}

/// With a comma between groups of three digits.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
