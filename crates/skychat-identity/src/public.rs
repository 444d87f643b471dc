//! The public key: one strict constructor, one signature check.

mod point;

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::point::KeyPoint;
use crate::{BadSignature, Signature, Tagged};

/// An Ed25519 public key: the name and the address of somebody.
///
/// A value of this type is canonical, on the curve, and of prime order: see
/// [`from_bytes`](Self::from_bytes). Its text form is 64 lower-case hex digits (`Display`,
/// `FromStr`, serde); `Debug` and [`short`](Self::short) show the first ten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Takes the 32 bytes of RFC 8032 (y, and the sign of x in the top bit) as a key.
    ///
    /// This is the only way to a `PublicKey`. It costs a square root and a multiplication by the
    /// group order, about as much as a signature check: where keys come in numbers, ask a
    /// [`KeyCache`](crate::KeyCache).
    ///
    /// # Errors
    /// [`KeyError::NotCanonical`]: y is not below the field's prime, or x is 0 with its sign set.
    /// [`KeyError::NotOnCurve`]: no such point. [`KeyError::SmallOrder`]: one of the points whose
    /// signatures anybody can make. [`KeyError::MixedOrder`]: a good key with a point of small
    /// order added, which would be a second encoding of the same X25519 secrets.
    ///
    /// Spec: `docs/protocol/identity.md`, IDENT-1.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        KeyPoint::from_bytes(bytes).map(|point| point.key())
    }

    /// The key with its point at hand, for more than one use of it.
    ///
    /// # Errors
    /// [`KeyError::NotOnCurve`], which no `PublicKey` gives that was taken from its bytes.
    pub fn point(&self) -> Result<KeyPoint, KeyError> {
        KeyPoint::of(*self)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The X25519 form, for Noise and sealing: the u coordinate of the same point.
    ///
    /// A key and its negative have the same X25519 form, so it never stands for an identity:
    /// compare and look up by the 32 Ed25519 bytes.
    pub fn x25519(&self) -> [u8; 32] {
        // It cannot fail: every `PublicKey` was decoded once. All zeros is the form that every
        // user of X25519 refuses.
        self.point().map_or([0; 32], |point| point.x25519())
    }

    /// Checks a signature by the strict rules: S below the group order, R canonical and not of
    /// small order, the equation without the cofactor. This is the one signature check of Skychat.
    ///
    /// # Errors
    /// [`BadSignature`], whatever the cause.
    pub fn verify(&self, message: Tagged<'_>, signature: &Signature) -> Result<(), BadSignature> {
        self.verify_bytes(message.bytes(), signature)
    }

    /// The check itself, apart from tags: known-answer tests come without them.
    pub(crate) fn verify_bytes(
        &self,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        let point = self.point().map_err(|_| BadSignature)?;
        point.verify_bytes(message, signature)
    }

    /// The first ten hex digits, for logs and lists; not unique against somebody who tries.
    pub fn short(&self) -> impl fmt::Display + fmt::Debug + use<> {
        let [a, b, c, d, e, ..] = self.0;
        Short([a, b, c, d, e])
    }

    /// Takes bytes that need no check: computed from a secret, or only looked up.
    pub(crate) const fn unchecked(bytes: [u8; 32]) -> Self {
        PublicKey(bytes)
    }
}

#[derive(Clone, Copy)]
struct Short([u8; 5]);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.short())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Exactly 64 lower-case hex digits: one key has one text form. Each thread remembers the last
    /// keys it took (a [`KeyCache`](crate::KeyCache)): requests name the same ones again and again.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        if let Some((position, found)) = text
            .chars()
            .enumerate()
            .find(|(_, c)| !matches!(c, '0'..='9' | 'a'..='f'))
        {
            return Err(match found {
                'A'..='F' => KeyError::UpperCase { position, found },
                _ => KeyError::NotHex { position, found },
            });
        }
        let mut bytes = [0; 32];
        if text.len() != 64 || HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).is_err() {
            return Err(KeyError::TextLength { found: text.len() });
        }
        crate::cache::remembered(&bytes)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = PublicKey;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a public key of 64 lower-case hex digits")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<PublicKey, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Why something is not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text has another length; every character of it is a hex digit.
    #[error("public key: found {found} hex digits, expected 64")]
    TextLength {
        /// How many digits there are.
        found: usize,
    },
    /// A hex digit in upper case.
    #[error(
        "public key: found `{found}` at character {}, expected lower-case hex digits", position + 1
    )]
    UpperCase {
        /// Index of the first such character, from 0.
        position: usize,
        /// The character.
        found: char,
    },
    /// A character that is no hex digit.
    #[error(
        "public key: found {found:?} at character {}, expected 64 lower-case hex digits", position + 1
    )]
    NotHex {
        /// Index of the first such character, from 0.
        position: usize,
        /// The character.
        found: char,
    },
    /// The bytes encode no point of the curve.
    #[error("public key: the 32 bytes are no point of the Ed25519 curve")]
    NotOnCurve,
    /// The bytes are a second encoding of a point that has a canonical one.
    #[error("public key: the encoding is not canonical")]
    NotCanonical,
    /// One of the points of order 1, 2, 4 or 8.
    #[error("public key: the point has small order, expected prime order")]
    SmallOrder,
    /// A point with a part of small order.
    #[error("public key: the point has mixed order, expected prime order")]
    MixedOrder,
}

#[cfg(test)]
mod tests;
