//! Sending a message.

use serde::{Deserialize, Serialize};
use skychat_identity::PublicKey;
use skychat_proto::ids::MessageId;

use crate::words::words;
use crate::{Delivery, Place, V1};

words! {
    /// What an answer to a send waits for.
    WaitFor {
        /// The message is in our feed and on disk here. Always waited for.
        Accepted = "accepted",
        /// The recipient acknowledged it; `kept` in the answer says whether on disk or in memory.
        Acked = "acked",
        /// The recipient acknowledged it with its disk. `stored-disk` is read as the same word.
        Stored = "stored" | "stored-disk",
    }
}

/// A message to send.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// The recipient.
    pub to: PublicKey,
    /// What to say: UTF-8, not empty, at most 64 KiB with its metadata.
    pub text: String,
    /// The id of the message, 32 lower-case hex digits. The same id again is the same message:
    /// repeating a request whose answer was lost is safe. Without one the node draws it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// What the answer waits for; default `accepted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitFor>,
    /// How long the answer waits at most, in milliseconds; default 30,000, at most 600,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl std::fmt::Debug for SendRequest {
    /// Without the text: what a log shows is never what people say.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendRequest")
            .field("to", &self.to)
            .field("text", &format_args!("{} bytes", self.text.len()))
            .field("message_id", &self.message_id)
            .field("wait", &self.wait)
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}

/// The answer to a send: the asked state was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendResponse {
    /// Version of the document.
    pub v: V1,
    /// The id of the message.
    pub message_id: MessageId,
    /// How far it has come: `state`, with `kept`.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Its place in our feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The key whose acknowledgement was verified; with `stored`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PublicKey>,
    /// Microseconds from the request until that acknowledgement was verified; with `stored`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_us: Option<u64>,
    /// The carrier it came by, `tcp`; with `stored`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
}
