//! Catch-up between two nodes on disk over loopback: what was said to one that was away, sealed,
//! verified and durable; and how long twenty other conversations wait behind it.
//!
//! `cargo bench -- catchup`. How many messages is `$SKYCHAT_BENCH_MESSAGES`, else a million;
//! `$SKYCHAT_BENCH_DIR` says where, else the target directory: it has to be on a disk.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use skychat_api::WaitFor;
use skychat_benches::{Asked, Report, Row, messages, resident_kib, scratch};
use skychat_core::{Address, Admission, Draft, Node};
use skychat_identity::SecretKey;

const BODY: usize = 256;
const SENDERS: usize = 512;
const OTHERS: u8 = 20;
/// What each of the others has to say.
const WORDS: usize = 10;

const LEAST_RATE: f64 = 100_000.0;
const MOST_MEMORY_MIB: f64 = 64.0;
const MOST_INDEX_S: f64 = 20.0;
const MOST_WAIT_S: f64 = 1.0;
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let mut asked = Asked::of_command_line();
    let mut report = Report::new("catchup");
    if asked.measures("catchup/sealed/256B") {
        let messages = asked.amount(messages(1_000_000).unwrap(), 300);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(measure(&mut report, usize::try_from(messages).unwrap()));
    }
    asked.finish(&report).unwrap();
}

async fn node(seed: u8, dir: &Path, peer: Option<Address>) -> Node {
    let builder = Node::builder(SecretKey::from_seed([seed; 32]))
        .data_dir(dir.join(seed.to_string()))
        .admission(Admission::Anyone)
        .listen("127.0.0.1:0".parse().unwrap());
    let builder = match peer {
        Some(peer) => builder.peer(peer),
        None => builder,
    };
    builder.spawn().await.unwrap()
}

/// Says so much to somebody who is away.
async fn say(from: &Node, to: &Node, messages: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let to = to.public_key();
    let senders = (0..SENDERS).map(|_| {
        let (from, next) = (from.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < messages {
                let draft = Draft::text(to, "x".repeat(BODY)).unwrap();
                from.send(draft).await.unwrap();
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
}

async fn measure(report: &mut Report, messages: usize) {
    let dir = tempfile::tempdir_in(scratch().unwrap()).unwrap();
    let limit = Duration::from_secs(10);
    // Who is away has been there once: its address and consents are known.
    let bob = node(1, dir.path(), None).await;
    let ann = node(2, dir.path(), Some(bob.address())).await;
    let mut others = Vec::new();
    for n in 0..OTHERS {
        others.push(node(3 + n, dir.path(), Some(bob.address())).await);
    }
    for peer in others.iter().chain([&ann]) {
        bob.consent(peer.public_key()).await.unwrap();
    }
    let was = bob.last_event().seq().get();
    bob.shutdown(limit).await;
    say(&ann, &bob, messages).await;
    let mut last_words = Vec::new();
    for other in &others {
        say(other, &bob, WORDS - 1).await;
        let last = Draft::text(bob.public_key(), "at last").unwrap();
        last_words.push(other.send(last).await.unwrap().message);
    }
    let before = resident_kib();
    let began = Instant::now();
    // It dials everybody at once: how long others wait to dial again is not what is measured.
    let mut builder = Node::builder(SecretKey::from_seed([1; 32]))
        .data_dir(dir.path().join("1"))
        .admission(Admission::Anyone)
        .peer(ann.address());
    for other in &others {
        builder = builder.peer(other.address());
    }
    let bob = builder.spawn().await.unwrap();
    let ready = began.elapsed();
    let was = was.min(bob.last_event().seq().get());
    let waits = others.iter().zip(last_words).map(|(other, last)| {
        let (other, to) = (other.clone(), bob.public_key());
        tokio::spawn(async move {
            let stored = other.wait(to, last, WaitFor::Stored, PATIENCE).await;
            stored.unwrap();
            began.elapsed()
        })
    });
    let waits: Vec<_> = waits.collect();
    // What came in is counted by its events: nobody reads it meanwhile.
    let (mut peak, mut first) = (before, None);
    let said = (messages + WORDS * usize::from(OTHERS)) as u64;
    let took = loop {
        let stored = bob.last_event().seq().get();
        let of_ann = stored.saturating_sub(was);
        if of_ann > said - messages as u64 {
            first.get_or_insert_with(Instant::now);
        }
        if of_ann >= said {
            break first.unwrap().elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "{of_ann} of {said}");
        peak = peak.max(resident_kib());
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let mut waited = Duration::ZERO;
    for wait in waits {
        waited = waited.max(wait.await.unwrap());
    }
    let settled = Instant::now();
    while bob.status().store.index_opening {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let indexed = settled.elapsed();
    let title = format!(
        "Catching up on {messages} messages of {BODY} bytes, beside {OTHERS} other conversations"
    );
    report.section(title, "the target");
    let row = |id: &str, what: &str, value: f64, unit: &str| {
        Row::shown(format!("sealed/{id}"), what, value, unit)
    };
    let rate = messages as f64 / took.as_secs_f64();
    let what = "sealed, verified and durable";
    let all = row("rate", what, rate, "messages/s").aside(format!("{took:.2?} in all"));
    report.row(all.reaches(LEAST_RATE));
    let memory = (peak - before) as f64 / 1024.0;
    let what = "peak memory more than before, both nodes";
    let memory = row("memory", what, memory, "MiB");
    let memory = memory.aside(format!("{} MiB before", before / 1024));
    report.row(memory.stays_within(MOST_MEMORY_MIB));
    let what = "until the others are current";
    report.row(row("others", what, waited.as_secs_f64(), "s").stays_within(MOST_WAIT_S));
    let what = "until the index is whole, later";
    report.row(row("index", what, indexed.as_secs_f64(), "s").stays_within(MOST_INDEX_S));
    report.row(row("ready", "ready after", ready.as_secs_f64() * 1e3, "ms"));
}
