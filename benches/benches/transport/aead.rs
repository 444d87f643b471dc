//! The ciphers of the libraries, bare.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use skychat_transport::{Backend, Suite};

/// What a link is made with.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) backend: Backend,
    pub(crate) suite: Suite,
    /// In ids, for good.
    pub(crate) name: &'static str,
}

/// Every backend in suite 1, then suite 2 where it is to be had.
pub(crate) fn kinds() -> Vec<Kind> {
    let all = [
        (Backend::AwsLc, Suite::ChaChaPoly, "aws-lc"),
        (Backend::RustCrypto, Suite::ChaChaPoly, "rust-crypto"),
        (Backend::AwsLc, Suite::AesGcm, "aws-lc-suite-2"),
    ];
    all.into_iter()
        .filter(|(backend, suite, _)| backend.offers(*suite))
        .map(|(backend, suite, name)| Kind {
            backend,
            suite,
            name,
        })
        .collect()
}

pub(crate) enum Raw {
    AwsLc(LessSafeKey),
    RustCrypto(ChaCha20Poly1305),
}

const NONCE: [u8; 12] = [7; 12];

impl Raw {
    /// What a link of this kind stands on.
    pub(crate) fn of(kind: Kind) -> Self {
        let algorithm = match (kind.backend, kind.suite) {
            (Backend::RustCrypto, _) => {
                return Raw::RustCrypto(ChaCha20Poly1305::new(&[9; 32].into()));
            }
            (_, Suite::AesGcm) => &AES_256_GCM,
            _ => &CHACHA20_POLY1305,
        };
        Raw::AwsLc(LessSafeKey::new(
            UnboundKey::new(algorithm, &[9; 32]).unwrap(),
        ))
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
