//! Why a message of a peer is not one.

use skychat_identity::KeyError;

use crate::entry::HeaderError;

/// Why bytes are no message of a service. Whoever sent them broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than any message of the service.
    #[error("{name}: found {found} bytes, expected at most {limit}")]
    TooLong {
        /// The message.
        name: &'static str,
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Not exactly one kind of message in it.
    #[error("{name}: expected exactly one message in it, and nothing else")]
    NotOne {
        /// The message.
        name: &'static str,
    },
    /// No protobuf, or a field of another type.
    #[error("{name}: malformed")]
    Protobuf {
        /// The message.
        name: &'static str,
    },
    /// A field stands there too often.
    #[error("{name}: found `{field}` more than {limit} times")]
    TooMany {
        /// The message.
        name: &'static str,
        /// The field.
        field: &'static str,
        /// How often it may stand there.
        limit: usize,
    },
    /// A field is longer, or its number larger, than allowed.
    #[error("{name}: found {found} in `{field}`, expected at most {limit}")]
    TooLarge {
        /// The message.
        name: &'static str,
        /// The field.
        field: &'static str,
        /// Its length or value.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A field of fixed length has another one; 0 if it is missing.
    #[error("{name}: found {found} bytes in `{field}`, expected {expected}")]
    Length {
        /// The message.
        name: &'static str,
        /// The field.
        field: &'static str,
        /// Its length.
        found: usize,
        /// What it has to be, or a multiple of it.
        expected: usize,
    },
    /// A field whose value is none of those allowed, or contradicts another one.
    #[error("{name}: found `{field}` {problem}")]
    Value {
        /// The message.
        name: &'static str,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A key that is none.
    #[error("{name}: the key in `{field}` is not valid")]
    Key {
        /// The message.
        name: &'static str,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        source: KeyError,
    },
    /// An entry header that is none.
    #[error("{name}: the entry header in `{field}` is not valid")]
    Header {
        /// The message.
        name: &'static str,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        source: HeaderError,
    },
}

impl DecodeError {
    /// A row of machine state that is none.
    pub(crate) const fn row(name: &'static str) -> Self {
        DecodeError::Protobuf { name }
    }
}
