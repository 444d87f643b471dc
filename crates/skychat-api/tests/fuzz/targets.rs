//! Fuzz targets as plain functions: each takes arbitrary bytes, and panics if a rule is broken. `fuzz/` runs them
//! with a fuzzer, `tests/fuzz_corpus.rs` with the corpus.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use skychat_api::{
    ControlFile, Conversations, Cursor, ErrorBody, Event, History, RecordId, SendRequest,
    SendResponse, Status,
};

/// A fuzz target.
pub(crate) type Target = fn(&[u8]);

/// Every target by the name of its folder in `fuzz/corpus` and its file in `fuzz/fuzz_targets`.
#[allow(dead_code, reason = "the fuzzer takes them one by one")]
pub(crate) const TARGETS: [(&str, Target); 2] = [
    ("api_cursor", api_cursor),
    ("json_api_bodies", json_api_bodies),
];

/// A cursor and a record id have one text each.
pub(crate) fn api_cursor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Cursor>() {
        Ok(cursor) => assert_eq!(cursor.to_string(), text),
        Err(error) => assert!(error.to_string().len() < 1_000, "errors do not echo all"),
    }
    match text.parse::<RecordId>() {
        Ok(record) => assert_eq!(record.to_string(), text),
        Err(error) => assert!(error.to_string().len() < 1_000, "errors do not echo all"),
    }
}

/// Any document read as each of the shapes: what is taken means the same after it was written again.
pub(crate) fn json_api_bodies(data: &[u8]) {
    if let Some(request) = again::<SendRequest>(data) {
        // What a log shows is never what people say.
        let text = format!("{:?}", request.text);
        let shown = SendRequest {
            text: "x".repeat(request.text.len()),
            ..request.clone()
        };
        assert_eq!(format!("{request:?}"), format!("{shown:?}"), "{text}");
    }
    again::<SendResponse>(data);
    again::<ErrorBody>(data);
    again::<Event>(data);
    again::<History>(data);
    again::<Conversations>(data);
    again::<Status>(data);
    again::<ControlFile>(data);
}

fn again<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok()?;
    let Ok(text) = serde_json::to_vec(&value) else {
        panic!("what was read is written");
    };
    match serde_json::from_slice::<T>(&text) {
        Ok(second) => assert_eq!(second, value),
        Err(error) => panic!("what was written is not read: {error}"),
    }
    assert!(!text.contains(&b'\n'), "a document is one line");
    Some(value)
}
