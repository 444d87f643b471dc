//! What a bench leaves behind: the shape of its file. The chores of the workspace read it by this
//! same text.

use serde::{Deserialize, Serialize};

/// Of the files.
pub const VERSION: u32 = 1;

/// Which way a ratio is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// The more the better.
    Higher,
    /// The less the better.
    Lower,
    /// It is a limit or a peer: shown, and not judged.
    Neither,
}

/// What a ratio has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
}

impl Bound {
    /// Whether a ratio keeps it.
    pub fn is_met(self, ratio: f64) -> bool {
        match self {
            Bound::AtLeast(least) => ratio >= least,
            Bound::AtMost(most) => ratio <= most,
        }
    }
}

/// A figure beside its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Names it for good: `memory/aws-lc/1KiB`. Unique in its bench.
    pub id: String,
    /// For people.
    pub what: String,
    /// The median.
    pub value: f64,
    /// Of the value: `ns`, `us`, `MB/s`, `messages/s`, `KiB`.
    pub unit: String,
    /// What else is said of it, such as a 99th percentile.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub aside: String,
    /// Against what its section names; `null`: it has none.
    pub ratio: Option<f64>,
    /// Which way the ratio is better.
    pub better: Better,
    /// What the ratio has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Bound>,
    /// The ratio is to the target itself, not to a limit or a peer of the same run: it says how
    /// fast this machine is too, so it is not compared with another run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absolute: bool,
}

/// Figures that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// What was done.
    pub title: String,
    /// To what the ratios are: `raw AEAD`.
    pub against: String,
    /// In the order in which they were taken.
    pub rows: Vec<Row>,
}

/// All that one bench found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// Its name, and that of its file.
    pub bench: String,
    /// Processor and system.
    pub machine: String,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// What was measured.
    pub sections: Vec<Section>,
}
