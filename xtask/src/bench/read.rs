//! Reading the reports that benches left behind.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result, bail, ensure};

use super::{
    place::Place,
    shape::{Better, Report, Row, VERSION},
};
use crate::workspace;

/// A report that was checked: of a bench that is there, each row named once, each figure a number.
pub(crate) type Measured = Report;

/// A bench, and what it found out if it was run.
pub(crate) struct Bench {
    pub(crate) name: String,
    pub(crate) report: Option<Measured>,
}

/// All benches, in the order of their manifests.
pub(crate) fn all(places: &[Place]) -> Result<Vec<Bench>> {
    let mut benches: Vec<Bench> = Vec::new();
    for place in places {
        for name in &place.benches {
            ensure!(
                !benches.iter().any(|bench| bench.name == *name),
                "found two benches named `{name}`, expected one: their reports would be one file"
            );
            benches.push(Bench {
                name: name.clone(),
                report: None,
            });
        }
        for file in workspace::files(&place.reports, "json")? {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let report = parse(&file, &text)?;
            match benches.iter_mut().find(|bench| bench.name == report.bench) {
                Some(bench) => bench.report = Some(report),
                None => println!(
                    "{}: left out, there is no bench of that name any more",
                    file.display()
                ),
            }
        }
    }
    Ok(benches)
}

/// A report of the text of a file.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Measured> {
    let report = checked(file, text);
    report.with_context(|| format!("{}: not the report of a bench", file.display()))
}

fn checked(file: &Path, text: &str) -> Result<Measured> {
    let report: Report =
        serde_json::from_str(text).context("expected JSON as benches/src/shape.rs has it")?;
    ensure!(
        report.version == VERSION,
        "found version {}, expected {VERSION}",
        report.version
    );
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    ensure!(
        report.bench == stem,
        "found the bench `{}`, expected `{stem}` as the file is named",
        report.bench
    );
    let mut seen = BTreeSet::new();
    for row in report.sections.iter().flat_map(|section| &section.rows) {
        row_is_sound(row)?;
        ensure!(
            seen.insert(row.id.as_str()),
            "found the row `{}` twice, expected it once",
            row.id
        );
    }
    Ok(report)
}

fn row_is_sound(row: &Row) -> Result<()> {
    let id = &row.id;
    ensure!(
        row.value.is_finite(),
        "row `{id}`: found the value {}, expected a number",
        row.value
    );
    match row.ratio {
        Some(ratio) if !ratio.is_finite() || ratio < 0.0 => {
            bail!("row `{id}`: found the ratio {ratio}, expected a number that is not below 0")
        }
        None if row.better != Better::Neither || row.target.is_some() => {
            bail!("row `{id}`: found no ratio, expected one: it is judged")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"version":1,"bench":"some","machine":"m","began":0,"sections":[{"title":"t",
        "against":"raw","rows":[{"id":"a","what":"A","value":1.5,"unit":"us","ratio":0.9,
        "better":"higher","target":{"at_least":0.8}}]}]}"#;

    fn error(text: &str) -> String {
        match parse(Path::new("target/bench/some.json"), text) {
            Ok(report) => format!("{report:?}"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_report_is_read() {
        let report = parse(Path::new("some.json"), GOOD).unwrap();
        assert_eq!(report.sections[0].rows[0].ratio, Some(0.9));
    }

    #[test]
    fn what_is_no_report_is_named_with_what_was_found_and_expected() {
        for (from, to, said) in [
            (GOOD, "[]", "invalid length 0, expected struct Report"),
            (GOOD, "not json", "expected"),
            (
                "\"version\":1",
                "\"version\":7",
                "found version 7, expected 1",
            ),
            (
                "\"some\"",
                "\"other\"",
                "found the bench `other`, expected `some`",
            ),
            ("\"against\"", "\"beside\"", "unknown field `beside`"),
            ("1.5", "null", "invalid type: null, expected f64"),
            ("\"ratio\":0.9", "\"ratio\":null", "row `a`: found no ratio"),
            (
                "\"ratio\":0.9",
                "\"ratio\":-1",
                "row `a`: found the ratio -1",
            ),
        ] {
            let error = error(&GOOD.replace(from, to));
            assert!(error.contains(said), "{to}: {error}");
            assert!(error.starts_with("target/bench/some.json: not the report"));
        }
    }

    #[test]
    fn a_row_has_its_name_for_itself() {
        let row = &GOOD[GOOD.find("{\"id\"").unwrap()..GOOD.rfind("]}]").unwrap()];
        let twice = GOOD.replace(row, &format!("{row},{row}"));
        assert!(error(&twice).contains("found the row `a` twice"));
    }
}
