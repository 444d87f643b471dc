//! Identifiers that are a fixed number of bytes.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// Defines one identifier: the type, its bytes, its text form and its serde form.
macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// All zeros: stands for "none" in fixed layouts.
            pub const ZERO: Self = Self([0; $len]);

            /// From its bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// From a slice; `None` unless it has exactly [`LEN`](Self::LEN) bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Its bytes.
            pub const fn to_bytes(self) -> [u8; $len] {
                self.0
            }

            /// Its bytes, borrowed.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Whether it is all zeros.
            pub fn is_zero(&self) -> bool {
                *self == Self::ZERO
            }

            /// The first ten hex digits, for logs and lists.
            pub fn short(&self) -> impl fmt::Display + fmt::Debug + use<> {
                let [a, b, c, d, e, ..] = self.0;
                Short([a, b, c, d, e])
            }
        }

        /// The short form.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        /// All of it, in lower-case hex.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; $len * 2];
                HEXLOWER.encode_mut(&self.0, &mut digits);
                f.pad(std::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $len];
                read_hex(stringify!($name), text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{} lower-case hex digits", $len * 2)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

byte_id! {
    /// A conversation. The id of a direct one follows from the keys of its two members
    /// ([`SpaceId::direct`]); that of a group is the hash of its genesis. Spec: ID-1.
    SpaceId, 32
}

byte_id! {
    /// A position in a feed: the hash of the header of the entry there. [`EntryId::ZERO`] is
    /// "before the first entry". Spec: ID-2.
    EntryId, 32
}

byte_id! {
    /// A message: 16 bytes, random or chosen by the client, drawn when it is composed, and its
    /// idempotency key. Unique for one author only. All zeros in `open` and `control` entries.
    /// Spec: ID-3.
    MessageId, 16
}

byte_id! {
    /// One life of one writer: 8 random bytes, drawn each time a store is opened for writing.
    /// Never a counter, so the order of two of them means nothing. Spec: INC-1.
    Incarnation, 8
}

byte_id! {
    /// A public sealing key: the first 8 bytes of the SHA-256 of it. Spec: SEAL-2.
    KeyId, 8
}

byte_id! {
    /// The SHA-256 of the body of an entry, as the header states it. Spec: FEED-1.
    BodyHash, 32
}

impl EntryId {
    /// The id of the entry whose encoded header this is: its SHA-256.
    pub fn of(header: &[u8; crate::limits::HEADER_LEN]) -> Self {
        Self(Sha256::digest(header).into())
    }
}

impl BodyHash {
    /// The hash of a body.
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }
}

#[derive(Clone, Copy)]
struct Short([u8; 5]);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 10];
        HEXLOWER.encode_mut(&self.0, &mut digits);
        f.pad(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Fills `bytes` from exactly twice as many lower-case hex digits.
fn read_hex(what: &'static str, text: &str, bytes: &mut [u8]) -> Result<(), IdError> {
    let digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if let Some((position, found)) = text.chars().enumerate().find(|(_, c)| !digit(*c)) {
        return Err(IdError::NotHex {
            what,
            position,
            found,
        });
    }
    let expected = bytes.len().saturating_mul(2);
    if text.len() != expected || HEXLOWER.decode_mut(text.as_bytes(), bytes).is_err() {
        let found = text.len();
        return Err(IdError::TextLength {
            what,
            found,
            expected,
        });
    }
    Ok(())
}

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Only hex digits, but another number of them.
    #[error("{what}: found {found} hex digits, expected {expected}")]
    TextLength {
        /// The type that was asked for.
        what: &'static str,
        /// How many digits there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A character that is no lower-case hex digit.
    #[error("{what}: found {found:?} at character {}, expected lower-case hex digits", position.saturating_add(1))]
    NotHex {
        /// The type that was asked for.
        what: &'static str,
        /// Index of the first such character, from 0.
        position: usize,
        /// The character.
        found: char,
    },
}

/// The id before the first entry of a feed: zeros.
impl Default for EntryId {
    fn default() -> Self {
        EntryId::ZERO
    }
}
