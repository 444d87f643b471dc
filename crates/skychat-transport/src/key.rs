//! The two keys of a link, which own their nonces and renew themselves.

use zeroize::Zeroizing;

use crate::Violation;
use crate::backend::RecordCipher;
use crate::record::{LENGTH, MAX_PLAINTEXT, TAG};

/// When a direction of a link takes a new key: after the record that is the `records`th since the
/// last time, or that brings its plaintext to `bytes` or more. Both sides count; nothing is said.
///
/// The default is the protocol's (65,536 records, 2^30 bytes), of both suites. Both ends have to
/// use the same. They keep AES-GCM far from what it can bear: `docs/protocol/link.md`, LINK-8, has
/// the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RekeyLimits {
    /// Records of one direction; at least 1.
    pub records: u64,
    /// Bytes of plaintext of one direction.
    pub bytes: u64,
}

impl Default for RekeyLimits {
    fn default() -> Self {
        RekeyLimits {
            records: skychat_proto::limits::REKEY_RECORDS,
            bytes: skychat_proto::limits::REKEY_BYTES,
        }
    }
}

/// Seals the records of one direction, in order. It owns its nonce, and there is no way to set it.
pub struct SealingKey(Chain);

impl SealingKey {
    pub(crate) fn new(cipher: Box<dyn RecordCipher>, limits: RekeyLimits) -> Self {
        SealingKey(Chain::new(cipher, limits))
    }

    /// Seals a record in place. `record` is 2 bytes of room, the frames, 16 bytes of room; it
    /// becomes what goes on the wire.
    ///
    /// # Errors
    /// [`SealError`]: the record must not be sent and the link is over.
    pub fn seal(&mut self, record: &mut [u8]) -> Result<(), SealError> {
        let (length, rest) = record
            .split_first_chunk_mut::<LENGTH>()
            .ok_or(SealError::Layout)?;
        let (text, tag) = rest
            .split_last_chunk_mut::<TAG>()
            .ok_or(SealError::Layout)?;
        if text.is_empty() || text.len() > MAX_PLAINTEXT {
            return Err(SealError::Layout);
        }
        let body = text.len().saturating_add(TAG);
        *length = u16::try_from(body)
            .map_err(|_| SealError::Layout)?
            .to_be_bytes();
        let nonce = self.0.nonce().ok_or(SealError::Exhausted)?;
        let Ok(sealed) = self.0.cipher.seal(nonce, &[], text) else {
            // The nonce may have been used.
            self.0.spent = true;
            return Err(SealError::Cipher);
        };
        *tag = sealed;
        let len = text.len();
        self.0.advance(len).ok_or(SealError::Exhausted)
    }
}

/// Opens the records of one direction, in order. One that does not open ends it for good.
pub struct OpeningKey(Chain);

impl OpeningKey {
    pub(crate) fn new(cipher: Box<dyn RecordCipher>, limits: RekeyLimits) -> Self {
        OpeningKey(Chain::new(cipher, limits))
    }

    /// Opens a record in place. `body` is the record without its length: ciphertext, then tag.
    /// Returns the frames.
    ///
    /// # Errors
    /// A [`Violation`] of LINK-4 if it does not open; from then on nothing does.
    pub fn open<'a>(&mut self, body: &'a mut [u8]) -> Result<&'a [u8], Violation> {
        let opened = self.try_open(body);
        if opened.is_err() {
            self.0.spent = true;
        }
        opened
    }

    fn try_open<'a>(&mut self, body: &'a mut [u8]) -> Result<&'a [u8], Violation> {
        const FORGED: Violation = Violation::new("LINK-4", "a record that does not open");
        const EMPTY: Violation = Violation::new("LINK-4", "a record without frames");
        let nonce = self.0.nonce().ok_or(FORGED)?;
        let (text, tag) = body.split_last_chunk_mut::<TAG>().ok_or(FORGED)?;
        if text.is_empty() || text.len() > MAX_PLAINTEXT {
            return Err(EMPTY);
        }
        self.0
            .cipher
            .open(nonce, &[], text, tag)
            .map_err(|_| FORGED)?;
        self.0.advance(text.len()).ok_or(FORGED)?;
        Ok(text)
    }
}

/// Why a record was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It is no record: too short, without frames, or too long.
    #[error("a record holds 1 to {MAX_PLAINTEXT} bytes of frames")]
    Layout,
    /// All 2^64 - 1 nonces are used, or an earlier record failed.
    #[error("the key is used up")]
    Exhausted,
    /// The backend failed.
    #[error("the cipher failed")]
    Cipher,
}

/// A cipher key, its nonce, and what counts towards the next key.
struct Chain {
    cipher: Box<dyn RecordCipher>,
    nonce: u64,
    records: u64,
    bytes: u64,
    limits: RekeyLimits,
    spent: bool,
}

impl Chain {
    fn new(cipher: Box<dyn RecordCipher>, limits: RekeyLimits) -> Self {
        Chain {
            cipher,
            nonce: 0,
            records: 0,
            bytes: 0,
            limits,
            spent: false,
        }
    }

    /// The nonce of the next record. 2^64 - 1 is the nonce of `REKEY` and of nothing else.
    fn nonce(&self) -> Option<u64> {
        (!self.spent && self.nonce != u64::MAX).then_some(self.nonce)
    }

    /// Goes on to the next nonce, and to the next key when it is time. `None`: the cipher failed.
    fn advance(&mut self, plaintext: usize) -> Option<()> {
        self.nonce = self.nonce.saturating_add(1);
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(plaintext as u64);
        if self.records >= self.limits.records || self.bytes >= self.limits.bytes {
            if self.rekey().is_err() {
                self.spent = true;
                return None;
            }
            self.records = 0;
            self.bytes = 0;
        }
        Some(())
    }

    /// `REKEY` of the Noise specification, 4.2: the first 32 bytes of sealing 32 zero bytes with
    /// the last nonce.
    fn rekey(&mut self) -> Result<(), crate::backend::CipherError> {
        let mut next = Zeroizing::new([0; 32]);
        self.cipher.seal(u64::MAX, &[], next.as_mut())?;
        self.cipher.set(&next);
        Ok(())
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

impl std::fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpeningKey(..)")
    }
}

#[cfg(test)]
mod tests;
