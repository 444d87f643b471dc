//! Connections whose key is proven and admitted come from the thread of the strangers to the
//! runtime of the links.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use skychat_identity::{PublicKey, Signature};
use skychat_proto::ids::LinkId;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::debug;

use super::greet::{self, Opened, Proof};
use super::{Factory, LinkConfig};
use crate::{LinkKeys, Suite};

/// Connections under way; those that find no room keep their place in the lobby meanwhile.
pub(super) const UNDER_WAY: usize = 16;

/// A connection whose handshake is done.
pub(super) struct Arrival {
    pub(super) id: LinkId,
    pub(super) stream: std::net::TcpStream,
    pub(super) addr: SocketAddr,
    pub(super) proven: Proven,
    /// What is left of the time for the hello: the two runtimes need not have one clock.
    pub(super) left: Duration,
}

/// What a handshake gave.
pub(super) struct Proven {
    pub(super) peer: PublicKey,
    pub(super) suite: Suite,
    pub(super) keys: LinkKeys,
    pub(super) proof: Signature,
}

/// Starts the link of each that comes, until no more can come. Runs on the runtime of the links.
pub(super) async fn receive<F: Factory>(
    config: Arc<LinkConfig>,
    factory: Arc<F>,
    mut arrivals: mpsc::Receiver<Arrival>,
) {
    while let Some(arrival) = arrivals.recv().await {
        // A panic, which could only be one of the program's hello, loses the one connection.
        let opening = AssertUnwindSafe(|| open(&config, Arc::clone(&factory), arrival));
        let _lost = catch_unwind(opening);
    }
}

fn open<F: Factory>(config: &LinkConfig, factory: Arc<F>, arrival: Arrival) {
    let stream = match TcpStream::from_std(arrival.stream) {
        Ok(stream) => stream,
        Err(error) => return debug!(%error, "a connection could not be taken over"),
    };
    let opened = Opened {
        id: arrival.id,
        stream,
        addr: arrival.addr,
        peer: arrival.proven.peer,
        suite: arrival.proven.suite,
        keys: arrival.proven.keys,
        proof: Proof::Ours(arrival.proven.proof),
        hello_by: Instant::now() + arrival.left,
    };
    greet::open(config, factory, opened, None);
}
