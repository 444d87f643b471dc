//! Steps: named pieces of work that run one after the other, are timed, and stop at the first failure.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Steps that have run, with what each took.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// Runs one step. A failure is said in one clear line and ends the chore.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n=== {name}");
        let start = now();
        let outcome = work();
        let took = start.elapsed();
        self.done.push((name.to_owned(), took));
        if let Err(error) = outcome {
            self.print_timings();
            println!("\nFAILED at: {name}");
            return Err(error.context(format!(
                "step `{name}` failed after {:.1} s",
                took.as_secs_f64()
            )));
        }
        println!("--- {name}: {:.1} s", took.as_secs_f64());
        Ok(())
    }

    /// Says that all steps passed and what each took.
    pub(crate) fn finish(self, chore: &str) {
        self.print_timings();
        println!("\n{chore}: all {} steps passed", self.done.len());
    }

    fn print_timings(&self) {
        println!("\n{:>9}  step", "seconds");
        for (name, took) in &self.done {
            println!("{:>9.1}  {name}", took.as_secs_f64());
        }
        let all: Duration = self.done.iter().map(|(_, took)| *took).sum();
        println!("{:>9.1}  in all", all.as_secs_f64());
    }
}

/// `cargo` with these arguments, in the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace::root());
    command
}

/// Runs a command to its end; anything but success is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Whether this command can be started and succeeds; what it prints is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// A tool that is not part of the toolchain: from `target/ci-tools`, where `.ci/tools` puts it, or from the path.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let local = workspace::root().join(target).join("ci-tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(local)
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
        .find(|file| file.is_file())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let settings = command.get_envs().filter_map(|(name, value)| {
        let mut text = name.to_owned();
        text.push("=");
        text.push(value?);
        Some(text)
    });
    let words: Vec<OsString> = settings
        .chain([program.to_owned()])
        .chain(command.get_args().map(ToOwned::to_owned))
        .collect();
    words
        .iter()
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the timing of a step is wall time by its nature"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_is_named_and_ends_the_chore() {
        let mut steps = Steps::default();
        assert!(steps.step("good", || Ok(())).is_ok());
        let error = steps.step("bad", || bail!("broken")).unwrap_err();
        assert!(format!("{error:#}").contains("step `bad` failed"));
        assert!(format!("{error:#}").contains("broken"));
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command
            .args(["doc", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            shown(&command),
            "'RUSTDOCFLAGS=-D warnings' cargo doc --no-deps"
        );
    }
}
