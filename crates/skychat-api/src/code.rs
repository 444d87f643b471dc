//! The one table of error codes: JSON name, HTTP status, exit code.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What went wrong, as one word that programs can act on.
///
/// | exit | meaning |
/// | --- | --- |
/// | 0 | done; for `send`: on disk here, and with `--wait` the asked state was reached |
/// | 1 | unexpected error |
/// | 2 | usage: something given was malformed |
/// | 3 | unknown peer, message or page |
/// | 4 | no daemon, no transport, peer unreachable, or not able to take it just now |
/// | 5 | not in the asked state before the timeout (an accepted message stays owed) |
/// | 6 | refused: policy, role, block, consent |
/// | 7 | integrity or authentication failure |
/// | 8 | storage: locked, full, of another owner, damaged |
/// | 130 | interrupted |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    // One line a code; the documentation of each is in `TABLE`.
    /// Something unexpected; the message says what.
    Internal,
    /// A malformed request or command line.
    BadRequest,
    /// A public or secret key that is not one.
    MalformedKey,
    /// An address that is neither a key, a `skychat:` URI nor `tcp://<key>@host:port`.
    MalformedAddress,
    /// A message id that is not 32 lower-case hex digits.
    MalformedId,
    /// A cursor or record id that is not one.
    MalformedCursor,
    /// The key is the node's own: there is no conversation with oneself.
    OwnKey,
    /// Empty text, or bytes that are not UTF-8.
    BadText,
    /// The text or the request is larger than the limit.
    TooLarge,
    /// The message id was used before for another content or recipient.
    IdConflict,
    /// A setting, in the file, the environment or a flag, that cannot be used.
    BadConfig,
    /// A file with a secret that others may read.
    LooseFile,
    /// A method the route does not have.
    MethodNotAllowed,
    /// A body that is not `application/json`.
    UnsupportedMediaType,
    /// A form of answer the route does not have.
    NotAcceptable,
    /// No such route.
    NotFound,
    /// No message with that id.
    UnknownMessage,
    /// No such peer.
    UnknownPeer,
    /// No daemon answers for that data directory.
    NoDaemon,
    /// The peer could not be reached.
    Unreachable,
    /// A configured port is taken, or may not be used.
    PortInUse,
    /// The node has as much to do as it takes; try again shortly.
    Busy,
    /// Too many connections or streams are open.
    TooManyStreams,
    /// The index is being opened or rebuilt, so an id given by a client cannot be looked up yet.
    IndexOpening,
    /// The node is stopping.
    Stopping,
    /// The asked state was not reached in time.
    TimedOut,
    /// The recipient, or the policy of a node, refused.
    Refused,
    /// The request's Host, Origin or Sec-Fetch-Site is not one this server answers.
    Forbidden,
    /// A missing, unknown or expired token.
    Unauthorized,
    /// What answers at that address does not hold the key that was named, or broke the protocol.
    WrongKey,
    /// A backup was made with another passphrase.
    WrongPassphrase,
    /// Another process has the data directory.
    StoreLocked,
    /// The data directory belongs to another identity.
    StoreOwner,
    /// The store is damaged; nothing was altered.
    StoreDamaged,
    /// Nothing may be dropped and no room is left.
    StoreFull,
    /// The store could not be read or written.
    StoreFailed,
    /// A backup or an archive that was changed or cut, or is none.
    BackupDamaged,
    /// Interrupted by a signal.
    Interrupted,
}

/// One row a code: the code, its word, the HTTP status, the exit code.
const TABLE: &[(Code, &str, u16, u8)] = &[
    (Code::Internal, "internal", 500, 1),
    (Code::BadRequest, "bad_request", 400, 2),
    (Code::MalformedKey, "malformed_key", 400, 2),
    (Code::MalformedAddress, "malformed_address", 400, 2),
    (Code::MalformedId, "malformed_id", 400, 2),
    (Code::MalformedCursor, "malformed_cursor", 400, 2),
    (Code::OwnKey, "own_key", 400, 2),
    (Code::BadText, "bad_text", 400, 2),
    (Code::TooLarge, "too_large", 413, 2),
    (Code::IdConflict, "id_conflict", 409, 2),
    (Code::BadConfig, "bad_config", 500, 2),
    (Code::LooseFile, "loose_file", 500, 2),
    (Code::MethodNotAllowed, "method_not_allowed", 405, 2),
    (Code::UnsupportedMediaType, "unsupported_media_type", 415, 2),
    (Code::NotAcceptable, "not_acceptable", 406, 2),
    (Code::NotFound, "not_found", 404, 3),
    (Code::UnknownMessage, "unknown_message", 404, 3),
    (Code::UnknownPeer, "unknown_peer", 404, 3),
    (Code::NoDaemon, "no_daemon", 503, 4),
    (Code::Unreachable, "unreachable", 504, 4),
    (Code::PortInUse, "port_in_use", 500, 4),
    (Code::Busy, "busy", 503, 4),
    (Code::TooManyStreams, "too_many_streams", 503, 4),
    (Code::IndexOpening, "index_opening", 503, 4),
    (Code::Stopping, "stopping", 503, 4),
    (Code::TimedOut, "timed_out", 504, 5),
    (Code::Refused, "refused", 403, 6),
    (Code::Forbidden, "forbidden", 403, 6),
    (Code::Unauthorized, "unauthorized", 401, 7),
    (Code::WrongKey, "wrong_key", 502, 7),
    (Code::WrongPassphrase, "wrong_passphrase", 403, 7),
    (Code::StoreLocked, "store_locked", 500, 8),
    (Code::StoreOwner, "store_owner", 500, 8),
    (Code::StoreDamaged, "store_damaged", 500, 8),
    (Code::StoreFull, "store_full", 507, 8),
    (Code::StoreFailed, "store_failed", 500, 8),
    (Code::BackupDamaged, "backup_damaged", 500, 8),
    (Code::Interrupted, "interrupted", 500, 130),
];

impl Code {
    /// Every code, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    fn row(self) -> (&'static str, u16, u8) {
        // A test makes sure that every code has its row.
        TABLE
            .iter()
            .find(|row| row.0 == self)
            .map_or(("internal", 500, 1), |row| (row.1, row.2, row.3))
    }

    /// The word for it in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status it is answered with.
    #[must_use]
    pub fn http(self) -> u16 {
        self.row().1
    }

    /// The code a program exits with.
    #[must_use]
    pub fn exit(self) -> u8 {
        self.row().2
    }

    /// Whether the same request may succeed when it is made again a little later.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::Busy
                | Self::TooManyStreams
                | Self::IndexOpening
                | Self::Stopping
                | Self::NoDaemon
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Code {
    type Err = crate::UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        TABLE
            .iter()
            .find(|row| row.1 == text)
            .map(|row| row.0)
            .ok_or_else(|| crate::UnknownWord {
                found: text.chars().take(64).collect(),
                expected: "the error codes",
            })
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Code {
    /// A word this version does not know reads as [`Code::Internal`]: a newer server may have
    /// more words, and its message still says what happened.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(text.parse().unwrap_or(Self::Internal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_one_row() {
        // `Interrupted` is the last variant; the count fails when one is added without a row.
        assert_eq!(TABLE.len(), Code::Interrupted as usize + 1);
        assert_eq!(Code::all().collect::<BTreeSet<_>>().len(), TABLE.len());
        assert_eq!(
            TABLE.iter().map(|row| row.1).collect::<BTreeSet<_>>().len(),
            TABLE.len()
        );
        for code in Code::all() {
            assert_eq!(code.word().parse(), Ok(code));
            assert!((400..600).contains(&code.http()), "{code}");
            assert!(matches!(code.exit(), 1..=8 | 130), "{code}");
        }
    }

    #[test]
    fn the_exit_codes_of_the_policy_table() {
        let expected = [
            (Code::PortInUse, 4),
            (Code::StoreLocked, 8),
            (Code::StoreOwner, 8),
            (Code::StoreDamaged, 8),
            (Code::LooseFile, 2),
            (Code::MalformedKey, 2),
            (Code::OwnKey, 2),
            // The stages of `send --via`.
            (Code::Unreachable, 4),
            (Code::WrongKey, 7),
            (Code::Refused, 6),
            (Code::TimedOut, 5),
            (Code::Interrupted, 130),
        ];
        for (code, exit) in expected {
            assert_eq!(code.exit(), exit, "{code}");
        }
    }

    #[test]
    fn a_word_of_a_newer_server_is_read() {
        assert_eq!(
            serde_json::from_str::<Code>("\"too_many_cooks\"").unwrap(),
            Code::Internal
        );
    }
}
