//! The server: our own accept loop with caps, hyper on each connection, the gate before the routes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::answer::Refusal;
use crate::gate::Gate;
use crate::stall::StallTimeout;

/// Bounds of the server, each with its default.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Connections at a time; one more is closed at once.
    pub connections: usize,
    /// Connections that have not presented the token yet; one more closes the oldest of them, so
    /// those who drip bytes cannot keep others out.
    pub unproven: usize,
    /// How long a request head may take, and how long a connection may idle between requests.
    pub head: Duration,
    /// How long a client may take no byte of what is to be written to it.
    pub stall: Duration,
    /// Bytes of a request head at most.
    pub head_size: usize,
    /// Bytes of a connection's buffers at most; not less than 8 KiB.
    pub buffer: usize,
    /// Header fields of a request at most.
    pub headers: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            connections: 1_024,
            unproven: 256,
            head: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            head_size: 32 * 1024,
            buffer: 64 * 1024,
            headers: 64,
        }
    }
}

/// Bytes the kernel keeps of what a client does not read: what a reader that stopped costs.
const SEND_BUFFER: u32 = 256 * 1024;
/// Connections the kernel keeps until they are accepted.
const BACKLOG: u32 = 1_024;
/// How long accepting rests when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("listening for HTTP on {addr}")]
pub struct BindError {
    /// The address.
    pub addr: SocketAddr,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl BindError {
    /// Whether somebody else has the port.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

/// A bound listener, not serving yet.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    addr: SocketAddr,
}

impl Listener {
    /// Binds. Port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`] when the address is taken or may not be used.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn bind(addr: SocketAddr) -> Result<Self, BindError> {
        let bound = || {
            let socket = if addr.is_ipv4() {
                TcpSocket::new_v4()
            } else {
                TcpSocket::new_v6()
            }?;
            socket.set_reuseaddr(true)?;
            socket.set_send_buffer_size(SEND_BUFFER)?;
            socket.bind(addr)?;
            let listener = socket.listen(BACKLOG)?;
            let addr = listener.local_addr()?;
            Ok(Self { listener, addr })
        };
        bound().map_err(|source| BindError { addr, source })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves `router` behind `gate` until `stop` is cancelled: then nothing new is accepted, each
    /// connection finishes the request it is at (streams end by themselves when they see the same
    /// token), and the call returns when the last one is closed.
    ///
    /// # Cancel safety
    /// Dropped, it closes every connection at once.
    pub async fn serve(self, gate: Gate, router: Router, caps: Caps, stop: CancellationToken) {
        let shared = Arc::new(Shared {
            gate,
            router,
            caps,
            unproven: Unproven::default(),
        });
        let mut connections = JoinSet::new();
        let mut next = 0_u64;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    report(ended);
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) if connections.len() < caps.connections => {
                    // Small answers leave at once. A socket that refuses the option works all the same.
                    let _ = stream.set_nodelay(true);
                    next = next.wrapping_add(1);
                    connections.spawn(connection(stream, next, Arc::clone(&shared), stop.clone()));
                }
                Ok(_) => tracing::debug!("http: connection closed, {} are open", caps.connections),
                Err(error) => {
                    tracing::debug!(%error, "http: accepting");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    }
}

/// Serves one connection over any stream, as [`Listener::serve`] does each of its own, until it ends.
/// For tests that need no socket.
///
/// # Cancel safety
/// Dropped, it closes the connection.
#[doc(hidden)]
pub async fn serve_stream<S>(stream: S, gate: Gate, router: Router, caps: Caps)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shared = Arc::new(Shared {
        gate,
        router,
        caps,
        unproven: Unproven::default(),
    });
    connection(stream, 0, shared, CancellationToken::new()).await;
}

/// A panic in a connection's task is the loss of that connection, and a line in the log.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("http: the task of a connection panicked; the connection is closed");
    }
}

struct Shared {
    gate: Gate,
    router: Router,
    caps: Caps,
    unproven: Unproven,
}

/// The connections that have not presented the token, oldest first.
#[derive(Default)]
struct Unproven(Mutex<BTreeMap<u64, CancellationToken>>);

impl Unproven {
    /// Notes a new one; the oldest is closed when there are more than `cap`.
    fn add(&self, id: u64, cap: usize) -> CancellationToken {
        let token = CancellationToken::new();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, token.clone());
        if all.len() > cap
            && let Some((_, oldest)) = all.pop_first()
        {
            oldest.cancel();
        }
        token
    }

    fn remove(&self, id: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }
}

async fn connection<S>(stream: S, id: u64, shared: Arc<Shared>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let closed = shared.unproven.add(id, shared.caps.unproven);
    let caps = shared.caps;
    let io = TokioIo::new(StallTimeout::new(stream, caps.stall));
    let service = {
        let shared = Arc::clone(&shared);
        service_fn(move |request| answer(Arc::clone(&shared), id, request))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(caps.head)
        .max_header_size(caps.head_size)
        .max_buf_size(caps.buffer)
        .max_headers(caps.headers)
        .serve_connection(io, service);
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::trace!(%error, "http: connection ended");
                }
                break;
            }
            () = closed.cancelled() => break,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
    shared.unproven.remove(id);
}

async fn answer(
    shared: Arc<Shared>,
    id: u64,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut response = match shared.gate.check(&request) {
        Ok(()) => {
            shared.unproven.remove(id);
            let request = request.map(Body::new);
            match shared.router.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
        Err(body) => {
            let mut response = Refusal(body).into_response();
            // What was not let in does not get to keep the connection either.
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
