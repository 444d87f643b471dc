//! Durable messages a second, from `send` to the recipient's acknowledgement of its disk: two
//! nodes in one process, both on disk, over loopback, messages of 256 bytes.
//!
//! Once with 256 in flight, by the library and by `POST /v1/messages` over 256 connections kept
//! alive; and once, by two other nodes, with a thousand sends a second, come what may: each is due at an
//! instant of its own, and what it takes is counted from there. Beside it, from the same run and the same
//! disk: what one `fdatasync` takes, and what it makes of a thousand writes a second with nothing above it.
//!
//! `cargo bench -- durable`. The directory is `$SKYCHAT_BENCH_DIR`, else the target directory: it
//! has to be on a disk for the figures to mean something.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use skychat_api::{SendRequest, WaitFor};
use skychat_benches::{Asked, Better, Report, Row, median, quantile, scratch};
use skychat_client::{Client, Daemon};
use skychat_core::{Admission, DeliverError, Draft, Node, SendError};
use skychat_http::{Caps, Gate, Listener, Token, routes};
use skychat_identity::{PublicKey, SecretKey};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const IN_FLIGHT: usize = 256;
const BODY: usize = 256;
/// About what a message takes in the journal of its author, with its group.
const WRITTEN: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Between two sends of a thousand a second.
const PACE: Duration = Duration::from_millis(1);

const LEAST_RATE: f64 = 25_000.0;
/// Milliseconds, and how many times what an `fdatasync` takes where the disk is slower than that.
const FLIGHT_P99: (f64, f64) = (10.0, 40.0);
const PACED_P50: (f64, f64) = (1.5, 12.0);
const PACED_P99: (f64, f64) = (5.0, 40.0);

/// How much is measured.
#[derive(Clone, Copy)]
struct Amount {
    warm_up: usize,
    messages: usize,
    paced: usize,
    rounds: usize,
    /// Of those with a thousand a second: what the slowest of a hundred take is another one each time.
    paced_rounds: usize,
    syncs: usize,
}

const WHOLE: Amount = Amount {
    warm_up: 4_000,
    messages: 40_000,
    paced: 3_000,
    rounds: 5,
    paced_rounds: 15,
    syncs: 200,
};
/// Shows that it runs.
const TEST: Amount = Amount {
    warm_up: 16,
    messages: 256,
    paced: 50,
    rounds: 1,
    paced_rounds: 1,
    syncs: 8,
};

fn main() {
    let mut asked = Asked::of_command_line();
    let mut report = Report::new("durable");
    let parts = ["library", "http", "paced"];
    let parts = parts.map(|part| asked.measures(&format!("durable/send-to-stored/256B/{part}")));
    if parts.contains(&true) {
        let amount = asked.amount(WHOLE, TEST);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(measure(&mut report, amount, parts));
    }
    asked.finish(&report).unwrap();
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
                // More may be due at once than a node lets wait: it says so, and takes them later.
                while let Err(error) = node.deliver(draft.clone(), WaitFor::Stored, PATIENCE).await
                {
                    let busy = matches!(error, DeliverError::Send(SendError::Busy));
                    assert!(busy, "{error:?}");
                    tokio::time::sleep(PACE).await;
                }
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

async fn measure(report: &mut Report, amount: Amount, [library, http, paced]: [bool; 3]) {
    if library || http {
        let pair = Pair::start().await;
        let mut by_library = None;
        if library {
            let ways = vec![Way::Library(pair.ann.clone()); IN_FLIGHT];
            let figures = rounds(&pair, amount, amount.rounds, async |messages| {
                run(&ways, pair.to(), messages).await
            });
            let figures = figures.await;
            report.section(format!("{IN_FLIGHT} messages in flight"), "the target");
            in_flight(report, "library", "by the library", &figures, true);
            by_library = Some(figures.rate);
        }
        if http {
            let figures = over_http(&pair, amount).await;
            report.section(
                format!("{IN_FLIGHT} messages in flight by HTTP"),
                "the library",
            );
            in_flight(report, "http", "by HTTP", &figures, false);
            if let Some(rate) = by_library {
                let row = Row::shown("http/share", "HTTP", figures.rate, "messages/s");
                report.row(row.ratio(figures.rate / rate, Better::Higher));
            }
        }
        pair.stop().await;
    }
    if paced {
        // Those of before have segments of hundreds of thousands of messages to rewrite.
        let pair = Pair::start().await;
        let alone = RefCell::new((Vec::new(), Vec::new()));
        let figures = rounds(&pair, amount, amount.paced_rounds, async |messages| {
            let messages = messages.min(amount.paced);
            let took = disk_at_pace(pair.dir.path(), messages);
            alone.borrow_mut().0.push(median(took.clone()));
            alone.borrow_mut().1.push(quantile(took, 0.99));
            at_pace(&pair.ann, pair.to(), messages).await
        });
        let figures = figures.await;
        let (half, tail) = alone.into_inner();
        report.section("1,000 messages a second, each when it is due", "the target");
        report.row(Row::shown("paced/rate", "got", figures.rate, "messages/s"));
        let sync = figures.sync;
        let rows = [
            ("p50", "half of them within", figures.p50, PACED_P50),
            ("p99", "99 of 100 within", figures.p99, PACED_P99),
        ];
        for (id, what, took, most) in rows {
            report.row(within(&format!("paced/{id}"), what, took, sync, most));
        }
        fdatasync(report, "paced", sync);
        let rows = [("p50", "half", half), ("p99", "99 of 100", tail)];
        for (id, part, took) in rows {
            let what = format!("one file written and synced at that pace, no more: {part} within");
            report.row(Row::shown(
                format!("paced/disk-{id}"),
                what,
                median(took),
                "ms",
            ));
        }
        pair.stop().await;
    }
}

/// Two nodes that talk, each with a directory of its own.
struct Pair {
    ann: Node,
    bob: Node,
    dir: TempDir,
}

impl Pair {
    async fn start() -> Self {
        let dir = tempfile::tempdir_in(scratch().unwrap()).unwrap();
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
        Pair { ann, bob, dir }
    }

    fn to(&self) -> PublicKey {
        self.bob.public_key()
    }

    async fn stop(self) {
        for node in [self.ann, self.bob] {
            node.shutdown(Duration::from_secs(5)).await;
        }
    }
}

/// A time that may be so many milliseconds, or so many times an `fdatasync` if that is more.
fn within(id: &str, what: &str, took: f64, sync: f64, (ms, syncs): (f64, f64)) -> Row {
    let most = ms.max(syncs * sync);
    let times = took / sync;
    let aside = format!("{times:.0} fdatasync; at most {most:.2} ms or {syncs} fdatasync");
    let row = Row::shown(id, what, took, "ms").aside(aside);
    row.stays_within(most)
}

fn fdatasync(report: &mut Report, id: &str, sync: f64) {
    let what = "write and fdatasync of 4 KiB";
    report.row(Row::shown(format!("{id}/fdatasync"), what, sync, "ms"));
}

fn in_flight(report: &mut Report, id: &str, what: &str, figures: &Figures, judged: bool) {
    let rate = Row::shown(format!("{id}/rate"), what, figures.rate, "messages/s");
    let half = Row::shown(
        format!("{id}/p50"),
        "half of them within",
        figures.p50,
        "ms",
    );
    let (p99, tail) = (format!("{id}/p99"), "99 of 100 within");
    if judged {
        report.row(rate.reaches(LEAST_RATE));
        report.row(half);
        report.row(within(&p99, tail, figures.p99, figures.sync, FLIGHT_P99));
        fdatasync(report, id, figures.sync);
    } else {
        report.row(rate);
        report.row(half);
        report.row(Row::shown(p99, tail, figures.p99, "ms"));
    }
}

async fn over_http(pair: &Pair, amount: Amount) -> Figures {
    let stop = CancellationToken::new();
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(any).await.unwrap();
    let addr = listener.local_addr();
    let gate = Gate::new(addr, Token::new(TOKEN).unwrap());
    let router = routes(pair.ann.clone(), addr, stop.clone());
    let server = tokio::spawn(listener.serve(gate, router, Caps::default(), stop.clone()));
    let clients = (0..IN_FLIGHT).map(|_| {
        let daemon = Daemon::at(&addr.to_string(), TOKEN).unwrap();
        Way::Http(Arc::new(Client::new(daemon)))
    });
    let ways: Vec<Way> = clients.collect();
    let figures = rounds(pair, amount, amount.rounds, async |messages| {
        run(&ways, pair.to(), messages).await
    });
    let figures = figures.await;
    drop(ways);
    stop.cancel();
    server.await.unwrap();
    figures
}

/// Medians of the rounds; times in milliseconds.
struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
    sync: f64,
}

/// What all messages and each of them took.
type Took = (Duration, Vec<f64>);

async fn rounds(
    pair: &Pair,
    amount: Amount,
    times: usize,
    send: impl AsyncFn(usize) -> Took,
) -> Figures {
    send(amount.warm_up).await;
    let (mut rates, mut halves, mut tails, mut syncs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..times {
        syncs.push(sync_time(pair.dir.path(), amount.syncs));
        let (took, latencies) = send(amount.messages).await;
        rates.push(latencies.len() as f64 / took.as_secs_f64());
        halves.push(median(latencies.clone()));
        tails.push(quantile(latencies, 0.99));
    }
    Figures {
        rate: median(rates),
        p50: median(halves),
        p99: median(tails),
        sync: median(syncs),
    }
}

/// A thousand sends a second, whatever became of those before. As many are on their way as have
/// not come back: all of them at most.
async fn at_pace(node: &Node, to: PublicKey, messages: usize) -> Took {
    let (node, runtime) = (node.clone(), tokio::runtime::Handle::current());
    let began = Instant::now();
    let clock = tokio::task::spawn_blocking(move || {
        let mut sends = Vec::with_capacity(messages);
        let mut due = began;
        for _ in 0..messages {
            due += PACE;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let way = Way::Library(node.clone());
            sends.push(runtime.spawn(async move {
                way.send(to, "x".repeat(BODY)).await;
                due.elapsed().as_secs_f64() * 1e3
            }));
        }
        sends
    });
    let mut latencies = Vec::with_capacity(messages);
    for send in clock.await.unwrap() {
        latencies.push(send.await.unwrap());
    }
    (began.elapsed(), latencies)
}

/// What the disk alone makes of that: as much as a message takes, a thousand times a second, over zeros that are there
/// already. What is due is written as one and synced. Milliseconds that each of them took from when it was due.
fn disk_at_pace(dir: &Path, messages: usize) -> Vec<f64> {
    let path = dir.join("paced");
    let file = File::create(&path).unwrap();
    file.write_all_at(&vec![0; WRITTEN * messages], 0).unwrap();
    file.sync_all().unwrap();
    let block = vec![1; WRITTEN * messages];
    let began = Instant::now();
    let due = |n: usize| began + PACE * n as u32;
    let mut took = Vec::with_capacity(messages);
    while took.len() < messages {
        let from = took.len();
        std::thread::sleep(due(from).saturating_duration_since(Instant::now()));
        let ready = (from + 1..messages).find(|n| due(*n) > Instant::now());
        let to = ready.unwrap_or(messages);
        file.write_all_at(
            &block[from * WRITTEN..to * WRITTEN],
            (from * WRITTEN) as u64,
        )
        .unwrap();
        file.sync_data().unwrap();
        took.extend((from..to).map(|n| due(n).elapsed().as_secs_f64() * 1e3));
    }
    std::fs::remove_file(&path).unwrap();
    took
}

/// Sends so many messages, one at a time on each way; how long all and each took.
async fn run(ways: &[Way], to: PublicKey, messages: usize) -> Took {
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let senders = ways.iter().map(|way| {
        let (way, next) = (way.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < messages {
                let sent = Instant::now();
                way.send(to, "x".repeat(BODY)).await;
                latencies.push(sent.elapsed().as_secs_f64() * 1e3);
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

/// Milliseconds that writing 4 KiB and `fdatasync` take on this disk, as the journal does it: over
/// zeros that are there already.
fn sync_time(dir: &Path, times: usize) -> f64 {
    let path = dir.join("sync");
    let file = File::create(&path).unwrap();
    file.write_all_at(&vec![0; 4096 * times], 0).unwrap();
    file.sync_all().unwrap();
    let mut took = Vec::new();
    for n in 0..times {
        let began = Instant::now();
        file.write_all_at(&[1; 4096], (4096 * n) as u64).unwrap();
        file.sync_data().unwrap();
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    std::fs::remove_file(&path).unwrap();
    median(took)
}
