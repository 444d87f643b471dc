//! The fuzz targets, run over their corpus, on stable and without libFuzzer.
//!
//! The seeds are written anew with `SKYCHAT_WRITE_VECTORS=1`; whatever a fuzzer found and somebody added stays.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

use skychat_api::{Code, ErrorBody};
use skychat_identity::SecretKey;
use targets::TARGETS;

fn cursors() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("cursor", text("0a1b2c3d-42")),
        ("cursor-most", text("ffffffff-18446744073709551615")),
        ("cursor-over", text("0a1b2c3d-18446744073709551616")),
        ("cursor-capitals", text("0A1B2C3D-1")),
        ("cursor-zeros", text("0a1b2c3d-01")),
        ("cursor-sign", text("0a1b2c3d-+1")),
        ("cursor-blank", text("0a1b2c3d-1 ")),
        ("cursor-short", text("0a1b2c3-1")),
        ("record", text("7-65535")),
        ("record-over", text("7-65536")),
        ("record-zeros", text("07-1")),
        ("record-minus", text("7--1")),
        ("digits-of-others", text("٣-١")),
        ("nothing", text("")),
        ("hyphens", text("----")),
        ("not-utf-8", vec![b'7', b'-', 0xff]),
    ]
}

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let key = SecretKey::from_seed([7; 32]).public();
    let other = SecretKey::from_seed([8; 32]).public();
    let id = "0123456789abcdef0123456789abcdef";
    let space = "ab".repeat(32);
    let text = |text: String| text.into_bytes();
    let send = |rest: &str| text(format!(r#"{{"to":"{key}",{rest}}}"#));
    let message = format!(
        r#""cursor":"0a1b2c3d-1","direction":"in","from":"{key}","space":"{space}","message_id":"{id}","text":"hello","time":1,"state":"stored","kept":"disk""#
    );
    let error = ErrorBody::new(Code::MalformedKey, "to: found 3 characters");
    vec![
        ("send", send(r#""text":"hello""#)),
        (
            "send-all",
            send(&format!(
                r#""text":"h","message_id":"{id}","wait":"stored-disk","timeout_ms":600000"#
            )),
        ),
        ("send-unknown-member", send(r#""text":"h","more":1"#)),
        ("send-twice", send(r#""text":"h","text":"i""#)),
        ("send-lone-surrogate", send(r#""text":"\ud800""#)),
        ("send-nul", send(r#""text":"\u0000""#)),
        ("send-pair", send(r#""text":"\ud83d\ude00 \u202e""#)),
        ("send-1e400", send(r#""text":"h","timeout_ms":1e400"#)),
        ("send-minus", send(r#""text":"h","timeout_ms":-1"#)),
        (
            "send-big-key",
            text(format!(r#"{{"to":"{key}00","text":"h"}}"#)),
        ),
        (
            "send-own",
            text(format!(r#"{{"to":"{}","text":"h"}}"#, "00".repeat(32))),
        ),
        (
            "sent",
            text(format!(
                r#"{{"v":1,"message_id":"{id}","state":"stored","kept":"memory","by":"{key}","elapsed_us":12,"via":"tcp"}}"#
            )),
        ),
        ("error", serde_json::to_vec(&error).unwrap()),
        (
            "error-word",
            text(r#"{"v":1,"error":"no_such_word"}"#.into()),
        ),
        (
            "event-message",
            text(format!(r#"{{"v":1,"type":"message",{message}}}"#)),
        ),
        (
            "event-link",
            text(format!(
                r#"{{"v":1,"type":"link","link":"up","peer":"{key}","direction":"in"}}"#
            )),
        ),
        (
            "history",
            text(format!(
                r#"{{"v":1,"messages":[{{{message}}}],"before":"7-1"}}"#
            )),
        ),
        (
            "control",
            text(format!(
                r#"{{"v":1,"pid":7,"key":"{other}","started":1,"http":"127.0.0.1:8002","links":["[::1]:1"],"socket":null}}"#
            )),
        ),
        (
            "version-2",
            text(format!(r#"{{"v":2,"pid":7,"key":"{key}","started":1}}"#)),
        ),
        ("nothing", vec![]),
        ("null", text("null".into())),
        ("deep", text("[".repeat(10_000))),
        ("deep-objects", text(r#"{"a":"#.repeat(200))),
        (
            "not-utf-8",
            [&send(r#""text":"h"#)[..], b"\xff\"}"].concat(),
        ),
    ]
}

#[test]
fn the_corpus_replays() {
    let write = std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1");
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/corpus")
            .join(name);
        if write {
            let seeds = if name == "api_cursor" {
                cursors()
            } else {
                bodies()
            };
            fs::create_dir_all(&folder).unwrap();
            for (seed, bytes) in seeds {
                fs::write(folder.join(seed), bytes).unwrap();
            }
        }
        let mut files = 0;
        for file in fs::read_dir(folder).unwrap() {
            let data = fs::read(file.unwrap().path()).unwrap();
            target(&data);
            for at in (0..data.len()).step_by(data.len() / 500 + 1) {
                target(&data[..at]);
                let mut changed = data.clone();
                changed[at] ^= 1 << (at % 8);
                target(&changed);
            }
            files += 1;
        }
        assert!(files >= 10, "{name}: {files} files");
    }
}

/// The seeds that are meant as documents are taken as one.
#[test]
fn the_whole_documents_are_taken() {
    use skychat_api::{ControlFile, Event, History, SendRequest, SendResponse};
    for (name, bytes) in bodies() {
        let read = match name {
            "send" | "send-all" | "send-pair" | "send-nul" => {
                serde_json::from_slice::<SendRequest>(&bytes).map(drop)
            }
            "sent" => serde_json::from_slice::<SendResponse>(&bytes).map(drop),
            "error" => serde_json::from_slice::<ErrorBody>(&bytes).map(drop),
            "event-message" | "event-link" => serde_json::from_slice::<Event>(&bytes).map(drop),
            "history" => serde_json::from_slice::<History>(&bytes).map(drop),
            "control" => serde_json::from_slice::<ControlFile>(&bytes).map(drop),
            _ => continue,
        };
        assert!(read.is_ok(), "{name}: {read:?}");
    }
}
