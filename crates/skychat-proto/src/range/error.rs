//! Why bytes are no range.

use skychat_identity::KeyError;

use crate::entry::{ENTRY_VERSION, HeaderError};
use crate::limits::{MAX_POSITION, MAX_RANGE_BYTES, MAX_RANGE_ENTRIES};

/// Why bytes are no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// The head block has another length.
    #[error("range: found {found} bytes of head, expected {expected}")]
    Length {
        /// How many bytes there are.
        found: usize,
        /// How many there should be, or at least.
        expected: usize,
    },
    /// A version that this node does not speak.
    #[error("range: found version {found}, expected {ENTRY_VERSION}")]
    Version {
        /// The version.
        found: u8,
    },
    /// No entries, or too many.
    #[error("range: found {found} entries, expected 1 to {MAX_RANGE_ENTRIES}")]
    Count {
        /// How many.
        found: u16,
    },
    /// It goes past the last possible entry.
    #[error("range: found {count} entries from {first} on, expected none past {MAX_POSITION}")]
    End {
        /// The first index.
        first: u64,
        /// How many.
        count: u16,
    },
    /// What it states of an entry cannot be.
    #[error("range: its entry {index} is not valid")]
    Entry {
        /// Which entry of the range, from 0.
        index: u16,
        /// What is wrong.
        source: HeaderError,
    },
    /// The mark of presence is neither 0 nor 1.
    #[error("range: found {found} as the mark of presence of entry {index}, expected 0 or 1")]
    Present {
        /// Which entry of the range, from 0.
        index: u16,
        /// The mark.
        found: u8,
    },
    /// The bodies do not add up to what the rows state.
    #[error("range: found {found} bytes of bodies, expected {expected}")]
    Bodies {
        /// How many bytes there are.
        found: usize,
        /// How many the rows state.
        expected: usize,
    },
    /// More than one entry, and larger than a range may be.
    #[error("range: found {found} bytes of rows and bodies, expected at most {MAX_RANGE_BYTES}")]
    Size {
        /// How many bytes.
        found: usize,
    },
    /// The author is no key.
    #[error("range: the author is not valid")]
    Author(#[from] KeyError),
}
