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

use skychat_benches::{Asked, Report, scratch};
use tempfile::TempDir;

fn main() {
    let mut ask = Asked::of_command_line();
    let mut report = Report::new("journals");
    if ask.measures("journals/commit") {
        commits::compare(&ask, &mut report);
    }
    if ask.measures("journals/saturated") {
        saturated::compare(&ask, &mut report);
    }
    ask.finish(&report).unwrap();
}

/// A new directory on the disk that is measured.
fn folder() -> TempDir {
    tempfile::tempdir_in(scratch().unwrap()).unwrap()
}
