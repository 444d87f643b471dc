//! The checker: judges the history of a run, and knows nothing of the product but this page.
//!
//! It rests on the standard library and `serde_json` only, so that no mistake of the product can be in it too. What it
//! holds against a history:
//!
//! - **lost**: every id that was answered `ok` is in the recipient's history, and every consumer there saw it;
//! - **duplicated**: no id is twice in a history, or seen twice by one consumer over all its resumed streams;
//! - **order**: what one lane sent one after the other is seen, and stands in the history, in that order;
//! - **state**: states only move forward, and what was accepted ends `stored` or `failed` with a cause;
//! - **stream**: a resumed stream goes on behind the last event dealt with, and skips none unless a `gap` says so;
//! - **expect**: what a scenario says has to be told by events (`incarnation`, `clone`, …) is told, so many times;
//! - **start**: every start is ready in time, a SIGTERM ends with 0 in time, a second daemon on a directory is refused;
//! - **form**: the file is whole.
//!
//! An id that was never answered (`info`, or nothing at all) may have arrived once or not at all.

mod judge;
mod line;
mod ruling;
mod sent;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context, Result, bail};

use judge::Judge;
pub(crate) use sent::CAUSES;

/// Violations that are kept with their sentences; further ones are only counted.
const MAX_KEPT: usize = 100;
/// Violations that are printed.
const SHOWN: usize = 12;

/// What kind of promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Lost,
    Duplicated,
    Order,
    State,
    Stream,
    Start,
    Form,
}

impl Kind {
    /// Its word, as in the summary.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Order => "order",
            Self::State => "state",
            Self::Stream => "stream",
            Self::Start => "start",
            Self::Form => "form",
        }
    }
}

/// The judgement.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// How many violations of each kind.
    pub(crate) counts: BTreeMap<Kind, u64>,
    /// The first of them, a sentence each that names the id.
    pub(crate) sentences: Vec<(Kind, String)>,
    /// What was judged.
    pub(crate) totals: Totals,
}

/// How much was judged.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Ids that were sent.
    pub(crate) sent: u64,
    /// Ids that were answered `ok`.
    pub(crate) ok: u64,
    /// Ids that were answered by a failure.
    pub(crate) failed: u64,
    /// Ids without an answer.
    pub(crate) unknown: u64,
    /// Messages seen by consumers.
    pub(crate) seen: u64,
    /// Streams that were opened.
    pub(crate) streams: u64,
    /// Gaps that were reported and are accounted for.
    pub(crate) gaps: u64,
    /// Processes killed.
    pub(crate) kills: u64,
    /// Times from the start of a process until it was ready, in milliseconds.
    pub(crate) ready_ms: Vec<u64>,
}

impl Verdict {
    /// Whether nothing was broken.
    pub(crate) fn passed(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many of one kind.
    pub(crate) fn count(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    fn add(&mut self, kind: Kind, sentence: String) {
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add(1);
        if self.sentences.len() < MAX_KEPT {
            self.sentences.push((kind, sentence));
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        writeln!(
            f,
            "{} messages: {} ok, {} failed, {} without an answer; seen {} times over {} streams, {} gaps accounted for",
            totals.sent,
            totals.ok,
            totals.failed,
            totals.unknown,
            totals.seen,
            totals.streams,
            totals.gaps
        )?;
        for (kind, sentence) in self.sentences.iter().take(SHOWN) {
            writeln!(f, "VIOLATION ({}): {sentence}", kind.word())?;
        }
        let all: u64 = self.counts.values().sum();
        if all > u64::try_from(SHOWN).unwrap_or(u64::MAX) {
            writeln!(f, "… {all} violations in all")?;
        }
        write!(
            f,
            "{} lost, {} duplicated, {} out of order: {}",
            self.count(Kind::Lost),
            self.count(Kind::Duplicated),
            self.count(Kind::Order),
            if self.passed() { "passed" } else { "REJECTED" }
        )
    }
}

/// Judges a history line by line.
pub(crate) fn judge(lines: impl Iterator<Item = std::io::Result<String>>) -> Result<Verdict> {
    let mut judge = Judge::default();
    for (number, line) in lines.enumerate() {
        let line = line.context("cannot read the history")?;
        judge.line(number.saturating_add(1), &line);
    }
    Ok(judge.finish())
}

/// Judges the history in a file.
pub(crate) fn file(path: &Path) -> Result<Verdict> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("cannot open the history {}", path.display()))?;
    judge(BufReader::new(file).lines())
}

/// `cargo xtask torture-check FILE`.
pub(crate) fn run(path: &Path) -> Result<()> {
    let verdict = file(path)?;
    println!("{verdict}");
    if !verdict.passed() {
        bail!("{} is rejected", path.display());
    }
    Ok(())
}
