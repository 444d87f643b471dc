//! Catch-up between two nodes on disk over loopback: what was said to one that was away, sealed,
//! verified and durable; and how long twenty other conversations wait behind it.
//!
//! `cargo bench -- catchup`. How many messages is `$SKYCHAT_BENCH_MESSAGES`, else a million.
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]
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

use skychat_api::EventKind;
use skychat_benches::resident_kib;
use skychat_core::{Address, Admission, Draft, Node};
use skychat_identity::SecretKey;

const NAME: &str = "catchup/sealed/256B";
const BODY: usize = 256;
const SENDERS: usize = 512;
const OTHERS: u8 = 20;
/// What each of the others has to say.
const WORDS: usize = 10;

const LEAST_RATE: f64 = 100_000.0;
const MOST_MEMORY_MIB: u64 = 64;
const MOST_WAIT: Duration = Duration::from_secs(1);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let mut filters = arguments.iter().filter(|a| !a.starts_with('-')).peekable();
    if filters.peek().is_some() && !filters.any(|filter| NAME.contains(filter.as_str())) {
        return;
    }
    if flag("--list") {
        println!("{NAME}: benchmark");
        return;
    }
    let messages = std::env::var("SKYCHAT_BENCH_MESSAGES");
    let messages = messages.map_or(1_000_000, |text| text.parse().unwrap());
    let messages = if flag("--test") { 300 } else { messages };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure(messages));
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

async fn measure(messages: usize) {
    let place = std::env::var_os("SKYCHAT_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(place).unwrap();
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
    bob.shutdown(limit).await;
    say(&ann, &bob, messages).await;
    for other in &others {
        say(other, &bob, WORDS).await;
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
    let mut events = bob.events(None);
    let (mut first, mut last, mut heard) = (None, began, 0_usize);
    let (mut heard_of_others, mut waited) = (0_usize, Duration::ZERO);
    let mut peak = before;
    while heard < messages || heard_of_others < WORDS * usize::from(OTHERS) {
        let event = events.next().await.unwrap().unwrap().into_inner();
        let EventKind::Message(message) = event.kind else {
            continue;
        };
        if message.from == ann.public_key() {
            first.get_or_insert_with(Instant::now);
            heard += 1;
            last = Instant::now();
            if heard % 10_000 == 0 {
                peak = peak.max(resident_kib());
            }
        } else {
            heard_of_others += 1;
            waited = began.elapsed();
        }
    }
    let took = last - first.unwrap();
    let rate = messages as f64 / took.as_secs_f64();
    println!("{NAME}, {messages} messages and {OTHERS} other conversations");
    println!(
        "  ready in {ready:.1?}, all in {took:.2?}, {rate:.0} messages/s (target >= {LEAST_RATE:.0})"
    );
    println!("  the others current after {waited:.2?} (target <= {MOST_WAIT:.0?})");
    println!(
        "  peak memory {} MiB over the {} MiB before, both nodes in one process (target <= {MOST_MEMORY_MIB} MiB)",
        (peak - before) / 1024,
        before / 1024
    );
}
