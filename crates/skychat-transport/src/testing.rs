//! What several tests of this crate share.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use skychat_identity::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::backend::{Backend, ExchangeKey, NonContributory, Primitives, RecordCipher};
use crate::handshake::{MESSAGE_1, MESSAGE_2, MESSAGE_3};
use crate::{AwaitProof, Initiator, LinkIdentity, LinkKeys, RekeyLimits, Suite, respond};

/// 32 bytes, counted up from `first`.
pub(crate) fn counted(first: u8) -> [u8; 32] {
    std::array::from_fn(|n| first.wrapping_add(n as u8))
}

pub(crate) fn identity(first: u8, backend: Backend) -> LinkIdentity {
    LinkIdentity::new(Arc::new(SecretKey::from_seed(counted(first))), backend)
}

/// The dialling side of the vectors.
pub(crate) fn ann(backend: Backend) -> LinkIdentity {
    identity(0x00, backend)
}

/// The dialled side of the vectors.
pub(crate) fn bob(backend: Backend) -> LinkIdentity {
    identity(0x20, backend)
}

pub(crate) const ANN_EPHEMERAL: u8 = 0x40;
pub(crate) const BOB_EPHEMERAL: u8 = 0x60;

/// Every suite of every backend of this build.
pub(crate) fn each_suite(test: impl Fn(Backend, Suite)) {
    for &backend in Backend::BUILT_IN {
        for suite in Suite::ALL {
            if backend.offers(suite) {
                test(backend, suite);
            }
        }
    }
}

/// A finished handshake, with what went over the wire.
pub(crate) struct Finished {
    pub(crate) message_1: [u8; MESSAGE_1],
    pub(crate) message_2: [u8; MESSAGE_2],
    pub(crate) message_3: [u8; MESSAGE_3],
    pub(crate) ann: LinkKeys,
    pub(crate) bob: LinkKeys,
    pub(crate) expected: AwaitProof,
    pub(crate) proof: skychat_identity::Signature,
    /// Whom the responder talks to.
    pub(crate) claimed: PublicKey,
}

/// The handshake of the vectors.
pub(crate) fn handshake(ann: &LinkIdentity, bob: &LinkIdentity, limits: RekeyLimits) -> Finished {
    handshake_of(Suite::ChaChaPoly, ann, bob, limits)
}

/// The same of any suite.
pub(crate) fn handshake_of(
    suite: Suite,
    ann: &LinkIdentity,
    bob: &LinkIdentity,
    limits: RekeyLimits,
) -> Finished {
    let (mut message_1, mut message_2, mut message_3) =
        ([0; MESSAGE_1], [0; MESSAGE_2], [0; MESSAGE_3]);
    let initiator = Initiator {
        identity: ann,
        peer: bob.public(),
        suite,
        limits,
    };
    let waiting = initiator
        .start(counted(ANN_EPHEMERAL), &mut message_1)
        .unwrap();
    let answering = respond(
        bob,
        limits,
        counted(BOB_EPHEMERAL),
        &message_1,
        &mut message_2,
    );
    let (ann, expected) = waiting.finish(&message_2, &mut message_3).unwrap();
    let claimed = answering.unwrap().finish(&message_3).unwrap();
    let peer = claimed.peer();
    let (bob, proof) = claimed.accept().unwrap();
    Finished {
        message_1,
        message_2,
        message_3,
        ann,
        bob,
        expected,
        proof,
        claimed: peer,
    }
}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

pub(crate) fn unhex32(text: &str) -> [u8; 32] {
    unhex(text).try_into().unwrap()
}

/// Somebody without keys: every key pair it makes is the all-zero point, and every exchange with
/// that gives zeros, which is what the other side would get too if it did not look.
pub(crate) struct Nobody;

impl Nobody {
    pub(crate) fn backend() -> Backend {
        Backend::Custom(&Nobody)
    }
}

impl Primitives for Nobody {
    fn name(&self) -> &'static str {
        "nobody"
    }

    fn cipher(&self, key: &[u8; 32]) -> Box<dyn RecordCipher> {
        Backend::RustCrypto.primitives().cipher(key)
    }

    fn aes_gcm(&self, key: &[u8; 32]) -> Option<Box<dyn RecordCipher>> {
        Backend::default().primitives().aes_gcm(key)
    }

    fn exchange_key(&self, _: &[u8; 32]) -> Box<dyn ExchangeKey> {
        Box::new(Nobody)
    }
}

impl ExchangeKey for Nobody {
    fn public(&self) -> &[u8; 32] {
        &[0; 32]
    }

    fn agree(&self, _: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, NonContributory> {
        Ok(Zeroizing::new([0; 32]))
    }
}
