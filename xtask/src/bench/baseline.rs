//! The committed ratios.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::shape::{Better, Row};

const VERSION: u32 = 1;

/// How much worse a ratio may get.
const TOLERANCE: f64 = 0.15;
/// The same for 99th percentiles, which move by themselves.
const TOLERANCE_OF_TAILS: f64 = 0.5;

/// What was committed of one ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) ratio: f64,
    pub(crate) better: Better,
    /// As a share of the ratio, above 0 and below 1. Hand-made ones are kept.
    pub(crate) tolerance: f64,
}

impl Kept {
    /// The ratio from which on it is too bad.
    pub(crate) fn limit(&self) -> f64 {
        match self.better {
            Better::Lower => self.ratio * (1.0 + self.tolerance),
            _ => self.ratio * (1.0 - self.tolerance),
        }
    }

    pub(crate) fn is_worse(&self, ratio: f64) -> bool {
        match self.better {
            Better::Lower => ratio > self.limit(),
            _ => ratio < self.limit(),
        }
    }
}

/// How much a row may get worse unless somebody has said otherwise.
pub(crate) fn usual_tolerance(row: &Row) -> f64 {
    let tail = [&row.id, &row.what].iter().any(|text| text.contains("p99"));
    if tail { TOLERANCE_OF_TAILS } else { TOLERANCE }
}

/// The committed ratios, by bench and by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    version: u32,
    pub(crate) benches: BTreeMap<String, BTreeMap<String, Kept>>,
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            version: VERSION,
            benches: BTreeMap::new(),
        }
    }
}

impl Baseline {
    /// What the file says; `None`: there is no file.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let read = Self::parse(&text);
        read.map(Some)
            .with_context(|| format!("{}: not a baseline", file.display()))
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let read: Self = serde_json::from_str(text)
            .context("expected JSON as `cargo xtask bench-check --accept` writes it")?;
        ensure!(
            read.version == VERSION,
            "found version {}, expected {VERSION}",
            read.version
        );
        for (bench, rows) in &read.benches {
            for (id, kept) in rows {
                let (ratio, tolerance) = (kept.ratio, kept.tolerance);
                ensure!(
                    ratio.is_finite() && ratio > 0.0,
                    "{bench}, row `{id}`: found the ratio {ratio}, expected a number above 0"
                );
                ensure!(
                    tolerance > 0.0 && tolerance < 1.0,
                    "{bench}, row `{id}`: found the tolerance {tolerance}, expected one between 0 and 1"
                );
                ensure!(
                    kept.better != Better::Neither,
                    "{bench}, row `{id}`: found `neither`, expected `higher` or `lower`"
                );
            }
        }
        Ok(read)
    }

    /// How it stands in its file.
    pub(crate) fn text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).context("the baseline cannot be written")?;
        Ok(text + "\n")
    }

    /// How many ratios it has.
    pub(crate) fn len(&self) -> usize {
        self.benches.values().map(BTreeMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"version":1,"benches":{"some":{"a":
        {"ratio":0.9,"better":"higher","tolerance":0.15}}}}"#;

    #[test]
    fn a_baseline_comes_back_as_it_was() {
        let read = Baseline::parse(GOOD).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(Baseline::parse(&read.text().unwrap()).unwrap(), read);
    }

    #[test]
    fn what_cannot_be_compared_is_refused_by_name() {
        for (from, to, said) in [
            (
                "0.9",
                "0",
                "some, row `a`: found the ratio 0, expected a number above 0",
            ),
            ("0.9", "null", "invalid type: null, expected f64"),
            ("0.9", "NaN", "expected value"),
            (
                "0.15",
                "1",
                "some, row `a`: found the tolerance 1, expected one between 0 and 1",
            ),
            (
                "higher",
                "neither",
                "some, row `a`: found `neither`, expected `higher` or `lower`",
            ),
            (
                "\"version\":1",
                "\"version\":2",
                "found version 2, expected 1",
            ),
        ] {
            let error = format!(
                "{:#}",
                Baseline::parse(&GOOD.replace(from, to)).unwrap_err()
            );
            assert!(error.contains(said), "{to}: {error}");
        }
    }

    #[test]
    fn no_file_is_no_baseline_and_another_file_is_named() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(
            Baseline::read(&here.join("no-such.json"))
                .unwrap()
                .is_none()
        );
        let error = Baseline::read(&here.join("Cargo.toml")).unwrap_err();
        assert!(format!("{error:#}").contains("Cargo.toml: not a baseline"));
    }
}
