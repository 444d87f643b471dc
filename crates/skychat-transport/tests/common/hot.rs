//! The hot path, to be run while something counts.
#![allow(unreachable_pub, reason = "a module that test binaries share")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use skychat_identity::PublicKey;
use skychat_proto::ids::ServiceId;
use skychat_proto::link::{Hello, LinkMessage};
use skychat_transport::{
    Anyone, Backend, CloseReason, Handler, Initiator, LENGTH, Link, LinkConfig, LinkIdentity,
    Listener, ListenerLimits, MESSAGE_1, MESSAGE_2, MESSAGE_3, Outbound, Receiver, RekeyLimits,
    SealingKey, Service, Suite, Violation, dial, respond,
};

use super::{hello, ms, secret, within};

pub const SERVICE: ServiceId = ServiceId::RANGE;

/// Every suite of every backend of this build, on this machine.
pub fn kinds() -> Vec<(Backend, Suite)> {
    let all = Backend::BUILT_IN
        .iter()
        .flat_map(|&backend| Suite::ALL.map(|suite| (backend, suite)));
    all.filter(|(backend, suite)| backend.offers(*suite))
        .collect()
}

/// Queue, seal, open, handler; across new keys.
pub struct Path {
    queue: Outbound,
    turn: Vec<Vec<u8>>,
    seal: SealingKey,
    receiver: Receiver,
    count: Count,
}

struct Count(usize);

impl Handler for Count {
    type Error = Violation;
    fn proven(&mut self, _: PublicKey) -> Result<(), Violation> {
        Ok(())
    }
    fn hello(&mut self, _: Hello) -> Result<(), Violation> {
        Ok(())
    }
    fn link(&mut self, _: LinkMessage, _: &[u8]) -> Result<(), Violation> {
        Ok(())
    }
    fn message(&mut self, _: ServiceId, message: &[u8]) -> Result<(), Violation> {
        self.0 += message.len();
        Ok(())
    }
}

impl Path {
    pub fn new(backend: Backend, suite: Suite) -> Self {
        let identity = |n| LinkIdentity::new(secret(n), backend);
        let (ann, bob) = (identity(1), identity(2));
        let limits = RekeyLimits {
            records: 1000,
            bytes: 1 << 30,
        };
        let (mut first, mut second, mut third) = ([0; MESSAGE_1], [0; MESSAGE_2], [0; MESSAGE_3]);
        let initiator = Initiator {
            identity: &ann,
            peer: bob.public(),
            suite,
            limits,
        };
        let waiting = initiator.start([3; 32], &mut first).unwrap();
        let answering = respond(&bob, limits, [4; 32], &first, &mut second).unwrap();
        let (ann, _) = waiting.finish(&second, &mut third).unwrap();
        let (bob, _) = answering.finish(&third).unwrap().accept().unwrap();
        let mut path = Path {
            queue: Outbound::new(Arc::default()),
            turn: Vec::new(),
            seal: ann.seal,
            receiver: Receiver::new(bob.open, None, &[SERVICE]),
            count: Count(0),
        };
        let hello = LinkMessage::Hello(hello(1)).encode();
        path.pass(&[(ServiceId::LINK, &hello)]);
        path
    }

    /// Takes the messages through, as many to a record as fit. Returns the bytes that arrived.
    pub fn pass(&mut self, messages: &[(ServiceId, &[u8])]) -> usize {
        for (service, message) in messages {
            self.queue.push(*service, &[message]).unwrap();
        }
        while !self.queue.is_empty() {
            let bytes = self.queue.take(&mut self.turn);
            for record in &mut self.turn {
                self.seal.seal(record).unwrap();
                let body = &mut record[LENGTH..];
                self.receiver.record(body, &mut self.count).unwrap();
            }
            self.queue.written(bytes);
            self.queue.recycle(&mut self.turn);
        }
        std::mem::take(&mut self.count.0)
    }

    /// `rounds` times a small message alone, and ten times 3,000 packed ones and a large one that
    /// is cut into fragments for each hundred rounds. Returns the bytes that arrived, all of them.
    pub fn rounds(&mut self, rounds: usize) -> usize {
        let small = (SERVICE, &[7; 64][..]);
        let packed = [small; 3000];
        static LARGE: [u8; 300_000] = [7; 300_000];
        let mut bytes = 0;
        for round in 0..rounds {
            bytes += self.pass(&[small]);
            if round % 10 == 0 {
                bytes += self.pass(&packed);
                bytes += self.pass(&[(SERVICE, &LARGE)]);
            }
        }
        let turns = rounds.div_ceil(10);
        assert_eq!(bytes, rounds * 64 + turns * (3000 * 64 + 300_000));
        bytes
    }
}

/// Answers on the side that was dialled; goes on with the next round on the other, until it has
/// done them all.
pub struct Player {
    link: Link,
    left: Arc<AtomicUsize>,
}

impl Service for Player {
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        if !self.link.inbound() && self.left.fetch_sub(1, Ordering::Relaxed) <= 1 {
            return Ok(());
        }
        self.link.try_send(service, &[message]).ok();
        Ok(())
    }

    async fn flush(&mut self) {}

    fn closed(&mut self, _: &CloseReason) {}
}

/// Counts what arrives.
pub struct Sink(pub Arc<AtomicUsize>);

impl Service for Sink {
    fn message(&mut self, _: ServiceId, _: &[u8]) -> Result<(), Violation> {
        self.0.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    async fn flush(&mut self) {}

    fn closed(&mut self, _: &CloseReason) {}
}

pub fn config(n: u8, suite: Suite) -> LinkConfig {
    let identity = LinkIdentity::new(secret(n), Backend::default());
    let mut config = LinkConfig::new(identity, move || hello(n), Anyone);
    config.suite = suite;
    config.timing.trim_after = ms(50);
    config
}

async fn linked<S: Service>(
    suite: Suite,
    service: impl Fn(&Link) -> S + Send + Sync + 'static,
) -> (Link, Listener) {
    let (ann, bob) = (config(1, suite), config(2, suite));
    let factory = Arc::new(service);
    let any = ([127, 0, 0, 1], 0).into();
    let limits = ListenerLimits::default();
    let listener = Listener::bind(any, &bob, Arc::clone(&factory), limits).unwrap();
    let peer = bob.identity.public();
    let link = within(dial(listener.local_addr(), peer, &ann, factory))
        .await
        .unwrap();
    // Both sides are up.
    while bob.links.is_empty() {
        tokio::task::yield_now().await;
    }
    (link, listener)
}

/// Runs the others until nothing is left.
pub async fn finished(left: &AtomicUsize) {
    while left.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
}

/// A link that plays ping-pong.
pub struct Trips {
    link: Link,
    left: Arc<AtomicUsize>,
    _listener: Listener,
}

impl Trips {
    pub async fn new(suite: Suite) -> Self {
        let left = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&left);
        let (link, listener) = linked(suite, move |link| Player {
            link: link.clone(),
            left: Arc::clone(&counter),
        })
        .await;
        Trips {
            link,
            left,
            _listener: listener,
        }
    }

    pub async fn play(&self, trips: usize) {
        self.left.store(trips, Ordering::Relaxed);
        self.link.try_send(SERVICE, &[&[7; 64]]).unwrap();
        finished(&self.left).await;
    }
}

/// A link that carries one way.
pub struct Stream {
    link: Link,
    left: Arc<AtomicUsize>,
    _listener: Listener,
}

impl Stream {
    pub async fn new(suite: Suite) -> Self {
        let left = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&left);
        let (link, listener) = linked(suite, move |_| Sink(Arc::clone(&counter))).await;
        Stream {
            link,
            left,
            _listener: listener,
        }
    }

    pub async fn send(&self, times: usize, message: &[u8]) {
        self.left.store(times, Ordering::Relaxed);
        for _ in 0..times {
            self.link.ready().await;
            self.link.try_send(SERVICE, &[message]).unwrap();
        }
        finished(&self.left).await;
    }
}
