//! What a command prints: text for people or JSON for programs, never both.

use std::io::Write;

use serde::Serialize;
use skychat_api::Body;
use skychat_proto::ids::Timestamp;
use skychat_proto::text::{Limits, sanitize};

use crate::failure::Failure;

/// Standard output. Colours stay on a terminal and are left out elsewhere, or with `NO_COLOR`.
pub(crate) struct Screen {
    json: bool,
    out: anstream::AutoStream<std::io::Stdout>,
}

/// A colour or weight, as the terminal takes it.
#[derive(Clone, Copy)]
pub(crate) struct Style(&'static str);

pub(crate) const BOLD: Style = Style("\x1b[1m");
pub(crate) const DIM: Style = Style("\x1b[2m");
pub(crate) const GREEN: Style = Style("\x1b[32m");
pub(crate) const YELLOW: Style = Style("\x1b[33m");

impl Style {
    /// The text in this style.
    pub(crate) fn of(self, text: impl std::fmt::Display) -> String {
        format!("{}{text}\x1b[0m", self.0)
    }
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            out: anstream::stdout(),
        }
    }

    /// Whether programs are to read it.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A line for people.
    pub(crate) fn line(&mut self, line: impl std::fmt::Display) -> Result<(), Failure> {
        writeln!(self.out, "{line}")?;
        Ok(())
    }

    /// A document for programs, in one line.
    pub(crate) fn document<T: Serialize>(&mut self, document: &T) -> Result<(), Failure> {
        let line = serde_json::to_string(document)?;
        writeln!(self.out, "{line}")?;
        Ok(())
    }

    /// A remark for people, beside what is printed; whether it can be said does not matter.
    pub(crate) fn note(&self, text: impl std::fmt::Display) {
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Makes sure that what was printed has left.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush()?;
        Ok(())
    }
}

/// A time, in the time zone of this machine.
pub(crate) fn time(time: Timestamp) -> String {
    i64::try_from(time.as_millis())
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(
            || "at no time".to_owned(),
            |time| {
                let zoned = time.to_zoned(jiff::tz::TimeZone::system());
                zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
            },
        )
}

/// Text that may be somebody else's, as it may stand on a terminal: sanitized, later lines
/// indented so that none of them can pass for a line of ours.
pub(crate) fn lines(text: &str) -> String {
    sanitize(text, Limits::MESSAGE).replace('\n', "\n    ")
}

/// What a message says, as it may stand on a terminal.
pub(crate) fn body(body: &Body) -> String {
    match body {
        Body::Text(text) => lines(text),
        Body::Unsupported(kind) => DIM.of(format_args!(
            "(content of kind {kind}: this version cannot show it)"
        )),
        Body::Missing(why) => DIM.of(format_args!("({why})")),
        _ => DIM.of("(content of a newer version)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c32_text_of_others_cannot_act_or_pass_for_ours() {
        let nasty =
            "hi\u{1b}]52;c;aGk=\u{7}\r\n2026-01-01 00:00:00 3fa9c2d1e0 forged\u{202e}\u{9b}2J";
        let shown = body(&Body::Text(nasty.into()));
        assert!(
            !shown.chars().any(|c| c.is_control() && c != '\n'),
            "{shown:?}"
        );
        assert!(!shown.contains('\u{202e}'), "{shown:?}");
        assert!(
            shown.lines().skip(1).all(|line| line.starts_with("    ")),
            "{shown:?}"
        );
    }

    #[test]
    fn times_that_no_calendar_has() {
        assert_eq!(time(Timestamp::from_millis(u64::MAX)), "at no time");
        assert!(time(Timestamp::from_millis(1_700_000_000_000)).starts_with("2023-11-1"));
    }
}
