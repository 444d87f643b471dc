//! Shared pieces of the benchmarks: what the command line asks, samples taken in turn, and the
//! tables and files of figures they end in.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "for benchmarks: they print, and read the clock"
)]

mod asked;
mod report;
mod sample;
mod shape;

pub use asked::{Asked, messages, scratch};
pub use sample::{
    Cores, all_in_turn, cpu_seconds_each, in_turn, median, quantile, resident_kib, seconds_each,
    thread_seconds,
};
pub use shape::{Better, Bound, Report, Row, Section, VERSION};
