//! The fixed bytes of a journal, `tests/vectors/journal.json`, with what has to be refused. A
//! difference is a change of the format. Written again only with `SKYCHAT_WRITE_VECTORS=1`.

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

use std::collections::BTreeMap;
use std::path::Path;

use common::*;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skychat_proto::ids::*;
use skychat_proto::record::{ContentOf, Parts, Record, tables};
use skychat_store::*;

type Files = BTreeMap<String, Vec<u8>>;

const SEGMENT: &str = "journal/00000001.seg";
const HEADER: usize = 138;
const GROUP: usize = 86;
const RECORD: usize = 54;

fn opened_with(key: u8) -> OpenOptions {
    OpenOptions {
        store_key: common::key(key),
        segments: SegmentSizes {
            first: 8192,
            largest: 8192,
        },
        ..options()
    }
}

/// Three groups with every kind of record.
fn files() -> Files {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), opened_with(9)).unwrap();
    let mut ann = Author::new(ann());
    let draft = Record::Content {
        of: ContentOf::Draft {
            author: ann.secret.public(),
            space: space(),
            message: message(77),
        },
        event: true,
        plaintext: text("draft"),
    };
    writer.commit(vec![ann.batch(1, 2, 10)]).unwrap();
    let rows = vec![
        put(PEER, "bob", "known", false),
        put(tables::EVENT, "event 1", "it", true),
    ];
    writer
        .commit(vec![batch(2, rows), batch(3, vec![draft])])
        .unwrap();
    let mut last = ann.batch(4, 1, 10);
    last.records.push(Record::Delete {
        table: PEER,
        key: b"bob".to_vec(),
        event: false,
    });
    last.records.push(Record::Drop {
        feed: ann.feed,
        from: Position::new(1),
        to: Position::new(2),
        parts: Parts::Bodies,
    });
    writer.commit(vec![last]).unwrap();
    disk.files()
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

/// Makes all hashes and checksums right again, as the page says.
fn reseal(files: &mut Files) {
    let bytes = files.get_mut(SEGMENT).unwrap();
    let header = sum(&bytes[..HEADER - 4], &[]);
    bytes[HEADER - 4..HEADER].copy_from_slice(&header);
    let mut chain = [0; 32];
    for (group, records) in places(bytes) {
        for record in records {
            let meta_end = record + RECORD + u32_at(bytes, record + 2);
            let head = &bytes[record..meta_end];
            chain = Sha256::digest([&chain[..], head].concat()).into();
            let mut place = bytes[group + 22..group + 30].to_vec();
            place.extend((record as u64).to_be_bytes());
            let head_sum = sum(&place, head);
            bytes[meta_end..meta_end + 4].copy_from_slice(&head_sum);
        }
        bytes[group + 50..group + 82].copy_from_slice(&chain);
        let group_sum = sum(&bytes[group..group + 82], &(group as u64).to_be_bytes());
        bytes[group + 82..group + 86].copy_from_slice(&group_sum);
    }
    let head = files.get_mut("HEAD").unwrap();
    head[20..52].copy_from_slice(&chain);
    let head_sum = sum(&head[..60], &[]);
    head[60..].copy_from_slice(&head_sum);
}

/// What is changed, and how it is refused.
fn refusals() -> Vec<(&'static str, Files)> {
    let files = files();
    let bytes = &files[SEGMENT];
    let groups = places(bytes);
    let record = |group: usize, record: usize| groups[group].1[record];
    let mut cases = Vec::new();
    let mut case = |name, sealed: bool, at: usize, to: &[u8]| {
        let mut changed = files.clone();
        changed.get_mut(SEGMENT).unwrap()[at..at + to.len()].copy_from_slice(to);
        if sealed {
            reseal(&mut changed);
        }
        cases.push((name, changed));
    };
    case("segment: another magic", true, 0, b"SKYX");
    case("segment: version 2", true, 4, &[0, 2]);
    case(
        "segment: another owner",
        true,
        22,
        bob().public().as_bytes(),
    );
    case(
        "segment: another number than its name",
        true,
        54,
        &[0, 0, 0, 2],
    );
    case(
        "segment: the first one with a running hash",
        true,
        62,
        &[1; 32],
    );
    case(
        "segment: the first one with records",
        true,
        102,
        &[0, 0, 0, 0, 0, 0, 0, 1],
    );
    case(
        "segment: a checksum that does not match",
        false,
        HEADER - 1,
        &[!bytes[HEADER - 1]],
    );
    case("group: another store", true, groups[1].0 + 6, &[7; 16]);
    case(
        "group: another segment",
        true,
        groups[1].0 + 22,
        &[0, 0, 0, 2],
    );
    case(
        "group: another generation",
        true,
        groups[1].0 + 26,
        &[0, 0, 0, 1],
    );
    case(
        "group: a number is left out",
        true,
        groups[1].0 + 30,
        &[0, 0, 0, 0, 0, 0, 0, 3],
    );
    case(
        "group: a record too many",
        true,
        groups[1].0 + 38,
        &[0, 0, 0, 4],
    );
    case(
        "group: longer than the segment",
        false,
        groups[2].0 + 46,
        &[1, 0, 0, 0],
    );
    case(
        "group: another running hash",
        false,
        groups[0].0 + 50,
        &[0; 32],
    );
    case("record: an unknown kind", true, record(1, 0), &[6]);
    case("record: kind 0", true, record(1, 0), &[0]);
    case("record: an unknown flag", true, record(1, 1) + 1, &[3]);
    case(
        "record: a number without the flag of an event",
        true,
        record(1, 1) + 1,
        &[0],
    );
    case(
        "record: the flag of an event without a number",
        true,
        record(1, 0) + 1,
        &[1],
    );
    case(
        "record: an event number is left out",
        true,
        record(1, 1) + 17,
        &[9],
    );
    case(
        "record: a head without its checksum",
        false,
        record(1, 0) + 10,
        &[1],
    );
    case(
        "record: a meta longer than the group",
        false,
        record(1, 0) + 2,
        &[0, 1, 0, 0],
    );
    case(
        "entry: a body that is another",
        false,
        record(2, 0) + RECORD + 256,
        &[0],
    );
    case(
        "entry: does not begin where its feed ends",
        true,
        record(2, 0) + RECORD + 74,
        &[0, 0, 0, 0, 0, 0, 0, 5],
    );
    case(
        "entry: follows another entry",
        true,
        record(2, 0) + RECORD + 82,
        &[1; 32],
    );
    case(
        "entry: version 2 of the range",
        true,
        record(2, 0) + RECORD,
        &[2],
    );
    case(
        "content: an unknown form",
        true,
        record(0, 2) + RECORD,
        &[3],
    );
    case(
        "content: no range that far back",
        true,
        record(0, 2) + RECORD + 1,
        &[0, 9],
    );
    case(
        "content: of itself",
        true,
        record(0, 2) + RECORD + 1,
        &[0, 0],
    );
    case(
        "content: a row past the range",
        true,
        record(0, 2) + RECORD + 3,
        &[0, 2],
    );
    case(
        "content: a body that is another",
        false,
        record(0, 2) + RECORD + 5 + 4,
        &[bytes[record(0, 2) + RECORD + 9] ^ 1],
    );
    case(
        "drop: ends before it begins",
        true,
        record(2, 3) + RECORD + 73,
        &[0, 0, 0, 0, 0, 0, 0, 3],
    );
    case("drop: of nothing", true, record(2, 3) + RECORD + 89, &[0]);
    case(
        "drop: of what is not known",
        true,
        record(2, 3) + RECORD + 89,
        &[5],
    );
    case("the journal ends before HEAD", false, groups[2].0, &[0; 86]);

    let mut changed = files.clone();
    changed.remove(SEGMENT);
    cases.push(("the journal is gone under HEAD", changed));
    for (name, at, to) in [
        ("HEAD: another running hash", 20, 1),
        ("HEAD: another record count", 59, 1),
        ("HEAD: another length", 19, 1),
    ] {
        let mut changed = files.clone();
        let head = changed.get_mut("HEAD").unwrap();
        head[at] ^= to;
        let head_sum = sum(&head[..60], &[]);
        head[60..].copy_from_slice(&head_sum);
        cases.push((name, changed));
    }
    cases
}

/// `Damaged: Body` and the like.
fn error_name(error: &OpenError) -> String {
    match error {
        OpenError::Damaged { what, .. } => format!("Damaged: {what:?}"),
        other => {
            let name = format!("{other:?}");
            name.chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect()
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Without the zeros at its end.
fn used(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    &bytes[..end]
}

fn shown(files: &Files) -> Value {
    let file = |(path, bytes): (&String, &Vec<u8>)| {
        (
            path.clone(),
            json!({ "length": bytes.len(), "hex": hex(used(bytes)) }),
        )
    };
    Value::Object(files.iter().map(file).collect())
}

/// What has to be changed in the files that are accepted.
fn difference(from: &Files, to: &Files) -> Value {
    let mut changes = Vec::new();
    for (path, bytes) in from {
        let Some(changed) = to.get(path) else {
            changes.push(json!({ "path": path, "remove": true }));
            continue;
        };
        let mut at = 0;
        while at < bytes.len() {
            let run = (at..bytes.len())
                .take_while(|at| bytes[*at] != changed[*at])
                .count();
            if run > 0 {
                changes.push(
                    json!({ "path": path, "offset": at, "hex": hex(&changed[at..at + run]) }),
                );
            }
            at += run + 1;
        }
    }
    Value::Array(changes)
}

fn contents(said: &Said) -> Value {
    json!({
        "tips": said.tips.iter().map(|(feed, (head, hash))| json!({
            "feed": hex(&feed.to_bytes()), "head": head.get(), "hash": hex(hash.as_bytes()),
        })).collect::<Vec<_>>(),
        "rows": said.tables.iter().map(|((table, key), value)| json!({
            "table": table.get(), "key": hex(key), "value": hex(value),
        })).collect::<Vec<_>>(),
        "messages": said.history.iter().map(|message| json!({
            "group": message.record.group,
            "index": message.record.index,
            "event": message.event.map(EventSeq::get),
            "id": hex(message.header.message.as_bytes()),
            "content": message.content.as_ref().map(|content| hex(content)),
        })).collect::<Vec<_>>(),
        "events": said.events.len(),
    })
}

#[test]
fn the_vectors_are_what_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/journal.json");
    let files = files();
    let mut resealed = files.clone();
    reseal(&mut resealed);
    assert_eq!(resealed, files, "the page says what the code does");

    let disk = MemoryDisk::with_files(files.clone());
    let (_, reader, recovered) = Store::open(disk, opened_with(9)).unwrap();
    assert_eq!(recovered.warnings, []);
    let said = said(&reader, &recovered).unwrap();

    let mut refuse = Vec::new();
    for (name, changed) in refusals() {
        let opened = Store::open(MemoryDisk::with_files(changed.clone()), opened_with(9));
        let error = opened.map(|_| ()).expect_err(name);
        refuse.push(json!({
            "name": name,
            "error": error_name(&error),
            "changes": difference(&files, &changed),
        }));
    }
    let error = Store::open(MemoryDisk::with_files(files.clone()), opened_with(8)).unwrap_err();
    refuse.push(json!({
        "name": "another store key",
        "error": error_name(&error),
        "store_key": hex(&common::key(8).to_file_bytes()),
    }));

    let made = json!({
        "about": "Skychat journal, docs/protocol/journal.md. Bytes are lower-case hex; a file is `hex` and then zeros up to `length`. `refuse` is what is changed in these files; every implementation refuses the result, the names in `error` are ours.",
        "owner": hex(options().owner.as_bytes()),
        "store_key": hex(&common::key(9).to_file_bytes()),
        "files": shown(&files),
        "contents": contents(&said),
        "refuse": refuse,
    });
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (name, part) in kept.as_object().unwrap() {
        assert_eq!(part, &made[name], "{name}");
    }
    assert_eq!(kept, made);
}
