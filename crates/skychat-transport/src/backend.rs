//! Where the primitives come from: X25519, ChaCha20-Poly1305 and AES-256-GCM, behind one trait.
//!
//! SHA-256 is not part of it: it is needed in the handshake only, and one implementation is as
//! fast as another.

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod rust_crypto;

use zeroize::Zeroizing;

/// Which implementation of the primitives a link uses. Peers cannot tell the difference.
///
/// The default is the fastest one that was built in.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Backend {
    /// `chacha20poly1305` and `x25519-dalek`: Rust only, on every platform. Suite 1 only.
    RustCrypto,
    /// `aws-lc-rs`: 8 times faster on small records, half the time for a handshake. Feature `aws-lc`.
    #[cfg(feature = "aws-lc")]
    AwsLc,
    /// Primitives of the caller's own, for instance of a hardware security module. They have to
    /// compute what the names say: whoever brings a weak one has weak links.
    Custom(&'static dyn Primitives),
}

impl Default for Backend {
    fn default() -> Self {
        #[cfg(feature = "aws-lc")]
        return Backend::AwsLc;
        #[cfg(not(feature = "aws-lc"))]
        return Backend::RustCrypto;
    }
}

impl Backend {
    /// Every backend of this build, the default first.
    pub const BUILT_IN: &'static [Backend] = &[
        #[cfg(feature = "aws-lc")]
        Backend::AwsLc,
        Backend::RustCrypto,
    ];

    /// The implementation.
    pub fn primitives(self) -> &'static dyn Primitives {
        match self {
            Backend::RustCrypto => &rust_crypto::RustCrypto,
            #[cfg(feature = "aws-lc")]
            Backend::AwsLc => &aws_lc::AwsLc,
            Backend::Custom(primitives) => primitives,
        }
    }

    /// Its name, for logs and benches.
    pub fn name(self) -> &'static str {
        self.primitives().name()
    }
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A source of primitives.
pub trait Primitives: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &'static str;

    /// A ChaCha20-Poly1305 key (RFC 8439).
    fn cipher(&self, key: &[u8; 32]) -> Box<dyn RecordCipher>;

    /// An AES-256-GCM key (NIST SP 800-38D), for links of suite 2. `None`, which is the default:
    /// there is none, or this processor has no instructions for it.
    fn aes_gcm(&self, _key: &[u8; 32]) -> Option<Box<dyn RecordCipher>> {
        None
    }

    /// An X25519 key pair from its secret (RFC 7748; clamped in use, whether it is or not).
    fn exchange_key(&self, secret: &[u8; 32]) -> Box<dyn ExchangeKey>;
}

/// A key of one of the ciphers, used with the nonces that Noise has for it: 4 zero bytes, then the
/// number, little-endian for ChaCha20-Poly1305 and big-endian for AES-GCM. It does not look after
/// nonces: [`SealingKey`](crate::SealingKey) and
/// [`OpeningKey`](crate::OpeningKey) own theirs.
pub trait RecordCipher: Send + Sync {
    /// Takes another key in place of this one, which is wiped.
    fn set(&mut self, key: &[u8; 32]);

    /// Encrypts in place and returns the tag.
    ///
    /// # Errors
    /// [`CipherError`]: the implementation failed; the text may be anything and must not be sent.
    fn seal(&self, nonce: u64, ad: &[u8], text: &mut [u8]) -> Result<[u8; 16], CipherError>;

    /// Checks the tag and decrypts in place.
    ///
    /// # Errors
    /// [`CipherError`]: the tag does not fit; the text may be anything.
    fn open(
        &self,
        nonce: u64,
        ad: &[u8],
        text: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CipherError>;
}

/// The tag does not fit, or the implementation failed. There is no finer cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cipher refused the record")]
pub struct CipherError;

/// An X25519 key pair.
pub trait ExchangeKey: Send + Sync {
    /// The public half; computed once.
    fn public(&self) -> &[u8; 32];

    /// The shared secret with `peer`.
    ///
    /// # Errors
    /// [`NonContributory`]: `peer` is a point of small order, so the result would be zero
    /// whatever our secret is.
    fn agree(&self, peer: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, NonContributory>;
}

/// The other key fixes the result of the exchange (LINK-1, C3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the public key has small order")]
pub struct NonContributory;

/// The nonce of Noise for ChaCha20-Poly1305.
fn nonce_bytes(nonce: u64) -> [u8; 12] {
    noise_nonce(nonce.to_le_bytes())
}

/// Four zero bytes, then the number in the order of the cipher.
fn noise_nonce(number: [u8; 8]) -> [u8; 12] {
    let mut bytes = [0; 12];
    if let Some(last) = bytes.last_chunk_mut::<8>() {
        *last = number;
    }
    bytes
}

#[cfg(test)]
mod tests;
