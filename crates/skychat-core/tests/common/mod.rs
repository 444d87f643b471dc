//! What the process tests share: nodes on loopback, and looking at what arrived.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use skychat_api::{Body, Cursor, Direction, EventKind, Message};
use skychat_core::{Admission, EventReader, Node, NodeBuilder};
use skychat_identity::{Address, Host, HostPort, PublicKey, SecretKey};
use skychat_proto::ids::EventSeq;

/// Long enough for a busy machine, short enough for a test that hangs.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

pub(crate) fn key(n: u8) -> PublicKey {
    secret(n).public()
}

pub(crate) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn at(key: PublicKey, addr: SocketAddr) -> Address {
    let hint = HostPort::new(Host::Ip(addr.ip()), addr.port()).unwrap();
    Address::new(key, [hint]).unwrap()
}

/// A node of identity `n` that keeps everything below `dir` and admits anybody.
pub(crate) fn on_disk(n: u8, dir: &Path) -> NodeBuilder {
    Node::builder(secret(n))
        .data_dir(data_dir(dir))
        .admission(Admission::Anyone)
}

/// Where [`on_disk`] puts everything: a directory that the node makes itself.
pub(crate) fn data_dir(dir: &Path) -> PathBuf {
    dir.join("node")
}

/// A node of identity `n` that keeps everything in memory and admits anybody.
pub(crate) fn in_memory(n: u8) -> NodeBuilder {
    Node::builder(secret(n))
        .memory()
        .admission(Admission::Anyone)
}

/// Reads the log of a node from its first event.
pub(crate) fn from_start(node: &Node) -> EventReader {
    node.events(Some(Cursor::new(node.incarnation(), EventSeq::ZERO)))
}

/// The next event; fails after a while.
pub(crate) async fn next(events: &mut EventReader) -> skychat_api::Event {
    tokio::time::timeout(LONG, events.next())
        .await
        .expect("no event came in time")
        .expect("the log can be read")
        .expect("the node runs")
        .into_inner()
}

/// The next message that came from a peer.
pub(crate) async fn next_in(events: &mut EventReader) -> Message {
    loop {
        if let EventKind::Message(message) = next(events).await.kind
            && message.direction == Direction::In
        {
            return message;
        }
    }
}

pub(crate) fn text(message: &Message) -> &str {
    match &message.body {
        Body::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

/// Texts of `count` messages that came in, in order.
pub(crate) async fn texts_in(events: &mut EventReader, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        texts.push(text(&next_in(events).await).to_owned());
    }
    texts
}

/// Every message event that is in the log now, until nothing came for `quiet`.
pub(crate) async fn all_in(events: &mut EventReader, quiet: Duration) -> Vec<Message> {
    let mut all = Vec::new();
    while let Ok(event) = tokio::time::timeout(quiet, events.next()).await {
        let Some(event) = event.expect("the log can be read") else {
            break;
        };
        if let EventKind::Message(message) = event.into_inner().kind
            && message.direction == Direction::In
        {
            all.push(message);
        }
    }
    all
}

/// Waits until `holds`.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(LONG, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited
        .await
        .unwrap_or_else(|_| panic!("{what} did not come true in time"));
}

pub(crate) async fn linked(node: &Node, peer: PublicKey) {
    until("a link", || {
        node.status().links.iter().any(|link| link.peer == peer)
    })
    .await;
}
