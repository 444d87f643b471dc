//! Catch-up in clear, at the level of replicator and journal: a long feed is read from one journal,
//! sent over a link on loopback, verified, and made durable in another one. Once as it is done, under
//! one signature for each range, and once with a range, and so a signature, for each entry.
//!
//! `cargo bench -- replicate`. How many entries is `$SKYCHAT_BENCH_MESSAGES`, else a million; with a
//! signature each a tenth of that. `$SKYCHAT_BENCH_DIR` says where; it has to be a disk.
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]
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
use skychat_benches::resident_kib;
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
const CASES: [(&str, usize, u64); 2] = [
    ("replicate/range/256B", MAX_RANGE_ENTRIES, 1),
    ("replicate/each/256B", 1, 10),
];
const LEAST_RATE: f64 = 250_000.0;
const MOST_MEMORY_MIB: u64 = 64;
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let filters: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let entries = std::env::var("SKYCHAT_BENCH_MESSAGES");
    let entries = entries.map_or(1_000_000, |text| text.parse().unwrap());
    let mut rates = Vec::new();
    for (name, range, share) in CASES {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        if flag("--list") {
            println!("{name}: benchmark");
            continue;
        }
        let entries = if flag("--test") {
            1_000
        } else {
            entries / share
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        rates.push(runtime.block_on(measure(name, range, entries)));
    }
    if let [range, each] = rates[..] {
        println!("  one signature a range: {:.1} times as fast", range / each);
    }
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
async fn measure(name: &str, range: usize, entries: u64) -> f64 {
    let place = std::env::var_os("SKYCHAT_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(place).unwrap();
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
    println!("{name}: {entries} entries of {BODY} bytes in clear, {range} a range");
    println!(
        "  verified and durable in {took:.2?}: {rate:.0} entries/s (target of ranges >= {LEAST_RATE:.0})"
    );
    println!(
        "  index whole {indexed:.1?} later; peak memory {} MiB more, both ends (target <= {MOST_MEMORY_MIB})",
        peak.saturating_sub(before) / 1024
    );
    serving.abort();
    tokio::task::block_in_place(|| bob.store.join());
    rate
}
