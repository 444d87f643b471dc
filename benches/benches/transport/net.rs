//! One way over loopback: bulk, and a stream of small frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use skychat_proto::ids::ServiceId;
use skychat_transport::backend::{CipherError, ExchangeKey, Primitives, RecordCipher};
use skychat_transport::{
    Anyone, Backend, CloseReason, Link, LinkConfig, Listener, ListenerLimits, SendError, Service,
    Suite, Violation, dial,
};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use skychat_benches::{Better, Cores, Report, Row, in_turn};

use crate::aead::{Kind, Raw, kinds};
use crate::frames::{hello, identity, one_way};
use crate::part::Amount;

/// A cipher that does nothing: the same channel without one is the limit of the channel.
struct Null;

impl Primitives for Null {
    fn name(&self) -> &'static str {
        "null cipher"
    }

    fn cipher(&self, _: &[u8; 32]) -> Box<dyn RecordCipher> {
        Box::new(Null)
    }

    fn exchange_key(&self, secret: &[u8; 32]) -> Box<dyn ExchangeKey> {
        Backend::default().primitives().exchange_key(secret)
    }
}

impl RecordCipher for Null {
    fn set(&mut self, _: &[u8; 32]) {}

    fn seal(&self, _: u64, _: &[u8], _: &mut [u8]) -> Result<[u8; 16], CipherError> {
        Ok([0; 16])
    }

    fn open(&self, _: u64, _: &[u8], _: &mut [u8], _: &[u8; 16]) -> Result<(), CipherError> {
        Ok(())
    }
}

/// Counts what arrives.
#[derive(Default)]
pub(crate) struct Count {
    bytes: AtomicUsize,
    expected: AtomicUsize,
    done: Notify,
}

struct Counting {
    count: Arc<Count>,
    bytes: usize,
}

impl Service for Counting {
    fn message(&mut self, _: ServiceId, message: &[u8]) -> Result<(), Violation> {
        self.bytes += message.len();
        Ok(())
    }

    async fn flush(&mut self) {
        let all = self.count.bytes.load(Ordering::Relaxed) + self.bytes;
        self.bytes = 0;
        self.count.bytes.store(all, Ordering::Relaxed);
        if all >= self.count.expected.load(Ordering::Relaxed) {
            self.count.done.notify_one();
        }
    }

    fn closed(&mut self, _: &CloseReason) {}
}

/// A link over loopback, and what counts at its other end.
pub(crate) struct Pair {
    link: Link,
    count: Arc<Count>,
    _listener: Listener,
}

impl Pair {
    pub(crate) async fn new(backend: Backend, suite: Suite) -> Self {
        let config = |n| LinkConfig::new(identity(n, backend), hello, Anyone);
        let (mut ann, bob) = (config(1), config(2));
        ann.suite = suite;
        let count = Arc::new(Count::default());
        let counting = Arc::clone(&count);
        let factory = Arc::new(move |_: &Link| Counting {
            count: Arc::clone(&counting),
            bytes: 0,
        });
        let any = ([127, 0, 0, 1], 0).into();
        let limits = ListenerLimits::default();
        let listener = Listener::bind(any, &bob, Arc::clone(&factory), limits).unwrap();
        let peer = bob.identity.public();
        let link = dial(listener.local_addr(), peer, &ann, factory)
            .await
            .unwrap();
        Pair {
            link,
            count,
            _listener: listener,
        }
    }

    /// Seconds from the first send to the last byte at the other end.
    pub(crate) async fn send(&self, message: &[u8], times: usize) -> f64 {
        let expected = message.len() * times;
        self.count.bytes.store(0, Ordering::Relaxed);
        self.count.expected.store(expected, Ordering::Relaxed);
        let link = self.link.clone();
        let message = message.to_vec();
        let start = Instant::now();
        // On a worker, as a program that uses links would.
        let sending = tokio::spawn(async move {
            for _ in 0..times {
                if message.len() > 1024 {
                    link.ready().await;
                }
                while let Err(error) = link.try_send(ServiceId::RANGE, &[&message]) {
                    assert_eq!(error, SendError::Full);
                    link.ready().await;
                }
            }
        });
        while self.count.bytes.load(Ordering::Relaxed) < expected {
            self.count.done.notified().await;
        }
        let taken = start.elapsed().as_secs_f64();
        sending.await.unwrap();
        taken
    }
}

pub(crate) fn runtime(workers: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
}

/// A link of every kind, and in the end the one without a cipher.
fn pairs(runtime: &Runtime) -> (Vec<Kind>, [Pair; KINDS + 1]) {
    let kinds = kinds();
    let pairs = std::array::from_fn(|n| {
        let (backend, suite) = match kinds.get(n) {
            Some(kind) => (kind.backend, kind.suite),
            None => (Backend::Custom(&Null), Suite::ChaChaPoly),
        };
        runtime.block_on(Pair::new(backend, suite))
    });
    (kinds, pairs)
}

/// Kinds of links at most; where one is not to be had, its place is taken by another null cipher.
const KINDS: usize = 3;

pub(crate) fn bulk(report: &mut Report, amount: Amount) {
    let runtime = runtime(2);
    let (kinds, pairs) = pairs(&runtime);
    let raw: Vec<Raw> = kinds.iter().map(|&kind| Raw::of(kind)).collect();
    for (size, length, bytes, target) in [
        ("16KiB", 16_384, 128 << 20, None),
        ("64KiB", 65_536, 192 << 20, Some(0.90)),
        ("1MiB", 1 << 20, 192 << 20, None),
    ] {
        let message = vec![0x5a; length];
        let times = amount.of(bytes / length, 8);
        let mut cores = Cores::start();
        let taken = in_turn::<{ 2 * KINDS + 1 }>(amount.of(11, 1), |candidate| {
            if candidate <= KINDS {
                return cores.during(|| {
                    let pair = &pairs[candidate];
                    (times * length) as f64 / runtime.block_on(pair.send(&message, times))
                });
            }
            let raw = raw.get(candidate - KINDS - 1);
            raw.map_or(f64::NAN, |raw| one_way(raw, amount))
        });
        report.section(
            format!("loopback, one way, {size} messages"),
            "the pipeline: AEAD one way, and the channel without a cipher",
        );
        let null = taken[KINDS];
        for (n, kind) in kinds.iter().enumerate() {
            let (ours, one_way) = (taken[n], taken[KINDS + 1 + n]);
            let pipeline = 1.0 / (1.0 / one_way + 1.0 / null);
            let id = format!("bulk/{}/{size}", kind.name);
            let row = Row::shown(id, kind.name, ours / 1e6, "MB/s")
                .aside(format!("AEAD one way {:.0}", one_way / 1e6));
            report.row(match target {
                Some(least) => row.at_least(ours / pipeline, least),
                None => row.ratio(ours / pipeline, Better::Higher),
            });
        }
        let id = format!("bulk/null/{size}");
        let what = "null cipher, the channel's own limit";
        let aside = format!("{:.2} cores had, the pipeline needs 2", cores.had());
        report.row(Row::shown(id, what, null / 1e6, "MB/s").aside(aside));
    }
}

pub(crate) fn small(report: &mut Report, amount: Amount) {
    let frames = amount.of(2_000_000, 10_000);
    let runtime = runtime(2);
    let (kinds, pairs) = pairs(&runtime);
    let taken = in_turn::<{ KINDS + 1 }>(amount.of(9, 1), |candidate| {
        let pair = &pairs[candidate];
        frames as f64 / runtime.block_on(pair.send(&[0x5a; 64], frames))
    });
    report.section(
        "loopback, one way, 64-byte frames from try_send to the handler",
        "5 million a second",
    );
    let names = kinds.iter().map(|kind| kind.name).chain(["null"]);
    for (name, frames) in names.zip(taken) {
        let id = format!("small/{name}");
        let row = Row::shown(id, name, frames / 1e6, "M/s");
        report.row(match name {
            "null" => row,
            _ => row.reaches(5.0),
        });
    }
}
