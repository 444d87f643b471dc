//! The routes under `/v1/`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::Request;
use skychat_api::{Code, Delivery, ErrorBody, ListenStatus, Place, SendResponse, V1, WaitFor};
use skychat_core::{DeliverError, Delivered, Draft, Node, WaitError};
use skychat_proto::content::{Content, ContentError};
use tokio_util::sync::CancellationToken;

use crate::answer::{Document, Refusal};
use crate::follow;
use crate::query::Query;
use crate::request;
use crate::stream::Streams;

/// How long a send waits when nothing is said.
const SEND_WAIT: Duration = Duration::from_secs(30);
/// Messages of a page when nothing is said, and at most.
const PAGE: (usize, usize) = (100, 256);

/// What the routes have at hand.
pub(crate) struct App {
    pub(crate) node: Node,
    pub(crate) addr: SocketAddr,
    pub(crate) streams: Streams,
}

/// The routes of `docs/control-api.md` for this node. `addr` is where they are served, for the
/// status; streams end when `stop` is cancelled.
pub fn routes(node: Node, addr: SocketAddr, stop: CancellationToken) -> Router {
    let app = Arc::new(App {
        node,
        addr,
        streams: Streams::new(stop),
    });
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/messages", get(history).post(send))
        .route("/v1/conversations", get(conversations))
        .route("/v1/events", get(follow::events))
        .fallback(|| async { Refusal::new(Code::NotFound, "there is no such route") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(
                Code::MethodNotAllowed,
                "this route does not have that method",
            )
        })
        .with_state(app)
}

type Body = axum::body::Body;

async fn status(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Response, Refusal> {
    Query::parse(request.uri().query(), &[])?;
    let mut status = app.node.status();
    status.listen.push(ListenStatus {
        carrier: "http".into(),
        addr: app.addr.to_string(),
        up: true,
    });
    Ok(Document(status).into_response())
}

async fn conversations(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    Query::parse(request.uri().query(), &[])?;
    let all = app
        .node
        .conversations()
        .await
        .map_err(|error| said(error.code(), &error))?;
    Ok(Document(all).into_response())
}

async fn history(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query(), &["peer", "before", "limit"])?;
    let peer = query
        .parsed("peer", Code::MalformedKey)?
        .ok_or_else(|| Refusal::new(Code::BadRequest, "peer is missing: whose conversation?"))?;
    if peer == app.node.public_key() {
        return Err(Refusal::new(
            Code::OwnKey,
            "there is no conversation with oneself",
        ));
    }
    let before = query.parsed("before", Code::MalformedCursor)?;
    let limit = query.parsed("limit", Code::BadRequest)?.unwrap_or(PAGE.0);
    if !(1..=PAGE.1).contains(&limit) {
        return Err(Refusal::new(
            Code::BadRequest,
            format!("limit is 1 to {}", PAGE.1),
        ));
    }
    let page = app.node.history(peer, before, limit).await;
    Ok(Document(page.map_err(|error| said(error.code(), &error))?).into_response())
}

async fn send(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Response, Refusal> {
    Query::parse(request.uri().query(), &[])?;
    let body = request::read(request.into_body()).await?;
    let request = request::parse_send(&body)?;
    let content =
        Content::text(request.text).map_err(|error| said(content_code(&error), &error))?;
    let draft = Draft {
        to: request.to,
        message: request.message_id,
        content,
    };
    let until = request.wait.unwrap_or(WaitFor::Accepted);
    let timeout = request.timeout_ms.map_or(SEND_WAIT, Duration::from_millis);
    match app.node.deliver(draft, until, timeout).await {
        Ok(delivered) => Ok(Document(sent(&delivered)).into_response()),
        Err(DeliverError::Wait { accepted, source }) => {
            let delivery = match source {
                WaitError::Failed { cause } => Delivery::Failed { cause },
                WaitError::TimedOut { state } => state,
                _ => accepted.state,
            };
            let Refusal(body) = said(source.code(), &source);
            Err(Refusal(body.about(accepted.message, Some(delivery))))
        }
        Err(error) => Err(said(error.code(), &error)),
    }
}

fn sent(delivered: &Delivered) -> SendResponse {
    let accepted = &delivered.accepted;
    let acknowledged = delivered.acknowledged;
    SendResponse {
        v: V1,
        message_id: accepted.message,
        delivery: acknowledged.map_or(accepted.state, |acknowledged| Delivery::Stored {
            kept: acknowledged.kept,
        }),
        place: Some(Place {
            incarnation: accepted.feed.incarnation,
            seq: accepted.seq,
        }),
        by: acknowledged.map(|acknowledged| acknowledged.by),
        elapsed_us: acknowledged.map(|acknowledged| {
            u64::try_from(acknowledged.elapsed.as_micros()).unwrap_or(u64::MAX)
        }),
        via: acknowledged
            .and_then(|acknowledged| acknowledged.via)
            .map(str::to_owned),
    }
}

fn content_code(error: &ContentError) -> Code {
    match error {
        ContentError::TooLong { .. } => Code::TooLarge,
        _ => Code::BadText,
    }
}

/// An error of the node as an answer: its code, and its text. What the store or the system said
/// below it goes to the log: paths and the like are nothing for a client.
pub(crate) fn said(code: Code, error: &(dyn std::error::Error + 'static)) -> Refusal {
    if code.http() >= 500 && !code.is_temporary() && code != Code::TimedOut {
        let chain: Vec<String> = std::iter::successors(Some(error), |error| error.source())
            .map(ToString::to_string)
            .collect();
        tracing::warn!(%code, error = chain.join(": "), "http: a request failed");
    }
    Refusal(ErrorBody::new(code, error.to_string()))
}
