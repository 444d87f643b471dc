//! What a peer may not do.

use std::fmt;

/// A rule that a peer broke, by the number it has in `docs/protocol/`. The link is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    rule: &'static str,
    what: String,
}

impl Violation {
    /// Rule `rule` was broken by `what`.
    pub fn new(rule: &'static str, what: impl Into<String>) -> Self {
        let what = what.into();
        Violation { rule, what }
    }

    /// The number of the rule, as `docs/protocol/` has it.
    pub const fn rule(&self) -> &'static str {
        self.rule
    }

    /// What was found.
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

impl std::error::Error for Violation {}
