//! What signs: the library of the portable build, or the faster one. Their signatures are the same
//! bytes (RFC 8032, deterministic). Checking is with [`KeyPoint`](crate::KeyPoint) in any build.

#[cfg(feature = "aws-lc")]
use std::sync::OnceLock;

#[cfg(feature = "aws-lc")]
use aws_lc_rs::signature::Ed25519KeyPair;
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

/// Wiped when dropped, by both libraries.
pub(super) struct Signer {
    /// On the heap, so that moving the value leaves no copies of the seed on the stack.
    key: Box<SigningKey>,
    /// Made when it is needed first. `None` in it cannot be: the public key is that of the seed.
    #[cfg(feature = "aws-lc")]
    fast: OnceLock<Option<Ed25519KeyPair>>,
}

impl Signer {
    pub(super) fn new(seed: &Zeroizing<[u8; 32]>) -> Self {
        Signer {
            key: Box::new(SigningKey::from_bytes(seed)),
            #[cfg(feature = "aws-lc")]
            fast: OnceLock::new(),
        }
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    #[cfg(feature = "aws-lc")]
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let fast = self.fast.get_or_init(|| {
            let public = self.key.verifying_key();
            Ed25519KeyPair::from_seed_and_public_key(self.key.as_bytes(), public.as_bytes()).ok()
        });
        let signed = fast.as_ref().and_then(|pair| {
            let signature = pair.try_sign(message).ok()?;
            signature.as_ref().try_into().ok()
        });
        signed.unwrap_or_else(|| self.portable(message))
    }

    #[cfg(not(feature = "aws-lc"))]
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.portable(message)
    }

    pub(super) fn portable(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}
