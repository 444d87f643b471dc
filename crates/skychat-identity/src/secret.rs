//! The secret half of an identity, and its X25519 form.

mod signer;

use std::fmt;

use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::clamp_integer;
use data_encoding::HEXLOWER_PERMISSIVE;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use self::signer::Signer;
use crate::{PublicKey, Signature, Tagged};

/// An Ed25519 secret key: the 32-byte seed of RFC 8032, with its public key at hand.
///
/// It is wiped when dropped, cannot be copied, printed or serialized, and compares in constant
/// time. The seed leaves only through [`expose_bytes`](Self::expose_bytes).
pub struct SecretKey {
    signer: Signer,
    public: PublicKey,
}

impl SecretKey {
    /// From a seed: 32 bytes of randomness from the operating system.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        let signer = Signer::new(&seed);
        let public = PublicKey::unchecked(signer.key().verifying_key().to_bytes());
        SecretKey { signer, public }
    }

    /// From the text of a seed: 64 hex digits, lower or upper case.
    ///
    /// # Errors
    /// [`SecretKeyError`], which says where the text is wrong and never shows what it holds.
    pub fn from_hex(text: &str) -> Result<Self, SecretKeyError> {
        if let Some(position) = text.chars().position(|c| !c.is_ascii_hexdigit()) {
            return Err(SecretKeyError::NotHex { position });
        }
        let mut seed = Zeroizing::new([0; 32]);
        if text.len() != 64
            || HEXLOWER_PERMISSIVE
                .decode_mut(text.as_bytes(), seed.as_mut())
                .is_err()
        {
            return Err(SecretKeyError::TextLength { found: text.len() });
        }
        Ok(SecretKey::from_seed(*seed))
    }

    /// The seed. Whoever has it is this identity.
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.signer.key().as_bytes()
    }

    /// The public key; computed once, when the secret was made.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The X25519 secret of the same identity: the first half of SHA-512 of the seed, clamped,
    /// as libsodium makes it; never the seed itself. Its public key is [`PublicKey::x25519`].
    pub fn x25519(&self) -> X25519Secret {
        let half = Zeroizing::new(self.signer.key().to_scalar_bytes());
        X25519Secret(Zeroizing::new(clamp_integer(*half)))
    }

    /// Signs. Deterministic (RFC 8032): the same bytes give the same signature.
    pub fn sign(&self, message: Tagged<'_>) -> Signature {
        self.sign_bytes(message.bytes())
    }

    /// Signing itself, apart from tags: known-answer tests come without them.
    pub(crate) fn sign_bytes(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(self.signer.sign(message))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl ConstantTimeEq for SecretKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.expose_bytes().ct_eq(other.expose_bytes())
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for SecretKey {}

/// An X25519 secret: a clamped scalar of 32 bytes, wiped when dropped.
pub struct X25519Secret(Zeroizing<[u8; 32]>);

impl X25519Secret {
    /// The scalar, clamped.
    pub fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key to it.
    pub fn public(&self) -> [u8; 32] {
        MontgomeryPoint::mul_base_clamped(*self.0).to_bytes()
    }
}

impl fmt::Debug for X25519Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("X25519Secret(..)")
    }
}

impl ConstantTimeEq for X25519Secret {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(other.0.as_ref())
    }
}

impl PartialEq for X25519Secret {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for X25519Secret {}

/// Why a text is no secret key. What the text holds is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretKeyError {
    /// Only hex digits, but another number of them.
    #[error("secret key: found {found} hex digits, expected 64")]
    TextLength {
        /// How many digits there are.
        found: usize,
    },
    /// A character that is no hex digit.
    #[error("secret key: character {} is no hex digit, expected 64 hex digits", position + 1)]
    NotHex {
        /// Index of the first such character, from 0.
        position: usize,
    },
}

#[cfg(test)]
mod tests;
