//! The same made of `aws-lc-rs`, which has ChaCha20-Poly1305 only: the key and the first 16 bytes of
//! the nonce give a key for one message (HChaCha20), the last 8 behind 4 zero bytes its nonce, as
//! draft-irtf-cfrg-xchacha-03, 2.3, defines it. A third of the time for short messages.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use chacha20::{R20, hchacha};
use zeroize::Zeroizing;

use super::{NONCE, Refused, TAG};

/// A key, on the heap, wiped when dropped; the library wipes those for one message.
pub(super) struct Key(Box<Zeroizing<[u8; 32]>>);

/// The key for one message, and its nonce.
fn derive(key: &[u8; 32], nonce: &[u8; NONCE]) -> Result<(LessSafeKey, Nonce), Refused> {
    let (salt, rest) = nonce.split_first_chunk::<16>().ok_or(Refused)?;
    let subkey: Zeroizing<[u8; 32]> =
        Zeroizing::new(hchacha::<R20>(key.into(), salt.into()).into());
    let mut short = [0; 12];
    let last = short.last_chunk_mut::<8>().ok_or(Refused)?;
    *last = rest.try_into().map_err(|_| Refused)?;
    let subkey = UnboundKey::new(&CHACHA20_POLY1305, &*subkey).map_err(|_| Refused)?;
    let nonce = Nonce::assume_unique_for_key(short);
    Ok((LessSafeKey::new(subkey), nonce))
}

impl Key {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Key(Box::new(Zeroizing::new(*key)))
    }

    /// From slice to slice, of one length.
    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) -> Result<[u8; TAG], Refused> {
        if plaintext.len() != ciphertext.len() {
            return Err(Refused);
        }
        let (key, nonce) = derive(&self.0, nonce)?;
        ciphertext.copy_from_slice(plaintext);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), ciphertext);
        tag.map_err(|_| Refused)?
            .as_ref()
            .try_into()
            .map_err(|_| Refused)
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
        let (key, nonce) = derive(&self.0, nonce)?;
        let opened = key.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, plaintext);
        opened.map_err(|_| Refused)
    }
}
