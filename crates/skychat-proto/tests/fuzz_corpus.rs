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
            ("nothing", ""),
            ("scheme-only", "tcp://"),
            ("no-key", "tcp://@127.0.0.1:8801"),
            ("no-port", &ADDRESS_TCP.replace(":8801", "")),
            ("port-0", &ADDRESS_TCP.replace(":8801", ":0")),
            ("port-65536", &ADDRESS_TCP.replace(":8801", ":65536")),
            ("port-plus", &ADDRESS_TCP.replace(":8801", ":+1")),
            ("port-zeros", &ADDRESS_TCP.replace(":8801", ":08801")),
            ("capitals", &ADDRESS_TCP.to_uppercase()),
            ("key-of-63", &ADDRESS_TCP.replace("58@", "5@")),
            ("key-of-65", &ADDRESS_TCP.replace("58@", "588@")),
            ("key-of-zeros", &format!("tcp://{}@a:1", "0".repeat(64))),
            ("key-of-ones", &format!("tcp://{}@a:1", "f".repeat(64))),
            ("two-ats", &ADDRESS_TCP.replace('@', "@user@")),
            (
                "decimal-host",
                &ADDRESS_TCP.replace("127.0.0.1", "2130706433"),
            ),
            (
                "octal-host",
                &ADDRESS_TCP.replace("127.0.0.1", "0177.0.0.1"),
            ),
            (
                "mapped-host",
                &ADDRESS_TCP.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
            ),
            (
                "zone",
                &ADDRESS_TCP.replace("127.0.0.1", "[fe80::1%25eth0]"),
            ),
            ("dot", &ADDRESS_TCP.replace("127.0.0.1", "ann.example.")),
            (
                "long-host",
                &ADDRESS_TCP.replace("127.0.0.1", &"a.".repeat(127)),
            ),
            (
                "many-hints",
                &format!("{ADDRESS_URI}{}", "&at=a:1".repeat(40)),
            ),
            ("required", &format!("{ADDRESS_URI}&req-relay=1")),
            ("path", &format!("{ADDRESS_TCP}/../x")),
            ("bidi", &ADDRESS_TCP.replace("127", "\u{202e}127")),
            ("nul", &ADDRESS_TCP.replace("127", "\u{0}127")),
        ]),
        "keyfile_decode" => {
            let key = skychat_identity::SecretKey::from_seed([7; 32]);
            let file = skychat_identity::keyfile::encode(&key).to_vec();
            let cut = |length: usize| file[..length].to_vec();
            let with = |at: usize, byte: u8| {
                let mut file = file.clone();
                file[at] = byte;
                file
            };
            let last = file.len() - 1;
            vec![
                ("whole".into(), file.clone()),
                ("short".into(), cut(last)),
                ("long".into(), [&file[..], &[0]].concat()),
                ("twice".into(), [&file[..], &file[..]].concat()),
                ("nothing".into(), vec![]),
                ("one".into(), cut(1)),
                ("fifteen".into(), cut(15)),
                ("sixteen".into(), cut(16)),
                ("seventeen".into(), cut(17)),
                ("other-magic".into(), with(0, b'X')),
                ("other-version".into(), with(5, 2)),
                ("other-sum".into(), with(last, file[last] ^ 1)),
                ("zeros".into(), vec![0; file.len()]),
                ("hex".into(), "07".repeat(32).into_bytes()),
            ]
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
            (
                "osc",
                "\u{1}\u{50}\u{1b}]8;;http://evil\u{7}here\u{1b}]52;c;aGk=\u{1b}\\",
            ),
            ("c1", "\u{2}\u{50}\u{80}\u{85}\u{9c}\u{9d}\u{7f}"),
            ("tags", "\u{1}\u{50}a\u{e0001}\u{e0061}\u{e007f}"),
            (
                "returns",
                "\u{4}\u{50}hidden\rshown\r\n\u{2028}\u{2029}\u{b}\u{c}",
            ),
            (
                "isolates",
                "\u{1}\u{50}\u{2066}\u{2067}\u{2068}\u{2069}\u{61c}\u{200f}",
            ),
            ("no-lines", "\0\u{50}a\nb"),
            ("no-width", "\u{5}\0wide 界"),
            ("wide", "\u{1}\u{3}界界界"),
            (
                "combining",
                &format!("\u{1}\u{50}a{}", "\u{301}".repeat(2_000)),
            ),
            ("joiners", &format!("\u{1}\u{50}{}", "\u{200d}".repeat(500))),
            (
                "variants",
                "\u{1}\u{50}\u{fe0f}\u{fe0e}a\u{e0100}\u{180e}\u{2800}\u{3164}",
            ),
            (
                "hangul",
                "\u{1}\u{9}\u{1100}\u{1161}\u{11a8}\u{115f}\u{1160}",
            ),
            ("flags", "\u{1}\u{4}🇩🇪🇩🇪🇩"),
            ("empty", "\u{1}\u{1}"),
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
