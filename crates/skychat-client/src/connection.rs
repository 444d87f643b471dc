//! HTTP/1 connections to one daemon, kept for the next request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{ClientError, Daemon};

/// How long opening a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Idle connections kept at most.
const KEPT: usize = 8;

pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// The idle connections to one daemon.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Sender>>,
}

impl Pool {
    /// An idle connection, or a new one.
    pub(crate) async fn take(&self, daemon: &Daemon) -> Result<Sender, ClientError> {
        while let Some(mut sender) = self.pop() {
            // One that the daemon closed meanwhile is not ready any more.
            if !sender.is_closed() && sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        open(daemon).await
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn put(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !sender.is_closed() && idle.len() < KEPT {
            idle.push(sender);
        }
    }

    fn pop(&self) -> Option<Sender> {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }
}

/// Opens a connection.
pub(crate) async fn open(daemon: &Daemon) -> Result<Sender, ClientError> {
    let addr = daemon.addr();
    let unreachable = |source| ClientError::Unreachable {
        addr: addr.into(),
        source,
    };
    let stream = timeout(CONNECT, TcpStream::connect(addr))
        .await
        .map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?
        .map_err(unreachable)?;
    // Small requests leave at once. A socket that refuses the option works all the same.
    let _ = stream.set_nodelay(true);
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(daemon, &error))?;
    // Ends when the sender is dropped or the daemon closes; an error shows at the sender.
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends one request over a connection, with the headers every request has.
pub(crate) async fn request(
    daemon: &Daemon,
    sender: &mut Sender,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, ClientError> {
    let headers = request.headers_mut();
    for (name, value) in [
        (HOST, daemon.addr()),
        (AUTHORIZATION, &daemon.authorization()),
    ] {
        let value = value.parse().map_err(|_| ClientError::NotUnderstood {
            addr: daemon.addr().into(),
            what: format!("{name} cannot be written"),
        })?;
        headers.insert(name, value);
    }
    sender
        .send_request(request)
        .await
        .map_err(|error| broken(daemon, &error))
}

pub(crate) fn broken(daemon: &Daemon, error: &(dyn std::error::Error + 'static)) -> ClientError {
    let what = std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    ClientError::Broken {
        addr: daemon.addr().into(),
        what,
    }
}
