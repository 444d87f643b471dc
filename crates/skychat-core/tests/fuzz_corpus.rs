//! The fuzz target, run over its corpus, on stable and without libFuzzer.
//!
//! The seeds are written anew with `SKYCHAT_WRITE_VECTORS=1`; whatever a fuzzer found and somebody added stays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test that panics is a test that fails"
)]

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

use targets::archives::{file, groups, item, joined, lines, record_line};
use targets::import_archive;

fn seeds() -> Vec<(&'static str, String)> {
    let whole = lines(&groups());
    let history: Vec<String> = whole
        .iter()
        .filter(|line| !line.contains(r#""message""#))
        .cloned()
        .collect();
    let with = |more: &[String]| joined(&[&whole[..1], more].concat());
    let group = r#"{"type":"group"}"#.to_owned();
    vec![
        ("whole", file(whole.clone())),
        ("no-messages", file(history)),
        ("no-history", file(whole[..4].to_vec())),
        ("start-only", with(&[])),
        ("no-end", joined(&whole)),
        (
            "version-1",
            joined(&[r#"{"v":1,"type":"skychat-export"}"#.into()]),
        ),
        (
            "version-2",
            joined(&[r#"{"type":"skychat-export","archive":2}"#.into()]),
        ),
        (
            "row",
            with(&[record_line(&item(4, b"\x06bob", b"known")), group.clone()]),
        ),
        (
            "secret-row",
            with(&[record_line(&item(4, b"\x82a", b"b")), group.clone()]),
        ),
        (
            "own-row",
            with(&[record_line(&item(4, b"\xc8a", b"b")), group.clone()]),
        ),
        (
            "fork",
            with(&[record_line(&item(4, &[11; 74], b"\x01")), group.clone()]),
        ),
        (
            "no-range",
            with(&[
                record_line(&item(2, &[1, 0, 1, 0, 0], b"\0a")),
                group.clone(),
            ]),
        ),
        (
            "open-group",
            with(&[record_line(&item(4, b"\x06bob", b""))]),
        ),
        ("empty-groups", with(&[group.clone(), group])),
        (
            "not-base64",
            with(&[r#"{"type":"record","data":"AAA"}"#.into()]),
        ),
        (
            "life",
            with(&[r#"{"type":"group","life":"0102030405060708"}"#.into()]),
        ),
        (
            "message",
            with(&[r#"{"type":"message","text":"\ud800","n":1e400}"#.into()]),
        ),
        (
            "deep",
            with(&[format!(r#"{{"type":"message","a":{}"#, "[".repeat(5_000))]),
        ),
        ("crlf", file(whole).replace('\n', "\r\n")),
    ]
}

#[test]
fn the_corpus_of_archives_replays() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/import_archive");
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        fs::create_dir_all(&corpus).unwrap();
        for (name, bytes) in seeds() {
            fs::write(corpus.join(name), bytes).unwrap();
        }
    }
    let mut files = 0;
    for file in fs::read_dir(corpus).unwrap() {
        let data = fs::read(file.unwrap().path()).unwrap();
        import_archive(&data);
        for at in (0..data.len()).step_by(data.len() / 48 + 1) {
            import_archive(&data[..at]);
            let mut changed = data.clone();
            changed[at] ^= 1 << (at % 7);
            import_archive(&changed);
        }
        files += 1;
    }
    assert!(files >= 19, "{files} files");
}
