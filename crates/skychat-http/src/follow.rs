//! The route of events.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use hyper::Request;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use skychat_api::{Code, Cursor, Event, EventKind, Ready};
use skychat_core::{EventReader, Notices};
use skychat_proto::ids::EventSeq;

use crate::answer::Refusal;
use crate::encode::StreamForm;
use crate::query::Query;
use crate::routes::App;
use crate::stream::{MAX_STREAMS, Source};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Says behind which event a stream begins.
const POSITION: HeaderName = HeaderName::from_static("skychat-cursor");
/// How long a stream rests when the log could not be read.
const READ_PAUSE: Duration = Duration::from_millis(200);

pub(crate) async fn events(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query(), &["after", "types", "notices"])?;
    let form = form(request.headers())?;
    let types = types(query.get("types"))?;
    let notices = query.parsed("notices", Code::BadRequest)?.unwrap_or(false);
    let after = match last_event_id(request.headers())? {
        Some(cursor) => cursor,
        None => match query.get("after") {
            None => app.node.last_event(),
            Some("first") => Cursor::new(app.node.incarnation(), EventSeq::new(0)),
            Some(text) => text
                .parse()
                .map_err(|error: skychat_api::MalformedCursor| {
                    Refusal::new(Code::MalformedCursor, error.to_string())
                })?,
        },
    };
    let place = app.streams.place().ok_or_else(|| {
        Refusal::new(
            Code::TooManyStreams,
            format!("{MAX_STREAMS} streams are open"),
        )
    })?;
    let ready = notices.then(|| {
        Event::new(EventKind::Ready(Ready {
            public_key: app.node.public_key(),
            incarnation: app.node.incarnation(),
            last: after,
        }))
    });
    let source = NodeEvents {
        first: ready,
        notices: notices.then(|| app.node.notices()),
        reader: app.node.events(Some(after)),
        types,
    };
    let mut response = Response::new(app.streams.body(place, form, source, notices));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    if let Ok(value) = HeaderValue::from_str(&after.to_string()) {
        headers.insert(POSITION, value);
    }
    Ok(response)
}

/// What the client wants to read: the first form it names that there is.
fn form(headers: &HeaderMap) -> Result<StreamForm, Refusal> {
    let mut named = false;
    for value in headers.get_all(ACCEPT) {
        for word in value.to_str().unwrap_or_default().split(',') {
            named = true;
            match word.split(';').next().unwrap_or_default().trim() {
                "text/event-stream" => return Ok(StreamForm::Sse),
                "application/x-ndjson" | "application/*" | "*/*" => return Ok(StreamForm::Ndjson),
                _ => {}
            }
        }
    }
    if named {
        let message = "events come as text/event-stream or application/x-ndjson";
        return Err(Refusal::new(Code::NotAcceptable, message));
    }
    Ok(StreamForm::Ndjson)
}

/// The place a browser names when it comes back; it is newer than what stands in the target.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Cursor>, Refusal> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("?");
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|error: skychat_api::MalformedCursor| {
            Refusal::new(Code::MalformedCursor, format!("Last-Event-ID: {error}"))
        })
}

/// The types a stream is limited to; `None`: all.
fn types(text: Option<&str>) -> Result<Option<Vec<&'static str>>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let find = |word: &str| {
        EventKind::DURABLE
            .iter()
            .find(|known| **known == word)
            .copied()
    };
    text.split(',')
        .map(|word| {
            find(word).ok_or_else(|| {
                let known = EventKind::DURABLE.join(", ");
                Refusal::new(Code::BadRequest, format!("types are among {known}"))
            })
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
}

/// The events of a node, and its notices if they are wanted.
struct NodeEvents {
    first: Option<Event>,
    reader: EventReader,
    notices: Option<Notices>,
    types: Option<Vec<&'static str>>,
}

impl NodeEvents {
    fn wanted(&self, event: &Event) -> bool {
        self.types
            .as_ref()
            .is_none_or(|types| types.contains(&event.kind.word()))
    }
}

impl Source for NodeEvents {
    async fn next(&mut self) -> Option<Event> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let read = match &mut self.notices {
                None => self.reader.next().await,
                Some(notices) => tokio::select! {
                    read = self.reader.next() => read,
                    notice = notices.next() => match notice {
                        Some(notice) => return Some(notice),
                        None => {
                            self.notices = None;
                            continue;
                        }
                    },
                },
            };
            match read {
                Ok(Some(event)) => {
                    let event = event.into_inner();
                    if self.wanted(&event) {
                        return Some(event);
                    }
                }
                Ok(None) => return None,
                Err(error) => {
                    tracing::debug!(%error, "http: reading the event log");
                    tokio::time::sleep(READ_PAUSE).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> Result<StreamForm, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, value.parse().unwrap());
        form(&headers).map_err(|refusal| refusal.0.code)
    }

    #[test]
    fn the_form_is_negotiated() {
        assert!(matches!(form(&HeaderMap::new()), Ok(StreamForm::Ndjson)));
        assert_eq!(accept("text/event-stream"), Ok(StreamForm::Sse));
        assert_eq!(accept("application/x-ndjson"), Ok(StreamForm::Ndjson));
        assert_eq!(accept("*/*"), Ok(StreamForm::Ndjson));
        assert_eq!(
            accept("text/html, text/event-stream;q=0.5, */*;q=0.1"),
            Ok(StreamForm::Sse)
        );
        assert_eq!(accept("text/html"), Err(Code::NotAcceptable));
    }

    #[test]
    fn types_are_words_of_the_contract() {
        assert_eq!(
            types(Some("message,state")).unwrap(),
            Some(vec!["message", "state"])
        );
        assert_eq!(types(None).unwrap(), None);
        for text in ["massage", "message,", "message, state", "link", "unknown"] {
            assert_eq!(
                types(Some(text)).unwrap_err().0.code,
                Code::BadRequest,
                "{text}"
            );
        }
    }
}
