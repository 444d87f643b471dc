//! `aws-lc-rs`.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{CipherError, ExchangeKey, NonContributory, Primitives, RecordCipher, nonce_bytes};

pub(super) struct AwsLc;

impl Primitives for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc"
    }

    fn cipher(&self, key: &[u8; 32]) -> Box<dyn RecordCipher> {
        Box::new(Cipher(cipher_key(key)))
    }

    fn exchange_key(&self, secret: &[u8; 32]) -> Box<dyn ExchangeKey> {
        let secret = PrivateKey::from_private_key(&X25519, secret).ok();
        let public = secret
            .as_ref()
            .and_then(|secret| secret.compute_public_key().ok())
            .and_then(|public| public.as_ref().try_into().ok())
            .unwrap_or([0; 32]);
        Box::new(Exchange { secret, public })
    }
}

/// `None` cannot be: 32 bytes are always a key. It refuses everything. The library wipes its keys.
struct Cipher(Option<LessSafeKey>);

fn cipher_key(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key)
        .map(LessSafeKey::new)
        .ok()
}

impl RecordCipher for Cipher {
    fn set(&mut self, key: &[u8; 32]) {
        self.0 = cipher_key(key);
    }

    fn seal(&self, nonce: u64, ad: &[u8], text: &mut [u8]) -> Result<[u8; 16], CipherError> {
        let key = self.0.as_ref().ok_or(CipherError)?;
        let nonce = Nonce::assume_unique_for_key(nonce_bytes(nonce));
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(ad), text)
            .map_err(|_| CipherError)?;
        tag.as_ref().try_into().map_err(|_| CipherError)
    }

    fn open(
        &self,
        nonce: u64,
        ad: &[u8],
        text: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CipherError> {
        let key = self.0.as_ref().ok_or(CipherError)?;
        let nonce = Nonce::assume_unique_for_key(nonce_bytes(nonce));
        match key.open_in_place_separate_tag(nonce, Aad::from(ad), tag, text) {
            Ok(_) => Ok(()),
            Err(_) => Err(CipherError),
        }
    }
}

/// `None` cannot be: 32 bytes are always a secret. It agrees with nobody.
struct Exchange {
    secret: Option<PrivateKey>,
    public: [u8; 32],
}

impl ExchangeKey for Exchange {
    fn public(&self) -> &[u8; 32] {
        &self.public
    }

    fn agree(&self, peer: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, NonContributory> {
        let secret = self.secret.as_ref().ok_or(NonContributory)?;
        let peer = UnparsedPublicKey::new(&X25519, &peer[..]);
        // The library refuses an all-zero result by itself; that is not left to it.
        agree(secret, peer, NonContributory, |shared| {
            let shared: [u8; 32] = shared.try_into().map_err(|_| NonContributory)?;
            let shared = Zeroizing::new(shared);
            if bool::from(shared.ct_eq(&[0; 32])) {
                return Err(NonContributory);
            }
            Ok(shared)
        })
    }
}
