//! Links side by side with what could be used instead.
//!
//! Everything is measured in turn within each round, and what counts are ratios of one run. How
//! peers are set up: their defaults, `TCP_NODELAY`, one message a call as their users write it.
//! They carry a stream of bytes, we messages whose bounds arrive too; that is to their favour.
//!
//! Sections: `memory`, `one-way`, `small`, `ping`, `handshake`, `many`, `idle`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::large_enum_variant,
    reason = "a benchmark"
)]

mod aead;
mod game;
mod handshakes;
mod idle;
mod link;
mod many;
mod memory;
mod noise;
mod oneway;
mod ours;
mod peer;
mod ping;
mod stream;
mod tls;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use skychat_benches::{Asked, Report};

type Run = fn(&Asked, &mut Report);

fn main() {
    many_files();
    let mut arguments = std::env::args().skip(1);
    if arguments.next().is_some_and(|first| first == idle::CHILD) {
        return idle::be_child(arguments);
    }
    let mut ask = Asked::of_command_line();
    let mut report = Report::new("links");
    let sections: [(&str, Run); 7] = [
        ("memory", memory::compare),
        ("one-way", oneway::bulk),
        ("small", oneway::small),
        ("ping", ping::compare),
        ("handshake", handshakes::compare),
        ("many", many::compare),
        ("idle", idle::compare),
    ];
    for (name, section) in sections {
        if ask.measures(&format!("links/{name}")) {
            section(&ask, &mut report);
        }
    }
    ask.finish(&report).unwrap();
}

/// As many open files as the system lets us have: thousands of links, two sockets each, and all
/// candidates at once.
fn many_files() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, all).unwrap();
}
