//! What a run comes to, for people and as JSON.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use super::check::{Kind, Verdict};

/// The figures of a run.
pub(crate) struct Summary<'a> {
    pub(crate) seed: u64,
    pub(crate) scenario: &'a str,
    pub(crate) verdict: &'a Verdict,
    pub(crate) took: Duration,
    pub(crate) replay: &'a str,
    pub(crate) control: Option<&'a str>,
    pub(crate) kept: Option<&'a Path>,
}

impl Summary<'_> {
    /// The time within which this many in a hundred were ready.
    fn ready(&self, percent: usize) -> u64 {
        let mut times = self.verdict.totals.ready_ms.clone();
        times.sort_unstable();
        let place = times.len().saturating_mul(percent).div_ceil(100);
        times
            .get(place.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    /// One document.
    pub(crate) fn json(&self) -> Value {
        let verdict = self.verdict;
        let totals = &verdict.totals;
        let sentences: Vec<_> = verdict.sentences.iter().map(|(_, said)| said).collect();
        json!({
            "v": 1,
            "passed": verdict.passed(),
            "scenario": self.scenario,
            "seed": self.seed,
            "seconds": self.took.as_secs(),
            "kills": totals.kills,
            "messages": totals.sent,
            "ok": totals.ok,
            "failed": totals.failed,
            "unknown": totals.unknown,
            "seen": totals.seen,
            "lost": verdict.count(Kind::Lost),
            "duplicated": verdict.count(Kind::Duplicated),
            "order": verdict.count(Kind::Order),
            "violations": verdict.counts.values().sum::<u64>(),
            "sentences": sentences,
            "ready_ms": {
                "starts": totals.ready_ms.len(),
                "p50": self.ready(50),
                "p99": self.ready(99),
                "max": self.ready(100),
            },
            "negative_control": self.control,
            "replay": self.replay,
            "kept": self.kept,
        })
    }

    /// Some lines.
    pub(crate) fn print(&self) {
        let totals = &self.verdict.totals;
        println!("{}", self.verdict);
        println!(
            "{} kills in {:.0} s; {} starts, ready after p50 {} ms, p99 {} ms, max {} ms",
            totals.kills,
            self.took.as_secs_f64(),
            totals.ready_ms.len(),
            self.ready(50),
            self.ready(99),
            self.ready(100)
        );
        if let Some(said) = self.control {
            println!("negative control: one message taken out of the history is rejected: {said}");
        }
        println!("seed {}; replay: {}", self.seed, self.replay);
        if let Some(dir) = self.kept {
            println!(
                "directories, logs and history.ndjson are kept in {}",
                dir.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_times_that_were_measured() {
        let mut verdict = Verdict::default();
        verdict.totals.ready_ms = (1..=200).rev().collect();
        let summary = Summary {
            seed: 1,
            scenario: "kills",
            verdict: &verdict,
            took: Duration::from_secs(1),
            replay: "",
            control: None,
            kept: None,
        };
        assert_eq!(summary.ready(50), 100);
        assert_eq!(summary.ready(99), 198);
        assert_eq!(summary.ready(100), 200);
        assert_eq!(summary.json()["ready_ms"]["max"], 200);
    }
}
