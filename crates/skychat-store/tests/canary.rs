//! On real files, with an index and checkpoints: what was dropped, replaced or taken away is in no
//! file of the directory once the store was stopped (JRN-6).

#![cfg(feature = "sled")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test that panics is a test that fails"
)]

mod common;
#[path = "common/dead.rs"]
mod remains;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use common::*;
use rand_core::{Rng, SeedableRng};
use remains::{Files, dead, dead_places, leftovers};
use skychat_proto::ids::*;
use skychat_proto::record::{ContentOf, Parts, Record};
use skychat_store::*;
use zeroize::Zeroizing;

const SECRET: TableId = TableId::new(130);
/// Shorter pieces may be there by chance, or say nothing.
const WINDOW: usize = 24;
const PATIENCE: Duration = Duration::from_secs(30);

/// All files below a directory.
fn files(dir: &Path) -> Files {
    let mut found = Files::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_string_lossy();
                // Of a store that is open, one may go meanwhile.
                if let Ok(bytes) = fs::read(&path) {
                    found.insert(name.into_owned(), bytes);
                }
            }
        }
    }
    found
}

fn windows(bytes: &[u8]) -> impl Iterator<Item = [u8; WINDOW]> + '_ {
    bytes.windows(WINDOW).map(|part| part.try_into().unwrap())
}

fn assert_gone(files: &Files, secrets: &HashSet<[u8; WINDOW]>) {
    for (name, bytes) in files {
        // Zeros are nothing that was said.
        for part in windows(bytes).filter(|part| *part != [0; WINDOW]) {
            assert!(
                !secrets.contains(&part),
                "{name} holds what was dropped: {part:?}"
            );
        }
    }
}

struct Open {
    handle: WriterHandle,
    told: std::sync::mpsc::Receiver<Done>,
    reader: StoreReader,
}

fn open(dir: &Path, n: u8) -> Open {
    let options = OpenOptions {
        tail: Some(20),
        incarnation: life(n),
        seed: [n; 32],
        ..options()
    };
    let (mut writer, reader, recovered) = Store::open(FileDisk::new(dir), options).unwrap();
    assert_eq!(recovered.warnings, []);
    writer.keep_ballast();
    let (tell, told) = sync_channel(10_000);
    let index = dir.join("index");
    let handle = spawn_indexed_writer(writer, index, move |done| tell.send(done).unwrap()).unwrap();
    Open {
        handle,
        told,
        reader,
    }
}

impl Open {
    fn commit(&self, records: Vec<Record>) {
        self.handle.commit(batch(1, records)).unwrap();
        match self.told.recv().unwrap() {
            Done::Committed { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    /// What is in the index only can be swept from then on.
    fn wait_for_index(&self) {
        let began = Instant::now();
        while self.reader.is_indexing() {
            assert!(began.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops, and waits for the end.
    fn stop(self) {
        self.handle.join();
        assert!(matches!(self.told.iter().last().unwrap(), Done::Stopped));
    }
}

#[test]
fn nothing_that_was_dropped_is_in_any_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = chacha20::ChaCha20Rng::from_seed([77; 32]);
    let mut random = |length: usize| {
        let mut bytes = vec![0; length];
        rng.fill_bytes(&mut bytes);
        bytes
    };
    let mut ann = Author::new(ann());
    let mut secrets: HashSet<[u8; WINDOW]> = HashSet::new();
    let mut plain = Vec::new();
    for n in 1..=4_u8 {
        let store = open(dir.path(), n);
        for group in 0..30 {
            let bodies: Vec<Vec<u8>> = (0..3).map(|_| random(90)).collect();
            let first = ann.head.get();
            let (range, ids) = ann.write(&bodies);
            let mut records = vec![Record::Range { range }];
            for (row, id) in ids.into_iter().enumerate() {
                if first == 0 && row == 0 {
                    continue;
                }
                let text = random(40);
                plain.push(text.clone());
                records.push(Record::Content {
                    of: ContentOf::Entry {
                        back: records.len() as u16,
                        row: row as u16,
                        id,
                    },
                    event: true,
                    plaintext: Zeroizing::new(text),
                });
            }
            for (table, key) in [(PEER, group % 7), (SECRET, group % 2)] {
                let value = random(50);
                plain.push(value.clone());
                records.push(Record::Put {
                    table,
                    key: vec![key],
                    value,
                    event: false,
                });
            }
            store.commit(records);
        }
        // What is dead now is on the disk as it was written, unless it was swept before.
        let head = ann.head.get();
        let (from, to) = (Position::new(head - 100.min(head)), Position::new(head - 9));
        let old = Record::Drop {
            feed: ann.feed,
            from: Position::new(3),
            to: Position::new(40),
            parts: Parts::Contents,
        };
        let new = Record::Drop {
            feed: ann.feed,
            from,
            to,
            parts: Parts::Both,
        };
        let gone = Record::Delete {
            table: PEER,
            key: vec![3],
            event: false,
        };
        let before = files(dir.path());
        store.commit(vec![old, new, gone]);
        store.wait_for_index();
        store.stop();
        let after = files(dir.path());
        // The bodies as they were, where they are dead now.
        for (name, span) in dead_places(&after) {
            let written = before.get(&name).and_then(|bytes| bytes.get(span));
            let written = written.filter(|body| body.iter().any(|byte| *byte != 0));
            secrets.extend(written.into_iter().flat_map(windows));
        }
        assert_eq!(leftovers(&after), Vec::<String>::new());
        assert!(dead(&after).len() > 60);
        assert_gone(&after, &secrets);
        let texts: HashSet<_> = plain.iter().flat_map(|text| windows(text)).collect();
        assert_gone(&after, &texts);
    }
    assert!(secrets.len() > 10_000, "{}", secrets.len());
    // All of it is whole.
    let key = key(9);
    let opened = CheckOptions {
        store_key: Some(&key),
        ..CheckOptions::default()
    };
    let report = check(&FileDisk::new(dir.path()), opened, &mut |_| {}).unwrap();
    assert_eq!((report.losses, report.messages), (vec![], 4 * 90 - 1));
}
