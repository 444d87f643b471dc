//! The history of a run: a line for everything that was done and seen.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::clock;

/// Writes lines; every thread of a run has it.
pub(crate) struct Record {
    file: Mutex<Inner>,
    start: Instant,
    lanes: AtomicU64,
}

struct Inner {
    file: BufWriter<File>,
    failed: Option<std::io::Error>,
}

impl Record {
    /// A new file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path)
            .with_context(|| format!("cannot create the history {}", path.display()))?;
        Ok(Self {
            file: Mutex::new(Inner {
                file: BufWriter::new(file),
                failed: None,
            }),
            start: clock::now(),
            lanes: AtomicU64::new(0),
        })
    }

    /// Writes one line: `op`, the microseconds since the start, and the fields of `fields`.
    pub(crate) fn line(&self, op: &str, fields: Value) {
        let at = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut line = json!({ "op": op, "t": at });
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        let mut inner = self.file.lock().unwrap_or_else(|lock| lock.into_inner());
        let written = writeln!(inner.file, "{line}");
        if let Err(error) = written {
            inner.failed.get_or_insert(error);
        }
    }

    /// A number no other lane of this history has.
    pub(crate) fn next_lane(&self) -> u64 {
        self.lanes.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes what is held back. A line that could not be written makes the whole history worthless.
    pub(crate) fn flush(&self) -> Result<()> {
        let mut inner = self.file.lock().unwrap_or_else(|lock| lock.into_inner());
        if let Some(error) = inner.failed.take() {
            return Err(error).context("cannot write the history");
        }
        inner.file.flush().context("cannot write the history")
    }
}
