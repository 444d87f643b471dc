//! Which Noise protocol a link speaks. One byte in front of message 1 says it, and the prologue
//! binds it: a suite that was changed on the way is a handshake that fails.
//!
//! Spec: `docs/protocol/link.md`, LINK-1.

use crate::backend::{Backend, Primitives, RecordCipher};

/// The protocol of a handshake and of the records that follow it. Both have keys of 256 bits, the
/// same key exchange and the same hash; they differ in the cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Suite {
    /// 1, `Noise_XK_25519_ChaChaPoly_SHA256`: every node has it.
    #[default]
    ChaChaPoly = 1,
    /// 2, `Noise_XK_25519_AESGCM_SHA256`: for two nodes whose processors have instructions for it,
    /// about 2.5 times as fast in bulk. Who dials has to know that the peer has them.
    AesGcm = 2,
}

impl Suite {
    /// Every suite, by number.
    pub const ALL: [Suite; 2] = [Suite::ChaChaPoly, Suite::AesGcm];

    /// The byte in front of message 1.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The suite with this number, if there is one.
    pub fn from_number(number: u8) -> Option<Self> {
        Suite::ALL
            .into_iter()
            .find(|suite| suite.number() == number)
    }

    /// The name of the Noise protocol.
    pub const fn noise_name(self) -> &'static str {
        match self {
            Suite::ChaChaPoly => "Noise_XK_25519_ChaChaPoly_SHA256",
            Suite::AesGcm => "Noise_XK_25519_AESGCM_SHA256",
        }
    }

    /// What both sides must agree on before the first byte: `skychat/1` and the name.
    pub const fn prologue(self) -> &'static str {
        match self {
            Suite::ChaChaPoly => "skychat/1Noise_XK_25519_ChaChaPoly_SHA256",
            Suite::AesGcm => "skychat/1Noise_XK_25519_AESGCM_SHA256",
        }
    }

    /// A key of its cipher; `None`: `primitives` do not have it here.
    pub(crate) fn cipher(
        self,
        primitives: &dyn Primitives,
        key: &[u8; 32],
    ) -> Option<Box<dyn RecordCipher>> {
        match self {
            Suite::ChaChaPoly => Some(primitives.cipher(key)),
            Suite::AesGcm => primitives.aes_gcm(key),
        }
    }

    /// Whether it can be spoken with `primitives`.
    pub(crate) fn is_in(self, primitives: &dyn Primitives) -> bool {
        match self {
            Suite::ChaChaPoly => true,
            Suite::AesGcm => primitives.aes_gcm(&[0; 32]).is_some(),
        }
    }
}

impl Backend {
    /// Whether links of `suite` can be dialled and are accepted with this backend, on the machine
    /// this runs on.
    pub fn offers(self, suite: Suite) -> bool {
        suite.is_in(self.primitives())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_1_the_prologue_is_the_version_and_the_name() {
        for (n, suite) in (1..).zip(Suite::ALL) {
            assert_eq!(suite.number(), n);
            assert_eq!(Suite::from_number(n), Some(suite));
            let prologue = format!("skychat/1{}", suite.noise_name());
            assert_eq!(suite.prologue(), prologue);
        }
        for number in [0, 3, 255] {
            assert_eq!(Suite::from_number(number), None);
        }
        assert_eq!(Suite::default(), Suite::ChaChaPoly);
    }

    #[test]
    fn link_1_every_backend_has_suite_1_and_the_portable_one_no_other() {
        for &backend in Backend::BUILT_IN {
            assert!(backend.offers(Suite::ChaChaPoly), "{backend:?}");
        }
        assert!(!Backend::RustCrypto.offers(Suite::AesGcm));
    }

    /// On a machine with the instructions the fast backend has it; without them nobody does.
    #[cfg(all(feature = "aws-lc", target_arch = "x86_64"))]
    #[test]
    fn link_1_suite_2_is_there_with_aes_instructions() {
        let instructions = std::arch::is_x86_feature_detected!("aes")
            && std::arch::is_x86_feature_detected!("pclmulqdq");
        assert_eq!(Backend::AwsLc.offers(Suite::AesGcm), instructions);
    }
}
