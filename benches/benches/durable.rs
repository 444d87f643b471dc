//! Durable messages a second, from `send` to the recipient's acknowledgement of its disk: two
//! nodes in one process, both on disk, over loopback, 256 messages of 256 bytes in flight. Beside
//! it, from the same run and the same disk: what one `fdatasync` takes.
//!
//! `cargo bench -- durable`. The directory is `$SKYCHAT_BENCH_DIR`, else the system's for
//! temporary files: it has to be on a disk for the figures to mean something.
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use skychat_api::WaitFor;
use skychat_core::{Admission, Draft, Node};
use skychat_identity::SecretKey;

const NAME: &str = "durable/send-to-stored/256B";
const IN_FLIGHT: usize = 256;
const BODY: usize = 256;
const WARM_UP: usize = 4_000;
const MESSAGES: usize = 40_000;
const ROUNDS: usize = 5;

const LEAST_RATE: f64 = 8_000.0;
const MOST_P99: Duration = Duration::from_millis(10);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let filters: Vec<String> = arguments.by_ref().filter(|a| !a.starts_with('-')).collect();
    let named = filters.is_empty() || filters.iter().any(|filter| NAME.contains(filter.as_str()));
    // `cargo test --benches` asks for a run that only shows that it runs.
    let test = std::env::args().any(|argument| argument == "--test");
    if std::env::args().any(|argument| argument == "--list") {
        println!("{NAME}: benchmark");
        return;
    }
    if !named {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure(test));
}

async fn measure(test: bool) {
    let place = std::env::var_os("SKYCHAT_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(place).unwrap();
    let bob = Node::builder(SecretKey::from_seed([2; 32]))
        .data_dir(dir.path().join("bob"))
        .admission(Admission::Anyone)
        .listen("127.0.0.1:0".parse().unwrap())
        .spawn()
        .await
        .unwrap();
    let ann = Node::builder(SecretKey::from_seed([1; 32]))
        .data_dir(dir.path().join("ann"))
        .peer(bob.address())
        .spawn()
        .await
        .unwrap();
    bob.consent(ann.public_key()).await.unwrap();
    let (warm_up, messages, rounds) = if test {
        (16, 256, 1)
    } else {
        (WARM_UP, MESSAGES, ROUNDS)
    };
    run(&ann, &bob, warm_up).await;
    let (mut rates, mut halves, mut tails, mut syncs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        syncs.push(sync_time(dir.path(), if test { 8 } else { 200 }));
        let (took, mut latencies) = run(&ann, &bob, messages).await;
        latencies.sort_unstable();
        rates.push(messages as f64 / took.as_secs_f64());
        halves.push(latencies[latencies.len() / 2]);
        tails.push(latencies[latencies.len() * 99 / 100]);
    }
    let (rate, p50, p99, sync) = (median(rates), median(halves), median(tails), median(syncs));
    if test {
        println!("{NAME}: ok");
    } else {
        let most = MOST_P99.max(sync * 40);
        println!("{NAME}");
        println!(
            "  {rate:>10.0} messages/s, {IN_FLIGHT} in flight      (target >= {LEAST_RATE:.0}: {})",
            verdict(rate >= LEAST_RATE)
        );
        println!(
            "  p50 {p50:?}, p99 {p99:?}      (target <= {most:?}: {})",
            verdict(p99 <= most)
        );
        println!(
            "  fdatasync {sync:?} (median); p99 is {:.0} of them",
            p99.as_secs_f64() / sync.as_secs_f64()
        );
    }
    for node in [ann, bob] {
        node.shutdown(Duration::from_secs(5)).await;
    }
}

/// Sends so many messages, [`IN_FLIGHT`] at once; how long all and each took.
async fn run(ann: &Node, bob: &Node, messages: usize) -> (Duration, Vec<Duration>) {
    let next = Arc::new(AtomicUsize::new(0));
    let to = bob.public_key();
    let began = Instant::now();
    let senders: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let (ann, next) = (ann.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while next.fetch_add(1, Ordering::Relaxed) < messages {
                    let draft = Draft::text(to, "x".repeat(BODY)).unwrap();
                    let sent = Instant::now();
                    ann.deliver(draft, WaitFor::Stored, Duration::from_secs(60))
                        .await
                        .unwrap();
                    latencies.push(sent.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for sender in senders {
        latencies.extend(sender.await.unwrap());
    }
    (began.elapsed(), latencies)
}

/// What writing 4 KiB and `fdatasync` take on this disk, as the journal does it: over zeros that
/// are there already.
fn sync_time(dir: &Path, times: usize) -> Duration {
    let path = dir.join("sync");
    let file = File::create(&path).unwrap();
    file.write_all_at(&vec![0; 4096 * times], 0).unwrap();
    file.sync_all().unwrap();
    let mut took = Vec::new();
    for n in 0..times {
        let began = Instant::now();
        file.write_all_at(&[1; 4096], (4096 * n) as u64).unwrap();
        file.sync_data().unwrap();
        took.push(began.elapsed());
    }
    std::fs::remove_file(&path).unwrap();
    median(took)
}

fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
