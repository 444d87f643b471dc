//! The fuzz targets, run over their corpus, on stable and without libFuzzer.
//!
//! The seeds are the vectors, as files; with `SKYCHAT_WRITE_VECTORS=1` they are written anew.
//! Whatever a fuzzer found and somebody added stays.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::Value;
use targets::{TARGETS, Target};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target)
}

/// Name and bytes of every seed.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    match target {
        "address_parse" => texts(&[
            ("uri", ADDRESS_URI),
            ("tcp", ADDRESS_TCP),
            ("escaped", "skychat:00?at=%5B2001:db8::7%5D:8801&req-x=1"),
        ]),
        "keyfile_decode" => {
            let key = skychat_identity::SecretKey::from_seed([7; 32]);
            let file = skychat_identity::keyfile::encode(&key).to_vec();
            let short = file[..file.len() - 1].to_vec();
            vec![("whole".into(), file), ("short".into(), short)]
        }
        "sanitize_text" => texts(&[
            ("escape", "\u{1}\u{50}red \u{1b}[31m\u{9b}0m"),
            ("bidi", "\u{1}\u{50}exe.\u{202e}gpj\u{2066}\u{e0041}"),
            (
                "emoji",
                "\u{2}\u{9}👨\u{200d}👩\u{200d}👧\n❤\u{fe0f}\u{200d}🔥\r\n",
            ),
            ("marks", "\u{5}\u{5}a\u{301}\u{302}\u{303}می\u{200c}خواهم"),
            ("found", "\u{1}\u{4}\u{1f32d}\u{903}\u{200d}\u{6ee}a"),
        ]),
        _ => vectors(match target {
            "content_decode" => "content.json",
            "header_decode" => "header.json",
            "link_decode" => "link.json",
            "open_decode" => "open.json",
            "range_decode" => "range.json",
            "sync_decode" => "sync.json",
            other => panic!("no seeds for {other}"),
        }),
    }
}

const ADDRESS_URI: &str = "skychat:e734ea6c2b6257de72355e472aa05a4c487e6b463c029ed306df2f01b5636b58\
                           ?at=ann.example:8801&at=[2001:db8::7]:8801";
const ADDRESS_TCP: &str = "tcp://e734ea6c2b6257de72355e472aa05a4c487e6b463c029ed306df2f01b5636b58\
                           @127.0.0.1:8801";

fn texts(texts: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    texts
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect()
}

/// What is accepted, and a few of those refused.
fn vectors(file: &str) -> Vec<(String, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file);
    let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let cases = |list: &str| document[list].as_array().unwrap().clone();
    let bytes = |case: &Value| {
        HEXLOWER
            .decode(case["hex"].as_str().unwrap().as_bytes())
            .unwrap()
    };
    let accepted = cases("accept").into_iter().enumerate();
    let refused = cases("reject").into_iter().enumerate().step_by(4);
    accepted
        .map(|(n, case)| (format!("accept-{n:02}"), bytes(&case)))
        .chain(refused.map(|(n, case)| (format!("reject-{n:02}"), bytes(&case))))
        .collect()
}

#[test]
fn the_corpus_replays() {
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some() {
        write_seeds();
    }
    for (name, target) in TARGETS {
        let mut runs = 0;
        for file in fs::read_dir(corpus(name)).unwrap() {
            let data = fs::read(file.unwrap().path()).unwrap();
            runs += replay(target, &data);
        }
        assert!(runs > 0, "{name}: no corpus");
    }
}

fn write_seeds() {
    for (name, _) in TARGETS {
        let folder = corpus(name);
        fs::create_dir_all(&folder).unwrap();
        for (seed, bytes) in seeds(name) {
            fs::write(folder.join(seed), bytes).unwrap();
        }
    }
}

/// The bytes themselves, cut at every place and with every byte changed in two ways.
fn replay(target: Target, data: &[u8]) -> usize {
    target(data);
    let mut runs = 1;
    for at in 0..data.len() {
        target(&data[..at]);
        for mask in [0x01, 0x80] {
            let mut changed = data.to_vec();
            changed[at] ^= mask;
            target(&changed);
        }
        runs += 3;
    }
    runs
}

#[test]
fn every_target_can_be_fuzzed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(
            root.join(format!("fuzz_targets/{name}.rs")).is_file(),
            "{name}"
        );
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
