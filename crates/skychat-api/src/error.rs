//! The body of every answer that is not a success.

use serde::{Deserialize, Serialize};

use skychat_proto::ids::MessageId;

use crate::{Code, Delivery, V1};

/// What an error answer says. On the command line `--json` prints the same document on stderr.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ErrorBody {
    /// Version of the document.
    pub v: V1,
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong, for people: one line, nothing secret in it.
    pub message: String,
    /// The message it is about, where there is one. With `timed_out` it was accepted and stays
    /// owed; with `refused` its fate is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// The state that message is in, where it is known.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// In how many milliseconds to try again, where waiting helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ErrorBody {
    /// An error about no message in particular.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            v: V1,
            code,
            message: message.into(),
            message_id: None,
            delivery: None,
            retry_after_ms: None,
        }
    }

    /// The same, about a message.
    #[must_use]
    pub fn about(mut self, message: MessageId, delivery: Option<Delivery>) -> Self {
        self.message_id = Some(message);
        self.delivery = delivery;
        self
    }

    /// The same, with the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, milliseconds: u64) -> Self {
        self.retry_after_ms = Some(milliseconds);
        self
    }
}
