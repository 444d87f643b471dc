//! `cargo xtask layers`: imports point down, and the pure crates are pure.
//!
//! The table of crates is [`table`]. Against it are held: what each manifest imports of ours and from outside
//! ([`imports`]), what a pure crate reaches through others ([`reach`]), how the manifests are made ([`manifests`]),
//! and what the pure crates' sources name ([`sources`]).

mod imports;
mod manifests;
mod reach;
mod sources;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use anyhow::{Result, bail};

/// One place where the workspace is not as the table says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The crate or file.
    place: String,
    /// What is wrong, and what would be right.
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.what)
    }
}

/// Checks everything and prints every finding before it fails.
pub(crate) fn run() -> Result<()> {
    let crates = imports::crates()?;
    let mut findings = imports::check(&crates);
    findings.extend(manifests::check(&crates)?);
    findings.extend(reach::check()?);
    findings.extend(sources::check()?);
    for finding in &findings {
        println!("layers: {finding}");
    }
    if !findings.is_empty() {
        bail!(
            "{} finding(s); the table is xtask/src/layers/table.rs",
            findings.len()
        );
    }
    println!("layers: {} crates stand where they should", crates.len());
    Ok(())
}
