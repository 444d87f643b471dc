//! The reading side of suite 1.

use std::collections::BTreeMap;
use std::fmt;

use skychat_identity::X25519Secret;
use zeroize::Zeroizing;

use crate::aead::{NONCE, TAG};
use crate::context::{EntryAad, INFO_LEN, KeyId, SealInfo};
use crate::secret::{ENCAPSULATION, LABEL, Secret};

/// How many secrets an [`Opener`] keeps at hand. Beyond that the one that was not used for the
/// longest time goes; it costs one X25519 operation to have it again.
pub const OPENER_CACHE: usize = 256;

/// Opens bodies of suite 1, and keeps the secrets of the encapsulations that it saw last.
///
/// A secret is kept under its encapsulation *and* the `info` it was derived for, and only once a
/// body opened with it. So a copied encapsulation in somebody else's entry neither finds nor
/// displaces a secret, and forged bodies do not fill the cache.
///
/// Spec: `docs/protocol/direct.md`, DIRECT-6 (rule SEAL-2).
#[derive(Default)]
pub struct Opener {
    secrets: BTreeMap<CacheKey, Cached>,
    uses: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CacheKey {
    encapsulation: [u8; ENCAPSULATION],
    info: [u8; INFO_LEN],
}

struct Cached {
    secret: Secret,
    last_use: u64,
}

impl Opener {
    /// One that keeps nothing yet.
    pub fn new() -> Self {
        Opener::default()
    }

    /// Opens the body of one entry. `secret` is the X25519 form of the identity that `info`
    /// names as recipient; `info` and `aad` are taken from the verified header.
    ///
    /// # Errors
    /// [`OpenError`]. Nothing of a body that fails is ever seen.
    pub fn open(
        &mut self,
        secret: &X25519Secret,
        info: &SealInfo,
        aad: &EntryAad,
        body: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let malformed = OpenError::Malformed { found: body.len() };
        let (key_id, rest) = body.split_first_chunk().ok_or(malformed)?;
        let (encapsulation, sealed) = rest.split_first_chunk().ok_or(malformed)?;
        if sealed.len() < NONCE + TAG {
            return Err(malformed);
        }
        let key_id = KeyId::from_bytes(*key_id);
        let key = CacheKey {
            encapsulation: *encapsulation,
            info: info.to_bytes(key_id),
        };
        let aad_bytes = aad.to_bytes(info);
        let open = |secret: &Secret| {
            secret
                .body_cipher(aad.seq)
                .open(&aad_bytes, sealed)
                .map_err(|_| OpenError::BadSeal)
        };

        self.uses = self.uses.saturating_add(1);
        if let Some(cached) = self.secrets.get_mut(&key) {
            // The key id stands in the `info`: it was checked when the secret was kept.
            cached.last_use = self.uses;
            return open(&cached.secret);
        }
        let recipient = info.recipient.x25519();
        if KeyId::of(&recipient) != key_id || secret.public() != recipient {
            return Err(OpenError::WrongKey { found: key_id });
        }
        let derived = Secret::decapsulate(secret.expose_bytes(), encapsulation, &key.info, LABEL)
            .map_err(|_| OpenError::BadSeal)?;
        let plaintext = open(&derived)?;
        self.keep(key, derived);
        Ok(plaintext)
    }

    /// How many secrets are at hand.
    pub fn len(&self) -> usize {
        self.secrets.len()
    }

    /// Whether none is at hand.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    fn keep(&mut self, key: CacheKey, secret: Secret) {
        if self.secrets.len() >= OPENER_CACHE {
            let oldest = self
                .secrets
                .iter()
                .min_by_key(|(_, cached)| cached.last_use)
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.secrets.remove(&oldest);
            }
        }
        let last_use = self.uses;
        self.secrets.insert(key, Cached { secret, last_use });
    }
}

/// Shows how many secrets there are, never one of them.
impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("secrets", &self.secrets.len())
            .finish_non_exhaustive()
    }
}

/// Why a body did not open. All of them are the recipient's `unopenable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Sealed to a key that is not the recipient's, or the secret is not the recipient's.
    #[error("opening: the body is sealed to key {found}, which is not the recipient's")]
    WrongKey {
        /// The key id that the body names.
        found: KeyId,
    },
    /// Too short to be a body of suite 1.
    #[error("opening: found {found} bytes, expected at least 80")]
    Malformed {
        /// The length in bytes.
        found: usize,
    },
    /// The tag does not fit: another context, another secret, or changed bytes.
    #[error("opening: the body does not open for this entry")]
    BadSeal,
}
