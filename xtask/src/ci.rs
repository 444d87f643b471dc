//! `cargo xtask ci`: what every change has to pass.

use anyhow::Result;

use crate::{
    deny, docs, layers,
    step::{self, Steps, cargo},
    torture,
};

/// Runs all steps and prints what each took.
pub(crate) fn run(skip_tests: bool) -> Result<()> {
    let mut steps = Steps::default();
    all(&mut steps, skip_tests)?;
    steps.finish("ci");
    if skip_tests {
        println!("`cargo test --workspace` was left out, as asked");
    }
    Ok(())
}

/// The steps, cheap ones first.
pub(crate) fn all(steps: &mut Steps, skip_tests: bool) -> Result<()> {
    steps.step("fmt", || {
        step::run(&mut cargo(&["fmt", "--all", "--check"]))
    })?;
    steps.step("layers", layers::run)?;
    steps.step("docs", docs::run)?;
    steps.step("deny", deny::run)?;
    steps.step("lock files", lock_files)?;
    steps.step("clippy", || {
        step::run(&mut cargo(&[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    if !skip_tests {
        steps.step("test", || {
            step::run(&mut cargo(&["test", "--locked", "--workspace"]))
        })?;
    }
    steps.step("torture", torture::short)?;
    steps.step("rustdoc", || {
        step::run(
            cargo(&["doc", "--locked", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    })
}

/// The workspaces beside the main one are not built here. What a change of features or
/// dependencies breaks first is that their lock files no longer fit.
fn lock_files() -> Result<()> {
    for manifest in ["benches/peers/Cargo.toml", "fuzz/Cargo.toml"] {
        step::run(&mut cargo(&[
            "update",
            "--quiet",
            "--workspace",
            "--locked",
            "--manifest-path",
            manifest,
        ]))?;
    }
    Ok(())
}
