//! Following a node's events over broken connections and restarts.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::{Request, Response};
use skychat_api::{Code, Cursor, ErrorBody, Event, EventKind, GapCause};
use tokio::time::timeout;

use crate::client::{body, is_unauthorized, refusal};
use crate::connection::{self, Sender};
use crate::{ClientError, Daemon};

/// The header of a stream's answer that says after which event it begins.
const POSITION: &str = "skychat-cursor";
/// How long the daemon may take to begin a stream.
const BEGIN: Duration = Duration::from_secs(15);
/// Longest silence of a live stream: three of the daemon's keep-alives.
const SILENCE: Duration = Duration::from_secs(45);
/// The longest line: a text of 64 KiB of control characters, each escaped, and its fields.
const MAX_LINE: usize = 1024 * 1024;
/// The shortest and the longest pause before a connection is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// An error answer is at most this long.
const MAX_ERROR: usize = 64 * 1024;

/// Where a stream begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With what happens from now on.
    #[default]
    Now,
    /// With the oldest event the node holds.
    First,
    /// Behind this one.
    After(Cursor),
}

/// Which events to follow.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Where to begin.
    pub start: Start,
    /// The types wanted, as in `type`; empty: all durable events.
    pub types: Vec<String>,
    /// Whether passing notices are wanted too.
    pub notices: bool,
}

/// What a stream gives.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "events are the rule, interruptions the exception"
)]
pub enum StreamItem {
    /// An event. Each durable one comes once, in order.
    Event(Event),
    /// The connection is lost; it is tried again after `pause`.
    Interrupted {
        /// Why.
        error: ClientError,
        /// How long until the next attempt.
        pause: Duration,
    },
}

/// The events of a node from a place on. A lost connection, also by a restart of the daemon, is
/// taken up again behind the last event, after 1 s, doubling to 30 s.
#[derive(Debug)]
pub struct EventStream {
    daemon: Daemon,
    query: EventQuery,
    cursor: Option<Cursor>,
    live: Option<Live>,
    pause: Duration,
    /// An attempt is due after this pause, and not before.
    due: Option<tokio::time::Instant>,
}

/// One connection's stream.
#[derive(Debug)]
struct Live {
    /// Kept: the connection ends with it.
    _sender: Sender,
    body: Incoming,
    lines: Lines,
}

impl EventStream {
    pub(crate) async fn open(daemon: Daemon, query: EventQuery) -> Result<Self, ClientError> {
        let is_word = |text: &String| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if let Some(odd) = query
            .types
            .iter()
            .find(|text| text.is_empty() || !is_word(text))
        {
            let message = format!("{odd:?} is no type of event");
            return Err(ClientError::Answer(Box::new(ErrorBody::new(
                Code::BadRequest,
                message,
            ))));
        }
        let cursor = match query.start {
            Start::After(cursor) => Some(cursor),
            Start::Now | Start::First => None,
        };
        let mut stream = Self {
            daemon,
            query,
            cursor,
            live: None,
            pause: PAUSE.0,
            due: None,
        };
        stream.connect().await?;
        Ok(stream)
    }

    /// The place behind the last event given: what to pass as [`Start::After`] later. `None` only
    /// when the stream began with the oldest event and none has come.
    #[must_use]
    pub const fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The next event, or the news that the connection is lost.
    ///
    /// # Errors
    /// What waiting cannot mend: the token is no longer taken, or the answer is not understood.
    ///
    /// # Cancel safety
    /// Nothing is lost or repeated when it is dropped early.
    pub async fn next(&mut self) -> Result<StreamItem, ClientError> {
        loop {
            if let Some(due) = self.due {
                tokio::time::sleep_until(due).await;
                self.due = None;
            }
            let outcome = match &mut self.live {
                Some(live) => live.next(&self.daemon).await,
                None => match self.connect().await {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
            };
            match outcome {
                Ok(event) => {
                    self.pause = PAUSE.0;
                    if self.take(&event) {
                        return Ok(StreamItem::Event(event));
                    }
                }
                Err(error) if error.is_temporary() => {
                    self.live = None;
                    let pause = self.pause;
                    self.pause = pause.saturating_mul(2).min(PAUSE.1);
                    self.due = tokio::time::Instant::now().checked_add(pause);
                    return Ok(StreamItem::Interrupted { error, pause });
                }
                Err(error) => {
                    self.live = None;
                    return Err(error);
                }
            }
        }
    }

    /// Moves the cursor on; `false` for an event that was given already.
    fn take(&mut self, event: &Event) -> bool {
        if let EventKind::Gap(gap) = &event.kind
            && let GapCause::Retention { resume, .. } | GapCause::UnknownCursor { resume, .. } =
                gap.cause
        {
            // The log itself says where it goes on, also if that is further back.
            self.cursor = Some(resume);
            return true;
        }
        let Some(cursor) = event.cursor() else {
            return true;
        };
        let seen = self.cursor.is_some_and(|last| cursor.seq() <= last.seq());
        if !seen {
            self.cursor = Some(cursor);
        }
        !seen
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        match self.try_connect().await {
            // A daemon that was started anew may have another token; its file says.
            Err(error) if is_unauthorized(&error) => {
                self.daemon = self.daemon.again()?;
                self.try_connect().await
            }
            Err(error) if error.is_temporary() => {
                self.daemon = self.daemon.again()?;
                Err(error)
            }
            other => other,
        }
    }

    async fn try_connect(&mut self) -> Result<(), ClientError> {
        let daemon = &self.daemon;
        let request = Request::builder()
            .uri(self.path())
            .header(ACCEPT, "application/x-ndjson")
            .body(Full::new(Bytes::new()))
            .map_err(|error| connection::broken(daemon, &error))?;
        let begin = async {
            let mut sender = connection::open(daemon).await?;
            let response = connection::request(daemon, &mut sender, request).await?;
            if response.status().is_success() {
                return Ok((sender, response));
            }
            let status = response.status().as_u16();
            let body = body(daemon, response, MAX_ERROR).await?;
            Err(refusal(daemon, status, &body))
        };
        let (sender, response) =
            timeout(BEGIN, begin)
                .await
                .map_err(|_| ClientError::Broken {
                    addr: daemon.addr().into(),
                    what: format!("no answer within {} s", BEGIN.as_secs()),
                })??;
        if self.cursor.is_none() {
            // With this, what happens while the connection is lost before the first event comes
            // too.
            self.cursor = position(&response);
        }
        let body = response.into_body();
        self.live = Some(Live {
            _sender: sender,
            body,
            lines: Lines::default(),
        });
        Ok(())
    }

    fn path(&self) -> String {
        // Cursors and the words of types need no escaping in a query.
        let mut path = String::from("/v1/events?");
        match (self.cursor, self.query.start) {
            (Some(cursor), _) => path.extend(["after=", &cursor.to_string(), "&"]),
            (None, Start::First) => path.push_str("after=first&"),
            (None, _) => {}
        }
        if !self.query.types.is_empty() {
            path.extend(["types=", &self.query.types.join(","), "&"]);
        }
        if self.query.notices {
            path.push_str("notices=true&");
        }
        path.trim_end_matches(['?', '&']).to_owned()
    }
}

fn position(response: &Response<Incoming>) -> Option<Cursor> {
    response
        .headers()
        .get(POSITION)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

impl Live {
    async fn next(&mut self, daemon: &Daemon) -> Result<Event, ClientError> {
        loop {
            while let Some(line) = self.lines.next() {
                if line.is_empty() {
                    continue;
                }
                return serde_json::from_slice(&line).map_err(|error| ClientError::NotUnderstood {
                    addr: daemon.addr().into(),
                    what: error.to_string(),
                });
            }
            let frame = timeout(SILENCE, self.body.frame())
                .await
                .map_err(|_| broken(daemon, "silent"))?;
            match frame {
                None => return Err(broken(daemon, "the daemon ended the stream")),
                Some(Err(error)) => return Err(connection::broken(daemon, &error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.lines.push(&data);
                    }
                    if self.lines.is_too_long() {
                        return Err(ClientError::NotUnderstood {
                            addr: daemon.addr().into(),
                            what: format!("a line of more than {MAX_LINE} bytes"),
                        });
                    }
                }
            }
        }
    }
}

fn broken(daemon: &Daemon, what: &str) -> ClientError {
    ClientError::Broken {
        addr: daemon.addr().into(),
        what: what.into(),
    }
}

/// Bytes cut at line feeds.
#[derive(Debug, Default)]
struct Lines {
    buffer: BytesMut,
    /// No line feed before this place.
    searched: usize,
}

impl Lines {
    fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next whole line, without its end.
    fn next(&mut self) -> Option<Bytes> {
        let rest = self.buffer.get(self.searched..)?;
        let Some(at) = rest.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched.saturating_add(at));
        self.buffer.advance(1);
        self.searched = 0;
        Some(line.freeze())
    }

    /// Whether what has no end yet is longer than a line may be.
    fn is_too_long(&self) -> bool {
        self.searched > MAX_LINE
    }
}
