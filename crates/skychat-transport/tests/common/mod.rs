//! Nodes for tests over loopback.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(unreachable_pub, reason = "a module that test binaries share")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

pub mod hot;
pub mod raw;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::{Incarnation, ServiceId};
use skychat_proto::link::Hello;
use skychat_proto::open::WriterKind;
pub use skychat_transport::Backend;
use skychat_transport::{
    Admission, Anyone, CloseReason, DialError, Factory, Link, LinkConfig, LinkIdentity, Links,
    Listener, ListenerLimits, LobbyLimits, Service, Violation, dial,
};
use tokio::sync::mpsc;

pub const ECHO: ServiceId = ServiceId::RANGE;
pub const DATA: ServiceId = ServiceId::SYNC;
/// A service that nobody serves.
pub const STRANGE: ServiceId = ServiceId::new(900);

pub fn secret(n: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::from_seed([n; 32]))
}

pub fn hello(life: u8) -> Hello {
    Hello {
        incarnation: Incarnation::from_bytes([life; 8]),
        line: Vec::new(),
        line_complete: true,
        writer: WriterKind::Node,
        services: vec![ServiceId::SYNC, ServiceId::RANGE],
        agent: "test".to_owned(),
        statements: Vec::new(),
    }
}

/// A node: its configuration, and what its links report.
pub struct Node {
    pub key: PublicKey,
    pub config: LinkConfig,
    pub factory: Arc<Reporter>,
    pub reports: mpsc::Receiver<Report>,
}

/// What a link of a test node tells.
#[derive(Debug)]
pub enum Report {
    Up(Link),
    Message(Link, ServiceId, Vec<u8>),
    Closed(Link, CloseReason),
}

/// Makes services that report everything. What comes on [`ECHO`] is sent back by the side that was dialled.
pub struct Reporter(pub mpsc::Sender<Report>);

pub struct Reports {
    link: Link,
    to: mpsc::Sender<Report>,
    waiting: Vec<Report>,
}

impl Factory for Reporter {
    type Service = Reports;

    fn service(&self, link: &Link) -> Reports {
        Reports {
            link: link.clone(),
            to: self.0.clone(),
            waiting: vec![Report::Up(link.clone())],
        }
    }
}

impl Service for Reports {
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        if message == b"break a rule" {
            return Err(Violation::new("TEST-1", "asked for"));
        }
        assert!(message != b"panic", "asked for");
        if service == ECHO && self.link.inbound() {
            self.link.try_send(ECHO, &[message]).ok();
        }
        let report = Report::Message(self.link.clone(), service, message.to_vec());
        self.waiting.push(report);
        Ok(())
    }

    async fn flush(&mut self) {
        for report in self.waiting.drain(..) {
            self.to.send(report).await.ok();
        }
    }

    fn closed(&mut self, reason: &CloseReason) {
        for report in self.waiting.drain(..) {
            self.to.try_send(report).ok();
        }
        self.to
            .try_send(Report::Closed(self.link.clone(), *reason))
            .ok();
    }
}

pub fn node(n: u8) -> Node {
    node_with(n, Anyone, |_| {})
}

pub fn node_with(n: u8, admission: impl Admission, change: impl FnOnce(&mut LinkConfig)) -> Node {
    let identity = LinkIdentity::new(secret(n), Backend::default());
    let key = identity.public();
    let mut config = LinkConfig::new(identity, move || hello(n), admission);
    config.links = Links::default();
    change(&mut config);
    let (to, reports) = mpsc::channel(1000);
    Node {
        key,
        config,
        factory: Arc::new(Reporter(to)),
        reports,
    }
}

impl Node {
    pub fn listen(&self) -> Listener {
        self.listen_with(ListenerLimits {
            lobby: LobbyLimits {
                total: 256,
                per_network: 256,
            },
            ..ListenerLimits::default()
        })
    }

    pub fn listen_with(&self, limits: ListenerLimits) -> Listener {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Listener::bind(any, &self.config, Arc::clone(&self.factory), limits).unwrap()
    }

    pub async fn dial(&self, addr: SocketAddr, peer: PublicKey) -> Result<Link, DialError> {
        let factory = Arc::clone(&self.factory);
        within(dial(addr, peer, &self.config, factory)).await
    }

    pub async fn report(&mut self) -> Report {
        within(self.reports.recv()).await.unwrap()
    }

    pub async fn up(&mut self) -> Link {
        match self.report().await {
            Report::Up(link) => link,
            other => panic!("{other:?}"),
        }
    }

    pub async fn message(&mut self) -> (ServiceId, Vec<u8>) {
        loop {
            match self.report().await {
                Report::Message(_, service, message) => return (service, message),
                Report::Up(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next link that closes, and why.
    pub async fn closed(&mut self) -> (Link, CloseReason) {
        loop {
            if let Report::Closed(link, reason) = self.report().await {
                return (link, reason);
            }
        }
    }

    /// Every task is gone.
    pub async fn all_done(&self) {
        self.config.tracker.close();
        within(self.config.tracker.wait()).await;
        assert_eq!(self.config.links.len(), 0);
        assert_eq!(self.config.budget.used(), 0);
    }
}

/// Nothing in these tests takes so long.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("took too long")
}

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
