//! A connection in its handshake: the responder's side.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use skychat_identity::PublicKey;
use skychat_proto::ids::LinkId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::LinkConfig;
use super::arrivals::{Arrival, Proven};
use super::door::{Counters, Place};
use super::socket::seed;
use crate::handshake::{self, MESSAGE_1, MESSAGE_2, MESSAGE_3};

pub(super) struct Guest {
    pub(super) id: LinkId,
    pub(super) config: Arc<LinkConfig>,
    pub(super) stream: TcpStream,
    pub(super) addr: SocketAddr,
    /// Where those go who are admitted.
    pub(super) arrivals: mpsc::Sender<Arrival>,
}

/// Why a connection is closed. The peer sees no difference.
enum Turned {
    /// Broken off, or wrong.
    Failed,
    /// Its key is proven, and not admitted.
    Refused(PublicKey),
}

impl Guest {
    /// Takes the connection through its handshake, within the time there is for it, and hands it
    /// over; or drops it.
    pub(super) async fn run(mut self, place: Place) {
        let hello_by = Instant::now() + self.config.timing.handshake;
        let handshake = timeout_at(hello_by, self.handshake()).await;
        // Counted before the peer can see what came of it.
        let counters = &place.door.counters;
        match handshake.unwrap_or(Err(Turned::Failed)) {
            Ok(proven) => {
                Counters::count(&counters.proven);
                // It keeps its place until somebody takes it over.
                let _late = timeout_at(hello_by, self.hand_over(proven, hello_by)).await;
            }
            Err(Turned::Failed) => Counters::count(&counters.failed),
            Err(Turned::Refused(peer)) => {
                Counters::count(&counters.refused);
                debug!(peer = %peer.short(), "link not admitted");
            }
        }
    }

    async fn handshake(&mut self) -> Result<Proven, Turned> {
        let broken = |_: io::Error| Turned::Failed;
        let mut first = [0; MESSAGE_1];
        self.stream.read_exact(&mut first).await.map_err(broken)?;
        let (identity, limits) = (&self.config.identity, self.config.rekey);
        let mut reply = [0; MESSAGE_2];
        let seed = seed().map_err(|_| Turned::Failed)?;
        let state = handshake::respond(identity, limits, seed, &first, &mut reply);
        let state = state.map_err(|_| Turned::Failed)?;
        self.stream.write_all(&reply).await.map_err(broken)?;
        let mut third = [0; MESSAGE_3];
        self.stream.read_exact(&mut third).await.map_err(broken)?;
        let claimed = state.finish(&third).map_err(|_| Turned::Failed)?;
        let peer = claimed.peer();
        if peer == identity.public() || !self.config.admission.admits(&peer) {
            return Err(Turned::Refused(peer));
        }
        let suite = claimed.suite();
        let (keys, proof) = claimed.accept().map_err(|_| Turned::Failed)?;
        Ok(Proven {
            peer,
            suite,
            keys,
            proof,
        })
    }

    async fn hand_over(self, proven: Proven, hello_by: Instant) {
        let stream = match self.stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return debug!(%error, "a connection could not be handed over"),
        };
        let arrival = Arrival {
            id: self.id,
            stream,
            addr: self.addr,
            proven,
            left: hello_by.saturating_duration_since(Instant::now()),
        };
        // The runtime of the links may have ended.
        let _gone = self.arrivals.send(arrival).await;
    }
}
