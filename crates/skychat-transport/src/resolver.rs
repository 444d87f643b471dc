//! The primitives as `snow` wants them.
//!
//! snow runs the handshake and nothing else. It gets no secret of ours: the static key is an
//! [`ExchangeKey`] it calls, and the ephemeral one is made from the seed that this resolver holds.
//! Two rules of ours live here because snow has neither: an exchange with a key of small order
//! ends the handshake, on both roles (C3), and what holds keys wipes them.

use std::cell::Cell;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types;
use zeroize::Zeroizing;

use crate::Suite;
use crate::backend::{ExchangeKey, Primitives, RecordCipher};

/// The 32 random bytes of one handshake: the secret of its ephemeral key. Used once, then wiped.
pub(crate) type Seed = Zeroizing<[u8; 32]>;

pub(crate) struct Resolver {
    primitives: &'static dyn Primitives,
    own: Arc<dyn ExchangeKey>,
    seed: Cell<Option<Seed>>,
}

impl Resolver {
    pub(crate) fn new(
        primitives: &'static dyn Primitives,
        own: Arc<dyn ExchangeKey>,
        seed: Seed,
    ) -> Self {
        Resolver {
            primitives,
            own,
            seed: Cell::new(Some(seed)),
        }
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        Some(Box::new(Once(self.seed.take())))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn types::Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| {
            Box::new(Dh {
                primitives: self.primitives,
                own: Arc::clone(&self.own),
                key: None,
            }) as Box<dyn types::Dh>
        })
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn types::Hash>> {
        matches!(choice, HashChoice::SHA256)
            .then(|| Box::new(Hash(Sha256::new())) as Box<dyn types::Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn types::Cipher>> {
        let suite = match choice {
            CipherChoice::ChaChaPoly => Suite::ChaChaPoly,
            CipherChoice::AESGCM => Suite::AesGcm,
            #[allow(unreachable_patterns, reason = "features of snow add some")]
            _ => return None,
        };
        let cipher = suite.cipher(self.primitives, &[0; 32])?;
        Some(Box::new(Cipher { suite, cipher }))
    }
}

/// Gives the seed out once; a second request is an error.
struct Once(Option<Seed>);

impl types::Random for Once {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        let seed = self.0.take().ok_or(snow::Error::Rng)?;
        if out.len() != seed.len() {
            return Err(snow::Error::Rng);
        }
        out.copy_from_slice(seed.as_ref());
        Ok(())
    }
}

/// What stands in for our static secret in the calls of snow: it only passes them on to
/// [`Dh::set`], which takes the prepared key instead.
pub(crate) const STATIC_PLACEHOLDER: [u8; 32] = [0; 32];

struct Dh {
    primitives: &'static dyn Primitives,
    own: Arc<dyn ExchangeKey>,
    key: Option<Arc<dyn ExchangeKey>>,
}

impl types::Dh for Dh {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, _placeholder: &[u8]) {
        self.key = Some(Arc::clone(&self.own));
    }

    fn generate(&mut self, rng: &mut dyn types::Random) -> Result<(), snow::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(secret.as_mut())?;
        self.key = Some(Arc::from(self.primitives.exchange_key(&secret)));
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        match &self.key {
            Some(key) => key.public(),
            None => &[0; 32],
        }
    }

    fn privkey(&self) -> &[u8] {
        &STATIC_PLACEHOLDER
    }

    fn dh(&self, peer: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let key = self.key.as_ref().ok_or(snow::Error::Dh)?;
        // snow keeps keys in longer arrays and passes the whole.
        let peer = peer.first_chunk::<32>().ok_or(snow::Error::Dh)?;
        let out = out.first_chunk_mut::<32>().ok_or(snow::Error::Dh)?;
        let shared = key.agree(peer).map_err(|_| snow::Error::Dh)?;
        *out = *shared;
        Ok(())
    }
}

struct Cipher {
    suite: Suite,
    cipher: Box<dyn RecordCipher>,
}

impl types::Cipher for Cipher {
    fn name(&self) -> &'static str {
        match self.suite {
            Suite::ChaChaPoly => "ChaChaPoly",
            Suite::AesGcm => "AESGCM",
        }
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.cipher.set(key);
    }

    fn encrypt(&self, nonce: u64, ad: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let len = plaintext.len();
        // snow checks the room; were it wrong, nothing is written and the peer cannot open it.
        let Some((text, rest)) = out.split_at_mut_checked(len) else {
            return 0;
        };
        let Some(room) = rest.first_chunk_mut::<16>() else {
            return 0;
        };
        text.copy_from_slice(plaintext);
        match self.cipher.seal(nonce, ad, text) {
            Ok(tag) => *room = tag,
            Err(_) => {
                // Nothing in clear leaves; the peer refuses the zeros.
                text.fill(0);
                room.fill(0);
            }
        }
        len.saturating_add(16)
    }

    fn decrypt(
        &self,
        nonce: u64,
        ad: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        let (text, tag) = ciphertext
            .split_last_chunk::<16>()
            .ok_or(snow::Error::Decrypt)?;
        let out = out.get_mut(..text.len()).ok_or(snow::Error::Decrypt)?;
        out.copy_from_slice(text);
        let opened = self.cipher.open(nonce, ad, out, tag);
        opened.map_err(|_| snow::Error::Decrypt)?;
        Ok(text.len())
    }
}

struct Hash(Sha256);

impl types::Hash for Hash {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        if let Some(out) = out.first_chunk_mut::<32>() {
            *out = self.0.finalize_reset().into();
        }
    }
}

#[cfg(test)]
mod tests;
