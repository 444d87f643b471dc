//! Replays the corpus of the fuzz targets, `fuzz/corpus/<target>/`, on a stable compiler.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics is a test that fails, and names its file"
)]

mod targets;

use std::path::Path;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let mut replayed = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        target(&std::fs::read(path).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 8, "{name}: {replayed} files");
}

#[test]
fn seal_open_body() {
    replay("seal_open_body", targets::seal_open_body);
}

#[test]
fn seal_store_key_file() {
    replay("seal_store_key_file", targets::seal_store_key_file);
}

#[test]
fn seal_store_record() {
    replay("seal_store_record", targets::seal_store_record);
}

#[test]
fn seal_backup_header() {
    replay("seal_backup_header", targets::seal_backup_header);
}
