//! The writing side of suite 1.

use std::fmt;

use rand_core::CryptoRng;

use crate::aead::{NONCE, TAG};
use crate::context::{EntryAad, KeyId, SealInfo};
use crate::secret::{ENCAPSULATION, LABEL, Secret};

/// How much longer a body of suite 1 is than its plaintext.
pub const BODY_OVERHEAD: usize = KeyId::LEN + ENCAPSULATION + NONCE + TAG;
/// How many bodies are sealed with one encapsulation.
pub const MAX_SEALED: u32 = 1_000;
/// How long one encapsulation is used, in milliseconds: 24 hours.
pub const MAX_AGE_MS: u64 = 24 * 60 * 60 * 1_000;

/// Length of the body that a plaintext of `plaintext` bytes becomes.
pub const fn sealed_len(plaintext: usize) -> usize {
    plaintext.saturating_add(BODY_OVERHEAD)
}

/// Seals what one author says to one recipient, in one space and one life, with one
/// encapsulation: made when the sealer is made, carried by every body, renewed by making
/// another sealer.
///
/// Spec: `docs/protocol/direct.md`, DIRECT-5 (rule SEAL-2).
pub struct Sealer {
    info: SealInfo,
    key_id: KeyId,
    encapsulation: [u8; ENCAPSULATION],
    secret: Secret,
    created_ms: u64,
    sealed: u32,
}

impl Sealer {
    /// Encapsulates a fresh secret to the recipient's identity. `now_ms` is the wall time in
    /// milliseconds since 1970.
    ///
    /// # Errors
    /// [`SealError::BadRecipient`].
    pub fn new(rng: &mut impl CryptoRng, info: &SealInfo, now_ms: u64) -> Result<Self, SealError> {
        let recipient = info.recipient.x25519();
        let key_id = KeyId::of(&recipient);
        let (secret, encapsulation) =
            Secret::encapsulate(rng, &recipient, &info.to_bytes(key_id), LABEL)
                .map_err(|_| SealError::BadRecipient)?;
        Ok(Sealer {
            info: *info,
            key_id,
            encapsulation,
            secret,
            created_ms: now_ms,
            sealed: 0,
        })
    }

    /// What this sealer is for.
    pub fn info(&self) -> &SealInfo {
        &self.info
    }

    /// Whether it is time for another one: [`MAX_SEALED`] bodies or [`MAX_AGE_MS`] are reached,
    /// or the clock was set back before the moment at which this one was made.
    pub fn expired(&self, now_ms: u64) -> bool {
        self.sealed >= MAX_SEALED
            || now_ms
                .checked_sub(self.created_ms)
                .is_none_or(|age| age >= MAX_AGE_MS)
    }

    /// Seals `plaintext` as the body of one entry and appends it to `out`:
    /// key id ‖ encapsulation ‖ nonce ‖ ciphertext ‖ tag, [`BODY_OVERHEAD`] bytes more than the
    /// plaintext.
    ///
    /// # Errors
    /// [`SealError::Exhausted`] after [`MAX_SEALED`] bodies, [`SealError::TooLarge`]; `out` is as
    /// before.
    pub fn seal(
        &mut self,
        rng: &mut impl CryptoRng,
        aad: &EntryAad,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        if self.sealed >= MAX_SEALED {
            return Err(SealError::Exhausted);
        }
        let before = out.len();
        out.reserve(sealed_len(plaintext.len()));
        out.extend_from_slice(self.key_id.as_bytes());
        out.extend_from_slice(&self.encapsulation);
        let aad_bytes = aad.to_bytes(&self.info);
        let cipher = self.secret.body_cipher(aad.seq);
        if cipher.seal(rng, &aad_bytes, plaintext, out).is_err() {
            out.truncate(before);
            return Err(SealError::TooLarge);
        }
        self.sealed = self.sealed.saturating_add(1);
        Ok(())
    }
}

/// Shows what it is for, never the secret.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("info", &self.info)
            .field("key_id", &self.key_id)
            .field("sealed", &self.sealed)
            .finish_non_exhaustive()
    }
}

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The recipient's key gives no shared secret. Keys that passed `PublicKey::from_bytes` do.
    #[error("sealing: the recipient's key gives no shared secret")]
    BadRecipient,
    /// This sealer has sealed [`MAX_SEALED`] bodies; make another one.
    #[error("sealing: {MAX_SEALED} bodies were sealed with this encapsulation, make another one")]
    Exhausted,
    /// The plaintext is longer than the cipher can take (256 GiB).
    #[error("sealing: the plaintext is longer than 256 GiB")]
    TooLarge,
}
