//! `cargo xtask torture`: real daemons under load and faults, judged by a checker that knows nothing of them.
//!
//! A run writes a history of everything it did and saw (`history.ndjson`), then the [`check`] reads that file alone. A
//! seed directs when whom what befalls; the threads of real processes are not directed, so a seed makes a failure
//! likely to come back, not certain.

mod chance;
pub(crate) mod check;
mod clock;
mod consumer;
mod daemon;
mod doctor;
mod end;
mod http;
mod kills;
mod load;
mod proxy;
mod record;
mod scenarios;
mod session;
mod stage;
mod summary;

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::BuildHasher,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    step::{self, cargo},
    workspace,
};
use record::Record;
use scenarios::Scenario;
use summary::Summary;

/// Kills of a run in CI.
pub(crate) const SHORT: u64 = 20;
/// Kills of the run before an issue is called done.
pub(crate) const LONG: u64 = 200;
/// How long a start may take, in milliseconds.
const READY_LIMIT_MS: u64 = 2_000;

/// The arguments of the chore.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What is played.
    #[arg(long, value_enum, default_value_t = Scenario::Kills)]
    scenario: Scenario,
    /// How many SIGKILLs.
    #[arg(long, default_value_t = SHORT)]
    kills: u64,
    /// The seed, as a failure printed it; drawn when it is not said.
    #[arg(long)]
    seed: Option<u64>,
    /// Go on for this long, even when all kills are done; how long `steady` goes on.
    #[arg(long)]
    minutes: Option<u64>,
    /// Where everything of the run is kept; it must not exist, or be empty.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Build the daemon without optimising, as the tests do.
    #[arg(long)]
    dev: bool,
    /// The summary as one JSON document on stdout, and nothing else.
    #[arg(long)]
    json: bool,
}

/// What is to be done.
pub(crate) struct Plan {
    seed: u64,
    kills: u64,
    minutes: Option<Duration>,
    dir: PathBuf,
    program: PathBuf,
    /// Whether the daemons keep everything in memory.
    memory: bool,
    speak: bool,
}

impl Plan {
    /// Says how far it is.
    fn say(&self, text: &str) {
        if self.speak {
            println!("{text}");
        }
    }
}

/// The run in CI: the daemon as the tests built it.
pub(crate) fn short() -> Result<()> {
    run(&Arguments::kills(SHORT, true))
}

/// The run before an issue is called done: the daemon as people run it.
pub(crate) fn long() -> Result<()> {
    run(&Arguments::kills(LONG, false))
}

impl Arguments {
    fn kills(kills: u64, dev: bool) -> Self {
        Self {
            scenario: Scenario::Kills,
            kills,
            seed: None,
            minutes: None,
            dir: None,
            dev,
            json: false,
        }
    }
}

/// Runs, judges, and says what came of it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let seed = arguments.seed.unwrap_or_else(draw);
    let given = arguments.dir.is_some();
    let dir = match &arguments.dir {
        Some(dir) => dir.clone(),
        None => target().join("torture").join(format!("seed-{seed}")),
    };
    let plan = Plan {
        seed,
        kills: arguments.kills,
        minutes: arguments
            .minutes
            .map(|minutes| Duration::from_secs(minutes.saturating_mul(60))),
        program: build(arguments)?,
        memory: arguments.scenario == Scenario::Negative,
        dir: fresh(&dir, given)?,
        speak: !arguments.json,
    };
    let replay = replay(arguments, seed);
    plan.say(&format!("seed {seed}; replay: {replay}"));
    let history = plan.dir.join("history.ndjson");
    let start = clock::now();
    let played = play(&plan, arguments.scenario, &history);
    let took = start.elapsed();
    if let Ok(Some(why)) = &played {
        println!("{}: SKIPPED: {why}", arguments.scenario.name());
        return clean(&plan, given);
    }
    let verdict = check::file(&history)?;
    if arguments.scenario == Scenario::Negative {
        return negative(&plan, &verdict, given);
    }
    let passed = verdict.passed() && played.is_ok();
    // Where no message is written down, none can be taken out.
    let control = if passed && arguments.scenario != Scenario::Steady {
        Some(doctor::rejected(&history)?)
    } else {
        None
    };
    let summary = Summary {
        seed,
        scenario: arguments.scenario.name(),
        verdict: &verdict,
        took,
        replay: &replay,
        control: control.as_deref(),
        kept: (given || !passed).then_some(plan.dir.as_path()),
    };
    if arguments.json {
        println!("{}", summary.json());
    } else {
        summary.print();
    }
    played.with_context(|| format!("the run broke off; replay: {replay}"))?;
    if !passed {
        bail!("torture found violations; replay: {replay}");
    }
    clean(&plan, given)
}

/// The control passes when the run was rejected for what was lost.
fn negative(plan: &Plan, verdict: &check::Verdict, given: bool) -> Result<()> {
    println!("{verdict}");
    if verdict.count(check::Kind::Lost) == 0 {
        bail!("daemons that forget were killed, and the checker did not notice");
    }
    println!("negative control: daemons that forget are rejected");
    clean(plan, given)
}

/// Nothing stays of a run that passed, unless somebody said where.
fn clean(plan: &Plan, given: bool) -> Result<()> {
    if given {
        return Ok(());
    }
    fs::remove_dir_all(&plan.dir).with_context(|| format!("cannot remove {}", plan.dir.display()))
}

fn play(plan: &Plan, scenario: Scenario, history: &Path) -> Result<Option<String>> {
    let record = Record::create(history)?;
    record.line(
        "start",
        json!({ "v": 1, "seed": plan.seed, "ready_limit_ms": READY_LIMIT_MS }),
    );
    let played = scenario.play(plan, &record);
    record.flush()?;
    played
}

/// The daemon, built now.
fn build(arguments: &Arguments) -> Result<PathBuf> {
    let mut command = cargo(&["build", "--locked", "--quiet", "-p", "skychatd"]);
    if !arguments.dev {
        command.arg("--release");
    }
    if arguments.json {
        let status = command.status().context("cannot start cargo")?;
        if !status.success() {
            bail!("the daemon does not build");
        }
    } else {
        step::run(&mut command)?;
    }
    let profile = if arguments.dev { "debug" } else { "release" };
    let name = format!("skychatd{}", std::env::consts::EXE_SUFFIX);
    Ok(target().join(profile).join(name))
}

fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace::root().join(target)
}

/// A directory with nothing in it. One of a failed run before, of our own naming, is replaced.
fn fresh(dir: &Path, given: bool) -> Result<PathBuf> {
    if dir.exists() {
        if given {
            let used = fs::read_dir(dir)?.next().is_some();
            if used {
                bail!("{} is not empty", dir.display());
            }
        } else {
            fs::remove_dir_all(dir)?;
        }
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    dir.canonicalize()
        .with_context(|| format!("cannot find {}", dir.display()))
}

/// A seed that was not there before.
fn draw() -> u64 {
    // Small enough to be read out.
    RandomState::new().hash_one(std::process::id()) >> 32
}

fn replay(arguments: &Arguments, seed: u64) -> String {
    let what = match arguments.scenario {
        Scenario::Kills => format!("--kills {}", arguments.kills),
        other => format!("--scenario {}", other.name()),
    };
    let mut line = format!("cargo xtask torture {what} --seed {seed}");
    if let Some(minutes) = arguments.minutes {
        line.push_str(&format!(" --minutes {minutes}"));
    }
    if arguments.dev {
        line.push_str(" --dev");
    }
    line
}
