//! The fixed bytes of a checkpoint, `tests/vectors/checkpoint.json`, with what has to be refused. A
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
#[path = "fuzz/mend.rs"]
mod mend;

use std::collections::BTreeMap;
use std::path::Path;

use chacha20::ChaCha20Rng;
use common::*;
use data_encoding::HEXLOWER;
use mend::mend;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skychat_proto::ids::*;
use skychat_proto::record::{Parts, Record};
use skychat_store::*;

type Files = BTreeMap<String, Vec<u8>>;

const SEGMENT: &str = "journal/00000003.seg";
const PATH: &str = "checkpoint-3";
const HEAD: usize = 146;
const OVERHEAD: usize = 40;

fn bounded() -> OpenOptions {
    OpenOptions {
        tail: Some(1_000),
        ..options()
    }
}

/// Three segments and two checkpoints; the newer one has an item of each type.
fn files() -> Files {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), bounded()).unwrap();
    let maker = writer.checkpoint_maker();
    let (mut ann, mut bob) = (Author::new(ann()), Author::new(bob()));
    let mut number = 0;
    while !disk.files().contains_key(SEGMENT) {
        number += 1;
        let mut batch = ann.batch(number, 2, 40);
        batch.records.push(put(PEER, "bob", "known", false));
        batch
            .records
            .push(put(TableId::new(130), "chain", "secret", false));
        if number == 2 {
            batch.records.extend(bob.batch(99, 1, 40).records);
            batch.records.push(Record::Drop {
                feed: ann.feed,
                from: Position::new(1),
                to: Position::new(3),
                parts: Parts::Both,
            });
        }
        writer.commit(vec![batch]).unwrap();
        maker.step();
    }
    writer.commit(vec![]).unwrap();
    disk.files()
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn place<'a>(front: &'a [u8], number: &'a [u8; 8]) -> [&'a [u8]; 3] {
    [b"skychat/v1/journal-checkpoint", front, number]
}

/// What stands in the chunks.
fn items(file: &[u8]) -> Vec<u8> {
    let mut items = Vec::new();
    let mut at = HEAD;
    for number in 0_u64.. {
        if at == file.len() {
            break;
        }
        let end = at + 4 + u32_at(file, at);
        let number = number.to_be_bytes();
        let opened = key(9).open(&place(&file[..142], &number), &file[at + 4..end]);
        items.extend_from_slice(&opened.unwrap());
        at = end;
    }
    items
}

/// One item after the other.
fn split(items: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut rest = items;
    while let Some(kind) = rest.first() {
        let length = match kind {
            2 => 1 + 73 + 8 + 32,
            3 | 6 => 1 + 73 + 16,
            4 => {
                let value = 16 + u32_at(rest, 12);
                value + 4 + u32_at(rest, value)
            }
            5 => 1 + 32 + 8 + 10,
            7 => 1 + 10,
            8 => 1 + 73 + 17,
            9 => 1 + 8,
            other => panic!("type {other}"),
        };
        let (item, behind) = rest.split_at(length);
        all.push(item.to_vec());
        rest = behind;
    }
    all
}

/// A checkpoint with this header and these items.
fn sealed(mut head: Vec<u8>, items: &[u8]) -> Vec<u8> {
    let mut rng = ChaCha20Rng::from_seed([4; 32]);
    head[134..142].copy_from_slice(&1_u64.to_be_bytes());
    let sum = crc32c::crc32c(&head[..142]).to_be_bytes();
    head[142..HEAD].copy_from_slice(&sum);
    let mut file = head.clone();
    file.extend_from_slice(&((items.len() + OVERHEAD) as u32).to_be_bytes());
    key(9)
        .seal(&mut rng, &place(&head[..142], &[0; 8]), items, &mut file)
        .unwrap();
    file
}

/// The same files with another checkpoint, which is journalled as what it is.
fn with_checkpoint(files: &Files, file: Vec<u8>) -> Files {
    let mut files = files.clone();
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let name: [u8; 4] = [0, 0, 0, 3];
    let at = [&[201][..], &name].concat();
    let mut row = Vec::new();
    let row_place: [&[u8]; 3] = [b"skychat/v1/journal-value", &[201], &name];
    key(9)
        .seal(&mut rng, &row_place, &Sha256::digest(&file), &mut row)
        .unwrap();
    let segment = files.get_mut(SEGMENT).unwrap();
    let meta = segment.windows(5).position(|found| found == at).unwrap();
    let body = meta + 5 + 4;
    segment[body..body + row.len()].copy_from_slice(&row);
    files.insert(PATH.to_owned(), file);
    mend(&mut files);
    files
}

/// Names of what is refused, each with the file.
fn refusals(files: &Files) -> Vec<(&'static str, Vec<u8>)> {
    let good = &files[PATH];
    let (head, all) = (good[..HEAD].to_vec(), items(good));
    let mut cases = Vec::new();
    let heads: [(&str, usize, &[u8]); 12] = [
        ("header: another magic", 0, b"SKYX"),
        ("header: version 2", 4, &[0, 2]),
        ("header: another store", 6, &[7; 16]),
        ("header: another owner", 22, &[7; 32]),
        ("header: another segment", 54, &[0, 0, 0, 2]),
        ("header: a generation", 58, &[0, 0, 0, 1]),
        ("header: another running hash", 62, &[7; 32]),
        ("header: other groups", 94, &[7; 8]),
        ("header: other records", 102, &[7; 8]),
        ("header: other events", 110, &[7; 8]),
        ("header: another check value", 118, &[7; 16]),
        ("header: a checksum that does not match", HEAD, &[]),
    ];
    for (name, at, to) in heads {
        let mut changed = head.clone();
        if to.is_empty() {
            let mut file = good.clone();
            file[HEAD - 1] ^= 1;
            cases.push((name, file));
            continue;
        }
        changed[at..at + to.len()].copy_from_slice(to);
        cases.push((name, sealed(changed, &all)));
    }
    let mut chunks = |name, file: Vec<u8>| cases.push((name, file));
    chunks("chunks: one is missing", good[..HEAD].to_vec());
    chunks("chunks: cut", good[..good.len() - 1].to_vec());
    chunks("chunks: something behind them", [good, &[0][..]].concat());
    let mut flipped = good.clone();
    flipped[HEAD + 50] ^= 1;
    chunks("chunks: altered", flipped);
    let mut moved = good.clone();
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    moved.truncate(HEAD + 4);
    key(9)
        .seal(
            &mut rng,
            &place(&good[..142], &[0, 0, 0, 0, 0, 0, 0, 1]),
            &all,
            &mut moved,
        )
        .unwrap();
    chunks("chunks: sealed for another place", moved);

    let mut with = |name, item: &[u8]| {
        let items = [&all, item].concat();
        cases.push((name, sealed(head.clone(), &items)));
    };
    let of = |kind: u8| {
        let found = split(&all).into_iter().find(|item| item[0] == kind);
        found.unwrap()
    };
    with("items: of type 1", &[1, 0, 0, 0, 1, 0, 0, 0, 1]);
    with("items: of an unknown type", &[10]);
    with("items: cut", &of(2)[..50]);
    with("items: a tip twice", &of(2));
    with("items: a span twice", &of(3));
    with("items: a row twice", &of(4));
    with("items: a conversation twice", &of(5));
    let mut empty = of(2);
    empty[30] ^= 1;
    empty[74..82].fill(0);
    with("items: a tip without entries", &empty);
    let mut span = of(3);
    span[74..82].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9]);
    span[82..90].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9]);
    with("items: a span of nothing", &span);
    let record = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0];
    let row = |table: u8| {
        let rest = [0, 0, 0, 1, 7, 0, 0, 0, 1, 7];
        [&[4, table][..], &record, &rest].concat()
    };
    with("items: a row of the log", &row(8));
    with("items: a secret row", &row(128));
    with("items: a row of an unknown table", &row(202));
    with("items: a span of contents twice", &of(6));
    with("items: a dead row twice", &of(7));
    with("items: a dead span twice", &of(8));
    let mut to_come = of(7);
    to_come[1..9].fill(0xFF);
    with("items: a dead row that is still to come", &to_come);
    let mut other = of(8);
    other[90] = 4;
    with("items: a dead span of other parts", &other);
    with(
        "items: everything is dead twice",
        &[
            &[9][..],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[9],
            &[0, 0, 0, 0, 0, 0, 0, 1],
        ]
        .concat(),
    );
    cases
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Without the zeros at its end.
fn used(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0);
    &bytes[..end.map_or(0, |at| at + 1)]
}

fn opened(files: &Files, options: OpenOptions) -> Recovered {
    let disk = MemoryDisk::with_files(files.clone());
    Store::open(disk, options).unwrap().2
}

#[test]
fn the_vectors_are_what_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/checkpoint.json");
    let files = files();
    let mut mended = files.clone();
    mend(&mut mended);
    assert_eq!(mended, files, "the page says what the code does");
    let good = &files[PATH];
    let all = items(good);
    assert_eq!(all, split(&all).concat());
    let expected = opened(&files, options());
    assert_eq!(opened(&files, bounded()), expected);
    // As the test seals it, it is one too: so what is refused below is refused for its own sake.
    let again = with_checkpoint(&files, sealed(good[..HEAD].to_vec(), &all));
    assert_eq!(opened(&again, bounded()), expected);

    let mut refuse = Vec::new();
    for (name, file) in refusals(&files) {
        let found = opened(&with_checkpoint(&files, file.clone()), bounded());
        assert_eq!(
            found.warnings,
            [Warning::Checkpoint { segment: 3 }],
            "{name}"
        );
        let found = Recovered {
            warnings: vec![],
            ..found
        };
        assert_eq!(found, expected, "{name}");
        refuse.push(json!({ "name": name, "hex": hex(&file) }));
    }
    let shown = files.iter().map(|(path, bytes)| {
        let file = json!({ "length": bytes.len(), "hex": hex(used(bytes)) });
        (path.clone(), file)
    });
    let items = split(&all).into_iter().map(|item| hex(&item));
    let made = json!({
        "about": "Skychat checkpoints, docs/protocol/journal.md, JRN-8. Bytes are lower-case hex; a file is `hex` and then zeros up to `length`. `items` is what stands in the chunks of `checkpoint-3`. `refuse` are other files in its place: each is refused even if it is journalled.",
        "owner": hex(options().owner.as_bytes()),
        "store_key": hex(&key(9).to_file_bytes()),
        "files": Value::Object(shown.collect()),
        "items": items.collect::<Vec<_>>(),
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
