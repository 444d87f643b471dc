//! The cipher of `chacha20poly1305`.

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};

use super::{NONCE, Refused, TAG};

/// A key, on the heap, wiped when dropped.
pub(super) struct Key(Box<XChaCha20Poly1305>);

impl Key {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Key(Box::new(XChaCha20Poly1305::new(key.into())))
    }

    /// From slice to slice, of one length.
    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) -> Result<[u8; TAG], Refused> {
        let text = InOutBuf::new(plaintext, ciphertext).map_err(|_| Refused)?;
        let tag = self
            .0
            .encrypt_inout_detached(&XNonce::from(*nonce), aad, text);
        tag.map(Into::into).map_err(|_| Refused)
    }

    /// The other way round. After an error `plaintext` is worth nothing.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG],
        plaintext: &mut [u8],
    ) -> Result<(), Refused> {
        let text = InOutBuf::new(ciphertext, plaintext).map_err(|_| Refused)?;
        let (nonce, tag) = (XNonce::from(*nonce), Tag::from(*tag));
        let opened = self.0.decrypt_inout_detached(&nonce, aad, text, &tag);
        opened.map_err(|_| Refused)
    }
}
