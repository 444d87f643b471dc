//! What a peer did wrong.

/// A rule that a peer broke. The link ends at once; nothing is said to the peer.
///
/// The transport makes them for what it checks itself, services make them for what they find in a
/// message.
///
/// ```
/// let violation = skychat_transport::Violation::new("SYNC-2", "a range nobody asked for");
/// assert_eq!(violation.to_string(), "SYNC-2: a range nobody asked for");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {what}")]
pub struct Violation {
    rule: &'static str,
    what: &'static str,
}

impl Violation {
    /// `rule` is its number in `docs/protocol/`, `what` says what was found, in lower case.
    pub const fn new(rule: &'static str, what: &'static str) -> Self {
        Violation { rule, what }
    }

    /// The number of the rule.
    pub const fn rule(&self) -> &'static str {
        self.rule
    }

    /// What was found.
    pub const fn what(&self) -> &'static str {
        self.what
    }
}
