//! What is known of one message that was sent.

use std::collections::BTreeMap;

/// How a send was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Not, or not in a way that says what happened.
    Unknown,
    /// It is on the sender's disk.
    Accepted,
    /// The recipient's acknowledgement was verified.
    Stored,
    /// It will not arrive, and this is why.
    Failed(String),
}

/// One message.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    /// Numbers of nodes.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The lane that sent it, and its place there.
    pub(crate) lane: usize,
    pub(crate) place: u64,
    pub(crate) answer: Answer,
    /// How often each consumer saw it at the recipient.
    pub(crate) seen: BTreeMap<usize, u64>,
    /// How far each consumer at the sender saw it come.
    pub(crate) rank: BTreeMap<usize, u8>,
    /// How often it is in each history, by the node that was asked.
    pub(crate) rows: BTreeMap<usize, u64>,
    /// The state and cause in the sender's own history.
    pub(crate) ended: Option<(String, Option<String>)>,
    /// Whether the recipient marked it as one that came after what it precedes.
    pub(crate) late: bool,
}

impl Sent {
    pub(crate) fn new(id: &str, from: usize, to: usize, lane: usize, place: u64) -> Self {
        Self {
            id: id.to_owned(),
            from,
            to,
            lane,
            place,
            answer: Answer::Unknown,
            seen: BTreeMap::new(),
            rank: BTreeMap::new(),
            rows: BTreeMap::new(),
            ended: None,
            late: false,
        }
    }

    /// Whether it was promised.
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self.answer, Answer::Accepted | Answer::Stored)
    }

    /// Whether it is in the history of its recipient.
    pub(crate) fn arrived(&self) -> bool {
        self.rows.contains_key(&self.to)
    }

    /// Whether it ended as refused, with a cause, after it had been accepted.
    pub(crate) fn ended_failed(&self) -> bool {
        matches!(&self.ended, Some((state, Some(_))) if state == "failed")
    }
}

/// How far a state is; what is not a state has none.
pub(crate) fn rank(state: &str) -> Option<u8> {
    Some(match state {
        "queued" => 0,
        "accepted" => 1,
        "relayed" => 2,
        "stored" | "acked" => 3,
        "read" => 4,
        "failed" => 5,
        _ => return None,
    })
}

/// Causes of a failure that a peer or a user can bring about. Any other is a failure of the node.
pub(crate) const CAUSES: &[&str] = &[
    "too_large",
    "blocked",
    "declined",
    "not_a_member",
    "muted",
    "expired",
    "absent",
    "unopenable",
    "unsupported",
    "forked",
    "cancelled",
    "space_ended",
];
