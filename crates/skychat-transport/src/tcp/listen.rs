//! Listening for links.
//!
//! What comes in unasked is kept away from the links that are there: connections are accepted at a
//! bounded rate, few may wait for their handshake, all that is done for them is done on a thread of
//! their own, and it ends by a deadline. Whoever fails, whyever, finds the connection closed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::arrivals::{self, Arrival};
use super::door::{Counters, Door, ListenerStats, Place};
use super::greeter::Greeter;
use super::guest::Guest;
use super::pace::Pace;
use super::{Factory, LinkConfig, socket};
use crate::lobby::{LobbyLimits, Network};

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
        let greeter = Greeter::new().map_err(BindError::Thread)?;
        let bound = {
            let _entered = greeter.enter();
            listener(addr, limits.backlog)
        };
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (addr, listener) = bound.map_err(|source| BindError::Bind { addr, source })?;
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let door = Arc::new(Door::new(limits.lobby));
        let config = Arc::new(config.clone());
        let (sender, receiver) = mpsc::channel(arrivals::UNDER_WAY);
        let receiving = arrivals::receive(Arc::clone(&config), factory, receiver);
        config.tracker.spawn(receiving);
        let accepting = Accepting {
            listener,
            limits,
            config: Arc::clone(&config),
            arrivals: sender,
            guests: TaskTracker::new(),
            door: Arc::clone(&door),
        };
        let (stopped, end) = (stop.clone(), ended.clone().drop_guard());
        let work = async move {
            let guests = accepting.guests.clone();
            {
                let _end = end;
                stopped.run_until_cancelled(accepting.run()).await;
            }
            guests.close();
            guests.wait().await;
        };
        let work = config.tracker.track_future(work);
        greeter.start(work).map_err(BindError::Thread)?;
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

struct Accepting {
    listener: TcpListener,
    limits: ListenerLimits,
    config: Arc<LinkConfig>,
    arrivals: mpsc::Sender<Arrival>,
    /// Those in their handshake, who may finish it when nobody is accepted any more.
    guests: TaskTracker,
    door: Arc<Door>,
}

impl Accepting {
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
        let Ok(()) = socket::prepare(&stream, addr, &self.config.timing) else {
            return;
        };
        let (place, is_placed) = oneshot::channel();
        let guest = Guest {
            id: self.config.links.next_id(),
            config: Arc::clone(&self.config),
            stream,
            addr,
            arrivals: self.arrivals.clone(),
        };
        let task = self.config.tracker.track_future(async move {
            if let Ok(place) = is_placed.await {
                guest.run(place).await;
            }
        });
        let task = self.guests.spawn(task);
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
