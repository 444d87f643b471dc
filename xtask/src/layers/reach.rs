//! What a pure crate reaches through others when it is built alone, without its drivers.

use anyhow::{Context, Result, bail};

use super::{
    Finding,
    table::{Kind, TABLE, WORLD},
};
use crate::step::cargo;

/// Asks `cargo tree` for every pure crate.
pub(crate) fn check() -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for row in TABLE.iter().filter(|row| matches!(row.kind, Kind::Pure(_))) {
        findings.extend(judge(row.name, &tree(row.name)?));
    }
    Ok(findings)
}

/// Everything in a crate's tree that touches the world. `tree` has one package a line, its name first.
pub(crate) fn judge(name: &str, tree: &str) -> Vec<Finding> {
    let mut reached: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|package| WORLD.contains(package))
        .collect();
    reached.sort_unstable();
    reached.dedup();
    reached
        .into_iter()
        .map(|package| {
            let ask = format!("cargo tree -p {name} --no-default-features -e normal -i {package}");
            Finding::new(
                name,
                format!("is pure and reaches {package} (`{ask}` says how)"),
            )
        })
        .collect()
}

fn tree(name: &str) -> Result<String> {
    let output = cargo(&[
        "tree",
        "--package",
        name,
        "--no-default-features",
        "--edges",
        "normal",
    ])
    .args(["--target", "all", "--prefix", "none", "--format", "{p}"])
    .output()
    .context("cannot start `cargo tree`")?;
    if !output.status.success() {
        bail!(
            "`cargo tree --package {name}` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
