//! Fuzz targets as plain functions: each takes arbitrary bytes, and panics if a rule is broken.
//! `fuzz/` runs them with a fuzzer, `main.rs` beside this file with the corpus.

use skychat_identity::SecretKey;
use skychat_seal::{
    BACKUP_HEADER_LEN, BackupError, BackupOpener, EntryAad, Opener, SealInfo, StoreKey,
};

/// A body that Ann sealed for Bob.
const GENUINE_BODY: &[u8] = include_bytes!("../../../../fuzz/corpus/seal_open_body/genuine");
/// A store key file.
const GENUINE_KEY: &[u8] = include_bytes!("../../../../fuzz/corpus/seal_store_key_file/genuine");
/// A record that was sealed under it.
const GENUINE_RECORD: &[u8] = include_bytes!("../../../../fuzz/corpus/seal_store_record/genuine");

/// Of all bodies, the one that Ann sealed opens, whatever was opened before.
pub(crate) fn seal_open_body(data: &[u8]) {
    let ann = SecretKey::from_seed([1; 32]);
    let bob = SecretKey::from_seed([2; 32]);
    let info = SealInfo {
        space: [3; 32],
        author: ann.public(),
        recipient: bob.public(),
        incarnation: [4; 8],
    };
    let entry = EntryAad {
        stream: 1,
        seq: 5,
        message: [6; 16],
        kind: 1,
    };
    let secret = bob.x25519();
    let mut opener = Opener::new();
    let cold = opener.open(&secret, &info, &entry, data);
    assert_eq!(cold.is_ok(), data == GENUINE_BODY);
    assert_eq!(opener.len(), usize::from(cold.is_ok()));
    let genuine = opener.open(&secret, &info, &entry, GENUINE_BODY);
    assert!(genuine.is_ok_and(|text| *text == b"see you at nine"));
    assert_eq!(opener.open(&secret, &info, &entry, data), cold);
}

/// A file that is read is the one that would be written.
pub(crate) fn seal_store_key_file(data: &[u8]) {
    if let Ok(key) = StoreKey::from_file_bytes(data) {
        assert_eq!(*key.to_file_bytes(), data);
    }
}

/// Of all records, the one that was sealed opens, and only at its place.
pub(crate) fn seal_store_record(data: &[u8]) {
    let Ok(key) = StoreKey::from_file_bytes(GENUINE_KEY) else {
        panic!("the genuine key file is not read");
    };
    let opened = key.open(&[b"value", &[5], b"row key"], data);
    assert_eq!(opened.is_ok(), data == GENUINE_RECORD);
    let place = data.split_at(data.len() / 2);
    assert!(key.open(&[place.0, place.1], GENUINE_RECORD).is_err());
}

/// A file under the passphrase `passphrase`, at the least cost.
const GENUINE_BACKUP: &[u8] = include_bytes!("../../../../fuzz/corpus/seal_backup_header/genuine");

/// Of all headers with a cost that is small, the one that was written opens, and of all chunks behind it the one that
/// was written.
pub(crate) fn seal_backup_header(data: &[u8]) {
    let (header, chunk) = data.split_at(data.len().min(BACKUP_HEADER_LEN));
    // A cost within bounds may still be a gigabyte: more than a fuzzer has to spend a million times.
    let cost = header.get(16..28);
    if cost.is_some() && cost != GENUINE_BACKUP.get(16..28) {
        return;
    }
    match BackupOpener::new(header, b"passphrase") {
        Ok(opener) => {
            let genuine = GENUINE_BACKUP.get(..BACKUP_HEADER_LEN);
            assert_eq!(
                Some(header),
                genuine,
                "nobody else has a check value that fits"
            );
            assert_eq!(opener.last(chunk).is_ok(), data == GENUINE_BACKUP);
        }
        Err(error) => assert!(!matches!(error, BackupError::Damaged { .. })),
    }
}
