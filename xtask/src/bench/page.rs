//! The page of all reports, with a table and a plot a section.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{
    chart::{Bar, Chart, Tone},
    read::{Bench, Measured},
    shape::{Better, Bound, Row, Section},
};

/// The page, and its plots by the names of their files.
pub(crate) struct Page {
    pub(crate) text: String,
    pub(crate) plots: Vec<(String, String)>,
}

const HEAD: &str = "# Benchmarks

Written by `cargo xtask bench-report` from what the benches left behind: what is changed here by hand is lost. What people
found out is in [What was tried](#what-was-tried), a file of its own.
";

const HOW: &str = "
## How it is measured

A ratio sets a figure beside the limit or the peer that its table names. Both were measured in the same run, in turn,
round after round after one that does not count, and the median of each is what is shown: what disturbs the machine
meanwhile disturbs all of them. So ratios can be compared with those of another run; the values beside them say how fast
this one machine was. Where a ratio is *to the target*, the target is a figure, not a ratio, and is meant for a machine
of this class. Work of one thread that waits for nothing is measured in processor time, all else by the clock on the wall.

`cargo bench -- NAME` runs one bench, `cargo xtask bench-report` all of them, those of the peers too, and
`cargo xtask bench-check` holds their ratios against the committed ones (`benches/baseline.json`).
";

const TRIED: &str = "
## What was tried

What was expected of a change, what came of it, and whether it was kept: [benchmarks/tried.md](benchmarks/tried.md).
Where the time goes, and how to see it: [benchmarks/profiling.md](benchmarks/profiling.md).
";

/// Renders everything.
pub(crate) fn render(benches: &[Bench]) -> Page {
    let mut page = Page {
        text: HEAD.to_owned(),
        plots: Vec::new(),
    };
    let machines: BTreeSet<&str> = reports(benches)
        .map(|report| report.machine.as_str())
        .collect();
    for machine in &machines {
        let _ = writeln!(page.text, "\n**Measured on:** {}.", cell(machine));
    }
    page.text.push_str(HOW);
    page.text.push_str(&targets(benches));
    page.text.push_str(TRIED);
    for bench in benches {
        let _ = writeln!(page.text, "\n## {}", bench.name);
        let Some(report) = &bench.report else {
            let _ = writeln!(
                page.text,
                "\nIt was not run, so there are no figures of it here."
            );
            continue;
        };
        let _ = write!(page.text, "\nRun on {}", date(report.began));
        if machines.len() > 1 {
            let _ = write!(page.text, ", on {}", cell(&report.machine));
        }
        page.text.push_str(".\n");
        for section in &report.sections {
            page.section(report, section);
        }
    }
    page
}

fn reports(benches: &[Bench]) -> impl Iterator<Item = &Measured> {
    benches.iter().filter_map(|bench| bench.report.as_ref())
}

/// How many targets are met, and which are not.
fn targets(benches: &[Bench]) -> String {
    let (mut met, mut missed) = (0_usize, String::new());
    for report in reports(benches) {
        let sections = report.sections.iter();
        let rows = sections.flat_map(|section| section.rows.iter().map(move |row| (section, row)));
        for (section, row) in rows {
            match (row.target, row.ratio) {
                (Some(target), Some(ratio)) if !target.is_met(ratio) => {
                    let _ = writeln!(
                        missed,
                        "| {} | {}: {} | {} | {} |",
                        report.bench,
                        cell(&section.title),
                        cell(&row.what),
                        figure(ratio),
                        bound(target)
                    );
                }
                (Some(_), Some(_)) => met = met.saturating_add(1),
                _ => {}
            }
        }
    }
    let mut out = format!("\n## Targets\n\nMet: {met}.");
    if missed.is_empty() {
        out.push_str(" Missed: none.\n");
    } else {
        out.push_str(" Missed:\n\n| bench | | ratio | target |\n| --- | --- | ---: | --- |\n");
        out.push_str(&missed);
    }
    let not_run: Vec<&str> = benches
        .iter()
        .filter(|bench| bench.report.is_none())
        .map(|bench| bench.name.as_str())
        .collect();
    if !not_run.is_empty() {
        let _ = writeln!(out, "\nNot run, and so not judged: {}.", not_run.join(", "));
    }
    out
}

impl Page {
    fn section(&mut self, report: &Measured, section: &Section) {
        let against = if section.against.is_empty() {
            "ratio".to_owned()
        } else {
            format!("ratio to {}", section.against)
        };
        let _ = write!(
            self.text,
            "\n### {}\n\n| | value | {} | target | |\n| --- | ---: | ---: | --- | --- |\n",
            cell(&section.title),
            cell(&against)
        );
        for row in &section.rows {
            let aside = match row.aside.as_str() {
                "" => String::new(),
                aside => format!(" ({})", cell(aside)),
            };
            let (target, verdict) = match (row.target, row.ratio) {
                (Some(target), Some(ratio)) if target.is_met(ratio) => (bound(target), "met"),
                (Some(target), Some(_)) => (bound(target), "**missed**"),
                _ => (String::new(), ""),
            };
            let _ = writeln!(
                self.text,
                "| {} | {} {}{aside} | {} | {target} | {verdict} |",
                cell(&row.what),
                grouped(row.value),
                cell(&row.unit),
                row.ratio.map(figure).unwrap_or_default()
            );
        }
        let Some(chart) = chart(section, &against) else {
            return;
        };
        let name = self.name(&format!("{} {}", report.bench, section.title));
        let words = chart.words().replace(['[', ']'], "");
        let _ = writeln!(self.text, "\n![{}](benchmarks/{name})", cell(&words));
        self.plots.push((name, chart.svg()));
    }

    /// The file of a plot: from its title, and one for each.
    fn name(&self, title: &str) -> String {
        let letters = title.to_lowercase();
        let words = letters.split(|letter: char| !letter.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let slug: String = words.join("-").chars().take(60).collect();
        let slug = slug.trim_end_matches('-');
        let free = |name: &String| !self.plots.iter().any(|(taken, _)| taken == name);
        let names = std::iter::once(format!("{slug}.svg"));
        let mut names = names.chain((2_u32..).map(|n| format!("{slug}-{n}.svg")));
        names.find(free).unwrap_or_default()
    }
}

/// In front of what is better the shorter its bar.
const LESS: char = '↓';

/// Bars of the ratios or, where there are not two, of the values that have one unit; of less no plot.
fn chart(section: &Section, against: &str) -> Option<Chart> {
    let with_ratio = |row: &&Row| row.ratio.is_some();
    let (rows, axis): (Vec<&Row>, &str) = match section.rows.iter().filter(with_ratio).count() {
        0 | 1 => {
            let unit = &section.rows.first()?.unit;
            let same = section.rows.iter().filter(|row| row.unit == *unit);
            (same.collect(), unit)
        }
        _ => (section.rows.iter().filter(with_ratio).collect(), against),
    };
    let ratios = axis == against;
    let bars: Vec<Bar> = rows
        .into_iter()
        .map(|row| Bar {
            label: match row.better {
                Better::Lower if ratios => format!("{LESS} {}", row.what),
                _ => row.what.clone(),
            },
            value: if ratios {
                row.ratio.unwrap_or_default()
            } else {
                row.value
            },
            shown: if ratios {
                row.ratio.map(figure).unwrap_or_default()
            } else {
                format!("{} {}", grouped(row.value), row.unit)
            },
            target: row.target.filter(|_| ratios).map(|target| match target {
                Bound::AtLeast(bound) | Bound::AtMost(bound) => bound,
            }),
            tone: match (row.target, row.ratio) {
                (Some(target), Some(ratio)) if !target.is_met(ratio) => Tone::Missed,
                _ if row.better == Better::Neither => Tone::Beside,
                _ => Tone::Good,
            },
        })
        .collect();
    let less = bars.iter().any(|bar| bar.label.starts_with(LESS));
    (bars.len() > 1).then(|| Chart {
        title: section.title.clone(),
        axis: if less {
            format!("{axis}; {LESS} less is better")
        } else {
            axis.to_owned()
        },
        bars,
    })
}

/// A target as people read it.
pub(crate) fn bound(target: Bound) -> String {
    match target {
        Bound::AtLeast(least) => format!("≥ {least:.2}"),
        Bound::AtMost(most) => format!("≤ {most:.2}"),
    }
}

/// Two digits behind the point, or as many as say something.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.01 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    }
}

/// The same with the thousands apart.
fn grouped(value: f64) -> String {
    let text = figure(value);
    let digits = text.trim_start_matches('-');
    if digits.len() <= 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return text;
    }
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && digits.len().saturating_sub(n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0.0 { format!("-{out}") } else { out }
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace(['\n', '\r'], " ")
}

/// Of seconds since 1970: day and minute, in universal time.
fn date(seconds: u64) -> String {
    // Years are counted from March, so that the day of a leap year is the last of its year.
    let days = (seconds / 86_400).saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute) = (seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{year}-{month:02}-{day:02}, {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests;
