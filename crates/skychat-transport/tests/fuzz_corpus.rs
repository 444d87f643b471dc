//! The fuzz targets, run over their corpus, on stable and without libFuzzer.
//!
//! The seeds are written anew with `SKYCHAT_WRITE_VECTORS=1`; whatever a fuzzer found and somebody
//! added stays.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::Value;
use targets::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

#[test]
fn the_corpus_replays() {
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        write_seeds();
    }
    for (name, target) in TARGETS {
        let mut files = 0;
        for file in fs::read_dir(fuzz().join("corpus").join(name)).unwrap() {
            let file = file.unwrap();
            let data = fs::read(file.path()).unwrap();
            target(&data);
            files += 1;
            // What a fuzzer found (named by its hash) is run as it is; seeds of ours also cut, and
            // with single bits changed, here and there.
            if file.file_name().len() == 40 {
                continue;
            }
            for at in (0..data.len()).step_by(data.len() / 12 + 1) {
                target(&data[..at]);
                let mut changed = data.clone();
                changed[at] ^= 1 << (at % 8);
                target(&changed);
            }
        }
        assert!(files >= 5, "{name}: {files} files");
    }
}

#[test]
fn every_target_can_be_fuzzed() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let file = fuzz().join(format!("fuzz_targets/{name}.rs"));
        assert!(file.is_file(), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

fn write_seeds() {
    for (name, seeds) in [
        ("noise_responder_bytes", responder_seeds()),
        ("noise_initiator_bytes", initiator_seeds()),
        ("record_deframer", record_seeds()),
    ] {
        let folder = fuzz().join("corpus").join(name);
        fs::create_dir_all(&folder).unwrap();
        for (seed, bytes) in seeds {
            fs::write(folder.join(seed), bytes).unwrap();
        }
    }
}

type Seeds = Vec<(String, Vec<u8>)>;

fn seed(name: &str, parts: &[&[u8]]) -> (String, Vec<u8>) {
    (name.to_owned(), parts.concat())
}

fn vectors() -> Value {
    vectors_in("link.json")
}

fn vectors_in(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let path = folder.join(file);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn responder_seeds() -> Seeds {
    let vectors = vectors();
    let frames = hex(&vectors["greeting"]["initiator"]["frames"]);
    let mut seeds = vec![
        seed("accepted", &[&[0], &[0; 49 + 160]]),
        seed("greeted", &[&[0], &[0; 49 + 160], &frames]),
        seed("early", &[&[0], &[0; 49 + 160], &[0, 1, 0, 0, 1, 7]]),
        seed("changed", &[&[0], &[0; 60], &[1]]),
        seed("suite-2-accepted", &[&[4], &[0; 49 + 160]]),
        seed("suite-2-greeted", &[&[4], &[0; 49 + 160], &frames]),
        seed("suite-2-changed", &[&[4], &[0; 60], &[1]]),
        // The suite byte, changed on the way.
        seed("suite-1-made-2", &[&[0], &[3]]),
        seed("suite-2-made-1", &[&[4], &[3]]),
    ];
    // Taken as they are.
    for (file, mode, name) in [
        ("link.json", 3, "refused"),
        ("link-suite-2.json", 7, "suite-2-refused"),
    ] {
        let refused = &vectors_in(file)["refuse"]["to_responder"];
        for (n, case) in refused.as_array().unwrap().iter().enumerate() {
            let first = hex(&case["suite_and_message_1"]);
            let third = case.get("message_3").map(hex).unwrap_or_default();
            seeds.push(seed(&format!("{name}-{n:02}"), &[&[mode], &first, &third]));
        }
    }
    seeds
}

fn initiator_seeds() -> Seeds {
    let vectors = vectors();
    let greeting = hex(&vectors["greeting"]["responder"]["frames"]);
    let mut seeds = vec![
        seed("accepted", &[&[0], &[0; 48]]),
        seed("greeted", &[&[0], &[0; 48], &greeting]),
        seed("no-proof", &[&[0], &[0; 48], &greeting[73..]]),
        seed("changed", &[&[0], &[0; 40], &[1]]),
        seed("suite-2-accepted", &[&[4], &[0; 48]]),
        seed("suite-2-greeted", &[&[4], &[0; 48], &greeting]),
        seed("suite-2-changed", &[&[4], &[0; 40], &[1]]),
    ];
    for (file, mode, name) in [
        ("link.json", 1, "refused"),
        ("link-suite-2.json", 5, "suite-2-refused"),
    ] {
        let refused = &vectors_in(file)["refuse"]["to_initiator"];
        for (n, case) in refused.as_array().unwrap().iter().enumerate() {
            if let Some(second) = case.get("message_2") {
                seeds.push(seed(&format!("{name}-{n:02}"), &[&[mode], &hex(second)]));
            }
        }
    }
    seeds
}

fn record_seeds() -> Seeds {
    let vectors = vectors();
    let mut seeds = vec![
        seed("nothing", &[&[1, 0]]),
        seed("raw", &[&[3, 0], &[0, 40], &[7; 40]]),
        seed("zeros", &[&[1, 0], &[0; 64]]),
        seed("longest", &[&[100, 0], &[0xff; 300]]),
        seed(
            "fragments",
            &[
                &[7, 3],
                &[8, 0, 2, 1, 0, 3, 1, 2, 3],
                &[8, 0, 1, 1, 0, 3, 4, 5, 6],
                &[7, 0, 2, 0, 0, 2, 7, 8],
            ],
        ),
        seed(
            "unknown-service",
            &[&[2, 1], &[9, 9, 9, 1, 0, 4, 1, 2, 3, 4]],
        ),
    ];
    for (n, record) in vectors["records"]["initiator"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let frames = hex(&record["frames"]);
        let length = u8::try_from(frames.len()).unwrap();
        seeds.push(seed(&format!("vector-{n:02}"), &[&[5, 1, length], &frames]));
    }
    for (n, case) in vectors["refuse"]["frames"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let frames = hex(&case["frames"]);
        let length = u8::try_from(frames.len()).unwrap();
        seeds.push(seed(
            &format!("refused-{n:02}"),
            &[&[4, 1, length], &frames],
        ));
    }
    seeds
}
