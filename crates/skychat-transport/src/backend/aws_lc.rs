//! `aws-lc-rs`.

use std::marker::PhantomData;

use aws_lc_rs::aead::{
    AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    CipherError, ExchangeKey, NonContributory, Primitives, RecordCipher, noise_nonce, nonce_bytes,
};

pub(super) struct AwsLc;

impl Primitives for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc"
    }

    fn cipher(&self, key: &[u8; 32]) -> Box<dyn RecordCipher> {
        Box::new(Cipher::<ChaChaPoly>::new(key))
    }

    fn aes_gcm(&self, key: &[u8; 32]) -> Option<Box<dyn RecordCipher>> {
        has_aes_instructions()
            .then(|| Box::new(Cipher::<AesGcm>::new(key)) as Box<dyn RecordCipher>)
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

/// One of the library's ciphers, with the nonces Noise has for it.
trait Kind: Send + Sync + 'static {
    fn algorithm() -> &'static Algorithm;
    fn nonce(number: u64) -> [u8; 12];
}

struct ChaChaPoly;
struct AesGcm;

impl Kind for ChaChaPoly {
    fn algorithm() -> &'static Algorithm {
        &CHACHA20_POLY1305
    }

    fn nonce(number: u64) -> [u8; 12] {
        nonce_bytes(number)
    }
}

impl Kind for AesGcm {
    fn algorithm() -> &'static Algorithm {
        &AES_256_GCM
    }

    fn nonce(number: u64) -> [u8; 12] {
        noise_nonce(number.to_be_bytes())
    }
}

/// Without these the library's AES is safe and slow: slower than ChaCha20-Poly1305.
fn has_aes_instructions() -> bool {
    #[cfg(target_arch = "x86_64")]
    let there = std::arch::is_x86_feature_detected!("aes")
        && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    let there = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let there = false;
    there
}

/// `None` cannot be: 32 bytes are always a key. It refuses everything. The library wipes its keys.
struct Cipher<K> {
    key: Option<LessSafeKey>,
    kind: PhantomData<K>,
}

impl<K: Kind> Cipher<K> {
    fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(K::algorithm(), key);
        Cipher {
            key: key.map(LessSafeKey::new).ok(),
            kind: PhantomData,
        }
    }
}

impl<K: Kind> RecordCipher for Cipher<K> {
    fn set(&mut self, key: &[u8; 32]) {
        *self = Cipher::new(key);
    }

    fn seal(&self, nonce: u64, ad: &[u8], text: &mut [u8]) -> Result<[u8; 16], CipherError> {
        let key = self.key.as_ref().ok_or(CipherError)?;
        let nonce = Nonce::assume_unique_for_key(K::nonce(nonce));
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
        let key = self.key.as_ref().ok_or(CipherError)?;
        let nonce = Nonce::assume_unique_for_key(K::nonce(nonce));
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
