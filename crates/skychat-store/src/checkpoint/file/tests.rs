#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;

use rand_core::SeedableRng;
use skychat_proto::ids::TableId;

use super::*;
use crate::MemoryDisk;
use crate::index::{RecordId, Row};
use crate::layout::{Chain, Counts};
use crate::sweep::Unswept;

const PATH: &str = "checkpoint-9";

fn header() -> SegmentMark {
    SegmentMark {
        store: [1; 16],
        owner: [2; 32],
        segment: 9,
        generation: 0,
        counts: Counts {
            chain: Chain([3; 32]),
            groups: 100,
            records: 200,
            events: 50,
        },
        check: [4; 16],
    }
}

fn state(size: usize) -> State {
    let row = Row {
        value: Zeroizing::new(vec![5; size]),
        record: RecordId { group: 7, index: 1 },
    };
    let rows = BTreeMap::from([(b"row".to_vec(), row)]);
    State {
        mark: header(),
        feeds: BTreeMap::new(),
        rows: BTreeMap::from([(TableId::new(6), rows)]),
        spaces: BTreeMap::new(),
        lives: Vec::new(),
        checkpoints: BTreeMap::new(),
        unswept: Unswept::new(),
    }
}

fn key(seed: u8) -> StoreKey {
    StoreKey::generate(&mut ChaCha20Rng::from_seed([seed; 32]))
}

fn written(state: &State) -> (Vec<u8>, FileHash) {
    let disk = MemoryDisk::new();
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let hash = write(&disk, &key(1), &mut rng, state).unwrap();
    (disk.files()[PATH].clone(), hash)
}

fn found(bytes: &[u8], header: &SegmentMark, key: &StoreKey) -> Option<(State, FileHash)> {
    let files = BTreeMap::from([(PATH.to_owned(), bytes.to_vec())]);
    read(&MemoryDisk::with_files(files), key, header)
}

#[test]
fn what_was_written_is_read() {
    for size in [0, 1, CHUNK - 23, CHUNK - 22, 3 * CHUNK] {
        let state = state(size);
        let (bytes, hash) = written(&state);
        let whole: FileHash = Sha256::digest(&bytes).into();
        assert_eq!(whole, hash);
        assert_eq!(found(&bytes, &header(), &key(1)), Some((state, hash)));
    }
    let empty = State {
        rows: BTreeMap::new(),
        ..state(0)
    };
    let (bytes, _) = written(&empty);
    assert_eq!(bytes.len(), HEAD_LEN);
    assert!(found(&bytes, &header(), &key(1)).is_some());
    assert!(read(&MemoryDisk::new(), &key(1), &header()).is_none());
}

#[test]
fn every_changed_byte_and_length_is_refused() {
    let (bytes, _) = written(&state(40));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(found(&changed, &header(), &key(1)), None, "{at}");
        assert_eq!(found(&bytes[..at], &header(), &key(1)), None, "{at}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(found(&longer, &header(), &key(1)), None);
}

#[test]
fn that_of_another_store_place_or_key_is_refused() {
    let (bytes, _) = written(&state(40));
    assert_eq!(found(&bytes, &header(), &key(2)), None);
    let counts = header().counts;
    let others = [
        SegmentMark {
            store: [9; 16],
            ..header()
        },
        SegmentMark {
            owner: [9; 32],
            ..header()
        },
        SegmentMark {
            check: [9; 16],
            ..header()
        },
        SegmentMark {
            counts: Counts {
                chain: Chain([9; 32]),
                ..counts
            },
            ..header()
        },
        SegmentMark {
            counts: Counts {
                groups: 9,
                ..counts
            },
            ..header()
        },
        SegmentMark {
            counts: Counts {
                records: 9,
                ..counts
            },
            ..header()
        },
        SegmentMark {
            counts: Counts {
                events: 9,
                ..counts
            },
            ..header()
        },
    ];
    for other in others {
        assert_eq!(found(&bytes, &other, &key(1)), None);
        // Nor if only its header is that of this segment.
        let of_other = State {
            mark: other,
            ..state(40)
        };
        let (mut mixed, _) = written(&of_other);
        mixed[..HEAD_LEN].copy_from_slice(&bytes[..HEAD_LEN]);
        assert_eq!(found(&mixed, &header(), &key(1)), None);
    }
    // A segment that was rewritten has the same state before it.
    let rewritten = SegmentMark {
        generation: 3,
        ..header()
    };
    assert!(found(&bytes, &rewritten, &key(1)).is_some());
}

#[test]
fn chunks_in_another_order_or_number_are_refused() {
    let (bytes, _) = written(&state(2 * CHUNK + 90));
    let chunk = LENGTH + CHUNK + STORE_OVERHEAD;
    let (head, chunks) = bytes.split_at(HEAD_LEN);
    let (first, rest) = chunks.split_at(chunk);
    let (second, third) = rest.split_at(chunk);
    let good = [head, first, second, third].concat();
    assert!(found(&good, &header(), &key(1)).is_some());
    let others: [&[&[u8]]; 4] = [
        &[head, second, first, third],
        &[head, first, second],
        &[head, first, first, third],
        &[head, first, second, third, third],
    ];
    for other in others {
        assert_eq!(found(&other.concat(), &header(), &key(1)), None);
    }
}
