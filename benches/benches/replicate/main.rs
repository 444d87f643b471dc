//! Catch-up in clear, at the level of replicator and journal: a long feed is read from one journal,
//! sent over a link on loopback, verified, and made durable in another one. Once as it is done, under
//! one signature for each range, and once with a range, and so a signature, for each entry.
//!
//! `cargo bench -- replicate`. How many entries is `$SKYCHAT_BENCH_MESSAGES`, else a million; with a
//! signature each a tenth of that. `$SKYCHAT_BENCH_DIR` says where, else the target directory;
//! it has to be on a disk.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

mod author;
mod side;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use author::{Author, BODY};
use side::{Ends, Reading, Side, Who};
use skychat_benches::{Asked, Better, Report, Row, messages, resident_kib, scratch};
use skychat_feed::replicator::FeedFacts;
use skychat_identity::SecretKey;
use skychat_proto::ids::{Incarnation, ServiceId, SpaceId};
use skychat_proto::limits::MAX_RANGE_ENTRIES;
use skychat_proto::link::Hello;
use skychat_proto::open::WriterKind;
use skychat_seal::StoreKey;
use skychat_store::{
    Disk, Done, MAX_TAIL, OpenOptions, Store, StoreReader, WriterHandle, spawn_indexed_writer,
};
use skychat_transport::{
    Anyone, Backend, Link, LinkConfig, LinkIdentity, Listener, ListenerLimits, dial,
};

/// Name, entries of a range, and by what the number of entries is divided.
const CASES: [(&str, usize, u64); 2] = [("range", MAX_RANGE_ENTRIES, 1), ("each", 1, 10)];
const LEAST_RATE: f64 = 250_000.0;
const MOST_MEMORY_MIB: f64 = 64.0;
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let mut asked = Asked::of_command_line();
    let mut report = Report::new("replicate");
    let entries = asked.amount(messages(1_000_000).unwrap(), 1_000);
    let mut rates = Vec::new();
    for (name, range, share) in CASES {
        if asked.measures(&format!("replicate/{name}/256B")) {
            let entries = entries / asked.amount(share, 1);
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap();
            rates.push(runtime.block_on(measure(&mut report, name, range, entries)));
        }
    }
    if let [range, each] = rates[..] {
        report.section("One signature for a range", "one signature for each entry");
        let what = format!("{MAX_RANGE_ENTRIES} entries a range");
        let row = Row::shown("signatures", what, range, "entries/s");
        report.row(row.ratio(range / each, Better::Higher));
    }
    asked.finish(&report).unwrap();
}

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

/// A journal with its index, on threads of their own.
fn journal(
    disk: impl Disk + 'static,
    index: &Path,
    done: impl FnMut(Done) + Send + 'static,
) -> (WriterHandle, StoreReader) {
    use rand_core::SeedableRng;
    let key = StoreKey::generate(&mut chacha20::ChaCha20Rng::from_seed([3; 32]));
    let life = Incarnation::from_bytes([7; 8]);
    let options = OpenOptions {
        tail: Some(MAX_TAIL),
        ..OpenOptions::new(secret(1).public(), key, life, [5; 32])
    };
    let (writer, reader, _) = Store::open(disk, options).unwrap();
    let handle = spawn_indexed_writer(writer, index, done).unwrap();
    (handle, reader)
}

/// Writes the feed; its last state.
fn write(dir: &Path, space: SpaceId, range: usize, entries: u64) -> Author {
    let mut author = Author::new(secret(1), space);
    let (tell, told) = std::sync::mpsc::sync_channel(4096);
    let disk = skychat_store::FileDisk::new(dir);
    let (store, reader) = journal(disk, &dir.join("index"), move |done| {
        let _ = tell.send(done);
    });
    let (mut sent, mut committed) = (0_u64, 0_u64);
    while author.head.get() < entries || committed < sent {
        while author.head.get() < entries && sent - committed < 64 {
            let left = entries - author.head.get();
            store.commit(author.batch(left.min(range as u64))).unwrap();
            sent += 1;
        }
        if let Done::Committed { receipts, .. } = told.recv().unwrap() {
            committed += receipts.len() as u64;
        }
    }
    while reader.is_indexing() {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(told);
    store.join();
    author
}

fn hello() -> Hello {
    Hello {
        incarnation: Incarnation::from_bytes([1; 8]),
        line: Vec::new(),
        line_complete: true,
        writer: WriterKind::Node,
        services: vec![ServiceId::SYNC, ServiceId::RANGE],
        agent: String::new(),
        statements: Vec::new(),
    }
}

/// A link over loopback, and both its ends.
async fn link(ann: &Ends, bob: &Ends) -> (Link, Listener) {
    let config = |n| {
        let identity = LinkIdentity::new(Arc::new(secret(n)), Backend::default());
        LinkConfig::new(identity, hello, Anyone)
    };
    let service = |ends: &Ends| {
        let ends = ends.clone();
        Arc::new(move |link: &Link| Reading::new(&ends, link))
    };
    let (inbound, outbound) = (service(bob), service(ann));
    let limits = ListenerLimits::default();
    let any = ([127, 0, 0, 1], 0).into();
    let listener = Listener::bind(any, &config(2), inbound, limits).unwrap();
    let addr = listener.local_addr();
    let config = config(1);
    let link = dial(addr, secret(2).public(), &config, outbound);
    (link.await.unwrap(), listener)
}

/// Entries a second.
async fn measure(report: &mut Report, name: &str, range: usize, entries: u64) -> f64 {
    let dir = tempfile::tempdir_in(scratch().unwrap()).unwrap();
    let (ann, bob) = (dir.path().join("ann"), dir.path().join("bob"));
    for dir in [&ann, &bob] {
        std::fs::create_dir(dir).unwrap();
    }
    let space = SpaceId::direct(&secret(1).public(), &secret(2).public()).unwrap();
    let author = write(&ann, space, range, entries);
    let facts = FeedFacts {
        head: author.head,
        tip: author.tip,
        ..FeedFacts::default()
    };
    let ann = Who {
        me: secret(1),
        peer: secret(2).public(),
        space,
        live: author.feed.incarnation,
        held: Some((author.feed, facts)),
        range: range as u32,
    };
    let bob_is = Who {
        me: secret(2),
        peer: secret(1).public(),
        space,
        live: Incarnation::from_bytes([8; 8]),
        held: None,
        range: range as u32,
    };
    let ann = Side::new(&dir.path().join("ann"), ann);
    let bob = Side::new(&bob, bob_is);
    while ann.reader.is_indexing() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (ends, from) = (bob.ends.clone(), ann.ends.clone());
    let before = resident_kib();
    let began = Instant::now();
    let receiving = tokio::spawn(bob.run(Some(entries)));
    let serving = tokio::spawn(ann.run(None));
    let (_link, _listener) = link(&from, &ends).await;
    let mut peak = before;
    while ends.durable.load(Ordering::Relaxed) < entries {
        assert!(began.elapsed() < PATIENCE, "{name}: it does not end");
        assert!(!serving.is_finished(), "{name}: the author is gone");
        peak = peak.max(resident_kib());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed();
    let bob = receiving.await.unwrap();
    let settled = Instant::now();
    while bob.reader.is_indexing() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let indexed = settled.elapsed();
    let held = bob.reader.tip(author.feed).unwrap();
    assert_eq!((held.head, held.hash), (author.head, author.tip));
    let rate = entries as f64 / took.as_secs_f64();
    let title = format!("{entries} entries of {BODY} bytes in clear, {range} a range");
    report.section(title, "the target");
    let row = |id: &str, what: &str, value: f64, unit: &str| {
        Row::shown(format!("{name}/{id}"), what, value, unit)
    };
    let memory = peak.saturating_sub(before) as f64 / 1024.0;
    let what = "verified and durable";
    let all = row("rate", what, rate, "entries/s").aside(format!("{took:.2?} in all"));
    let what = "peak memory more than before, both ends";
    let memory = row("memory", what, memory, "MiB");
    // What is asked is asked of ranges as a node serves them.
    let [all, memory] = if range == MAX_RANGE_ENTRIES {
        [
            all.reaches(LEAST_RATE),
            memory.stays_within(MOST_MEMORY_MIB),
        ]
    } else {
        [all, memory]
    };
    report.row(all);
    report.row(memory);
    let what = "until the index is whole, later";
    report.row(row("index", what, indexed.as_secs_f64(), "s"));
    serving.abort();
    tokio::task::block_in_place(|| bob.store.join());
    rate
}
