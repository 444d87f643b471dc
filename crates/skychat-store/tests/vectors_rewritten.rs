//! The fixed bytes of a segment that was rewritten, `tests/vectors/rewritten.json`, with what has to
//! be refused. A difference is a change of the format. Written again only with
//! `SKYCHAT_WRITE_VECTORS=1`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test that panics is a test that fails"
)]

mod common;
#[path = "common/dying.rs"]
mod dying;

use std::collections::BTreeMap;
use std::path::Path;

use common::*;
use data_encoding::HEXLOWER;
use dying::{drop_of, sweep};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skychat_proto::record::{Parts, tables};
use skychat_store::*;

type Files = BTreeMap<String, Vec<u8>>;

const SEGMENT: &str = "journal/00000001.seg";
const HEADER: usize = 138;
const FOOTER: usize = 186;
const GROUP: usize = 86;
const RECORD: usize = 54;

/// Three segments, of which the first was rewritten: an entry without its body, a content without
/// its text, an event without its row, records and a group that were left out.
fn files() -> (Files, Files) {
    let disk = MemoryDisk::new();
    let segments = SegmentSizes {
        first: 4096,
        largest: 4096,
    };
    let larger = OpenOptions {
        segments,
        ..options()
    };
    let (mut writer, _, _) = Store::open(disk.clone(), larger).unwrap();
    let mut ann = Author::new(ann());
    let mut first = ann.batch(1, 3, 20);
    first.records.push(put(PEER, "bob", "known", false));
    first.records.push(put(PEER, "cat", "seen", true));
    writer.commit(vec![first]).unwrap();
    writer
        .commit(vec![batch(
            2,
            vec![put(PEER, "bob", "better known", false)],
        )])
        .unwrap();
    let last = vec![
        put(PEER, "bob", "well known", false),
        put(PEER, "cat", "seen again", false),
        put(tables::EVENT, "event 1", "it", true),
        drop_of(ann.feed, 1, 2, Parts::Both),
    ];
    writer.commit(vec![batch(3, last)]).unwrap();
    for n in 4..12 {
        writer.commit(vec![ann.batch(n, 2, 400)]).unwrap();
    }
    sweep(&writer);
    let before = disk.files();
    let rewriter = writer.rewriter();
    while rewriter.step(true) {}
    (before, disk.files())
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn sum(bytes: &[u8], after: &[u8]) -> [u8; 4] {
    crc32c::crc32c_append(crc32c::crc32c(bytes), after).to_be_bytes()
}

/// Where the groups of the segment begin, and in each its records.
fn places(bytes: &[u8]) -> Vec<(usize, Vec<usize>)> {
    let mut groups = Vec::new();
    let mut at = HEADER;
    while bytes.get(at..at + 4) == Some(b"SKYG") {
        let end = at + GROUP + u32_at(bytes, at + 46);
        let mut records = Vec::new();
        let mut record = at + GROUP;
        while record < end {
            records.push(record);
            record += RECORD + u32_at(bytes, record + 2) + 4 + u32_at(bytes, record + 6);
        }
        groups.push((at, records));
        at = end;
    }
    groups
}

/// Makes all hashes and checksums of the segment right again, as the page says; its counts stay.
fn reseal(bytes: &mut [u8]) {
    let header = sum(&bytes[..HEADER - 4], &[]);
    bytes[HEADER - 4..HEADER].copy_from_slice(&header);
    let mut held = [0; 32];
    for (group, records) in places(bytes) {
        for record in records {
            let meta_end = record + RECORD + u32_at(bytes, record + 2);
            let head = &bytes[record..meta_end];
            held = Sha256::digest([&held[..], head].concat()).into();
            let mut place = bytes[group + 22..group + 30].to_vec();
            place.extend((record as u64).to_be_bytes());
            let head_sum = sum(&place, head);
            bytes[meta_end..meta_end + 4].copy_from_slice(&head_sum);
        }
        bytes[group + 50..group + 82].copy_from_slice(&held);
        let group_sum = sum(&bytes[group..group + 82], &(group as u64).to_be_bytes());
        bytes[group + 82..group + 86].copy_from_slice(&group_sum);
    }
    let footer = bytes.len() - FOOTER;
    bytes[footer + 134..footer + 166].copy_from_slice(&held);
    let footer_sum = sum(&bytes[footer..footer + 182], &[]);
    bytes[footer + 182..].copy_from_slice(&footer_sum);
}

/// What is changed, and whether the sums are made right again.
fn refusals(files: &Files) -> Vec<(&'static str, Files)> {
    let bytes = &files[SEGMENT];
    let groups = places(bytes);
    let footer = bytes.len() - FOOTER;
    let gone = groups
        .iter()
        .flat_map(|(_, records)| records)
        .copied()
        .find(|record| bytes[*record] == 6)
        .unwrap();
    let mut cases = Vec::new();
    let mut case = |name, sealed: bool, at: usize, to: &[u8]| {
        let mut changed = files.clone();
        let bytes = changed.get_mut(SEGMENT).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        if sealed {
            reseal(bytes);
        }
        cases.push((name, changed));
    };
    let one = [0, 0, 0, 0, 0, 0, 0, 1];
    case(
        "segment: generation 0 with another footer",
        true,
        58,
        &[0; 4],
    );
    case(
        "segment: another generation than its groups",
        true,
        58,
        &[0, 0, 0, 2],
    );
    case(
        "group: another generation",
        true,
        groups[0].0 + 26,
        &[0, 0, 0, 2],
    );
    case("group: a number twice", true, groups[1].0 + 30, &one);
    case(
        "group: more records than stood there",
        true,
        groups[0].0 + 38,
        &[0, 0, 0, 99],
    );
    case("group: another held hash", false, groups[0].0 + 50, &[1]);
    case("gone: of nothing", true, gone + RECORD, &[0, 0]);
    case(
        "gone: of more than stood there",
        true,
        gone + RECORD,
        &[0, 9],
    );
    case(
        "gone: an event",
        true,
        gone + 1,
        &[1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    );
    case(
        "record: a head without its checksum",
        false,
        groups[0].1[1] + 10,
        &[1],
    );
    case("footer: another magic", true, footer, b"SKYF");
    case("footer: version 2", true, footer + 4, &[0, 2]);
    case("footer: another store", true, footer + 6, &[7; 16]);
    case(
        "footer: another generation",
        true,
        footer + 58,
        &[0, 0, 0, 2],
    );
    case("footer: another running hash", true, footer + 62, &[7; 32]);
    case(
        "footer: fewer groups than are there",
        true,
        footer + 94,
        &one,
    );
    case("footer: other records", true, footer + 102, &one);
    case("footer: other events", true, footer + 110, &one);
    case("footer: another held hash", false, footer + 134, &[7]);
    case(
        "footer: other groups that are there",
        true,
        footer + 166,
        &one,
    );
    case(
        "footer: other records that are there",
        true,
        footer + 174,
        &one,
    );
    case(
        "footer: a checksum that does not match",
        false,
        bytes.len() - 1,
        &[!bytes[bytes.len() - 1]],
    );

    let mut behind = files.clone();
    behind.get_mut(SEGMENT).unwrap().push(0);
    cases.push(("footer: something behind it", behind));
    // Without those behind it, and without `HEAD`, which names them.
    let mut last = files.clone();
    last.retain(|name, _| name == SEGMENT);
    cases.push(("segment: nothing follows one that was rewritten", last));
    let mut kept = files.clone();
    let group = groups.last().unwrap().0;
    let bytes = kept.get_mut(SEGMENT).unwrap();
    bytes.drain(group..footer);
    reseal(bytes);
    cases.push(("group: one is missing", kept));
    cases
}

/// `Damaged: Body` and the like.
fn error_name(error: &OpenError) -> String {
    match error {
        OpenError::Damaged { what, .. } => format!("Damaged: {what:?}"),
        OpenError::Version { .. } => "Version".to_owned(),
        other => panic!("{other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Without the zeros at its end.
fn used(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0);
    &bytes[..end.map_or(0, |at| at + 1)]
}

fn shown(files: &Files) -> Value {
    let file = |(path, bytes): (&String, &Vec<u8>)| {
        let file = json!({ "length": bytes.len(), "hex": hex(used(bytes)) });
        (path.clone(), file)
    };
    Value::Object(files.iter().map(file).collect())
}

#[test]
fn the_vectors_are_what_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/rewritten.json");
    let (before, files) = files();
    assert_ne!(before[SEGMENT], files[SEGMENT]);
    let mut resealed = files[SEGMENT].clone();
    reseal(&mut resealed);
    assert_eq!(resealed, files[SEGMENT], "the page says what the code does");
    let kinds: Vec<u8> = places(&resealed)
        .iter()
        .flat_map(|(_, records)| records.iter().map(|record| resealed[*record]))
        .collect();
    for kind in 1..=4 {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert!(kinds.contains(&6), "{kinds:?}");
    let (expected, warnings) = look(MemoryDisk::with_files(before.clone())).unwrap();
    assert_eq!(warnings, []);
    let (found, warnings) = look(MemoryDisk::with_files(files.clone())).unwrap();
    assert!(found == expected && warnings.is_empty());

    let mut refuse = Vec::new();
    for (name, changed) in refusals(&files) {
        let disk = MemoryDisk::with_files(changed.clone());
        let error = Store::open(disk.clone(), options())
            .map(|_| ())
            .expect_err(name);
        assert_eq!(disk.files(), changed, "{name}: nothing is altered");
        refuse.push(json!({
            "name": name,
            "error": error_name(&error),
            "segment": hex(&changed[SEGMENT]),
        }));
    }
    let made = json!({
        "about": "Skychat, a segment that was rewritten, docs/protocol/journal.md, JRN-7. Bytes are lower-case hex; a file is `hex` and then zeros up to `length`. `before` is what it was made from: both say the same. `refuse` are other first segments in the place of it, each of which is refused; where nothing follows, it stands alone.",
        "owner": hex(options().owner.as_bytes()),
        "store_key": hex(&key(9).to_file_bytes()),
        "before": hex(used(&before[SEGMENT])),
        "files": shown(&files),
        "refuse": refuse,
    });
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(kept, made);
}
