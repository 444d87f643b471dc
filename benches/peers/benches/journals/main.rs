//! The journal side by side with what could be used instead.
//!
//! Everybody commits the same bytes in as many records: what our store writes for signed ranges of
//! entries with bodies of 256 bytes. Directory: `$SKYCHAT_BENCH_DIR`, else the target directory;
//! it has to be on a disk for the figures to mean something. They are rates: whether anything
//! survives a power cut is shown by other tests.
//!
//! Sections: `commit`, `saturated`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

mod author;
mod commits;
mod journal;
mod saturated;
mod store;

use std::path::PathBuf;

use skychat_benches::Report;
use skychat_peers::Ask;
use tempfile::TempDir;

fn main() {
    let ask = Ask::of("journals");
    let mut report = Report::new("journals");
    if ask.wants("commit") {
        commits::compare(&ask, &mut report);
    }
    if ask.wants("saturated") {
        saturated::compare(&ask, &mut report);
    }
    if ask.keeps() && !report.sections.is_empty() {
        report.finish().unwrap();
    }
}

/// A new directory on the disk that is measured.
fn folder() -> TempDir {
    let chosen = std::env::var_os("SKYCHAT_BENCH_DIR").map(PathBuf::from);
    // target/release/deps/NAME-HASH
    let target = || {
        std::env::current_exe()
            .ok()?
            .ancestors()
            .nth(3)
            .map(PathBuf::from)
    };
    tempfile::tempdir_in(chosen.or_else(target).unwrap()).unwrap()
}
