//! The committed code is what the `.proto` files give.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

#[path = "../codegen.rs"]
mod codegen;

use std::fs;
use std::path::Path;

const FILES: [&str; 3] = [
    "skychat.content.v1.rs",
    "skychat.link.v1.rs",
    "skychat.sync.v1.rs",
];

#[test]
fn the_committed_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codegen");
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh).unwrap();
    codegen::generate(&root.join("proto"), &fresh).unwrap();

    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let committed = root.join("src/gen");
    assert_eq!(names(&fresh), FILES);
    assert_eq!(names(&committed), FILES, "run `cargo xtask codegen`");
    for file in FILES {
        let fresh = fs::read(fresh.join(file)).unwrap();
        let committed = fs::read(committed.join(file)).unwrap();
        assert!(
            fresh == committed,
            "{file} is not current: run `cargo xtask codegen`"
        );
    }
}
