//! Places in the event log and in the journal, as clients keep them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use skychat_proto::ids::{EventSeq, Incarnation};

/// A place in a node's event log (EVENT-4): the event with this number, written in the life whose
/// incarnation begins with these four bytes. Reading "after" it gives what follows.
///
/// Text form: `<8 lower hex digits>-<decimal number>`. Clients treat it as opaque. The pair
/// matters: in a directory rolled back to an older state the number may exist and mean something
/// else, and the life tells.
///
/// Number 0 is before the first event, whatever the life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    life: [u8; 4],
    seq: EventSeq,
}

impl Cursor {
    /// The place of event `seq`, written in the life `incarnation`.
    #[must_use]
    pub fn new(incarnation: Incarnation, seq: EventSeq) -> Self {
        let [a, b, c, d, ..] = *incarnation.as_bytes();
        Self {
            life: [a, b, c, d],
            seq,
        }
    }

    /// The first four bytes of the incarnation that wrote the event.
    #[must_use]
    pub const fn life(&self) -> [u8; 4] {
        self.life
    }

    /// The number of the event; 0 means before the first.
    #[must_use]
    pub const fn seq(&self) -> EventSeq {
        self.seq
    }

    /// Whether `incarnation` is the life this cursor names.
    #[must_use]
    pub fn is_of(&self, incarnation: &Incarnation) -> bool {
        incarnation.as_bytes().starts_with(&self.life)
    }
}

/// Text that is no [`Cursor`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is 8 lower-case hex digits, a hyphen and a number, found {found:?}")]
pub struct MalformedCursor {
    /// The first 64 characters of what was found.
    pub found: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", u32::from_be_bytes(self.life), self.seq)
    }
}

impl FromStr for Cursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedCursor {
            found: text.chars().take(64).collect(),
        };
        let (life, seq) = text.split_once('-').ok_or_else(malformed)?;
        if life.len() != 8 || !life.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(malformed());
        }
        let life = u32::from_str_radix(life, 16).map_err(|_| malformed())?;
        let seq = decimal(seq).ok_or_else(malformed)?;
        Ok(Self {
            life: life.to_be_bytes(),
            seq: EventSeq::new(seq),
        })
    }
}

/// A row of the journal: the group it stands in and its place there. Names a message of the
/// history stably, and history is paged by it. Text form: `<group>-<index>`, both decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// Number of the group in the journal.
    pub group: u64,
    /// Index of the record in the group.
    pub index: u16,
}

/// Text that is no [`RecordId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record id is two numbers with a hyphen between them, found {found:?}")]
pub struct MalformedRecordId {
    /// The first 64 characters of what was found.
    pub found: String,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.group, self.index)
    }
}

impl FromStr for RecordId {
    type Err = MalformedRecordId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('-')
            .and_then(|(group, index)| {
                Some(Self {
                    group: decimal(group)?,
                    index: decimal(index)?.try_into().ok()?,
                })
            })
            .ok_or_else(|| MalformedRecordId {
                found: text.chars().take(64).collect(),
            })
    }
}

/// A number in its one decimal form: no sign, no leading zero, so that text and value match one
/// to one.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok()).flatten()
}

macro_rules! as_text {
    ($($name:ty),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::words::text::deserialize(deserializer)
            }
        }
    )+};
}
as_text!(Cursor, RecordId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursor_text_round_trips(life: [u8; 4], seq: u64) {
            let cursor = Cursor { life, seq: EventSeq::new(seq) };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            let json = serde_json::to_string(&cursor).unwrap();
            prop_assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), cursor);
        }

        #[test]
        fn record_text_round_trips(group: u64, index: u16) {
            let record = RecordId { group, index };
            prop_assert_eq!(record.to_string().parse(), Ok(record));
        }

        #[test]
        fn any_text_is_taken_only_in_its_one_form(text in "[0-9a-fA-F+-]{0,24}|\\PC{0,12}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text.clone());
            }
            if let Ok(record) = text.parse::<RecordId>() {
                prop_assert_eq!(record.to_string(), text);
            }
        }
    }

    #[test]
    fn event_4_other_spellings_are_refused() {
        for text in [
            "",
            "-",
            "0a1b2c3d",
            "0a1b2c3d-",
            "-1",
            "0A1B2C3D-1",
            "0a1b2c3-1",
            "0a1b2c3d4-1",
            "0a1b2c3d-01",
            "0a1b2c3d-+1",
            "0a1b2c3d--1",
            "0a1b2c3d-18446744073709551616",
            "0a1b2c3d-1 ",
            "+a1b2c3d-1",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_cursor_knows_its_life() {
        let life = Incarnation::from_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
        let cursor = Cursor::new(life, EventSeq::new(9));
        assert_eq!(cursor.to_string(), "01020304-9");
        assert!(cursor.is_of(&life));
        assert!(!cursor.is_of(&Incarnation::from_bytes([1, 2, 3, 5, 5, 6, 7, 8])));
    }
}
