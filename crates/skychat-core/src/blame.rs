//! Whose doing an error is.

/// Whose doing an error is; it decides what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// A peer broke a rule: its link is closed and a strike counted.
    Peer,
    /// The caller asked for something that cannot be: the same again will fail again.
    Caller,
    /// The disk, the network or the machine: it may go better later.
    Environment,
}
