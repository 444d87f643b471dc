//! The two libraries, bare.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use skychat_transport::Backend;

pub(crate) enum Raw {
    AwsLc(LessSafeKey),
    RustCrypto(ChaCha20Poly1305),
}

const NONCE: [u8; 12] = [7; 12];

impl Raw {
    /// The library that `backend` stands on.
    pub(crate) fn of(backend: Backend) -> Self {
        match backend {
            Backend::RustCrypto => Raw::RustCrypto(ChaCha20Poly1305::new(&[9; 32].into())),
            _ => Raw::AwsLc(LessSafeKey::new(
                UnboundKey::new(&CHACHA20_POLY1305, &[9; 32]).unwrap(),
            )),
        }
    }

    /// Seals and opens `text` in place.
    pub(crate) fn seal_and_open(&self, text: &mut [u8]) {
        match self {
            Raw::AwsLc(key) => {
                let nonce = || Nonce::assume_unique_for_key(NONCE);
                let tag = key
                    .seal_in_place_separate_tag(nonce(), Aad::empty(), text)
                    .unwrap();
                key.open_in_place_separate_tag(nonce(), Aad::empty(), tag.as_ref(), text)
                    .unwrap();
            }
            Raw::RustCrypto(key) => {
                let nonce = NONCE.into();
                let tag = key
                    .encrypt_inout_detached(&nonce, &[], text.into())
                    .unwrap();
                key.decrypt_inout_detached(&nonce, &[], text.into(), &tag)
                    .unwrap();
            }
        }
    }
}
