//! `cargo xtask bench-report` and `cargo xtask bench-check`: what the benches found out as a page, and against what
//! was committed.

mod baseline;
mod chart;
mod compare;
mod page;
mod place;
mod read;
mod run;
#[path = "../../../benches/src/shape.rs"]
#[allow(
    unreachable_pub,
    reason = "the text is shared with the library of the benches"
)]
mod shape;

use std::path::Path;

use anyhow::{Context, Result, bail};

use self::{
    baseline::Baseline,
    place::Place,
    read::{Bench, Measured},
};
use crate::workspace;

const PAGE: &str = "docs/benchmarks.md";
/// Plots, and what people wrote: of the latter nothing is touched.
const PLOTS: &str = "docs/benchmarks";
const BASELINE: &str = "benches/baseline.json";

/// Runs the benches, all or those that are named, and writes the page of all reports that are there.
pub(crate) fn report(only: &[String], no_run: bool) -> Result<()> {
    let places = place::all()?;
    let asked = named(&places, only)?;
    if !no_run {
        run::all(&places, &asked)?;
    }
    let benches = read::all(&places)?;
    if benches.iter().all(|bench| bench.report.is_none()) {
        bail!("no bench has left a report yet: leave `--no-run` away");
    }
    let page = page::render(&benches);
    let root = workspace::root();
    let folder = root.join(PLOTS);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    remove_plots(&folder)?;
    for (name, plot) in &page.plots {
        write(&folder.join(name), plot)?;
    }
    write(&root.join(PAGE), &page.text)?;
    println!(
        "{PAGE}: {} of {} benches, {} plots",
        benches.iter().filter(|one| one.report.is_some()).count(),
        benches.len(),
        page.plots.len()
    );
    Ok(())
}

/// Compares the ratios of the reports that are there with the committed ones, or commits to them.
pub(crate) fn check(only: &[String], accept: bool) -> Result<()> {
    let places = place::all()?;
    let asked = named(&places, only)?;
    let benches = read::all(&places)?;
    let benches: Vec<Bench> = benches
        .into_iter()
        .filter(|bench| asked.contains(&bench.name))
        .collect();
    let measured: Vec<&Measured> = benches
        .iter()
        .filter_map(|bench| bench.report.as_ref())
        .collect();
    let file = workspace::root().join(BASELINE);
    let kept = Baseline::read(&file)?;
    if accept {
        let next = compare::accepted(kept.unwrap_or_default(), &measured)?;
        write(&file, &next.text()?)?;
        println!(
            "{BASELINE}: {} ratios of {} benches",
            next.len(),
            next.benches.len()
        );
        return Ok(());
    }
    let Some(kept) = kept else {
        bail!("{BASELINE}: there is none yet: `cargo xtask bench-check --accept` writes it");
    };
    let outcome = compare::compare(&kept, &measured, only)?;
    println!("{outcome}");
    if outcome.failed() {
        bail!(
            "{} ratio(s) got worse, {} missing",
            outcome.worse.len(),
            outcome.missing.len()
        );
    }
    Ok(())
}

/// The benches that are asked for; for no name all of them.
fn named(places: &[Place], only: &[String]) -> Result<Vec<String>> {
    let known: Vec<String> = places
        .iter()
        .flat_map(|place| place.benches.clone())
        .collect();
    if let Some(unknown) = only.iter().find(|name| !known.contains(name)) {
        bail!(
            "found no bench `{unknown}`, expected one of: {}",
            known.join(", ")
        );
    }
    Ok(if only.is_empty() {
        known
    } else {
        only.to_vec()
    })
}

/// Plots of an earlier page; what somebody else has put there stays.
fn remove_plots(folder: &Path) -> Result<()> {
    for file in workspace::files(folder, "svg")? {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        if text.contains(chart::MARK) {
            std::fs::remove_file(&file)
                .with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
