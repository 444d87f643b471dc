//! How the manifests are made: folders, benches, lints, and versions that stand once.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Finding, imports::Crate};
use crate::workspace;

/// Reads every manifest of the workspace.
pub(crate) fn check(crates: &[Crate]) -> Result<Vec<Finding>> {
    let mut findings = root(&read("Cargo.toml")?);
    for one in crates {
        let file = format!("{}/Cargo.toml", one.folder);
        findings.extend(folder(one));
        findings.extend(package(&file, &read(&file)?));
    }
    Ok(findings)
}

fn read(file: &str) -> Result<Table> {
    let text = std::fs::read_to_string(workspace::root().join(file))
        .with_context(|| format!("cannot read {file}"))?;
    text.parse().with_context(|| format!("cannot parse {file}"))
}

/// The root manifest is virtual.
pub(crate) fn root(manifest: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    if manifest.contains_key("package") {
        findings.push(Finding::new(
            "Cargo.toml",
            "the root manifest is virtual: no [package]",
        ));
    }
    if !manifest.contains_key("workspace") {
        findings.push(Finding::new(
            "Cargo.toml",
            "the root manifest has a [workspace]",
        ));
    }
    findings
}

/// `crates/` and `bins/` are flat, and a folder has the name of its crate.
pub(crate) fn folder(one: &Crate) -> Vec<Finding> {
    let right = match one.folder.split_once('/') {
        Some(("crates" | "bins", rest)) => rest == one.name,
        Some(_) => false,
        None => matches!(one.folder.as_str(), "benches" | "xtask"),
    };
    if right {
        Vec::new()
    } else {
        vec![Finding::new(
            &one.name,
            format!("stands in `{}`", one.folder),
        )]
    }
}

/// One package: `bench = false` on its library and binaries, the workspace's lints, no version of its own.
pub(crate) fn package(file: &str, manifest: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let libraries = manifest.get("lib").into_iter();
    let binaries = manifest
        .get("bin")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let targets: Vec<&Value> = libraries.chain(binaries).collect();
    if targets.is_empty() {
        findings.push(Finding::new(
            file,
            "has no [lib] or [[bin]] with `bench = false`",
        ));
    }
    if targets
        .iter()
        .any(|target| target.get("bench") != Some(&Value::Boolean(false)))
    {
        findings.push(Finding::new(
            file,
            "libraries and binaries set `bench = false`",
        ));
    }
    if manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        != Some(&Value::Boolean(true))
    {
        findings.push(Finding::new(
            file,
            "takes the lints of the workspace: [lints] workspace = true",
        ));
    }
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (name, line) in manifest
            .get(table)
            .and_then(Value::as_table)
            .into_iter()
            .flatten()
        {
            if line.get("workspace") != Some(&Value::Boolean(true)) {
                findings.push(Finding::new(
                    file,
                    format!(
                        "{table}: {name} names a version; versions stand once, in the root manifest"
                    ),
                ));
            }
        }
    }
    findings
}
