//! A connection in its handshake: the responder's side.

use std::net::SocketAddr;
use std::sync::Arc;

use skychat_identity::PublicKey;
use skychat_proto::ids::LinkId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::door::{Counters, Place};
use super::greet::{self, Opened, Proof};
use super::socket::seed;
use super::worker::Worker;
use super::{Factory, LinkConfig};
use crate::handshake::{self, MESSAGE_1, MESSAGE_2, MESSAGE_3};

pub(super) struct Guest<F> {
    pub(super) id: LinkId,
    pub(super) config: LinkConfig,
    pub(super) factory: Arc<F>,
    pub(super) worker: Worker,
}

/// Why a connection is closed. The peer sees no difference.
enum Turned {
    /// Broken off, or wrong.
    Failed,
    /// Its key is proven, and not admitted.
    Refused(PublicKey),
}

impl<F: Factory> Guest<F> {
    /// Takes the connection through its handshake, within the time there is for it, and starts the
    /// link; or drops it.
    pub(super) async fn run(self, stream: TcpStream, addr: SocketAddr, place: Place) {
        let hello_by = Instant::now() + self.config.timing.handshake;
        let handshake = timeout_at(hello_by, self.handshake(stream, addr, hello_by)).await;
        let counters = &place.door.counters;
        match handshake.unwrap_or(Err(Turned::Failed)) {
            Ok(opened) => {
                Counters::count(&counters.proven);
                drop(place);
                greet::open(&self.config, self.factory, opened, None);
            }
            Err(Turned::Failed) => Counters::count(&counters.failed),
            Err(Turned::Refused(peer)) => {
                Counters::count(&counters.refused);
                debug!(peer = %peer.short(), "link not admitted");
            }
        }
    }

    async fn handshake(
        &self,
        mut stream: TcpStream,
        addr: SocketAddr,
        hello_by: Instant,
    ) -> Result<Opened, Turned> {
        let mut first = [0; MESSAGE_1];
        let read = stream.read_exact(&mut first).await;
        read.map_err(|_| Turned::Failed)?;
        let (identity, limits) = (self.config.identity.clone(), self.config.rekey);
        let answered = self.worker.run(move || {
            let mut reply = [0; MESSAGE_2];
            let seed = seed().map_err(|_| Turned::Failed)?;
            let state = handshake::respond(&identity, limits, seed, &first, &mut reply);
            Ok((state.map_err(|_| Turned::Failed)?, reply))
        });
        let (state, reply) = answered.await.unwrap_or(Err(Turned::Failed))?;
        let mut third = [0; MESSAGE_3];
        let written = stream.write_all(&reply).await;
        written.map_err(|_| Turned::Failed)?;
        let read = stream.read_exact(&mut third).await;
        read.map_err(|_| Turned::Failed)?;
        let own = self.config.identity.public();
        let admission = Arc::clone(&self.config.admission);
        let judged = self.worker.run(move || {
            let claimed = state.finish(&third).map_err(|_| Turned::Failed)?;
            let peer = claimed.peer();
            if peer == own || !admission.admits(&peer) {
                return Err(Turned::Refused(peer));
            }
            let suite = claimed.suite();
            let (keys, proof) = claimed.accept().map_err(|_| Turned::Failed)?;
            Ok((peer, suite, keys, proof))
        });
        let (peer, suite, keys, proof) = judged.await.unwrap_or(Err(Turned::Failed))?;
        Ok(Opened {
            id: self.id,
            stream,
            addr,
            peer,
            suite,
            keys,
            proof: Proof::Ours(proof),
            hello_by,
        })
    }
}
