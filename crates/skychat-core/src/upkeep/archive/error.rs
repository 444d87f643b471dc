//! Why a file is no archive.

use skychat_identity::PublicKey;
use skychat_store::ArchiveError;

use super::{MAX_ARCHIVE_LINE, VERSION};

/// Why a file is not taken in as an archive. Lines are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveFileError {
    /// It does not begin as one.
    #[error("it is no archive: line 1 does not say \"type\":\"skychat-export\"")]
    Other,
    /// It was written before there were archives.
    #[error(
        "it holds text only, as exports of the first version did: there is no history in it that \
         could be imported; export again, or use a backup"
    )]
    TextOnly,
    /// A later version wrote it.
    #[error("line 1: found an archive of version {found}, expected {VERSION}")]
    Version {
        /// The version.
        found: u64,
    },
    /// It is somebody else's.
    #[error("it is the archive of {found}, expected one of {expected}")]
    Owner {
        /// Whose it is.
        found: PublicKey,
        /// Whose it should be.
        expected: PublicKey,
    },
    /// A line that is longer than any.
    #[error("line {line}: found more than {MAX_ARCHIVE_LINE} bytes, expected a line end")]
    LongLine {
        /// Which line.
        line: u64,
    },
    /// A line that is none of an archive, or not written as it has to be.
    #[error("line {line}: found {length} bytes that are not {expected}")]
    Line {
        /// Which line.
        line: u64,
        /// Its length.
        length: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// A line that stands where it cannot.
    #[error("line {line}: found {found}, which stands before the history")]
    Order {
        /// Which line.
        line: u64,
        /// What it is.
        found: &'static str,
    },
    /// An item of the history that is none.
    #[error("line {line}: found no item of a history")]
    Item {
        /// Which line.
        line: u64,
        /// What is wrong with it.
        source: ArchiveError,
    },
    /// There is no last line.
    #[error("it was cut: it ends behind line {line}, which is not its last")]
    Cut {
        /// The last line that is there as a whole.
        line: u64,
    },
    /// Something follows the last line.
    #[error("line {line} is its last, and something follows it")]
    Longer {
        /// The last line.
        line: u64,
    },
    /// Other bytes than those that were written.
    #[error("it was changed: the SHA-256 of its lines is {found}, expected {expected}")]
    Hash {
        /// Of the lines that are there.
        found: String,
        /// What its last line says.
        expected: String,
    },
    /// Other counts than it says at its end.
    #[error("found {found} {what}, expected {expected} as its last line says")]
    Counts {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there should be.
        expected: u64,
    },
    /// Nobody signed it.
    #[error(
        "it is not signed: it was exported without the identity, so nobody can say whose it is"
    )]
    Unsigned,
    /// Its owner did not sign it.
    #[error("the signature in its last line is not that of {owner}")]
    Signature {
        /// Whose it should be.
        owner: PublicKey,
    },
}
