//! What each manifest imports, held against the table.

use anyhow::Result;
use cargo_metadata::{DependencyKind, Package};

use super::{
    Finding,
    table::{Driver, Kind, NOT_DIRECTLY, Row, TABLE, TESTKIT, WORLD},
};
use crate::workspace;

/// A package of the workspace, as far as the table speaks of it.
pub(crate) struct Crate {
    pub(crate) name: String,
    /// Its folder, relative to the root of the workspace.
    pub(crate) folder: String,
    pub(crate) imports: Vec<Import>,
    /// Its features, each with what it switches on.
    pub(crate) features: Vec<(String, Vec<String>)>,
}

/// One line of a dependency table.
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) kind: DependencyKind,
    pub(crate) optional: bool,
}

/// The packages of the workspace.
pub(crate) fn crates() -> Result<Vec<Crate>> {
    Ok(workspace::metadata()?
        .packages
        .into_iter()
        .map(Crate::from)
        .collect())
}

impl From<Package> for Crate {
    fn from(package: Package) -> Self {
        let root = workspace::root();
        let folder = package
            .manifest_path
            .parent()
            .map(|folder| folder.as_std_path())
            .unwrap_or(&root);
        Self {
            name: package.name.to_string(),
            folder: folder
                .strip_prefix(&root)
                .unwrap_or(folder)
                .to_string_lossy()
                .replace('\\', "/"),
            imports: package
                .dependencies
                .into_iter()
                .map(|import| Import {
                    name: import.name,
                    kind: import.kind,
                    optional: import.optional,
                })
                .collect(),
            features: package.features.into_iter().collect(),
        }
    }
}

/// Everything in these manifests that the table does not allow.
pub(crate) fn check(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in crates {
        match TABLE.iter().find(|row| row.name == one.name) {
            Some(row) => {
                findings.extend(ours(one, row));
                findings.extend(outside(one, row));
            }
            None => findings.push(Finding::new(&one.name, "is not in the table of crates")),
        }
    }
    findings
}

/// Imports of our own crates.
fn ours(one: &Crate, row: &Row) -> Vec<Finding> {
    let is_ours = |name: &str| TABLE.iter().any(|row| row.name == name);
    let mut findings = Vec::new();
    for import in one.imports.iter().filter(|import| is_ours(&import.name)) {
        let name = import.name.as_str();
        let shipped = row.may.contains(&name);
        match import.kind {
            DependencyKind::Development
                if shipped || row.tests_may.contains(&name) || name == TESTKIT => {}
            DependencyKind::Development => {
                findings.push(Finding::new(
                    &one.name,
                    format!("its tests may not import {name}"),
                ));
            }
            _ if shipped => {}
            _ => findings.push(Finding::new(
                &one.name,
                format!("may not import {name}; allowed: {}", list(row.may)),
            )),
        }
    }
    findings
}

/// Imports of crates that touch the world.
fn outside(one: &Crate, row: &Row) -> Vec<Finding> {
    let Kind::Pure(drivers) = row.kind else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for import in &one.imports {
        let name = import.name.as_str();
        if !WORLD.contains(&name) && !NOT_DIRECTLY.contains(&name) {
            continue;
        }
        let brought = drivers.iter().any(|driver| driver.brings.contains(&name));
        if import.kind == DependencyKind::Development {
            // Tests of a driver need its runtime, and a scratch folder is no secret door.
            if !drivers.is_empty() && (brought || name == "tempfile") {
                continue;
            }
            findings.push(Finding::new(
                &one.name,
                format!("is pure, and so are its tests: no {name}"),
            ));
        } else if !brought {
            findings.push(Finding::new(
                &one.name,
                format!("is pure and may not import {name}"),
            ));
        } else if !import.optional {
            findings.push(Finding::new(
                &one.name,
                format!(
                    "may import {name} for a driver only: make it optional, behind {}",
                    features(drivers)
                ),
            ));
        } else {
            findings.extend(switched_on(one, name, drivers));
        }
    }
    findings
}

/// A driver's dependency is switched on by its driver's feature and by no other.
fn switched_on(one: &Crate, name: &str, drivers: &[Driver]) -> Vec<Finding> {
    let switch = format!("dep:{name}");
    let right = |feature: &str| {
        drivers
            .iter()
            .any(|driver| driver.feature == feature && driver.brings.contains(&name))
    };
    one.features
        .iter()
        .filter(|(feature, switches)| switches.contains(&switch) && !right(feature))
        .map(|(feature, _)| {
            Finding::new(
                &one.name,
                format!("feature `{feature}` may not switch {name} on"),
            )
        })
        .collect()
}

fn features(drivers: &[Driver]) -> String {
    list(
        &drivers
            .iter()
            .map(|driver| driver.feature)
            .collect::<Vec<_>>(),
    )
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        "none of ours".to_owned()
    } else {
        names.join(", ")
    }
}
