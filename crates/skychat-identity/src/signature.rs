//! An Ed25519 signature: 64 bytes, R and S.

use std::fmt;

use data_encoding::HEXLOWER;

/// An Ed25519 signature (RFC 8032): 32 bytes R, 32 bytes S. Any 64 bytes can be held; whether
/// they mean something is for [`PublicKey::verify`](crate::PublicKey::verify) to say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;

    /// From its bytes. Nothing is checked here.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Signature(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 64] {
        self.0
    }

    /// Its bytes, borrowed.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, ..] = self.0;
        write!(f, "Signature({}..)", HEXLOWER.encode(&[a, b, c, d, e]))
    }
}

/// The signature is not one of this key over these bytes, or is not in its one canonical form.
/// There is one verdict and no finer cause: nobody can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct BadSignature;
