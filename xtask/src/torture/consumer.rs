//! Consumers: each reads the events of one daemon, and goes on behind the last one after every restart.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use super::{chance::Chance, clock, daemon::Daemon, http::Lines, record::Record};

/// How long a consumer rests before it comes back.
const REST: Duration = Duration::from_millis(10);

/// The form a consumer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Server-sent events, resumed by `Last-Event-ID` as `after`.
    Sse,
    /// A JSON document a line.
    Ndjson,
}

impl Form {
    fn accept(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// The document in a line, if there is one.
    fn document(self, line: &str) -> Option<Value> {
        let text = match self {
            Self::Sse => line.strip_prefix("data:")?.trim_start(),
            Self::Ndjson => line,
        };
        serde_json::from_str(text).ok()
    }
}

/// One reader of events.
pub(crate) struct Consumer<'a> {
    /// Its name in the history.
    pub(crate) name: String,
    /// Whose events it reads.
    pub(crate) at: &'a Daemon,
    /// All daemons, to name keys.
    pub(crate) all: &'a [Daemon],
    /// How it reads.
    pub(crate) form: Form,
    /// After this many events in a hundred it goes away and comes back.
    pub(crate) restless: u64,
    /// Where everything is written down.
    pub(crate) record: &'a Record,
    /// The number of the last event it has dealt with.
    pub(crate) last: AtomicU64,
}

impl Consumer<'_> {
    /// Reads until the daemon is gone for good.
    pub(crate) fn run(&self, mut chance: Chance) {
        let mut after = "first".to_owned();
        while !self.at.is_over() {
            if let Ok(lines) = self.open(&after) {
                self.follow(lines, &mut after, &mut chance);
            }
            clock::pause(REST);
        }
    }

    fn open(&self, after: &str) -> std::io::Result<Lines> {
        let target = format!("/v1/events?after={after}");
        let lines = self.at.connect()?.stream(&target, self.form.accept())?;
        let open = json!({ "consumer": self.name, "where": self.at.name, "after": after });
        self.record.line("open", open);
        Ok(lines)
    }

    fn follow(&self, mut lines: Lines, after: &mut String, chance: &mut Chance) {
        while let Ok(Some(line)) = lines.next() {
            let Some(event) = self.form.document(&line) else {
                continue;
            };
            if let Some(cursor) = self.write(&event) {
                *after = cursor;
            }
            if chance.below(1_000) < self.restless {
                return;
            }
        }
    }

    /// Writes down what was seen; the cursor to go on behind.
    fn write(&self, event: &Value) -> Option<String> {
        let text = |field: &str| event.get(field).and_then(Value::as_str);
        let kind = text("type")?;
        let cursor = text("cursor");
        let mut line = json!({ "consumer": self.name, "where": self.at.name });
        let mut put = |field: &str, value: Value| {
            if let Value::Object(line) = &mut line {
                line.insert(field.to_owned(), value);
            }
        };
        if let Some(cursor) = cursor {
            put("cursor", cursor.into());
        }
        let copy = |field: &str| event.get(field).cloned().unwrap_or(Value::Null);
        let op = match kind {
            "message" => {
                put("id", copy("message_id"));
                put("from", name_of(self.all, text("from")?).into());
                put("dir", copy("direction"));
                put("state", copy("state"));
                if let Some(marks) = event.get("marks") {
                    put("marks", marks.clone());
                }
                "seen"
            }
            "state" => {
                put("state", copy("state"));
                put("ids", copy("message_ids"));
                if let Some(cause) = event.get("cause") {
                    put("cause", cause.clone());
                }
                "state"
            }
            "gap" => {
                put("cause", copy("cause"));
                put("resume", copy("resume"));
                "gap"
            }
            other => {
                put("type", other.into());
                for field in ["peer", "incarnation", "known", "author"] {
                    if let Some(value) = event.get(field) {
                        put(field, value.clone());
                    }
                }
                "event"
            }
        };
        self.record.line(op, line);
        let next = cursor.or_else(|| text("resume"))?.to_owned();
        if let Some(number) = number_of(&next) {
            self.last.store(number, Ordering::Relaxed);
        }
        Some(next)
    }
}

/// The number in a cursor.
pub(crate) fn number_of(cursor: &str) -> Option<u64> {
    cursor.rsplit_once('-')?.1.parse().ok()
}

/// The name of the daemon with this key, or the key.
pub(crate) fn name_of(all: &[Daemon], key: &str) -> String {
    let found = all.iter().find(|daemon| daemon.key == key);
    found.map_or_else(|| key.to_owned(), |daemon| daemon.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_in_both_forms() {
        let sse = Form::Sse.document("data: {\"type\":\"gap\"}").unwrap();
        assert_eq!(sse["type"], "gap");
        assert!(Form::Sse.document("id: 00000001-4").is_none());
        assert!(Form::Sse.document(": alive").is_none());
        assert!(Form::Ndjson.document("{\"type\":\"gap\"}").is_some());
        assert!(Form::Ndjson.document("").is_none());
    }

    #[test]
    fn cursors_have_numbers() {
        assert_eq!(number_of("00000001-42"), Some(42));
        assert_eq!(number_of("first"), None);
    }
}
