//! A file that opens with a passphrase. Rules: `docs/protocol/backup.md`. The vectors are written
//! again only with `SKYCHAT_WRITE_VECTORS=1`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

use std::path::Path;

use chacha20::ChaCha20Rng;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use skychat_seal::{
    BACKUP_CHUNK, BACKUP_HEADER_LEN, BACKUP_OVERHEAD, BackupCost, BackupError, BackupOpener,
    BackupSealer,
};

/// As little as argon2id does.
const CHEAP: BackupCost = BackupCost {
    memory: 8,
    passes: 1,
    lanes: 1,
};
const SEALED: usize = BACKUP_CHUNK + BACKUP_OVERHEAD;

fn sealed(plaintext: &[u8], passphrase: &[u8], cost: BackupCost) -> Vec<u8> {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let mut sealer = BackupSealer::new(&mut rng, passphrase, cost).unwrap();
    let mut file = sealer.header().to_vec();
    let mut rest = plaintext;
    while rest.len() > BACKUP_CHUNK {
        file.extend(sealer.chunk(&rest[..BACKUP_CHUNK]).unwrap());
        rest = &rest[BACKUP_CHUNK..];
    }
    file.extend(sealer.last(rest).unwrap());
    file
}

fn opened(file: &[u8], passphrase: &[u8]) -> Result<Vec<u8>, BackupError> {
    let (header, mut rest) = file.split_at(file.len().min(BACKUP_HEADER_LEN));
    let mut opener = BackupOpener::new(header, passphrase)?;
    let mut plaintext = Vec::new();
    while rest.len() > SEALED {
        plaintext.extend_from_slice(&opener.chunk(&rest[..SEALED])?);
        rest = &rest[SEALED..];
    }
    plaintext.extend_from_slice(&opener.last(rest)?);
    Ok(plaintext)
}

fn error_name(error: BackupError) -> String {
    let text = format!("{error:?}");
    text.chars().take_while(char::is_ascii_alphabetic).collect()
}

#[test]
fn what_is_sealed_opens_with_the_passphrase_only() {
    for length in [
        0,
        1,
        BACKUP_CHUNK - 1,
        BACKUP_CHUNK,
        BACKUP_CHUNK + 1,
        3 * BACKUP_CHUNK,
    ] {
        let text: Vec<u8> = (0..length).map(|n| n as u8).collect();
        let file = sealed(&text, b"correct horse", CHEAP);
        assert_eq!(opened(&file, b"correct horse").unwrap(), text);
        assert_eq!(
            opened(&file, b"Correct horse"),
            Err(BackupError::WrongPassphrase)
        );
        assert_eq!(opened(&file, b""), Err(BackupError::WrongPassphrase));
    }
}

#[test]
fn every_changed_byte_and_every_cut_is_a_named_error() {
    let text = vec![7; BACKUP_CHUNK + 100];
    let file = sealed(&text, b"p", CHEAP);
    let places = (0..BACKUP_HEADER_LEN).chain((BACKUP_HEADER_LEN..file.len()).step_by(997));
    for at in places {
        let mut changed = file.clone();
        changed[at] ^= 0x40;
        let error = opened(&changed, b"p").unwrap_err();
        match at {
            0..14 => assert_eq!(error, BackupError::Magic),
            14..16 => assert!(matches!(error, BackupError::Version { .. })),
            16..BACKUP_HEADER_LEN => assert_eq!(error, BackupError::Checksum, "{at}"),
            _ => assert!(matches!(error, BackupError::Damaged { .. }), "{at}"),
        }
    }
    let cuts = (0..BACKUP_HEADER_LEN).chain([
        BACKUP_HEADER_LEN,
        BACKUP_HEADER_LEN + 15,
        BACKUP_HEADER_LEN + SEALED,
        BACKUP_HEADER_LEN + SEALED + 1,
        file.len() - 1,
    ]);
    for length in cuts {
        let error = opened(&file[..length], b"p").unwrap_err();
        let cut = matches!(
            error,
            BackupError::Length { .. } | BackupError::Damaged { .. }
        );
        assert!(cut, "{length}: {error}");
    }
    let longer = [&file[..], b"x"].concat();
    assert_eq!(
        opened(&longer, b"p"),
        Err(BackupError::Damaged { chunk: 1 })
    );
    // Chunks have their places.
    let mut moved = sealed(&vec![7; 3 * BACKUP_CHUNK], b"p", CHEAP);
    moved[BACKUP_HEADER_LEN..BACKUP_HEADER_LEN + 2 * SEALED].rotate_left(SEALED);
    assert_eq!(opened(&moved, b"p"), Err(BackupError::Damaged { chunk: 0 }));
}

/// A header is believed only within bounds, so nobody is made to spend gigabytes on a file.
#[test]
fn a_cost_that_is_no_cost_of_ours_is_refused() {
    let most = BackupCost::MOST;
    let costs = [
        BackupCost {
            memory: most.memory + 1,
            ..most
        },
        BackupCost {
            passes: most.passes + 1,
            ..CHEAP
        },
        BackupCost {
            lanes: most.lanes + 1,
            memory: 8 * 17,
            passes: 1,
        },
        BackupCost { memory: 7, ..CHEAP },
        BackupCost { passes: 0, ..CHEAP },
        BackupCost { lanes: 0, ..CHEAP },
    ];
    let header = sealed(b"", b"p", CHEAP)[..BACKUP_HEADER_LEN].to_vec();
    for found in costs {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let refused = BackupSealer::new(&mut rng, b"p", found).unwrap_err();
        assert_eq!(refused, BackupError::Cost { found });
        let changed = with_cost(&header, found);
        assert_eq!(
            BackupOpener::new(&changed, b"p").unwrap_err(),
            BackupError::Cost { found }
        );
    }
}

/// A header with another cost, and a checksum that fits.
fn with_cost(header: &[u8], cost: BackupCost) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let mut header = header.to_vec();
    for (at, number) in [(16, cost.memory), (20, cost.passes), (24, cost.lanes)] {
        header[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    let end = BACKUP_HEADER_LEN - 16;
    let sum = Sha256::digest(&header[..end]);
    header[end..].copy_from_slice(&sum[..16]);
    header
}

fn refuse() -> Vec<Value> {
    let good = sealed(b"skychat", b"passphrase", CHEAP);
    let changed = |at: usize| {
        let mut file = good.clone();
        file[at] ^= 1;
        file
    };
    let greedy = with_cost(
        &good[..BACKUP_HEADER_LEN],
        BackupCost {
            memory: u32::MAX,
            ..CHEAP
        },
    );
    let cases = [
        ("another magic", changed(0), "passphrase"),
        ("another version", changed(15), "passphrase"),
        ("a header that was changed", changed(40), "passphrase"),
        ("a header that is cut", good[..90].to_vec(), "passphrase"),
        (
            "more memory than is given",
            [&greedy[..], &good[BACKUP_HEADER_LEN..]].concat(),
            "passphrase",
        ),
        ("another passphrase", good.clone(), "Passphrase"),
        (
            "a chunk that was changed",
            changed(BACKUP_HEADER_LEN + 3),
            "passphrase",
        ),
        (
            "a chunk that is cut",
            good[..good.len() - 1].to_vec(),
            "passphrase",
        ),
        ("no chunk", good[..BACKUP_HEADER_LEN].to_vec(), "passphrase"),
        (
            "bytes behind the end",
            [&good[..], b"\0"].concat(),
            "passphrase",
        ),
    ];
    let made = cases.into_iter().map(|(what, file, passphrase)| {
        let error = opened(&file, passphrase.as_bytes()).unwrap_err();
        json!({
            "what": what,
            "file": HEXLOWER.encode(&file),
            "passphrase": passphrase,
            "error": error_name(error),
        })
    });
    made.collect()
}

#[test]
fn the_vectors_are_what_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/backup.json");
    let files: Vec<Value> = [
        ("", CHEAP),
        ("skychat", CHEAP),
        (
            "skychat",
            BackupCost {
                memory: 64,
                passes: 2,
                lanes: 2,
            },
        ),
    ]
    .into_iter()
    .map(|(text, cost)| {
        json!({
            "passphrase": "passphrase",
            "memory": cost.memory,
            "passes": cost.passes,
            "lanes": cost.lanes,
            "plaintext": HEXLOWER.encode(text.as_bytes()),
            "file": HEXLOWER.encode(&sealed(text.as_bytes(), b"passphrase", cost)),
        })
    })
    .collect();
    let made = json!({
        "about": "The container of a backup, docs/protocol/backup.md. Bytes are lower-case hex. In `refuse`, `error` names the reason; every implementation refuses these, the names are ours.",
        "files": files,
        "refuse": refuse(),
    });
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(kept, made);
}

proptest! {
    #[test]
    fn opening_never_panics(bytes: Vec<u8>, at in 0..BACKUP_HEADER_LEN) {
        let _ = BackupOpener::new(&bytes, b"p");
        let good = sealed(b"text", b"p", CHEAP);
        let _ = opened(&[&good[..at], &bytes].concat(), b"p");
        let _ = opened(&[&good[..BACKUP_HEADER_LEN], &bytes].concat(), b"p");
    }
}
