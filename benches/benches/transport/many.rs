//! A thousand links at once: all of them up, each with a conversation on it, against one link that
//! has all these conversations for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use skychat_benches::{Better, Cores, Report, Row, in_turn, resident_kib};
use skychat_identity::SecretKey;
use skychat_proto::ids::ServiceId;
use skychat_transport::{
    Anyone, Backend, CloseReason, Link, LinkConfig, LinkIdentity, Listener, ListenerLimits,
    LobbyLimits, Service, Violation, dial,
};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::frames::{hello, identity};
use crate::idle::raise_file_limit;
use crate::net::runtime;
use crate::part::Amount;

const MESSAGE: [u8; 256] = [0x5a; 256];

/// What all conversations share.
#[derive(Default)]
struct Talk {
    /// Round trips of each link.
    trips: AtomicUsize,
    /// Links that are not done with theirs.
    talking: AtomicUsize,
    done: Notify,
}

/// The side that was dialled answers; the other one goes on until it has all its trips.
struct Speaker {
    link: Link,
    talk: Arc<Talk>,
    trips: usize,
}

impl Service for Speaker {
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        if !self.link.inbound() {
            self.trips += 1;
            if self.trips == self.talk.trips.load(Ordering::Relaxed) {
                self.trips = 0;
                if self.talk.talking.fetch_sub(1, Ordering::Relaxed) == 1 {
                    self.talk.done.notify_one();
                }
                return Ok(());
            }
        }
        self.link.try_send(service, &[message]).unwrap();
        Ok(())
    }

    async fn flush(&mut self) {}

    fn closed(&mut self, _: &CloseReason) {}
}

/// Links of as many nodes to one.
struct Crowd {
    links: Vec<Link>,
    talk: Arc<Talk>,
    _listener: Listener,
}

impl Crowd {
    async fn new(size: usize) -> Self {
        let node = LinkConfig::new(identity(2, Backend::default()), hello, Anyone);
        let talk = Arc::new(Talk::default());
        let shared = Arc::clone(&talk);
        let factory = Arc::new(move |link: &Link| Speaker {
            link: link.clone(),
            talk: Arc::clone(&shared),
            trips: 0,
        });
        let any = ([127, 0, 0, 1], 0).into();
        let limits = ListenerLimits {
            lobby: LobbyLimits {
                total: 256,
                per_network: 256,
            },
            accepts_per_second: 100_000,
            ..ListenerLimits::default()
        };
        let listener = Listener::bind(any, &node, Arc::clone(&factory), limits).unwrap();
        let (addr, peer) = (listener.local_addr(), node.identity.public());
        let mut links = Vec::with_capacity(size);
        for n in 0..size {
            let mut seed = [0xa5; 32];
            seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
            let own = LinkIdentity::new(Arc::new(SecretKey::from_seed(seed)), Backend::default());
            let config = LinkConfig::new(own, hello, Anyone);
            let link = dial(addr, peer, &config, Arc::clone(&factory)).await;
            links.push(link.unwrap());
        }
        Crowd {
            links,
            talk,
            _listener: listener,
        }
    }

    /// Messages a second, both ways, until each link has had its part of all `trips`.
    fn talk(&self, runtime: &Runtime, trips: usize) -> f64 {
        let each = trips / self.links.len();
        self.talk.trips.store(each, Ordering::Relaxed);
        self.talk.talking.store(self.links.len(), Ordering::Relaxed);
        let start = Instant::now();
        runtime.block_on(async {
            for link in &self.links {
                link.try_send(ServiceId::RANGE, &[&MESSAGE]).unwrap();
            }
            self.talk.done.notified().await;
        });
        (2 * each * self.links.len()) as f64 / start.elapsed().as_secs_f64()
    }
}

pub(crate) fn compare(report: &mut Report, amount: Amount) {
    let wanted = amount.of(1_000, 20);
    let trips = amount.of(100, 2) * wanted;
    // Two ends of each link are here, and some files are for the program itself.
    let files = usize::try_from(raise_file_limit()).unwrap_or(usize::MAX);
    let size = wanted.min(files.saturating_sub(200) / 2);
    let runtime = runtime(2);
    let one = runtime.block_on(Crowd::new(1));
    one.talk(&runtime, trips);
    let before = resident_kib();
    let many = runtime.block_on(Crowd::new(size));
    let mut cores = Cores::start();
    let [crowded, alone] = in_turn(amount.of(5, 1), |candidate| match candidate {
        0 => cores.during(|| many.talk(&runtime, trips)),
        _ => one.talk(&runtime, trips),
    });
    let each = resident_kib().saturating_sub(before) as f64 / size as f64;
    report.section(
        "1,000 links at once, each with a conversation of 256-byte messages",
        "one link with the same messages",
    );
    let row = Row::shown(
        "many/messages",
        "messages, both ways",
        crowded,
        "messages/s",
    );
    let aside = format!(
        "{size} links, {:.2} cores had, {alone:.0} on one link",
        cores.had()
    );
    report.row(row.aside(aside).ratio(crowded / alone, Better::Higher));
    let what = "resident memory of a link, both ends of it";
    report.row(Row::shown("many/memory", what, each, "KiB"));
}
