//! `cargo xtask deny`: licences, bans, sources, and advisories where their database can be had.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{
    step::{self, succeeds, tool},
    workspace,
};

const MISSING: &str = "cargo-deny is not installed: `bash .ci/tools` puts the pinned one into target/ci-tools, or use \
                       `cargo install --locked cargo-deny`";

/// Runs `cargo deny`. Without an advisory database the other checks run, and that is said loudly.
pub(crate) fn run() -> Result<()> {
    let program = tool("cargo-deny").context(MISSING)?;
    let deny = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .current_dir(workspace::root())
            .env("GIT_TERMINAL_PROMPT", "0");
        command
    };
    step::run(&mut deny(&[
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))?;

    if succeeds(&mut deny(&["fetch", "db"])) {
        return step::run(&mut deny(&[
            "check",
            "--hide-inclusion-graph",
            "--disable-fetch",
            "advisories",
        ]));
    }
    if database_on_disk() {
        println!(
            "WARNING: the advisory database cannot be fetched; using the copy on disk, which may be old"
        );
        return step::run(&mut deny(&[
            "check",
            "--hide-inclusion-graph",
            "--disable-fetch",
            "advisories",
        ]));
    }
    println!("{NOT_CHECKED}");
    Ok(())
}

const NOT_CHECKED: &str = "
**************************************************************************************
WARNING: ADVISORIES WERE NOT CHECKED: no advisory database can be fetched from here, and
there is no copy on disk. Bans, licences and sources were checked and passed. Run
`cargo xtask deny` where the network is open before anything is released.
**************************************************************************************";

/// Whether cargo-deny left a copy of an advisory database in cargo's home.
fn database_on_disk() -> bool {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let databases = home.and_then(|home| std::fs::read_dir(home.join("advisory-dbs")).ok());
    databases.is_some_and(|list| {
        list.flatten()
            .any(|database| database.path().join("crates").is_dir())
    })
}
