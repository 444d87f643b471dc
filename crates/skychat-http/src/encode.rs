//! Events as bytes of a stream: server-sent events and NDJSON.

use skychat_api::{Cursor, Event};

/// How a stream of events is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamForm {
    /// Server-sent events: `text/event-stream`.
    Sse,
    /// One JSON document a line: `application/x-ndjson`.
    Ndjson,
}

impl StreamForm {
    /// The content type of the answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream; charset=utf-8",
            Self::Ndjson => "application/x-ndjson; charset=utf-8",
        }
    }

    /// What a stream begins with: how long a client waits before it comes back.
    #[must_use]
    pub const fn preamble(self) -> &'static [u8] {
        match self {
            Self::Sse => b": connected\nretry: 1000\n\n",
            Self::Ndjson => b"",
        }
    }

    /// What says that the stream is alive when nothing happens: a comment, or an empty line.
    #[must_use]
    pub const fn keep_alive(self) -> &'static [u8] {
        match self {
            Self::Sse => b": keep-alive\n\n",
            Self::Ndjson => b"\n",
        }
    }

    /// Appends one event to `out`.
    ///
    /// # Errors
    /// None in practice: the shapes of `skychat-api` have text keys and finite numbers only.
    pub fn event(self, out: &mut Vec<u8>, event: &Event) -> Result<(), serde_json::Error> {
        match self {
            Self::Sse => {
                let data = serde_json::to_string(event)?;
                sse(out, event.cursor().as_ref(), event.kind.word(), &data);
            }
            Self::Ndjson => {
                serde_json::to_writer(&mut *out, event)?;
                out.push(b'\n');
            }
        }
        Ok(())
    }
}

/// One block of a `text/event-stream` (C34): the id is a cursor and the name one of our words, so
/// neither can hold a line break; the data is split at CR LF, CR and LF.
fn sse(out: &mut Vec<u8>, id: Option<&Cursor>, name: &'static str, data: &str) {
    if let Some(id) = id {
        line(out, "id", &id.to_string());
    }
    line(out, "event", name);
    let mut rest = data;
    loop {
        let end = rest.find(['\r', '\n']);
        let (first, after) = end.map_or((rest, None), |end| {
            let (first, after) = rest.split_at(end);
            let after = after
                .strip_prefix("\r\n")
                .or_else(|| after.strip_prefix(['\r', '\n']));
            (first, after)
        });
        line(out, "data", first);
        match after {
            Some(after) => rest = after,
            None => break,
        }
    }
    out.push(b'\n');
}

fn line(out: &mut Vec<u8>, field: &str, value: &str) {
    out.extend_from_slice(field.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests;
