//! Single scenarios, chosen by name.

mod clones;
mod copy;
mod full_disk;
mod restore;
mod steady;
mod wires;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Plan, kills, record::Record};

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// Kills under load over bad wires.
    Kills,
    /// A disk that fills up and is freed again.
    FullDisk,
    /// A backup of a node with fifty contacts that is restored after the node has gone on.
    Restore,
    /// Two copies of one directory that run at the same time.
    Clones,
    /// Single faults of the wires, timed: a vanished peer, a partition, a slow peer.
    Wires,
    /// Nothing is broken, and nothing may grow: 3,000 messages a second for `--minutes`.
    Steady,
    /// A control: daemons that keep everything in memory are killed, and have to be rejected.
    Negative,
}

impl Scenario {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kills => "kills",
            Self::FullDisk => "full-disk",
            Self::Restore => "restore",
            Self::Clones => "clones",
            Self::Wires => "wires",
            Self::Steady => "steady",
            Self::Negative => "negative",
        }
    }

    /// Plays it; the history is complete afterwards. Otherwise: why it could not be played here.
    pub(crate) fn play(self, plan: &Plan, record: &Record) -> Result<Option<String>> {
        match self {
            Self::Kills | Self::Negative => kills::run(plan, record).map(|()| None),
            Self::FullDisk => full_disk::run(plan, record),
            Self::Restore => restore::run(plan, record).map(|()| None),
            Self::Clones => clones::run(plan, record).map(|()| None),
            Self::Wires => wires::run(plan, record).map(|()| None),
            Self::Steady => steady::run(plan, record).map(|()| None),
        }
    }
}

/// Something is not as it has to be; the checker rejects the history with this sentence.
fn broken(record: &Record, what: &str) {
    record.line("broken", json!({ "what": what }));
}

/// Every consumer at `node` has to have seen events of this type by now, so many times.
fn expect(record: &Record, node: &str, kind: &str, times: std::ops::RangeInclusive<u64>) {
    let fields: Value = json!({
        "where": node, "type": kind, "least": times.start(), "most": times.end(),
    });
    record.line("expect", fields);
}
