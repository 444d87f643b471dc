//! Peers that do not behave, played by hand on the transport: the others do not notice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use skychat_api::WaitFor;
use skychat_core::{Draft, Node};
use skychat_proto::ids::{FeedId, Incarnation, Position, ServiceId, SpaceId, Stream};
use skychat_proto::link::Hello;
use skychat_proto::open::WriterKind;
use skychat_proto::range::RangeBuilder;
use skychat_proto::sync::{SyncMessage, Want};
use skychat_transport::{
    Backend, CloseReason, Link, LinkConfig, LinkIdentity, Nobody, Service, Violation, dial,
};
use tokio::time::{Instant, timeout};

fn say(to: u8, text: &str) -> Draft {
    Draft::text(key(to), text).unwrap()
}

/// Takes what comes; if `stuck`, reads once and then no more.
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

/// A link to `node` from the key `n`, behind which there is no node.
async fn puppet(node: &Node, n: u8, stuck: bool) -> Link {
    let identity = LinkIdentity::new(Arc::new(secret(n)), Backend::default());
    let hello = move || Hello {
        incarnation: Incarnation::from_bytes([n; 8]),
        line: Vec::new(),
        line_complete: true,
        writer: WriterKind::Node,
        services: vec![ServiceId::LINK, ServiceId::SYNC, ServiceId::RANGE],
        agent: "puppet".into(),
        statements: Vec::new(),
    };
    let config = LinkConfig::new(identity, hello, Nobody);
    let factory = Arc::new(move |_: &Link| Puppet { stuck });
    let addr = node.listen_addrs()[0];
    dial(addr, node.public_key(), &config, factory)
        .await
        .unwrap()
}

fn live_feed(node: &Node, n: u8) -> FeedId {
    FeedId {
        author: node.public_key(),
        space: SpaceId::direct(&node.public_key(), &key(n)).unwrap(),
        stream: Stream::MESSAGES,
        incarnation: node.incarnation(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f7_peers_that_stop_reading_do_not_hold_up_the_others() {
    let ann = in_memory(1).listen(loopback()).spawn().await.unwrap();
    let mut links = Vec::new();
    let large = "x".repeat(16 * 1024);
    for n in 3..9 {
        // They ask for everything, and then read nothing of it.
        for _ in 0..100 {
            ann.send(say(n, &large)).await.unwrap();
        }
        let link = puppet(&ann, n, true).await;
        let want = SyncMessage::Want(Want {
            feed: live_feed(&ann, n),
            from: Position::START,
            limit: None,
        });
        link.try_send(ServiceId::SYNC, &[&want.encode()]).unwrap();
        links.push(link);
    }
    let _bob = in_memory(2).peer(ann.address()).spawn().await.unwrap();
    linked(&ann, key(2)).await;
    let began = Instant::now();
    for n in 0..200 {
        let draft = say(2, &n.to_string());
        ann.deliver(draft, WaitFor::Acked, LONG).await.unwrap();
    }
    // What does not read is given up after 30 s: nobody waited for that.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(25), "{took:?}");
    until("links with all of them", || ann.status().links.len() == 7).await;

    // And they do not hold up the end either.
    let report = ann.shutdown(Duration::from_secs(2)).await;
    assert!(report.took < Duration::from_secs(20), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_breaks_a_rule_is_closed_and_the_node_goes_on() {
    let ann = in_memory(1).listen(loopback()).spawn().await.unwrap();
    let _bob = in_memory(2).peer(ann.address()).spawn().await.unwrap();
    linked(&ann, key(2)).await;
    let mut range = RangeBuilder::new(
        FeedId {
            author: key(4),
            ..live_feed(&ann, 4)
        },
        skychat_proto::ids::Seq::FIRST,
        skychat_proto::ids::EntryId::ZERO,
    )
    .unwrap();
    let label = skychat_proto::range::RowLabel {
        time: skychat_proto::ids::Timestamp::from_millis(0),
        kind: skychat_proto::entry::Kind::Content,
        suite: skychat_proto::entry::Suite::CLEAR,
        flags: skychat_proto::entry::Flags::NONE,
        context: skychat_proto::ids::Seq::FIRST,
        message: skychat_proto::ids::MessageId::from_bytes([1; 16]),
    };
    let row = skychat_proto::range::Row::of_body(label, b"body").unwrap();
    range.push(&row, Some(b"body")).unwrap();
    let unasked = range
        .finish(skychat_identity::Signature::from_bytes([0; 64]))
        .unwrap()
        .to_bytes();
    for (service, bytes) in [
        (ServiceId::SYNC, &b"\xff\xff\xff"[..]),
        (ServiceId::LINK, &b"\xff\xff\xff"[..]),
        (ServiceId::RANGE, b"no range"),
        // SYNC-2: well made, and nobody asked for it.
        (ServiceId::RANGE, &unasked),
    ] {
        let link = puppet(&ann, 4, false).await;
        link.try_send(service, &[bytes]).unwrap();
        timeout(LONG, link.closed()).await.expect("it is closed");
    }
    ann.deliver(say(2, "still here"), WaitFor::Acked, LONG)
        .await
        .unwrap();
    until("the end of the others", || ann.status().links.len() == 1).await;
}
