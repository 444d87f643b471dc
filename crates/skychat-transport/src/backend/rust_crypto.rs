//! `chacha20poly1305` and `x25519-dalek`.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce, Tag};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{CipherError, ExchangeKey, NonContributory, Primitives, RecordCipher, nonce_bytes};

pub(super) struct RustCrypto;

impl Primitives for RustCrypto {
    fn name(&self) -> &'static str {
        "rust-crypto"
    }

    fn cipher(&self, key: &[u8; 32]) -> Box<dyn RecordCipher> {
        Box::new(Cipher(ChaCha20Poly1305::new(&Key::from(*key))))
    }

    fn exchange_key(&self, secret: &[u8; 32]) -> Box<dyn ExchangeKey> {
        let secret = StaticSecret::from(*secret);
        let public = PublicKey::from(&secret).to_bytes();
        Box::new(Exchange { secret, public })
    }
}

/// Wiped when dropped, by the crate's feature `zeroize`.
struct Cipher(ChaCha20Poly1305);

impl RecordCipher for Cipher {
    fn set(&mut self, key: &[u8; 32]) {
        self.0 = ChaCha20Poly1305::new(&Key::from(*key));
    }

    fn seal(&self, nonce: u64, ad: &[u8], text: &mut [u8]) -> Result<[u8; 16], CipherError> {
        let nonce = Nonce::from(nonce_bytes(nonce));
        let tag = self.0.encrypt_inout_detached(&nonce, ad, text.into());
        tag.map(Into::into).map_err(|_| CipherError)
    }

    fn open(
        &self,
        nonce: u64,
        ad: &[u8],
        text: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CipherError> {
        let nonce = Nonce::from(nonce_bytes(nonce));
        let tag = Tag::from(*tag);
        let opened = self.0.decrypt_inout_detached(&nonce, ad, text.into(), &tag);
        opened.map_err(|_| CipherError)
    }
}

/// The secret is wiped when dropped.
struct Exchange {
    secret: StaticSecret,
    public: [u8; 32],
}

impl ExchangeKey for Exchange {
    fn public(&self) -> &[u8; 32] {
        &self.public
    }

    fn agree(&self, peer: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, NonContributory> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(*peer));
        if !shared.was_contributory() {
            return Err(NonContributory);
        }
        Ok(Zeroizing::new(shared.to_bytes()))
    }
}
