//! Links against their limits: `cargo bench -p skychat-benches -- transport`.
//!
//! Every figure stands beside a limit measured in the same run, in turn with it, because absolute
//! figures of one machine mean nothing on another. What a limit is:
//!
//! - *raw AEAD*: the same library on the same bytes, and nothing else;
//! - *pipeline*: sender and receiver work at the same time, and each does one direction of the
//!   AEAD and what the channel costs without a cipher: `1 / (1/AEAD one way + 1/null channel)`;
//! - *raw TCP*: the same conversation over a bare socket in the same runtime;
//! - *primitives*: the X25519, Ed25519, AEAD and hash operations of a handshake, counted.
//!
//! `cargo bench -- transport/table/ping` takes one part of the table. A run of all of it writes
//! `transport.json`. The program starts itself again for what has to come from another process: a
//! flood of garbage, and the other ends of 9,000 links.

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
mod idle;
mod many;
mod net;
mod part;
mod ping;
mod raw;
mod shake;

use criterion::{Criterion, Throughput};
use part::Amount;
use skychat_benches::{Asked, Report};

/// A part of the table.
type Part = fn(&mut Report, Amount);

const PARTS: [(&str, Part); 9] = [
    ("raw", raw::compare),
    ("memory", frames::compare),
    ("bulk", net::bulk),
    ("small", net::small),
    ("ping", ping::compare),
    ("many", many::compare),
    ("flood", flood::compare),
    ("handshake", shake::compare),
    ("idle", idle::compare),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [flood::ARGUMENT, addr] => return flood::flood(addr.parse().unwrap()),
        [idle::ARGUMENT, addr, peer, links] => {
            let (addr, peer) = (addr.parse().unwrap(), peer.parse().unwrap());
            return idle::hold(addr, peer, links.parse().unwrap());
        }
        _ => {}
    }
    let mut criterion = Criterion::default().configure_from_args();
    records(&mut criterion);
    handshakes(&mut criterion);
    criterion.final_summary();
    table();
}

/// The hot path without sockets, for criterion's history.
fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transport/record");
    for kind in aead::kinds() {
        for (name, size) in [("64B", 64), ("1KiB", 1024), ("16KiB", 16_379)] {
            group.throughput(Throughput::Bytes(size as u64));
            let mut path = frames::Path::new(kind);
            let message = vec![0x5a; size];
            group.bench_function(format!("{}/{name}", kind.name), |bencher| {
                bencher.iter(|| path.pass(&message));
            });
        }
    }
    group.finish();
}

/// Both sides of a handshake, with its two signatures and their checks.
fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transport/handshake");
    for kind in aead::kinds() {
        let (ann, bob) = (
            frames::identity(1, kind.backend),
            frames::identity(2, kind.backend),
        );
        group.bench_function(format!("{}/both sides", kind.name), |bencher| {
            bencher.iter(|| frames::handshake(kind.suite, &ann, &bob));
        });
    }
    group.finish();
}

fn table() {
    // Criterion compares what it kept: nothing is to be measured.
    if std::env::args().any(|argument| argument == "--load-baseline") {
        return;
    }
    let mut asked = Asked::of_command_line();
    let amount = if asked.is_test() {
        Amount::Tiny
    } else {
        Amount::Whole
    };
    let mut report = Report::new("transport");
    for (part, compare) in PARTS {
        if asked.measures(&format!("transport/table/{part}")) {
            compare(&mut report, amount);
        }
    }
    asked.finish(&report).unwrap();
}
