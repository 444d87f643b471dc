//! The libraries, bare.

use aws_lc_rs::aead as aws_lc;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use ring::aead as ring;

use crate::ours::Cipher;

/// The cipher of one of them.
pub(crate) enum Raw {
    AwsLc(aws_lc::LessSafeKey),
    Ring(ring::LessSafeKey),
    RustCrypto(ChaCha20Poly1305),
}

const KEY: [u8; 32] = [9; 32];
const NONCE: [u8; 12] = [7; 12];

impl Raw {
    /// All of them, with their names.
    pub(crate) fn all() -> [(&'static str, Cipher, Raw); 4] {
        let aws_lc = |cipher| {
            let key = aws_lc::UnboundKey::new(cipher, &KEY).unwrap();
            Raw::AwsLc(aws_lc::LessSafeKey::new(key))
        };
        let ring = ring::UnboundKey::new(&ring::CHACHA20_POLY1305, &KEY).unwrap();
        let ring = Raw::Ring(ring::LessSafeKey::new(ring));
        let rust_crypto = Raw::RustCrypto(ChaCha20Poly1305::new(&KEY.into()));
        [
            (
                "raw-aws-lc",
                Cipher::ChaCha,
                aws_lc(&aws_lc::CHACHA20_POLY1305),
            ),
            ("raw-ring", Cipher::ChaCha, ring),
            ("raw-rust-crypto", Cipher::ChaCha, rust_crypto),
            ("raw-aws-lc-aes", Cipher::Aes, aws_lc(&aws_lc::AES_256_GCM)),
        ]
    }

    /// Seals and opens `text` in place.
    pub(crate) fn seal_and_open(&self, text: &mut Vec<u8>) {
        let length = text.len();
        match self {
            Raw::AwsLc(key) => {
                let nonce = || aws_lc::Nonce::assume_unique_for_key(NONCE);
                let aad = aws_lc::Aad::empty;
                key.seal_in_place_append_tag(nonce(), aad(), text).unwrap();
                key.open_in_place(nonce(), aad(), text).unwrap();
                text.truncate(length);
            }
            Raw::Ring(key) => {
                let nonce = || ring::Nonce::assume_unique_for_key(NONCE);
                let aad = ring::Aad::empty;
                key.seal_in_place_append_tag(nonce(), aad(), text).unwrap();
                key.open_in_place(nonce(), aad(), text).unwrap();
                text.truncate(length);
            }
            Raw::RustCrypto(key) => {
                let (nonce, text) = (NONCE.into(), text.as_mut_slice());
                let tag = key.encrypt_inout_detached(&nonce, &[], text.into());
                let tag = tag.unwrap();
                key.decrypt_inout_detached(&nonce, &[], text.into(), &tag)
                    .unwrap();
            }
        }
    }
}
