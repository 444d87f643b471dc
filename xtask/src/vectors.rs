//! `cargo xtask vectors`: the only way golden vectors are rewritten.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    step::{self, cargo},
    workspace,
};

/// A test that finds this variable set writes its vectors instead of comparing with them.
const WRITE: &str = "SKYCHAT_WRITE_VECTORS";

/// Rewrites the vectors of every package that has some, checks that they read back, and shows what changed.
pub(crate) fn run() -> Result<()> {
    let packages = packages()?;
    if packages.is_empty() {
        bail!("no test mentions {WRITE}");
    }
    let mut arguments = vec!["test", "--locked", "--no-fail-fast"];
    arguments.extend(packages.iter().flat_map(|package| ["-p", package]));
    step::run(cargo(&arguments).env(WRITE, "1"))?;
    step::run(cargo(&arguments).env_remove(WRITE))?;
    println!("\nvectors that changed (read every one of them before it is committed):");
    let mut git = Command::new("git");
    step::run(
        git.args(["status", "--short", "--", "*/vectors/*"])
            .current_dir(workspace::root()),
    )
}

/// Packages whose sources or tests honour the variable.
fn packages() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for package in workspace::metadata()?.packages {
        let folder = package
            .manifest_path
            .parent()
            .map(|folder| folder.as_std_path().to_owned())
            .unwrap_or_default();
        if package.name == env!("CARGO_PKG_NAME") {
            continue;
        }
        let sources = workspace::files(&folder.join("src"), "rs")?.into_iter();
        for file in sources.chain(workspace::files(&folder.join("tests"), "rs")?) {
            if std::fs::read_to_string(&file)?.contains(WRITE) {
                found.push(package.name.to_string());
                break;
            }
        }
    }
    Ok(found)
}
