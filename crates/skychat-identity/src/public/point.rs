//! A public key with its point at hand, and the strict checks themselves.

use std::fmt;

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Verifier, VerifyingKey};

use super::{KeyError, PublicKey};
use crate::{BadSignature, Signature, Tagged};

/// A [`PublicKey`] whose point is at hand, for whoever needs it more than once: each use of the
/// key alone begins with a square root, which is a sixth of a signature check.
///
/// It takes 224 bytes, a `PublicKey` 32.
#[derive(Clone, Copy)]
pub struct KeyPoint {
    key: PublicKey,
    point: VerifyingKey,
}

impl KeyPoint {
    /// Takes 32 bytes as a key, by the four checks of IDENT-1 in their order.
    ///
    /// # Errors
    /// Those of [`PublicKey::from_bytes`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let decoded = Self::of(PublicKey::unchecked(*bytes))?;
        if !is_canonical(bytes) {
            return Err(KeyError::NotCanonical);
        }
        let point = decoded.point.to_edwards();
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        if !is_of_prime_order(&point) {
            return Err(KeyError::MixedOrder);
        }
        Ok(decoded)
    }

    /// The point of a key that passed the checks before.
    pub(super) fn of(key: PublicKey) -> Result<Self, KeyError> {
        let point = VerifyingKey::from_bytes(key.as_bytes());
        let point = point.map_err(|_| KeyError::NotOnCurve)?;
        Ok(KeyPoint { key, point })
    }

    /// The key.
    pub const fn key(&self) -> PublicKey {
        self.key
    }

    /// The X25519 form: see [`PublicKey::x25519`].
    pub fn x25519(&self) -> [u8; 32] {
        self.point.to_montgomery().to_bytes()
    }

    /// Checks a signature: see [`PublicKey::verify`].
    ///
    /// # Errors
    /// [`BadSignature`], whatever the cause.
    pub fn verify(&self, message: Tagged<'_>, signature: &Signature) -> Result<(), BadSignature> {
        self.verify_bytes(message.bytes(), signature)
    }

    /// The check itself, apart from tags: known-answer tests come without them.
    pub(super) fn verify_bytes(
        &self,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        // The key has prime order, so [S]B - [k]A has too, or is the identity; and R is compared
        // with it byte for byte. So of the R of small order only the identity could pass, and
        // nothing has to be decoded to see it.
        if signature.r_bytes() == &IDENTITY {
            return Err(BadSignature);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the one signature check")]
        let held = self.point.verify(message, &signature);
        held.map_err(|_| BadSignature)
    }
}

impl fmt::Debug for KeyPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPoint({})", self.key.short())
    }
}

/// The canonical encoding of the identity of the curve: x = 0, y = 1.
const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// Whether l times the point is the identity: l - 1 times it is its negative then. As a scalar
/// l - 1 is -1 in its canonical form, and what is no secret may take the shorter way.
fn is_of_prime_order(point: &EdwardsPoint) -> bool {
    let (before_last, zero) = (-Scalar::ONE, Scalar::ZERO);
    EdwardsPoint::vartime_double_scalar_mul_basepoint(&before_last, point, &zero) == -point
}

/// Whether the encoding of a point is the one that encoding it again gives: y is below the prime
/// p = 2^255 - 19, and where x is 0, which it is for y = 1 and y = -1, its sign is clear.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    let (sign, high) = (high >> 7, high & 0x7f);
    let large = high == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    let small = high == 0 && middle.iter().all(|byte| *byte == 0);
    let without_x = (large && *low == 0xec) || (small && *low == 1);
    let too_large = large && *low >= 0xed;
    !(too_large || without_x && sign == 1)
}

#[cfg(test)]
mod tests;
