//! The fuzz target, run over its corpus, on stable and without libFuzzer.
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
use std::path::{Path, PathBuf};

use targets::{feed_entry_verify, scene};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/feed_entry_verify")
}

/// Steps of a link; `7` takes the rest as bytes of a range.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let scene = scene();
    let raw = |bytes: &[u8]| [&[7], bytes].concat();
    let first = &scene.ranges[0];
    vec![
        ("in-order", vec![0, 8, 16, 24, 32, 40]),
        ("again", vec![0, 0, 8, 8, 0]),
        ("skipped", vec![0, 16, 8, 16]),
        ("backwards", vec![40, 32, 24, 16, 8, 0]),
        ("changed", vec![3, 0, 5, 1, 0, 3, 0, 90, 0x80, 8]),
        ("cut", vec![3, 0, 60, 0, 0, 3, 1, 0, 0, 8]),
        ("forged", vec![4, 0, 4]),
        ("unasked", vec![5, 0, 5, 8]),
        ("asked-again", vec![0, 8, 6, 0, 8, 22, 16]),
        ("ahead", vec![30, 24, 0, 32]),
        ("genuine", raw(first)),
        ("one-more-byte", raw(&[&first[..], &[0]].concat())),
        ("one-byte-less", raw(&first[..first.len() - 1])),
        ("forged-bytes", raw(&scene.forged)),
        ("unasked-bytes", raw(&scene.unasked)),
        ("second-first", raw(&scene.ranges[1])),
        (
            "twice-in-one",
            raw(&[&first[..], &scene.ranges[1][..]].concat()),
        ),
        ("nothing", raw(&[])),
        ("zeros", raw(&[0; 400])),
        ("ones", raw(&[0xff; 400])),
    ]
}

#[test]
fn the_corpus_replays() {
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        fs::create_dir_all(corpus()).unwrap();
        for (name, bytes) in seeds() {
            fs::write(corpus().join(name), bytes).unwrap();
        }
    }
    let mut files = 0;
    for file in fs::read_dir(corpus()).unwrap() {
        let data = fs::read(file.unwrap().path()).unwrap();
        feed_entry_verify(&data);
        for at in 0..data.len() {
            feed_entry_verify(&data[..at]);
            let mut changed = data.clone();
            changed[at] ^= 1 << (at % 8);
            feed_entry_verify(&changed);
        }
        files += 1;
    }
    assert!(files >= 20, "{files} files");
}

/// Every byte of a range that joins, changed in each of its bits: none is let through.
#[test]
fn no_changed_range_is_let_through() {
    for at in 0..scene().ranges[0].len() {
        for bit in 0..8 {
            let place = u16::try_from(at).unwrap().to_be_bytes();
            feed_entry_verify(&[3, place[0], place[1], 1 << bit]);
        }
    }
}
