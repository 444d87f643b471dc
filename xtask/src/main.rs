//! Skychat: chores of the workspace.
//!
//! `cargo xtask ci` is what a change has to pass, `cargo xtask full` what an issue has to pass before it is called
//! done. Everything else is one chore each; `cargo xtask help` lists them.
#![expect(
    clippy::print_stdout,
    reason = "a chore speaks to the person who started it"
)]

mod bench;
mod ci;
mod codegen;
mod deny;
mod docs;
mod full;
mod layers;
mod sim;
mod step;
mod torture;
mod vectors;
mod workspace;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Chores of the Skychat workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// What every change has to pass: format, layers, deny, clippy, tests, torture, documentation.
    Ci {
        /// Leave `cargo test --workspace` out, because it ran just before.
        #[arg(long)]
        skip_tests: bool,
    },
    /// `ci`, then feature combinations, fuzz targets, benches, long simulation, long torture and the demo.
    Full {
        /// Seeds of the long simulation.
        #[arg(long, default_value_t = sim::LONG)]
        seeds: u32,
    },
    /// Check who imports whom, what the pure crates rest on, and how the manifests are made.
    Layers,
    /// Check bans, licences, sources and, where a database can be had, advisories.
    Deny,
    /// Write the protobuf code anew, from the .proto files.
    Codegen,
    /// Check that links in the documentation lead somewhere, and that promises have the tests they name.
    Docs,
    /// Write the golden vectors anew, then check that the tests read them back.
    Vectors,
    /// Run the simulated network.
    Sim {
        /// How many seeds.
        #[arg(long, default_value_t = sim::SHORT)]
        seeds: u32,
        /// One seed, as a failure printed it.
        #[arg(long, conflicts_with = "seeds")]
        seed: Option<u64>,
    },
    /// Kill real daemons under load and over bad wires, and judge what became of every message.
    Torture(torture::Arguments),
    /// Run the benches, the peers' too, and write docs/benchmarks.md with its plots.
    BenchReport {
        /// Run these only; the page shows every report that is there.
        #[arg(long, value_name = "NAME", num_args = 1.., conflicts_with = "no_run")]
        only: Vec<String>,
        /// Run none: render the reports that are there.
        #[arg(long)]
        no_run: bool,
    },
    /// Compare the ratios that the benches left behind with the committed ones; worse and missing ones fail.
    BenchCheck {
        /// Judge these only.
        #[arg(long, value_name = "NAME", num_args = 1..)]
        only: Vec<String>,
        /// Write what was measured to benches/baseline.json instead; tolerances in it stay as they are.
        #[arg(long)]
        accept: bool,
    },
    /// Judge the history of a torture run.
    TortureCheck {
        /// The history, NDJSON.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Ci { skip_tests } => ci::run(skip_tests),
        Chore::Full { seeds } => full::run(seeds),
        Chore::Layers => layers::run(),
        Chore::Deny => deny::run(),
        Chore::Codegen => codegen::run(),
        Chore::Docs => docs::run(),
        Chore::Vectors => vectors::run(),
        Chore::Sim { seeds, seed } => sim::run(seeds, seed),
        Chore::Torture(arguments) => torture::run(&arguments),
        Chore::BenchReport { only, no_run } => bench::report(&only, no_run),
        Chore::BenchCheck { only, accept } => bench::check(&only, accept),
        Chore::TortureCheck { file } => torture::check::run(&file),
    };
    if let Err(error) = outcome {
        println!("xtask: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
