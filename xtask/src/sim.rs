//! `cargo xtask sim`: whole nodes over the simulated network, seed after seed.

use anyhow::{Result, bail};

use crate::{
    step::{self, cargo},
    workspace,
};

/// Seeds of a quick look.
pub(crate) const SHORT: u32 = 300;

/// Seeds of the run before an issue is called done.
pub(crate) const LONG: u32 = 20_000;

/// The name that a simulation test has wherever it lives.
const TEST: &str = "sim";

/// Runs the simulation tests, optimised, over `seeds` seeds or over the one that a failure printed.
pub(crate) fn run(seeds: u32, seed: Option<u64>) -> Result<()> {
    let packages = packages()?;
    if packages.is_empty() {
        bail!("no package has an integration test named `{TEST}`");
    }
    for package in packages {
        let mut command = cargo(&[
            "test",
            "--locked",
            "--release",
            "-p",
            &package,
            "--test",
            TEST,
        ]);
        match seed {
            Some(seed) => command.env("SKYCHAT_SEED", seed.to_string()),
            None => command.env("SKYCHAT_SIM_SEEDS", seeds.to_string()),
        };
        step::run(command.args(["--", "--nocapture"]))?;
    }
    Ok(())
}

fn packages() -> Result<Vec<String>> {
    let metadata = workspace::metadata()?;
    let has_test = |package: &&cargo_metadata::Package| {
        package
            .targets
            .iter()
            .any(|target| target.is_test() && target.name == TEST)
    };
    Ok(metadata
        .packages
        .iter()
        .filter(has_test)
        .map(|package| package.name.to_string())
        .collect())
}
