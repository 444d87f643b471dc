//! One way over loopback: bulk, and a stream of small frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use skychat_proto::ids::ServiceId;
use skychat_transport::backend::{CipherError, ExchangeKey, Primitives, RecordCipher};
use skychat_transport::{
    Anyone, Backend, CloseReason, Link, LinkConfig, Listener, ListenerLimits, SendError, Service,
    Violation, dial,
};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::aead::Raw;
use crate::frames::{hello, identity, one_way};
use crate::sample::{Cores, head, in_turn, line};

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
    pub(crate) async fn new(backend: Backend) -> Self {
        let config = |n| LinkConfig::new(identity(n, backend), hello, Anyone);
        let (ann, bob) = (config(1), config(2));
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

fn pairs(runtime: &Runtime) -> [Pair; 3] {
    let backends = [Backend::AwsLc, Backend::RustCrypto, Backend::Custom(&Null)];
    backends.map(|backend| runtime.block_on(Pair::new(backend)))
}

pub(crate) fn bulk() {
    let runtime = runtime(2);
    let pairs = pairs(&runtime);
    let raw = [Raw::of(Backend::AwsLc), Raw::of(Backend::RustCrypto)];
    for (name, size, bytes) in [
        ("16 KiB", 16_384, 128 << 20),
        ("64 KiB", 65_536, 192 << 20),
        ("1 MiB", 1 << 20, 192 << 20),
    ] {
        let message = vec![0x5a; size];
        let times = bytes / size;
        let mut cores = Cores::start();
        let [aws_lc, rust_crypto, null, one_aws_lc, one_rust_crypto] =
            in_turn(11, |candidate| match candidate {
                0..3 => cores.during(|| {
                    let pair = &pairs[candidate];
                    (times * size) as f64 / runtime.block_on(pair.send(&message, times))
                }),
                _ => one_way(&raw[candidate - 3]),
            });
        let title = format!(
            "loopback, one way, {name} messages; {:.2} cores had, the pipeline needs 2",
            cores.had()
        );
        head(&title, "of pipe");
        for (name, ours, one_way) in [
            ("aws-lc", aws_lc, one_aws_lc),
            ("rust-crypto", rust_crypto, one_rust_crypto),
        ] {
            let pipeline = 1.0 / (1.0 / one_way + 1.0 / null);
            let what = format!("{name} (AEAD one way {:.0} MB/s)", one_way / 1e6);
            let figure = format!("{:.0} MB/s", ours / 1e6);
            line(&what, &figure, ours / pipeline, ">= 0.80");
        }
        let figure = format!("{:.0} MB/s", null / 1e6);
        line("null cipher, the channel's own limit", &figure, 1.0, "");
        println!();
    }
}

pub(crate) fn small() {
    const FRAMES: usize = 2_000_000;
    let runtime = runtime(2);
    let pairs = pairs(&runtime);
    let frames = in_turn::<3>(9, |candidate| {
        let pair = &pairs[candidate];
        FRAMES as f64 / runtime.block_on(pair.send(&[0x5a; 64], FRAMES))
    });
    let title = "loopback, one way, 64-byte frames from try_send to the handler";
    head(title, "of 5 M");
    for (name, frames) in ["aws-lc", "rust-crypto", "null cipher"].iter().zip(frames) {
        let figure = format!("{:.1} M frames/s", frames / 1e6);
        line(name, &figure, frames / 5e6, ">= 1.00");
    }
    println!();
}
