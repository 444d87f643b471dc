//! Round trips of 64 bytes: two services that answer each other, against two bare sockets, in one
//! runtime.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use skychat_proto::ids::ServiceId;
use skychat_transport::{
    Anyone, Backend, CloseReason, Link, LinkConfig, Listener, ListenerLimits, Service, Suite,
    Violation, dial,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use skychat_benches::{Better, Report, Row, in_turn, median};

use crate::aead::kinds;
use crate::frames::{hello, identity};
use crate::net::runtime;
use crate::part::Amount;

const TRIPS: usize = 4000;
const PING: [u8; 64] = [0x5a; 64];

/// The side that was dialled answers; the other one goes on until it has all its trips.
struct Player {
    link: Link,
    times: Vec<f64>,
    sent: Instant,
    done: mpsc::Sender<Vec<f64>>,
}

impl Player {
    fn ping(&mut self) {
        self.sent = Instant::now();
        self.link.try_send(ServiceId::RANGE, &[&PING]).unwrap();
    }
}

impl Service for Player {
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        if self.link.inbound() {
            self.link.try_send(service, &[message]).unwrap();
            return Ok(());
        }
        self.times.push(self.sent.elapsed().as_secs_f64());
        if self.times.len() < TRIPS {
            self.ping();
        } else {
            let times = std::mem::replace(&mut self.times, Vec::with_capacity(TRIPS));
            self.done.try_send(times).unwrap();
        }
        Ok(())
    }

    async fn flush(&mut self) {}

    fn closed(&mut self, _: &CloseReason) {}
}

pub(crate) struct Match {
    link: Link,
    done: mpsc::Receiver<Vec<f64>>,
    listener: Listener,
}

impl Match {
    pub(crate) async fn new(backend: Backend, suite: Suite) -> Self {
        let config = |n| LinkConfig::new(identity(n, backend), hello, Anyone);
        let (mut ann, bob) = (config(1), config(2));
        ann.suite = suite;
        let (report, done) = mpsc::channel(1);
        let report = Mutex::new(report);
        let factory = Arc::new(move |link: &Link| Player {
            link: link.clone(),
            times: Vec::with_capacity(TRIPS),
            sent: Instant::now(),
            done: report.lock().unwrap().clone(),
        });
        let any = ([127, 0, 0, 1], 0).into();
        let limits = ListenerLimits::default();
        let listener = Listener::bind(any, &bob, Arc::clone(&factory), limits).unwrap();
        let peer = bob.identity.public();
        let link = dial(listener.local_addr(), peer, &ann, factory)
            .await
            .unwrap();
        Match {
            link,
            done,
            listener,
        }
    }

    /// Where the side that was dialled listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    pub(crate) async fn play(&mut self) -> Vec<f64> {
        // The first trip begins here; its time is one of many.
        self.link.try_send(ServiceId::RANGE, &[&PING]).unwrap();
        self.done.recv().await.unwrap()
    }
}

/// The same over bare sockets.
struct Bare(TcpStream);

impl Bare {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 64];
            while server.read_exact(&mut buffer).await.is_ok() {
                server.write_all(&buffer).await.unwrap();
            }
        });
        Bare(client)
    }

    async fn play(self) -> (Self, Vec<f64>) {
        let Bare(mut stream) = self;
        let played = tokio::spawn(async move {
            let mut times = Vec::with_capacity(TRIPS);
            let mut buffer = [0; 64];
            for _ in 0..TRIPS {
                let sent = Instant::now();
                stream.write_all(&PING).await.unwrap();
                stream.read_exact(&mut buffer).await.unwrap();
                times.push(sent.elapsed().as_secs_f64());
            }
            (Bare(stream), times)
        });
        played.await.unwrap()
    }
}

pub(crate) fn compare(report: &mut Report, amount: Amount) {
    // Two workers leave it to the scheduler whether both ends share one; one worker says it. The
    // second is the harder comparison: no time is lost on waking another core.
    for (workers, name) in [(2, "2-workers"), (1, "1-worker")] {
        compare_on(workers, name, report, amount);
    }
}

fn compare_on(workers: usize, name: &str, report: &mut Report, amount: Amount) {
    let runtime = runtime(workers);
    let mut bare = Some(runtime.block_on(Bare::new()));
    let kinds = kinds();
    let links = kinds
        .iter()
        .map(|kind| Match::new(kind.backend, kind.suite));
    let mut links: Vec<Match> = links.map(|link| runtime.block_on(link)).collect();
    let mut p99: [Vec<f64>; 4] = Default::default();
    let p50 = in_turn::<4>(amount.of(25, 1), |candidate| {
        let times = match candidate.checked_sub(1).map(|n| links.get_mut(n)) {
            None => {
                let (back, times) = runtime.block_on(bare.take().unwrap().play());
                bare = Some(back);
                times
            }
            Some(Some(link)) => runtime.block_on(link.play()),
            Some(None) => return f64::NAN,
        };
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        p99[candidate].push(sorted[sorted.len() * 99 / 100]);
        median(times)
    });
    report.section(
        format!("ping-pong, 64 bytes, one runtime, {name}: p50 (p99)"),
        "raw TCP in the same runtime",
    );
    let names = ["raw-tcp"]
        .into_iter()
        .chain(kinds.iter().map(|kind| kind.name));
    for (n, kind) in names.enumerate() {
        let p99 = median(p99[n].clone()) * 1e6;
        let id = format!("ping/{name}/{kind}");
        let row = Row::shown(id, kind, p50[n] * 1e6, "us").aside(format!("p99 {p99:.1}"));
        let ratio = p50[n] / p50[0];
        report.row(match kind {
            "raw-tcp" => row,
            // Its Poly1305 takes 2 us a message; see docs/benchmarks/tried.md.
            "rust-crypto" => row.ratio(ratio, Better::Lower),
            _ => row.at_most(ratio, 1.15),
        });
    }
}
