//! The shared secret of one encapsulation: HPKE base mode, export only, and the keys expanded
//! from what it exports.

use hpke::aead::ExportOnlyAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{
    Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable, setup_receiver,
    setup_sender_with_rng,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::aead::Cipher;
use crate::kdf;

/// What the exporter is asked for, and how the `info` of every body key begins.
pub(crate) const LABEL: &[u8; 17] = b"skychat/v1/seal-1";

/// Length of an encapsulation: an X25519 public key.
pub(crate) const ENCAPSULATION: usize = 32;

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type Encapsulation = <X25519HkdfSha256 as Kem>::EncappedKey;

/// 32 bytes that only the two ends know; wiped when dropped. On the heap, so that moving it
/// (between the nodes of a map, say) leaves no copies.
pub(crate) struct Secret(Box<Zeroizing<[u8; 32]>>);

/// There is no secret with this key: it is no key, or of small order.
#[derive(Debug)]
pub(crate) struct NoSecret;

impl From<HpkeError> for NoSecret {
    fn from(_: HpkeError) -> Self {
        NoSecret
    }
}

impl Secret {
    /// A fresh secret with the owner of `recipient`, and the encapsulation that tells it.
    pub(crate) fn encapsulate(
        rng: &mut impl CryptoRng,
        recipient: &[u8; 32],
        info: &[u8],
        label: &[u8],
    ) -> Result<(Self, [u8; ENCAPSULATION]), NoSecret> {
        let recipient = PublicKey::from_bytes(recipient)?;
        let (encapsulation, context) = setup_sender_with_rng::<
            ExportOnlyAead,
            HkdfSha256,
            X25519HkdfSha256,
        >(&OpModeS::Base, &recipient, info, rng)?;
        let secret = Secret::exported(|out| context.export(label, out))?;
        Ok((secret, encapsulation.to_bytes().into()))
    }

    /// The secret that `encapsulation` tells the owner of `secret`.
    pub(crate) fn decapsulate(
        secret: &[u8; 32],
        encapsulation: &[u8; ENCAPSULATION],
        info: &[u8],
        label: &[u8],
    ) -> Result<Self, NoSecret> {
        let secret = PrivateKey::from_bytes(secret)?;
        let encapsulation = Encapsulation::from_bytes(encapsulation)?;
        let context = setup_receiver::<ExportOnlyAead, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &secret,
            &encapsulation,
            info,
        )?;
        Secret::exported(|out| context.export(label, out))
    }

    /// The cipher for the body of entry `seq`.
    pub(crate) fn body_cipher(&self, seq: u64) -> Cipher {
        Cipher::new(&self.body_key(seq))
    }

    /// HKDF-Expand(secret, label ‖ seq, 32).
    pub(crate) fn body_key(&self, seq: u64) -> Zeroizing<[u8; 32]> {
        kdf::expand(&self.0, &[LABEL, &seq.to_be_bytes()])
    }

    fn exported(export: impl FnOnce(&mut [u8]) -> Result<(), HpkeError>) -> Result<Self, NoSecret> {
        let mut secret = Box::new(Zeroizing::new([0; 32]));
        export(secret.as_mut_slice())?;
        Ok(Secret(secret))
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests;
