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
use std::path::{Path, PathBuf};

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use skychat_proto::ids::Timestamp;
use skychat_store::{ArchiveReader, ArchiveWriter, CheckOptions, MemoryDisk, OpenError, gather};
use targets::{CHANGED, Files, MADE, MENDED, genuine, store_archive, store_open_arbitrary_files};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/store_open_arbitrary_files")
}

/// The bytes that make these files.
fn made<'a>(files: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    let mut out = vec![MADE];
    for (number, bytes) in files {
        out.push(number);
        out.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_be_bytes());
        out.extend_from_slice(bytes);
    }
    out
}

fn numbered(files: &Files) -> Vec<(u8, &[u8])> {
    let segments = files
        .iter()
        .filter_map(|(path, bytes)| Some((path.strip_prefix("journal/")?, &bytes[..])));
    let segments = segments.map(|(name, bytes)| (name[..8].parse().unwrap(), bytes));
    [(0, &files["HEAD"][..])]
        .into_iter()
        .chain(segments)
        .collect()
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let files = numbered(&genuine().files);
    let (head, first) = (files[0].1, files[1].1);
    let mut seeds = vec![
        ("nothing", vec![MADE]),
        ("only-head", made([(0, head)])),
        ("no-head", made([(1, first)])),
        ("empty-segment", made([(0, head), (1, &[][..])])),
        ("zeros", made([(0, &[0; 64][..]), (1, &[0; 500][..])])),
        ("two-segments", made([(1, first), (2, files[2].1)])),
        ("second-alone", made([(2, files[2].1)])),
        ("first-twice", made([(1, first), (2, first)])),
        ("head-short", made([(0, &head[..63]), (1, first)])),
        ("other-file", made([(7, &[1; 40][..])])),
        ("unchanged", vec![CHANGED]),
        ("head-cut", [&[CHANGED], &[0, 0, 10, 0, 0, 0][..]].concat()),
        ("group-cut", [&[CHANGED], &[1, 1, 0, 0, 0, 0][..]].concat()),
        (
            "page-of-zeros",
            [&[CHANGED], &[1, 0, 138, 1, 0, 255][..]].concat(),
        ),
        ("copied", [&[CHANGED], &[2, 0, 138, 3, 60, 86][..]].concat()),
    ]
    .into_iter()
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .collect::<Vec<_>>();
    // Fields of the first group and its first record, changed and mended: version, number, lengths, kind, flags,
    // event, and what stands behind them; with zeros, ones, and sizes at their edges.
    let at = 138;
    let places = [
        4,
        54,
        58,
        118,
        at + 4,
        at + 30,
        at + 44,
        at + 86,
        at + 87,
        at + 88,
        at + 90,
    ]
    .into_iter()
    .chain([
        at + 92,
        at + 94,
        at + 100,
        at + 104,
        at + 140,
        at + 142,
        at + 150,
    ]);
    for place in places {
        for (name, value) in [("zero", [0, 0]), ("one", [0, 1]), ("most", [0xff, 0xff])] {
            let [a, b] = u16::try_from(place).unwrap().to_be_bytes();
            let change = [1, a, b, 2, value[0], value[1]];
            seeds.push((
                format!("mended-{place:03}-{name}"),
                [&[MENDED], &change[..]].concat(),
            ));
        }
    }
    seeds
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
        store_open_arbitrary_files(&data);
        for at in (0..data.len()).step_by(data.len() / 16 + 1) {
            store_open_arbitrary_files(&data[..at]);
            let mut changed = data.clone();
            changed[at] ^= 1 << (at % 8);
            store_open_arbitrary_files(&changed);
        }
        files += 1;
    }
    assert!(files >= 20, "{files} files");
}

/// The archive of a small store, and what may be done to one.
fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let key = skychat_seal::StoreKey::generate(&mut ChaCha20Rng::from_seed([9; 32]));
    let disk = MemoryDisk::with_files(genuine().files.clone());
    let options = CheckOptions {
        store_key: Some(&key),
        ..CheckOptions::default()
    };
    let (mut writer, mut whole) = (ArchiveWriter::default(), Vec::new());
    writer.start(&[1; 32], Timestamp::from_millis(7), &mut whole);
    let start = whole.len();
    gather::<OpenError>(&disk, options, &mut |_| {}, &mut |group| {
        writer.group(&group, &mut whole).unwrap();
        Ok(())
    })
    .unwrap();
    writer.end(&mut whole);
    let end = whole.len() - 21;
    let item = |kind: u8, bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[kind], &length[..], bytes].concat()
    };
    let record = |kind: u8, meta: &[u8], body: &[u8]| {
        let length = u32::try_from(meta.len()).unwrap().to_be_bytes();
        item(2, &[&[0; 8][..], &[kind], &length[..], meta, body].concat())
    };
    let with = |record: &[u8]| {
        let mut counts = [0; 16];
        (counts[7], counts[15]) = (1, 1);
        [&whole[..start], record, &item(3, &[]), &item(4, &counts)].concat()
    };
    vec![
        ("whole", whole.clone()),
        ("start-only", whole[..start].to_vec()),
        ("no-start", whole[start..].to_vec()),
        ("no-end", whole[..end].to_vec()),
        ("cut", whole[..end / 2].to_vec()),
        ("longer", [&whole[..], &[0]].concat()),
        (
            "too-long",
            [&whole[..start], &[2, 255, 255, 255, 255]].concat(),
        ),
        ("unknown-item", [&whole[..start], &item(9, b"?")].concat()),
        ("row", with(&record(4, b"\x06bob", b"known"))),
        ("secret-row", with(&record(4, b"\x82chain", b"secret"))),
        ("own-row", with(&record(4, b"\xc8life", b"first"))),
        ("no-range", with(&record(2, &[1, 0, 1, 0, 0], b"\0text"))),
        ("drop-with-body", with(&record(3, &[0; 89], b"?"))),
        ("unknown-kind", with(&record(6, b"", b""))),
        ("other-counts", [&whole[..end], &item(4, &[0; 16])].concat()),
    ]
}

#[test]
fn the_corpus_of_archives_replays() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/store_archive");
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        fs::create_dir_all(&corpus).unwrap();
        for (name, bytes) in archives() {
            fs::write(corpus.join(name), bytes).unwrap();
        }
    }
    let mut files = 0;
    for file in fs::read_dir(corpus).unwrap() {
        let data = fs::read(file.unwrap().path()).unwrap();
        store_archive(&data);
        for at in (0..data.len()).step_by(data.len() / 64 + 1) {
            let mut changed = data.clone();
            changed[at] ^= 1 << (at % 8);
            store_archive(&changed);
        }
        files += 1;
    }
    assert!(files >= 15, "{files} files");
    // Of those, two are archives; what is in the others is refused.
    let read = |bytes: &[u8]| {
        let mut reader = ArchiveReader::default();
        reader.push(bytes);
        while reader.next()?.is_some() {}
        reader.finish()
    };
    for (name, bytes) in archives() {
        let whole = ["whole", "row"].contains(&name);
        assert_eq!(read(&bytes).is_ok(), whole, "{name}");
    }
}

/// The genuine store passes through both ways of writing it down, so that what is changed starts from a whole one.
#[test]
fn what_is_mended_without_a_change_is_the_genuine_store() {
    let mut files = genuine().files.clone();
    targets::mend(&mut files);
    assert!(files == genuine().files);
    assert!(targets::files_made(&made(numbered(&files))[1..]) == files);
}

/// Every place of the journal, changed behind its checksums.
#[test]
fn jrn_5_fields_that_do_not_fit_are_refused_behind_good_checksums() {
    for (number, (_, bytes)) in genuine().files.iter().enumerate() {
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        for at in 0..=used {
            let [a, b] = u16::try_from(at).unwrap().to_be_bytes();
            let file = u8::try_from(number).unwrap();
            store_open_arbitrary_files(&[MENDED, file, a, b, 4, 1 << (at % 8), 0]);
        }
    }
}
