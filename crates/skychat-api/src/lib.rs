//! Skychat: the JSON of the control surface, defined once.
//!
//! Everything a program sees of a node, over HTTP, as NDJSON, from `skychat --json` or from the
//! library, is one of these types: an [`Event`], a [`Message`], a [`Conversation`], the
//! [`Status`], a [`SendRequest`] with its [`SendResponse`], or an [`ErrorBody`]. Error codes, with
//! the HTTP status and the exit code each stands for, are one table: [`Code`].
//!
//! Documents that stand alone carry `"v":1` ([`V1`]). Numbers of 64 bits that may pass 2^53 are
//! strings; times are milliseconds since 1970 as numbers. A reader ignores fields it does not
//! know. `docs/control-api.md` describes the same shapes for people.
//!
//! ```
//! use skychat_api::{Code, Cursor, ErrorBody};
//!
//! let body = ErrorBody::new(Code::MalformedKey, "a key is 64 hex digits, found 3");
//! assert_eq!(
//!     serde_json::to_string(&body)?,
//!     r#"{"v":1,"code":"malformed_key","message":"a key is 64 hex digits, found 3"}"#,
//! );
//! assert_eq!((Code::MalformedKey.http(), Code::MalformedKey.exit()), (400, 2));
//!
//! let cursor: Cursor = "0a1b2c3d-42".parse()?;
//! assert_eq!(cursor.to_string(), "0a1b2c3d-42");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod code;
mod control;
mod cursor;
mod error;
mod event;
mod message;
mod send;
mod status;
mod words;

pub use code::Code;
pub use control::ControlFile;
pub use cursor::{Cursor, MalformedCursor, MalformedRecordId, RecordId};
pub use error::ErrorBody;
pub use event::{
    Branch, Cloned, Event, EventKind, Fork, Gap, GapCause, Limited, LinkChange, LinkState, Missed,
    Ready, Recovered, StateChange, Stopping, SyncProgress,
};
pub use message::{
    Body, Conversation, Conversations, Delivery, Direction, FailCause, History, Kept, Mark,
    Message, Missing, Place, RefusedEntry,
};
pub use send::{SendRequest, SendResponse, WaitFor};
pub use status::{
    Admission, IdentitySource, LimitCause, LinkStatus, ListenStatus, PeerStatus, Status,
    StoreStatus, WaitReason, WriterKind,
};
pub use words::{UnknownWord, V1};
