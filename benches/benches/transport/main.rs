//! Links against their limits: `cargo bench -p skychat-benches -- transport`.
//!
//! Every figure stands beside a limit measured in the same run, in turn with it, because absolute
//! figures of one machine mean nothing on another. What a limit is:
//!
//! - *raw AEAD*: the same library on the same bytes, and nothing else;
//! - *pipeline*: sender and receiver work at the same time, and each does one direction of the
//!   AEAD and what the channel costs without a cipher: `1 / (1/AEAD one way + 1/null channel)`;
//! - *raw TCP*: the same conversation over a bare socket in the same runtime.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

mod aead;
mod flood;
mod frames;
mod net;
mod ping;
mod sample;

use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    records(&mut criterion);
    handshakes(&mut criterion);
    criterion.final_summary();
    table();
}

/// The hot path without sockets, for criterion's history.
fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transport/record");
    for &backend in skychat_transport::Backend::BUILT_IN {
        for (name, size) in [("64B", 64), ("1KiB", 1024), ("16KiB", 16_379)] {
            group.throughput(Throughput::Bytes(size as u64));
            let mut path = frames::Path::new(backend);
            let message = vec![0x5a; size];
            group.bench_function(format!("{}/{name}", backend.name()), |bencher| {
                bencher.iter(|| path.pass(&message));
            });
        }
    }
    group.finish();
}

/// Both sides of a handshake, with its two signatures and their checks.
fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transport/handshake");
    for &backend in skychat_transport::Backend::BUILT_IN {
        let (ann, bob) = (frames::identity(1, backend), frames::identity(2, backend));
        group.bench_function(format!("{}/both sides", backend.name()), |bencher| {
            bencher.iter(|| frames::handshake(&ann, &bob));
        });
    }
    group.finish();
}

fn table() {
    let parts = ["memory", "bulk", "small", "ping", "flood"];
    if parts.iter().any(|part| sample::wanted(part)) {
        println!("\ntransport: figures beside their limits, medians of samples taken in turn\n");
    }
    if sample::wanted("memory") {
        frames::compare();
    }
    if sample::wanted("bulk") {
        net::bulk();
    }
    if sample::wanted("small") {
        net::small();
    }
    if sample::wanted("ping") {
        ping::compare();
    }
    if sample::wanted("flood") {
        flood::compare();
    }
}
