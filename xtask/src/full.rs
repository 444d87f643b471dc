//! `cargo xtask full`: what has to pass before an issue is called done.

use anyhow::{Result, bail};

use crate::{
    ci, sim,
    step::{self, Steps, cargo},
    torture, workspace,
};

/// A crate alone, with fewer or more features than the workspace build gives it.
const COMBINATIONS: &[(&str, &[&str])] = &[
    ("skychat-transport", &["--no-default-features"]),
    (
        "skychat-transport",
        &["--no-default-features", "--features", "aws-lc"],
    ),
    (
        "skychat-transport",
        &["--no-default-features", "--features", "tcp"],
    ),
    ("skychat-transport", &["--features", "aws-lc"]),
    ("skychat-identity", &[]),
    ("skychat-identity", &["--features", "aws-lc"]),
    ("skychat-seal", &[]),
    ("skychat-seal", &["--features", "aws-lc"]),
    ("skychat-store", &["--no-default-features"]),
    (
        "skychat-store",
        &["--no-default-features", "--features", "driver"],
    ),
    ("skychat-core", &["--no-default-features"]),
];

/// Data directories that are damaged: 100 cuts and 500 changed bytes.
const DAMAGED: u32 = 600;

/// Runs `ci`, then everything that is too long for every change.
pub(crate) fn run(seeds: u32) -> Result<()> {
    let mut steps = Steps::default();
    ci::all(&mut steps, false)?;
    for (package, features) in COMBINATIONS {
        let name = format!("features: {package} {}", features.join(" "));
        steps.step(&name, || {
            let mut command = cargo(&["clippy", "--locked", "-p", package]);
            step::run(command.args(*features).args(["--", "-D", "warnings"]))
        })?;
    }
    // Beside what `.cargo/config.toml` asks for: what a program has that does not, on processors of every age.
    let backends: &[&str] = match cfg!(target_arch = "x86_64") {
        true => &["serial", "simd"],
        false => &["serial"],
    };
    for backend in backends {
        steps.step(&format!("keys and signatures, {backend}"), || {
            let mut command = cargo(&["test", "--locked", "-p", "skychat-identity"]);
            let flag = format!("--cfg curve25519_dalek_backend=\"{backend}\"");
            step::run(command.env("RUSTFLAGS", flag))
        })?;
    }
    steps.step("fuzz targets", fuzz)?;
    steps.step("benches compile", || {
        step::run(&mut cargo(&[
            "bench",
            "--locked",
            "--workspace",
            "--no-run",
        ]))
    })?;
    // A workspace of its own, with a lock file of its own.
    steps.step("benches beside the peers compile", || {
        step::run(&mut cargo(&[
            "bench",
            "--no-run",
            "--locked",
            "--manifest-path",
            "benches/peers/Cargo.toml",
        ]))
    })?;
    steps.step(&format!("simulation, {seeds} seeds"), || {
        sim::run(seeds, None)
    })?;
    steps.step("release binaries", || {
        step::run(&mut cargo(&[
            "build",
            "--locked",
            "--release",
            "-p",
            "skychatd",
            "-p",
            "skychat",
        ]))
    })?;
    steps.step("damage, every byte of a journal", || {
        step::run(
            cargo(&[
                "test",
                "--locked",
                "--release",
                "-p",
                "skychat-store",
                "--test",
                "rebuild",
            ])
            .env("SKYCHAT_DAMAGE_ALL", "1"),
        )
    })?;
    steps.step(&format!("damage, {DAMAGED} data directories"), || {
        step::run(
            cargo(&[
                "test",
                "--locked",
                "--release",
                "-p",
                "skychatd",
                "--test",
                "damage",
            ])
            .env("SKYCHAT_DAMAGE_CASES", DAMAGED.to_string()),
        )
    })?;
    steps.step(&format!("torture, {} kills", torture::LONG), torture::long)?;
    for scenario in torture::SCENARIOS {
        let name = format!("torture, {}", scenario.name());
        steps.step(&name, || torture::scenario(*scenario))?;
    }
    steps.step("demo", || {
        step::run(&mut cargo(&[
            "run",
            "--locked",
            "--release",
            "--quiet",
            "--bin",
            "skychat",
            "--",
            "demo",
        ]))
    })?;
    steps.finish("full");
    Ok(())
}

/// Builds the fuzz targets: with cargo-fuzz where it is installed, else as a plain check.
fn fuzz() -> Result<()> {
    let folder = workspace::root().join("fuzz");
    if !folder.join("Cargo.toml").is_file() {
        bail!("fuzz/ has no manifest");
    }
    if step::succeeds(&mut cargo(&["fuzz", "--version"])) {
        // The toolchain is a stable one, which has no sanitizers.
        return step::run(cargo(&["fuzz", "build", "--sanitizer", "none"]).current_dir(folder));
    }
    println!("cargo-fuzz is not installed: the targets are checked, not built with coverage");
    step::run(cargo(&["check", "--all-targets"]).current_dir(folder))
}
