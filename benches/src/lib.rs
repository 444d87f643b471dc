//! Shared pieces of the benchmarks: samples taken in turn, and the tables and files of figures they
//! end in.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "for benchmarks: they print, and read the clock"
)]

mod report;
mod sample;

pub use report::{Better, Bound, Report, Row, Section, VERSION};
pub use sample::{Cores, all_in_turn, in_turn, median, resident_kib, seconds_each};
