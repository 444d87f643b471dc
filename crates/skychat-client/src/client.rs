//! One request, one answer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Method, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skychat_api::{
    Code, Conversations, ErrorBody, History, RecordId, SendRequest, SendResponse, Status,
};
use skychat_identity::PublicKey;
use tokio::time::timeout;

use crate::connection::{self, Pool};
use crate::{ClientError, Daemon, EventQuery, EventStream};

/// How long an answer may take that waits for nothing.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a send waits for its state when nothing is said: the daemon's own default.
const SEND_WAIT: Duration = Duration::from_secs(30);
/// The longest answer that is read: a page of 256 messages of 64 KiB, escaped.
const MAX_ANSWER: usize = 128 * 1024 * 1024;

/// A client of one daemon. Requests may be made at the same time; connections are kept.
#[derive(Debug)]
pub struct Client {
    daemon: Daemon,
    pool: Pool,
}

/// Which part of a conversation to read.
#[derive(Clone, Copy, Debug)]
pub struct HistoryQuery {
    /// The other one in the conversation.
    pub peer: PublicKey,
    /// Only what is older than this row.
    pub before: Option<RecordId>,
    /// How many messages at most; the daemon's default is 100, its largest 256.
    pub limit: Option<u32>,
}

impl Client {
    /// A client of this daemon. Nothing is sent yet.
    #[must_use]
    pub fn new(daemon: Daemon) -> Self {
        Self {
            daemon,
            pool: Pool::default(),
        }
    }

    /// The daemon it speaks to.
    #[must_use]
    pub const fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// How the node is doing.
    ///
    /// # Errors
    /// See [`ClientError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.read("/v1/status").await
    }

    /// The conversations, the one with the newest message first.
    ///
    /// # Errors
    /// See [`ClientError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn conversations(&self) -> Result<Conversations, ClientError> {
        self.read("/v1/conversations").await
    }

    /// A page of a conversation, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn history(&self, query: HistoryQuery) -> Result<History, ClientError> {
        // Keys, record ids and numbers need no escaping in a query.
        let mut path = String::from("/v1/messages?");
        let fields = [
            ("peer", Some(query.peer.to_string())),
            ("before", query.before.map(|before| before.to_string())),
            ("limit", query.limit.map(|limit| limit.to_string())),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                path.extend([name, "=", &value, "&"]);
            }
        }
        self.read(path.trim_end_matches('&')).await
    }

    /// Sends a message and waits for the state the request names.
    ///
    /// # Errors
    /// See [`ClientError`]. With [`Code::TimedOut`] the message was accepted and stays owed; with
    /// [`ClientError::Broken`] its fate is unknown: with a message id, the same request may be
    /// made again and stays one message.
    ///
    /// # Cancel safety
    /// Dropped early, the message may still be sent.
    pub async fn send(&self, message: &SendRequest) -> Result<SendResponse, ClientError> {
        let wait = message.timeout_ms.map_or(SEND_WAIT, Duration::from_millis);
        let body = self.to_json(message)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri("/v1/messages")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| connection::broken(&self.daemon, &error))?;
        self.exchange(request, wait.saturating_add(ANSWER)).await
    }

    /// Follows the events of the node.
    ///
    /// # Errors
    /// See [`ClientError`]: those of the first connection; later ones are reported by the stream,
    /// which goes on.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn events(&self, query: EventQuery) -> Result<EventStream, ClientError> {
        EventStream::open(self.daemon.clone(), query).await
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = Request::builder()
            .uri(path)
            .header(ACCEPT, "application/json")
            .body(Full::new(Bytes::new()))
            .map_err(|error| connection::broken(&self.daemon, &error))?;
        self.exchange(request, ANSWER).await
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<T, ClientError> {
        let exchange = async {
            let mut sender = self.pool.take(&self.daemon).await?;
            let response = connection::request(&self.daemon, &mut sender, request).await?;
            let status = response.status();
            let body = body(&self.daemon, response, MAX_ANSWER).await?;
            self.pool.put(sender);
            if status.is_success() {
                serde_json::from_slice(&body).map_err(|error| self.not_understood(&error))
            } else {
                Err(refusal(&self.daemon, status.as_u16(), &body))
            }
        };
        timeout(limit, exchange)
            .await
            .map_err(|_| ClientError::Broken {
                addr: self.daemon.addr().into(),
                what: format!("no answer within {} s", limit.as_secs()),
            })?
    }

    fn to_json<T: Serialize>(&self, value: &T) -> Result<Bytes, ClientError> {
        serde_json::to_vec(value)
            .map(Bytes::from)
            .map_err(|error| self.not_understood(&error))
    }

    fn not_understood(&self, error: &dyn std::fmt::Display) -> ClientError {
        ClientError::NotUnderstood {
            addr: self.daemon.addr().into(),
            what: error.to_string(),
        }
    }
}

/// Reads a whole body of at most `limit` bytes.
pub(crate) async fn body(
    daemon: &Daemon,
    response: Response<Incoming>,
    limit: usize,
) -> Result<Bytes, ClientError> {
    Limited::new(response.into_body(), limit)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| connection::broken(daemon, error.as_ref()))
}

/// The error an answer holds. One without our document is some other server's.
pub(crate) fn refusal(daemon: &Daemon, status: u16, body: &[u8]) -> ClientError {
    serde_json::from_slice::<ErrorBody>(body).map_or_else(
        |_| ClientError::NotUnderstood {
            addr: daemon.addr().into(),
            what: format!("status {status} without an error document"),
        },
        |body| ClientError::Answer(Box::new(body)),
    )
}

/// Whether an error means that the daemon does not take the token.
pub(crate) fn is_unauthorized(error: &ClientError) -> bool {
    error.code() == Code::Unauthorized
}
