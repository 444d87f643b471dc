//! Figures beside their limits: printed as they come, written as JSON at the end.
//!
//! The file is `bench/NAME.json` in the target directory of the bench that wrote it. `cargo xtask
//! bench-report` renders all of them, `cargo xtask bench-check` compares their ratios with the
//! committed ones.

use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::asked::Asked;
use crate::shape::{Better, Bound, Report, Row, Section, VERSION};

impl Row {
    /// A limit, a peer, or another figure that is not judged.
    pub fn shown(id: impl Into<String>, what: impl Into<String>, value: f64, unit: &str) -> Self {
        Row {
            id: id.into(),
            what: what.into(),
            value,
            unit: unit.to_owned(),
            aside: String::new(),
            ratio: None,
            better: Better::Neither,
            target: None,
            absolute: false,
        }
    }

    /// The same with a ratio.
    #[must_use]
    pub fn ratio(self, ratio: f64, better: Better) -> Self {
        Row {
            ratio: Some(ratio),
            better,
            ..self
        }
    }

    /// The same with a ratio that has to be at least so much.
    #[must_use]
    pub fn at_least(self, ratio: f64, least: f64) -> Self {
        let target = Some(Bound::AtLeast(least));
        let row = self.ratio(ratio, Better::Higher);
        Row { target, ..row }
    }

    /// The same with a ratio that may be at most so much.
    #[must_use]
    pub fn at_most(self, ratio: f64, most: f64) -> Self {
        let target = Some(Bound::AtMost(most));
        let row = self.ratio(ratio, Better::Lower);
        Row { target, ..row }
    }

    /// The same with a value that has to be at least so much on this class of machine; the ratio is
    /// to that.
    #[must_use]
    pub fn reaches(self, least: f64) -> Self {
        let row = self.absolute();
        let ratio = row.value / least;
        row.at_least(ratio, 1.0)
    }

    /// The same with a value that may be at most so much on this class of machine; the ratio is to
    /// that.
    #[must_use]
    pub fn stays_within(self, most: f64) -> Self {
        let row = self.absolute();
        let ratio = row.value / most;
        row.at_most(ratio, 1.0)
    }

    /// The same with a ratio that is to a target, not to a limit or a peer of the same run.
    #[must_use]
    pub fn absolute(self) -> Self {
        Row {
            absolute: true,
            ..self
        }
    }

    /// The same with something else to be said of it.
    #[must_use]
    pub fn aside(self, aside: impl Into<String>) -> Self {
        let aside = aside.into();
        Row { aside, ..self }
    }
}

impl Report {
    /// Of this bench, on this machine.
    pub fn new(bench: &str) -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH);
        Report {
            version: VERSION,
            bench: bench.to_owned(),
            machine: machine(),
            began: began.map_or(0, |since| since.as_secs()),
            sections: Vec::new(),
        }
    }

    /// Begins a section, and prints its head.
    pub fn section(&mut self, title: impl Into<String>, against: &str) {
        let title = title.into();
        println!("\n{title}");
        println!("  {:<56} {:>22}   {:>7}   target", "", "median", "ratio to");
        println!("  {:<56} {:>22}   {against}", "", "");
        self.sections.push(Section {
            title,
            against: against.to_owned(),
            rows: Vec::new(),
        });
    }

    /// Prints a row, and keeps it.
    pub fn row(&mut self, row: Row) {
        println!("  {}", line(&row));
        match self.sections.last_mut() {
            Some(section) => section.rows.push(row),
            None => self.sections.push(Section {
                title: self.bench.clone(),
                against: String::new(),
                rows: vec![row],
            }),
        }
    }

    /// Writes the file, and prints where it is. Under `--test` nothing is written: those figures
    /// say only that the bench runs.
    ///
    /// # Errors
    /// It cannot be written, or a figure is none.
    pub fn finish(&self) -> io::Result<()> {
        if Asked::of_command_line().is_test() {
            println!("\nnot written: this was a test");
            return Ok(());
        }
        self.check()?;
        let dir = directory()?;
        std::fs::create_dir_all(&dir)?;
        let path = dir.join(format!("{}.json", self.bench));
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(&path, text)?;
        println!("\nwritten to {}", path.display());
        Ok(())
    }

    /// Every figure has to be a number.
    fn check(&self) -> io::Result<()> {
        for row in self.sections.iter().flat_map(|section| &section.rows) {
            let figures = [Some(row.value), row.ratio];
            if let Some(odd) = figures.into_iter().flatten().find(|f| !f.is_finite()) {
                let id = &row.id;
                return Err(io::Error::other(format!(
                    "{id}: found {odd}, expected a number"
                )));
            }
        }
        Ok(())
    }
}

fn line(row: &Row) -> String {
    let aside = match row.aside.as_str() {
        "" => String::new(),
        aside => format!(" ({aside})"),
    };
    let figure = format!("{} {}{aside}", figure(row.value), row.unit);
    let ratio = row
        .ratio
        .map_or(String::new(), |ratio| format!("{ratio:.2}"));
    let target = match (row.target, row.ratio) {
        (Some(target), Some(ratio)) => {
            let said = match target {
                Bound::AtLeast(least) => format!(">= {least:.2}"),
                Bound::AtMost(most) => format!("<= {most:.2}"),
            };
            let verdict = if target.is_met(ratio) { "" } else { "  MISSED" };
            format!("{said}{verdict}")
        }
        _ => String::new(),
    };
    let line = format!("{:<56} {figure:>22}   {ratio:>7}   {target}", row.what);
    line.trim_end().to_owned()
}

/// Three digits or more.
fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// `bench` in the target directory of the running bench.
pub(crate) fn directory() -> io::Result<PathBuf> {
    // target/release/deps/NAME-HASH
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3);
    let target = target.ok_or_else(|| io::Error::other("a bench outside of a target directory"))?;
    Ok(target.join("bench"))
}

/// In one line: figures of two machines are not to be compared.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let system = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} cores of {}, {} {}",
        model.unwrap_or("an unknown processor").trim(),
        std::env::consts::OS,
        system.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_comes_back_from_its_file_as_it_was() -> serde_json::Result<()> {
        let mut report = Report::new("some");
        report.section("in memory", "raw AEAD");
        let row = Row::shown("memory/1KiB", "1 KiB", 1042.5, "ns");
        report.row(row.clone().aside("p99 2 us").at_least(0.953, 0.92));
        report.row(row.clone().at_most(3.0, 2.5));
        report.row(row);
        let text = serde_json::to_string(&report)?;
        assert_eq!(serde_json::from_str::<Report>(&text)?, report);
        assert!(serde_json::from_str::<Report>(&text.replace("against", "beside")).is_err());
        Ok(())
    }

    #[test]
    fn a_figure_of_this_machine_is_set_against_its_target() {
        let row = Row::shown("a", "sends", 30_000.0, "messages/s");
        let row = row.reaches(25_000.0);
        assert_eq!((row.ratio, row.absolute), (Some(1.2), true));
        assert_eq!(row.target, Some(Bound::AtLeast(1.0)));
        let row = Row::shown("b", "memory", 96.0, "MiB").stays_within(64.0);
        assert!(line(&row).ends_with("MISSED"), "{}", line(&row));
    }

    #[test]
    fn what_is_no_number_is_not_written() {
        let mut report = Report::new("some");
        report.row(Row::shown("a", "cores", f64::NAN, ""));
        let error = report.check().map_err(|error| error.to_string());
        assert_eq!(error, Err("a: found NaN, expected a number".to_owned()));
    }

    #[test]
    fn a_target_that_is_missed_is_said() {
        let row = Row::shown("a", "1 KiB", 1042.5, "ns");
        assert_eq!(
            line(&row.clone().at_most(3.0, 2.5))
                .split_whitespace()
                .last(),
            Some("MISSED")
        );
        assert!(!line(&row.at_least(0.95, 0.92)).contains("MISSED"));
        assert_eq!(
            [0.034, 3.456, 34.56, 345.6, 34_567.8].map(figure),
            ["0.03", "3.46", "34.6", "346", "34568"]
        );
    }
}
