//! Listening for links.
//!
//! What comes in unasked is kept away from the links that are there: connections are accepted at a
//! bounded rate, few may wait for their handshake, the work of it is done on a thread of its own,
//! and all of it ends by a deadline. Whoever fails, whyever, finds the connection closed.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skychat_proto::ids::LinkId;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::greet::{self, Opened, Proof};
use super::worker::Worker;
use super::{Factory, LinkConfig, Timing};
use crate::handshake::{self, MESSAGE_1, MESSAGE_2, MESSAGE_3};
use crate::lobby::{Lobby, LobbyLimits, Network};

/// What a listener allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections whose key is not proven yet.
    pub lobby: LobbyLimits,
    /// Connections that the system holds until they are accepted: 4,096.
    pub backlog: u32,
    /// Connections accepted a second, in the long run: 2,000.
    pub accepts_per_second: u32,
    /// Connections accepted at once after a quiet time: 64.
    pub burst: u32,
    /// Pause when there are no more file descriptors: 100 ms.
    pub descriptor_pause: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        ListenerLimits {
            lobby: LobbyLimits::default(),
            backlog: 4096,
            accepts_per_second: 2000,
            burst: 64,
            descriptor_pause: Duration::from_millis(100),
        }
    }
}

/// The listener could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is not to be had.
    #[error("cannot listen at {addr}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The thread for handshakes could not be started.
    #[error("cannot start the handshake thread")]
    Thread(#[source] io::Error),
}

/// What a listener has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListenerStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that had to go for newer ones before their key was proven.
    pub evicted: u64,
    /// Handshakes that failed or were not finished in time.
    pub failed: u64,
    /// Keys proven but not admitted.
    pub refused: u64,
    /// Handshakes finished.
    pub proven: u64,
    /// Failures to accept, for want of descriptors or otherwise.
    pub accept_errors: u64,
}

/// Accepts links until it is stopped or dropped. Links that are up stay.
#[derive(Debug)]
pub struct Listener {
    addr: SocketAddr,
    stop: CancellationToken,
    ended: CancellationToken,
    door: Arc<Door>,
}

impl Listener {
    /// Listens at `addr`; port 0 takes a free one. `factory` makes the service of each link that
    /// comes up. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`]: nothing was started.
    pub fn bind<F: Factory>(
        addr: SocketAddr,
        config: &LinkConfig,
        factory: Arc<F>,
        limits: ListenerLimits,
    ) -> Result<Self, BindError> {
        let bound = listener(addr, limits.backlog);
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (addr, listener) = bound.map_err(|source| BindError::Bind { addr, source })?;
        let worker = Worker::start().map_err(BindError::Thread)?;
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let door = Arc::new(Door {
            lobby: Mutex::new(Lobby::new(limits.lobby)),
            counters: Counters::default(),
        });
        let accepting = Accepting {
            listener,
            limits,
            config: config.clone(),
            factory,
            worker,
            door: Arc::clone(&door),
        };
        let (stopped, end) = (stop.clone(), ended.clone().drop_guard());
        config.tracker.spawn(async move {
            let _end = end;
            stopped.run_until_cancelled(accepting.run()).await;
        });
        Ok(Listener {
            addr,
            stop,
            ended,
            door,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it has seen so far.
    pub fn stats(&self) -> ListenerStats {
        self.door.counters.read()
    }

    /// Connections that wait for their handshake.
    pub fn waiting(&self) -> usize {
        self.door.lobby().len()
    }

    /// Takes no more connections. Those in their handshake may finish it.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it takes no more connections: because it was stopped, or because it failed,
    /// which it does only by a fault of this program. The port is free then.
    ///
    /// # Cancel safety
    /// It has no effect of its own, and can be dropped at any time.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listener(addr: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // So that a restarted node gets its port back while old connections linger.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(backlog)
}

/// Bytes that the system may hold and has not sent yet. More would only stand in front of what is
/// more urgent: what we hold ourselves is sent in order of priority.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT: u32 = 256 * 1024;

/// Options of every connection: small messages leave at once, and the system gives up on a peer
/// that has gone as early as we do.
pub(super) fn prepare(stream: &TcpStream, timing: &Timing) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    SockRef::from(stream).set_tcp_user_timeout(Some(timing.stall_after))?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)?;
    #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
    let _elsewhere_our_own_timing_decides = (SockRef::from(stream), timing);
    Ok(())
}

/// 32 bytes of the operating system's, for one handshake.
pub(super) fn seed() -> Result<[u8; 32], getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

/// Who waits, and what was counted.
#[derive(Debug)]
struct Door {
    lobby: Mutex<Lobby<AbortHandle>>,
    counters: Counters,
}

impl Door {
    fn lobby(&self) -> MutexGuard<'_, Lobby<AbortHandle>> {
        self.lobby.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    evicted: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    proven: AtomicU64,
    accept_errors: AtomicU64,
}

impl Counters {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> ListenerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ListenerStats {
            accepted: read(&self.accepted),
            evicted: read(&self.evicted),
            failed: read(&self.failed),
            refused: read(&self.refused),
            proven: read(&self.proven),
            accept_errors: read(&self.accept_errors),
        }
    }
}

struct Accepting<F> {
    listener: TcpListener,
    limits: ListenerLimits,
    config: LinkConfig,
    factory: Arc<F>,
    worker: Worker,
    door: Arc<Door>,
}

impl<F: Factory> Accepting<F> {
    async fn run(self) {
        let mut pace = Pace::new(&self.limits, Instant::now());
        let mut warned: Option<Instant> = None;
        loop {
            if let Some(next) = pace.next(Instant::now()) {
                sleep_until(next).await;
                continue;
            }
            match self.listener.accept().await {
                Ok((stream, addr)) => {
                    pace.took();
                    Counters::count(&self.door.counters.accepted);
                    self.welcome(stream, addr);
                }
                Err(error) => {
                    Counters::count(&self.door.counters.accept_errors);
                    // The connection went away before it was accepted, or the system has no
                    // descriptors or memory: it will have some again.
                    if !matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    ) {
                        // One line a second is enough to say so.
                        if warned.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
                            warned = Some(Instant::now());
                            warn!(%error, "cannot accept, waiting");
                        }
                        sleep(self.limits.descriptor_pause).await;
                    }
                }
            }
        }
    }

    /// Gives a connection a place in the lobby and a task.
    fn welcome(&self, stream: TcpStream, addr: SocketAddr) {
        let Ok(()) = prepare(&stream, &self.config.timing) else {
            return;
        };
        let (place, is_placed) = tokio::sync::oneshot::channel();
        let guest = Guest {
            id: self.config.links.next_id(),
            config: self.config.clone(),
            factory: Arc::clone(&self.factory),
            worker: self.worker.clone(),
            door: Arc::clone(&self.door),
        };
        let task = self.config.tracker.spawn(async move {
            if let Ok(place) = is_placed.await {
                guest.run(stream, addr, place).await;
            }
        });
        let network = Network::of(addr.ip());
        let (id, evicted) = self.door.lobby().enter(network, task.abort_handle());
        if let Some(evicted) = evicted {
            evicted.abort();
            Counters::count(&self.door.counters.evicted);
        }
        // The task is there, and waits for it.
        let _there = place.send(Place {
            door: Arc::clone(&self.door),
            id,
        });
    }
}

/// How fast connections are accepted: a bucket of tokens.
#[derive(Debug)]
struct Pace {
    /// What one costs.
    interval: Duration,
    /// How far ahead of time we may be.
    burst: Duration,
    /// When the bucket would be empty if nothing were taken from now on.
    paid_until: Instant,
}

impl Pace {
    fn new(limits: &ListenerLimits, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / limits.accepts_per_second.max(1);
        Pace {
            interval,
            burst: interval.saturating_mul(limits.burst.max(1)),
            paid_until: now,
        }
    }

    /// When the next one may be accepted; `None`: now.
    fn next(&mut self, now: Instant) -> Option<Instant> {
        self.paid_until = self.paid_until.max(now);
        let next = self.paid_until + self.interval;
        (next > now + self.burst).then(|| self.paid_until + self.interval - self.burst)
    }

    fn took(&mut self) {
        self.paid_until += self.interval;
    }
}

/// A place in the lobby; given up when dropped.
struct Place {
    door: Arc<Door>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.lobby().leave(self.id);
    }
}

/// A connection in its handshake.
struct Guest<F> {
    id: LinkId,
    config: LinkConfig,
    factory: Arc<F>,
    worker: Worker,
    door: Arc<Door>,
}

impl<F: Factory> Guest<F> {
    async fn run(self, stream: TcpStream, addr: SocketAddr, place: Place) {
        let hello_by = Instant::now() + self.config.timing.handshake;
        let proven = timeout_at(hello_by, self.handshake(stream, addr, hello_by)).await;
        drop(place);
        match proven {
            Ok(Some(opened)) => {
                Counters::count(&self.door.counters.proven);
                greet::open(&self.config, self.factory, opened, None);
            }
            Ok(None) => {}
            Err(_) => Counters::count(&self.door.counters.failed),
        }
    }

    /// The responder's side. `None`: the connection is to be closed, nothing else is said.
    async fn handshake(
        &self,
        mut stream: TcpStream,
        addr: SocketAddr,
        hello_by: Instant,
    ) -> Option<Opened> {
        let failed = || Counters::count(&self.door.counters.failed);
        let mut first = [0; MESSAGE_1];
        if stream.read_exact(&mut first).await.is_err() {
            failed();
            return None;
        }
        let (identity, limits) = (self.config.identity.clone(), self.config.rekey);
        let answered = self.worker.run(move || {
            let mut reply = [0; MESSAGE_2];
            let seed = seed().ok()?;
            let state = handshake::respond(&identity, limits, seed, &first, &mut reply).ok()?;
            Some((state, reply))
        });
        let Some((state, reply)) = answered.await.flatten() else {
            failed();
            return None;
        };
        let mut third = [0; MESSAGE_3];
        if stream.write_all(&reply).await.is_err() || stream.read_exact(&mut third).await.is_err() {
            failed();
            return None;
        }
        let (own, admission) = (
            self.config.identity.public(),
            Arc::clone(&self.config.admission),
        );
        let judged = self.worker.run(move || {
            let claimed = state.finish(&third).ok()?;
            let peer = claimed.peer();
            if peer == own || !admission.admits(&peer) {
                return Some(Err(peer));
            }
            let (keys, proof) = claimed.accept().ok()?;
            Some(Ok((peer, keys, proof)))
        });
        match judged.await.flatten() {
            Some(Ok((peer, keys, proof))) => Some(Opened {
                id: self.id,
                stream,
                addr,
                peer,
                keys,
                proof: Proof::Ours(proof),
                hello_by,
            }),
            Some(Err(peer)) => {
                Counters::count(&self.door.counters.refused);
                debug!(peer = %peer.short(), "link not admitted");
                None
            }
            None => {
                failed();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_are_accepted_at_a_bounded_rate() {
        let limits = ListenerLimits {
            accepts_per_second: 100,
            burst: 10,
            ..ListenerLimits::default()
        };
        let start = Instant::now();
        let mut pace = Pace::new(&limits, start);
        let mut taken = 0;
        while start.elapsed() < Duration::from_secs(3) {
            match pace.next(Instant::now()) {
                Some(next) => sleep_until(next).await,
                None => {
                    pace.took();
                    taken += 1;
                }
            }
        }
        assert!((300..=311).contains(&taken), "{taken}");
    }
}
