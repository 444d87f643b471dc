//! Ratios of this run against the committed ones. Figures of machines are never compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::{Result, bail, ensure};

use super::{
    baseline::{Baseline, Kept, usual_tolerance},
    read::Measured,
    shape::{Better, Bound, Row},
};

/// A ratio beyond its tolerance.
pub(crate) struct Worse {
    pub(crate) row: String,
    pub(crate) was: Kept,
    pub(crate) is: f64,
}

/// What a comparison found; rows by `bench: id`.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Ratios within their tolerance, or better.
    pub(crate) kept: usize,
    pub(crate) worse: Vec<Worse>,
    /// Committed, and not measured.
    pub(crate) missing: Vec<String>,
    /// Measured, and not committed.
    pub(crate) new: Vec<String>,
    /// Targets that are missed, whatever was committed.
    pub(crate) missed: Vec<(String, f64, Bound)>,
}

impl Outcome {
    /// Whether something is worse or missing.
    pub(crate) fn failed(&self) -> bool {
        !self.worse.is_empty() || !self.missing.is_empty()
    }
}

/// Holds these reports against what was committed of the benches that were asked for, or of all.
pub(crate) fn compare(
    baseline: &Baseline,
    measured: &[&Measured],
    asked: &[String],
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut seen = BTreeSet::new();
    for report in measured {
        let committed = baseline.benches.get(&report.bench);
        for row in rows(report) {
            let name = format!("{}: {}", report.bench, row.id);
            if let (Some(target), Some(ratio)) = (row.target, row.ratio)
                && !target.is_met(ratio)
            {
                outcome.missed.push((name.clone(), ratio, target));
            }
            let Some(is) = compared(report, row)? else {
                continue;
            };
            seen.insert((report.bench.as_str(), row.id.as_str()));
            let Some(was) = committed.and_then(|rows| rows.get(&row.id)) else {
                outcome.new.push(name);
                continue;
            };
            ensure!(
                was.better == row.better,
                "{name}: found {:?}, expected {:?} as committed: which way is better has changed",
                row.better,
                was.better
            );
            if was.is_worse(is) {
                let (row, was) = (name, *was);
                outcome.worse.push(Worse { row, was, is });
            } else {
                outcome.kept = outcome.kept.saturating_add(1);
            }
        }
    }
    for (bench, rows) in &baseline.benches {
        let wanted = asked.is_empty() || asked.contains(bench);
        for id in rows.keys().filter(|_| wanted) {
            if !seen.contains(&(bench.as_str(), id.as_str())) {
                outcome.missing.push(format!("{bench}: {id}"));
            }
        }
    }
    Ok(outcome)
}

/// What is committed after this run: its ratios, with tolerances as they were; benches that were not run stay.
pub(crate) fn accepted(mut baseline: Baseline, measured: &[&Measured]) -> Result<Baseline> {
    for report in measured {
        let old = baseline.benches.remove(&report.bench).unwrap_or_default();
        let mut next = BTreeMap::new();
        for row in rows(report) {
            if let Some(ratio) = compared(report, row)? {
                let tolerance = old
                    .get(&row.id)
                    .map_or_else(|| usual_tolerance(row), |kept| kept.tolerance);
                let better = row.better;
                let kept = Kept {
                    ratio: rounded(ratio),
                    better,
                    tolerance,
                };
                next.insert(row.id.clone(), kept);
            }
        }
        if !next.is_empty() {
            baseline.benches.insert(report.bench.clone(), next);
        }
    }
    Ok(baseline)
}

/// Four digits: what is behind them is noise, and would stand in every difference.
fn rounded(ratio: f64) -> f64 {
    format!("{ratio:.3e}").parse().unwrap_or(ratio)
}

fn rows(report: &Measured) -> impl Iterator<Item = &Row> {
    report.sections.iter().flat_map(|section| &section.rows)
}

/// The ratio of a row that is compared: one that is judged, and does not say how fast the machine is.
fn compared(report: &Measured, row: &Row) -> Result<Option<f64>> {
    let Some(ratio) = row.ratio else {
        return Ok(None);
    };
    if row.better == Better::Neither || row.absolute {
        return Ok(None);
    }
    if !ratio.is_finite() || ratio <= 0.0 {
        bail!(
            "{}: row `{}`: found the ratio {ratio}, expected a number above 0",
            report.bench,
            row.id
        );
    }
    Ok(Some(ratio))
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.worse.is_empty() {
            writeln!(
                out,
                "worse than committed:\n  {:<64} {:>9} {:>9} {:>9} {:>9}",
                "", "committed", "now", "change", "allowed"
            )?;
        }
        for Worse { row, was, is } in &self.worse {
            let change = (is / was.ratio - 1.0) * 100.0;
            let allowed = (was.limit() / was.ratio - 1.0) * 100.0;
            writeln!(
                out,
                "  {row:<64} {:>9.3} {is:>9.3} {change:>+8.1}% {allowed:>+8.1}%",
                was.ratio
            )?;
        }
        for (head, names) in [
            ("missing: committed, and not measured", &self.missing),
            (
                "new: measured, and not committed (`--accept` does)",
                &self.new,
            ),
        ] {
            if !names.is_empty() {
                writeln!(out, "{head}:")?;
            }
            for name in names {
                writeln!(out, "  {name}")?;
            }
        }
        if !self.missed.is_empty() {
            writeln!(out, "targets missed, whatever was committed:")?;
        }
        for (row, ratio, target) in &self.missed {
            let target = super::page::bound(*target);
            writeln!(out, "  {row:<64} {ratio:>9.3}   target {target}")?;
        }
        write!(
            out,
            "bench-check: {} kept, {} worse, {} missing, {} new, {} targets missed",
            self.kept,
            self.worse.len(),
            self.missing.len(),
            self.new.len(),
            self.missed.len()
        )
    }
}

#[cfg(test)]
mod tests;
