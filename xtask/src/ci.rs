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
