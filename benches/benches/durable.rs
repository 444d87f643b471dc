//! Durable messages a second, from `send` to the recipient's acknowledgement of its disk: two
//! nodes in one process, both on disk, over loopback, 256 messages of 256 bytes in flight; by the
//! library, and by `POST /v1/messages` over 256 connections kept alive. Beside it, from the same
//! run and the same disk: what one `fdatasync` takes.
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

use skychat_api::{SendRequest, WaitFor};
use skychat_client::{Client, Daemon};
use skychat_core::{Admission, Draft, Node};
use skychat_http::{Caps, Gate, Listener, Token, routes};
use skychat_identity::{PublicKey, SecretKey};
use tokio_util::sync::CancellationToken;

const NAME: &str = "durable/send-to-stored/256B";
const IN_FLIGHT: usize = 256;
const BODY: usize = 256;
const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

const LEAST_RATE: f64 = 8_000.0;
const MOST_P99: Duration = Duration::from_millis(10);

/// How much is measured.
#[derive(Clone, Copy)]
struct Amount {
    warm_up: usize,
    messages: usize,
    rounds: usize,
    syncs: usize,
}

const WHOLE: Amount = Amount {
    warm_up: 4_000,
    messages: 40_000,
    rounds: 5,
    syncs: 200,
};
/// Shows that it runs.
const TEST: Amount = Amount {
    warm_up: 16,
    messages: 256,
    rounds: 1,
    syncs: 8,
};

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
    runtime.block_on(measure(if test { TEST } else { WHOLE }, test));
}

/// Sends one message and waits until it is stored.
#[derive(Clone)]
enum Way {
    Library(Node),
    Http(Arc<Client>),
}

impl Way {
    async fn send(&self, to: PublicKey, text: String) {
        match self {
            Way::Library(node) => {
                let draft = Draft::text(to, text).unwrap();
                node.deliver(draft, WaitFor::Stored, PATIENCE)
                    .await
                    .unwrap();
            }
            Way::Http(client) => {
                let request = SendRequest {
                    to,
                    text,
                    message_id: None,
                    wait: Some(WaitFor::Stored),
                    timeout_ms: None,
                };
                client.send(&request).await.unwrap();
            }
        }
    }
}

async fn measure(amount: Amount, test: bool) {
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
    let to = bob.public_key();

    let library = vec![Way::Library(ann.clone()); IN_FLIGHT];
    let by_library = rounds(&library, to, dir.path(), amount).await;

    let stop = CancellationToken::new();
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let addr = listener.local_addr();
    let gate = Gate::new(addr, Token::new(TOKEN).unwrap());
    let router = routes(ann.clone(), addr, stop.clone());
    let server = tokio::spawn(listener.serve(gate, router, Caps::default(), stop.clone()));
    let clients = (0..IN_FLIGHT).map(|_| {
        let daemon = Daemon::at(&addr.to_string(), TOKEN).unwrap();
        Way::Http(Arc::new(Client::new(daemon)))
    });
    let clients: Vec<Way> = clients.collect();
    let by_http = rounds(&clients, to, dir.path(), amount).await;
    drop(clients);
    stop.cancel();

    if test {
        println!("{NAME}: ok");
    } else {
        report(&by_library, &by_http);
    }
    for node in [ann, bob] {
        node.shutdown(Duration::from_secs(5)).await;
    }
    server.await.unwrap();
}

/// Medians of the rounds.
struct Figures {
    rate: f64,
    p50: Duration,
    p99: Duration,
    sync: Duration,
}

async fn rounds(ways: &[Way], to: PublicKey, dir: &Path, amount: Amount) -> Figures {
    run(ways, to, amount.warm_up).await;
    let (mut rates, mut halves, mut tails, mut syncs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..amount.rounds {
        syncs.push(sync_time(dir, amount.syncs));
        let (took, mut latencies) = run(ways, to, amount.messages).await;
        latencies.sort_unstable();
        rates.push(amount.messages as f64 / took.as_secs_f64());
        halves.push(latencies[latencies.len() / 2]);
        tails.push(latencies[latencies.len() * 99 / 100]);
    }
    Figures {
        rate: median(rates),
        p50: median(halves),
        p99: median(tails),
        sync: median(syncs),
    }
}

fn report(library: &Figures, http: &Figures) {
    let Figures {
        rate,
        p50,
        p99,
        sync,
    } = *library;
    let most = MOST_P99.max(sync * 40);
    println!("{NAME}, {IN_FLIGHT} in flight");
    println!(
        "  library {rate:>9.0} messages/s      (target >= {LEAST_RATE:.0}: {})",
        verdict(rate >= LEAST_RATE)
    );
    println!(
        "          p50 {p50:.2?}, p99 {p99:.2?}      (target <= {most:.2?}: {})",
        verdict(p99 <= most)
    );
    println!(
        "  HTTP    {:>9.0} messages/s, {:.2} of the library's",
        http.rate,
        http.rate / rate
    );
    println!("          p50 {:.2?}, p99 {:.2?}", http.p50, http.p99);
    println!(
        "  fdatasync {sync:.1?} (median); the library's p99 is {:.0} of them",
        p99.as_secs_f64() / sync.as_secs_f64()
    );
}

/// Sends so many messages, one at a time on each way; how long all and each took.
async fn run(ways: &[Way], to: PublicKey, messages: usize) -> (Duration, Vec<Duration>) {
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let senders = ways.iter().map(|way| {
        let (way, next) = (way.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < messages {
                let sent = Instant::now();
                way.send(to, "x".repeat(BODY)).await;
                latencies.push(sent.elapsed());
            }
            latencies
        })
    });
    let senders: Vec<_> = senders.collect();
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
