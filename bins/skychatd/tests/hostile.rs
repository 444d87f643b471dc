//! Peers that do not behave towards a real daemon: others are served meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::*;
use skychat_core::proto::ids::{
    EntryId, FeedId, Incarnation, MessageId, Position, Seq, ServiceId, SpaceId, Stream, Timestamp,
};
use skychat_core::proto::link::Hello;
use skychat_core::proto::open::WriterKind;
use skychat_core::proto::range::{RangeBuilder, Row, RowLabel};
use skychat_core::proto::sync::{SyncMessage, Want};
use skychat_core::proto::{entry, range};
use skychat_core::transport::{
    Backend, CloseReason, Link, LinkConfig, LinkIdentity, Nobody, Service, Violation, dial,
};
use skychat_identity::{PublicKey, SecretKey};

/// The limit of a handshake, and then some for a busy machine.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Takes what comes, or stops reading for good at the first chance.
struct Puppet {
    stuck: bool,
}

impl Service for Puppet {
    fn message(&mut self, _: ServiceId, _: &[u8]) -> Result<(), Violation> {
        Ok(())
    }

    async fn flush(&mut self) {
        if self.stuck {
            std::future::pending::<()>().await;
        }
    }

    fn closed(&mut self, _: &CloseReason) {}
}

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn life(n: u8) -> Incarnation {
    Incarnation::from_bytes([n; 8])
}

async fn puppet(daemon: &Daemon, n: u8, stuck: bool) -> Link {
    let identity = LinkIdentity::new(Arc::new(secret(n)), Backend::default());
    let hello = move || Hello {
        incarnation: life(n),
        line: Vec::new(),
        line_complete: true,
        writer: WriterKind::Node,
        services: vec![ServiceId::LINK, ServiceId::SYNC, ServiceId::RANGE],
        agent: "puppet".into(),
        statements: Vec::new(),
    };
    let config = LinkConfig::new(identity, hello, Nobody);
    let factory = Arc::new(move |_: &Link| Puppet { stuck });
    let addr = daemon.links().parse().unwrap();
    let link = dial(addr, daemon.key().parse().unwrap(), &config, factory);
    link.await.unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// Whether somebody else is served.
fn served(daemon: &Daemon, text: &str) {
    let via = ["send", "--ephemeral", "--via", &daemon.address(), text];
    let output = skychat(via);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn f12_peers_that_never_finish_the_handshake_are_closed_and_hold_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let open = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(daemon.links()).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    // Nothing, a suite, a part of a first message; more of them than one place may have.
    let mut idle: Vec<TcpStream> = (0..24).map(|n| open(&[1; 30][..n % 30])).collect();
    served(&daemon, "while they wait");
    let start = Instant::now();
    for stream in &mut idle {
        stream.set_read_timeout(Some(HANDSHAKE)).unwrap();
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest);
        let timed_out = end.is_err_and(|error| {
            matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            )
        });
        assert!(!timed_out, "still open after {:?}", start.elapsed());
        assert!(rest.is_empty(), "they are told nothing");
    }
    assert!(start.elapsed() < HANDSHAKE, "{:?}", start.elapsed());
    served(&daemon, "afterwards");
    let status = daemon.json(&["status"]);
    assert_eq!(status["degraded"].as_array().unwrap().len(), 0, "{status}");
}

#[test]
fn f7_a_peer_that_stops_reading_holds_up_nobody() {
    let home = tempfile::tempdir().unwrap();
    let ann = Daemon::start(&home.path().join("ann"), &[]);
    let bob = Daemon::start(&home.path().join("bob"), &["--tcp-peer", &ann.address()]);
    let deaf = secret(33).public();
    // More than its window holds.
    let large = "x".repeat(60_000);
    for _ in 0..24 {
        let sent = ann.cli(&["send", &deaf.to_string(), &large]);
        assert!(sent.status.success(), "{sent:?}");
    }
    let runtime = runtime();
    let _link = runtime.block_on(async {
        let link = puppet(&ann, 33, true).await;
        let status = ann.json(&["status"]);
        let life = status["incarnation"].as_str().unwrap();
        let author: PublicKey = ann.key().parse().unwrap();
        let want = SyncMessage::Want(Want {
            feed: FeedId {
                author,
                space: SpaceId::direct(&author, &deaf).unwrap(),
                stream: Stream::MESSAGES,
                incarnation: life.parse().unwrap(),
            },
            from: Position::START,
            limit: None,
        });
        link.try_send(ServiceId::SYNC, &[&want.encode()]).unwrap();
        link
    });
    let start = Instant::now();
    for n in 0..10 {
        let sent = ann.cli(&["send", &bob.key(), &n.to_string(), "--wait=stored"]);
        assert!(sent.status.success(), "{sent:?}");
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(bob.texts(&ann.key()).len(), 10);
    // What it did not read is still owed, and a stop does not wait for it.
    let status = ann.json(&["status"]);
    let peers = status["peers"].as_array().unwrap();
    let owed = peers.iter().find(|peer| peer["peer"] == deaf.to_string());
    assert_ne!(owed.unwrap()["owed"], "0", "{status}");
    let (status, log, took) = ann.stop();
    assert!(status.success(), "{log}");
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn sync_2_a_range_that_nobody_asked_for_ends_the_link_and_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("x"), &[]);
    let (author, own): (PublicKey, PublicKey) =
        (secret(34).public(), daemon.key().parse().unwrap());
    let feed = FeedId {
        author,
        space: SpaceId::direct(&author, &own).unwrap(),
        stream: Stream::MESSAGES,
        incarnation: life(34),
    };
    let mut builder = RangeBuilder::new(feed, Seq::FIRST, EntryId::ZERO).unwrap();
    let label = RowLabel {
        time: Timestamp::from_millis(1),
        kind: entry::Kind::Content,
        suite: entry::Suite::HPKE_X25519,
        flags: entry::Flags::NONE,
        context: Seq::FIRST,
        message: MessageId::from_bytes([1; 16]),
    };
    let row = Row::of_body(label, b"a body").unwrap();
    builder.push(&row, Some(b"a body")).unwrap();
    // Well made and well signed: what is wrong with it is that nobody wants it.
    let (range, _): (range::RawRange, _) = builder.sign(&secret(34)).unwrap();
    runtime().block_on(async {
        let link = puppet(&daemon, 34, false).await;
        link.try_send(ServiceId::RANGE, &[&range.to_bytes()])
            .unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(10), link.closed());
        closed.await.expect("the link is closed");
    });
    assert_eq!(daemon.texts(&author.to_string()), Vec::<String>::new());
    let conversations = daemon.json(&["conversations"]);
    let conversations = conversations["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), 0);
    served(&daemon, "afterwards");
}

/// An address with the key of somebody else leads to nobody, and the status says why.
#[test]
fn a_wrong_key_in_an_address_is_told_and_reaches_nobody() {
    let home = tempfile::tempdir().unwrap();
    let bob = Daemon::start(&home.path().join("bob"), &[]);
    let wrong = secret(35).public().to_string();
    let address = format!("tcp://{wrong}@{}", bob.links());
    let ann = Daemon::start(&home.path().join("ann"), &["--tcp-peer", &address]);
    let sent = ann.cli(&["send", &wrong, "for whom?"]);
    assert!(sent.status.success(), "it is kept here: {sent:?}");
    let peer = eventually("the status says why", || {
        let peer = ann.json(&["status"])["peers"][0].clone();
        let told = peer["last_error"].is_string() && peer["owed"] != "0";
        told.then_some(peer)
    });
    let said = peer["last_error"].as_str().unwrap();
    assert!(said.contains("key"), "{said}");
    assert_eq!(peer["linked"], false);
    assert_eq!(peer["peer"], wrong);
    let waits = ["send", &wrong, "x", "--wait", "--timeout", "300ms"];
    assert_eq!(code(&ann.cli(&waits)), 5);
    assert_eq!(bob.texts(&ann.key()), Vec::<String>::new());
}
