//! A line of a history: one JSON object, `op` says what happened.

use std::collections::BTreeMap;

use serde_json::Value;

/// A parsed line.
pub(crate) struct Line {
    value: Value,
}

impl Line {
    /// Reads one; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let line = Self { value };
        line.text("op")?;
        Ok(line)
    }

    /// A field that has to be a text.
    pub(crate) fn text(&self, field: &str) -> Result<&str, String> {
        self.optional(field)
            .ok_or_else(|| format!("field `{field}` is not a text"))
    }

    /// A field that may be absent.
    pub(crate) fn optional(&self, field: &str) -> Option<&str> {
        self.value.get(field).and_then(Value::as_str)
    }

    /// A field that has to be a number.
    pub(crate) fn number(&self, field: &str) -> Result<u64, String> {
        self.value
            .get(field)
            .and_then(Value::as_u64)
            .ok_or_else(|| format!("field `{field}` is not a number"))
    }

    /// A field that may be a negative number.
    pub(crate) fn signed(&self, field: &str) -> Result<i64, String> {
        self.value
            .get(field)
            .and_then(Value::as_i64)
            .ok_or_else(|| format!("field `{field}` is not a number"))
    }

    /// The texts of a list; an absent one is empty.
    pub(crate) fn list(&self, field: &str) -> impl Iterator<Item = &str> {
        self.value
            .get(field)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    /// The number in a cursor, `<8 hex digits>-<number>`; `first` stands before the first event.
    pub(crate) fn cursor(&self, field: &str) -> Result<u64, String> {
        let text = self.text(field)?;
        if text == "first" {
            return Ok(0);
        }
        text.rsplit_once('-')
            .and_then(|(_, number)| number.parse().ok())
            .ok_or_else(|| format!("field `{field}` is no cursor: {text}"))
    }
}

/// Names as small numbers, so that a million lines do not hold a million names.
#[derive(Default)]
pub(crate) struct Names {
    numbers: BTreeMap<String, usize>,
    texts: Vec<String>,
}

impl Names {
    /// The number of a name; a new one is taken in.
    pub(crate) fn number(&mut self, name: &str) -> usize {
        if let Some(known) = self.numbers.get(name) {
            return *known;
        }
        let number = self.texts.len();
        self.numbers.insert(name.to_owned(), number);
        self.texts.push(name.to_owned());
        number
    }

    /// The number of a name that was met before.
    pub(crate) fn known(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// The name of a number.
    pub(crate) fn text(&self, number: usize) -> &str {
        self.texts.get(number).map_or("?", String::as_str)
    }
}
