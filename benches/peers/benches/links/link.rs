//! Our side over loopback.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use skychat_proto::ids::ServiceId;
use skychat_transport::{
    Anyone, CloseReason, Factory, Link, LinkConfig, Listener, ListenerLimits, SendError, Service,
    Violation, dial,
};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};

use crate::ours::{Ours, hello, identity};
use crate::stream::PING;

pub(crate) fn runtime(workers: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
}

/// A node that listens, and those who dial it, each with a key of its own.
pub(crate) struct Hub<F> {
    ours: Ours,
    listener: Listener,
    config: LinkConfig,
    factory: Arc<F>,
    /// Those who have a key already.
    ready: Vec<LinkConfig>,
    made: u16,
}

impl<F: Factory> Hub<F> {
    pub(crate) fn new(ours: Ours, factory: F) -> Self {
        let config = LinkConfig::new(identity(0, ours.backend), hello, Anyone);
        // The budget of a listener keeps floods away; here it would be what is measured.
        let limits = ListenerLimits {
            accepts_per_second: 1_000_000,
            burst: 4096,
            ..ListenerLimits::default()
        };
        let factory = Arc::new(factory);
        let any = ([127, 0, 0, 1], 0).into();
        let listener = Listener::bind(any, &config, Arc::clone(&factory), limits).unwrap();
        Hub {
            ours,
            listener,
            config,
            factory,
            ready: Vec::new(),
            made: 0,
        }
    }

    /// Makes the keys of the next so many who dial.
    pub(crate) fn ready(&mut self, diallers: usize) {
        for _ in 0..diallers {
            self.made += 1;
            let dialler = identity(self.made, self.ours.backend);
            let mut config = LinkConfig::new(dialler, hello, Anyone);
            config.suite = self.ours.suite;
            self.ready.push(config);
        }
    }

    /// One more link, up at both ends.
    pub(crate) async fn connect(&mut self) -> Link {
        if self.ready.is_empty() {
            self.ready(1);
        }
        let config = self.ready.pop().unwrap();
        let (addr, peer) = (self.listener.local_addr(), self.config.identity.public());
        let factory = Arc::clone(&self.factory);
        dial(addr, peer, &config, factory).await.unwrap()
    }
}

/// Who takes what comes and does nothing.
pub(crate) struct Quiet;

impl Service for Quiet {
    fn message(&mut self, _: ServiceId, _: &[u8]) -> Result<(), Violation> {
        Ok(())
    }

    async fn flush(&mut self) {}

    fn closed(&mut self, _: &CloseReason) {}
}

/// What arrived at a counting end.
#[derive(Default)]
struct Count {
    bytes: AtomicUsize,
    expected: AtomicUsize,
    done: Notify,
}

pub(crate) struct Counting {
    count: Arc<Count>,
    bytes: usize,
}

impl Service for Counting {
    fn message(&mut self, _: ServiceId, message: &[u8]) -> Result<(), Violation> {
        self.bytes += message.len();
        Ok(())
    }

    async fn flush(&mut self) {
        let before = self.count.bytes.fetch_add(self.bytes, Ordering::Relaxed);
        if before + self.bytes >= self.count.expected.load(Ordering::Relaxed) {
            self.count.done.notify_one();
        }
        self.bytes = 0;
    }

    fn closed(&mut self, _: &CloseReason) {}
}

/// A link over loopback, and what counts at its other end.
pub(crate) struct Pair {
    link: Link,
    count: Arc<Count>,
    /// Keeps it open.
    _listener: Listener,
}

impl Pair {
    pub(crate) async fn new(ours: Ours) -> Self {
        let count = Arc::new(Count::default());
        let counting = Arc::clone(&count);
        let mut hub = Hub::new(ours, move |_: &Link| Counting {
            count: Arc::clone(&counting),
            bytes: 0,
        });
        Pair {
            link: hub.connect().await,
            count,
            _listener: hub.listener,
        }
    }

    /// Seconds from the first send to the last byte at the other end.
    pub(crate) async fn send(&self, message: &[u8], times: usize) -> f64 {
        let expected = message.len() * times;
        self.count.bytes.store(0, Ordering::Relaxed);
        self.count.expected.store(expected, Ordering::Relaxed);
        let (link, message) = (self.link.clone(), message.to_vec());
        let start = Instant::now();
        // On a worker, as a program that uses links would.
        let sending = tokio::spawn(async move {
            for _ in 0..times {
                // What is large waits before it is queued, and so stays in the cache.
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

/// The side that was dialled answers; the other one goes on until it has all its trips.
pub(crate) struct Player {
    link: Link,
    trips: usize,
    times: Vec<f64>,
    sent: Instant,
    done: mpsc::Sender<Vec<f64>>,
}

impl Service for Player {
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        if self.link.inbound() {
            self.link.try_send(service, &[message]).unwrap();
            return Ok(());
        }
        self.times.push(self.sent.elapsed().as_secs_f64());
        if self.times.len() < self.trips {
            self.sent = Instant::now();
            self.link.try_send(ServiceId::RANGE, &[&PING]).unwrap();
        } else {
            let times = std::mem::replace(&mut self.times, Vec::with_capacity(self.trips));
            self.done.try_send(times).unwrap();
        }
        Ok(())
    }

    async fn flush(&mut self) {}

    fn closed(&mut self, _: &CloseReason) {}
}

/// Links whose ends answer each other.
pub(crate) struct Match {
    links: Vec<Link>,
    done: mpsc::Receiver<Vec<f64>>,
    _listener: Listener,
}

impl Match {
    pub(crate) async fn new(ours: Ours, links: usize, trips: usize) -> Self {
        let (report, done) = mpsc::channel(links);
        let report = Mutex::new(report);
        let mut hub = Hub::new(ours, move |link: &Link| Player {
            link: link.clone(),
            trips,
            times: Vec::with_capacity(if link.inbound() { 0 } else { trips }),
            sent: Instant::now(),
            done: report.lock().unwrap().clone(),
        });
        let mut up = Vec::new();
        for _ in 0..links {
            up.push(hub.connect().await);
        }
        Match {
            links: up,
            done,
            _listener: hub.listener,
        }
    }

    /// The times of every link's trips; the first of each begins before it is asked for, and is
    /// left out.
    pub(crate) async fn play(&mut self) -> Vec<f64> {
        for link in &self.links {
            link.try_send(ServiceId::RANGE, &[&PING]).unwrap();
        }
        let mut all = Vec::new();
        for _ in 0..self.links.len() {
            all.extend(self.done.recv().await.unwrap().into_iter().skip(1));
        }
        all
    }
}
