//! snow, used as its documentation shows: one message, one call, buffers of the caller's that are
//! used again.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::RingResolver;
use snow::resolvers::{BoxedCryptoResolver, CryptoResolver, DefaultResolver, FallbackResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState, TransportState};

const PATTERN: &str = "Noise_XK_25519_ChaChaPoly_SHA256";
const TAG: usize = 16;
/// The longest Noise message.
const LONGEST: usize = 65_535;

/// Where its cipher comes from. All else is of its default resolver.
#[derive(Clone, Copy)]
pub(crate) enum Resolver {
    /// RustCrypto of 2022.
    Default,
    /// The library of our fast backend.
    AwsLc,
    /// The one that snow has an option for.
    Ring,
}

impl Resolver {
    pub(crate) const ALL: [(&'static str, Resolver); 3] = [
        ("snow-default", Resolver::Default),
        ("snow-aws-lc", Resolver::AwsLc),
        ("snow-ring", Resolver::Ring),
    ];

    fn make(self) -> BoxedCryptoResolver {
        match self {
            Resolver::Default => Box::new(DefaultResolver),
            Resolver::AwsLc => Box::new(AwsLc),
            Resolver::Ring => Box::new(FallbackResolver::new(
                Box::new(RingResolver),
                Box::new(DefaultResolver),
            )),
        }
    }
}

/// The default one, but for the cipher.
struct AwsLc;

impl CryptoResolver for AwsLc {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        DefaultResolver.resolve_rng()
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        (*choice == CipherChoice::ChaChaPoly).then(|| Box::new(ChaCha(key(&[0; 32]))) as _)
    }
}

struct ChaCha(LessSafeKey);

fn key(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).unwrap())
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl Cipher for ChaCha {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, bytes: &[u8; 32]) {
        self.0 = key(bytes);
    }

    fn encrypt(&self, number: u64, ad: &[u8], text: &[u8], out: &mut [u8]) -> usize {
        let (sealed, tag) = out.split_at_mut(text.len());
        sealed.copy_from_slice(text);
        let seal = self
            .0
            .seal_in_place_separate_tag(nonce(number), Aad::from(ad), sealed);
        tag[..TAG].copy_from_slice(seal.unwrap().as_ref());
        text.len() + TAG
    }

    fn decrypt(
        &self,
        number: u64,
        ad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        let (text, tag) = sealed.split_at(sealed.len() - TAG);
        let out = &mut out[..text.len()];
        let opened = self
            .0
            .open_separate_gather(nonce(number), Aad::from(ad), text, tag, out);
        opened.map_err(|_| snow::Error::Decrypt)?;
        Ok(text.len())
    }
}

/// The two static keys.
pub(crate) struct Keys(snow::Keypair, snow::Keypair);

impl Keys {
    pub(crate) fn new() -> Self {
        let pair = || Builder::new(PATTERN.parse().unwrap()).generate_keypair();
        Keys(pair().unwrap(), pair().unwrap())
    }

    /// A whole handshake in memory. It proves the two static keys and no signature.
    pub(crate) fn handshake(&self, resolver: Resolver) -> (TransportState, TransportState) {
        let Keys(ann, bob) = self;
        let builder = || Builder::with_resolver(PATTERN.parse().unwrap(), resolver.make());
        let mut first = builder()
            .local_private_key(&ann.private)
            .and_then(|builder| builder.remote_public_key(&bob.public))
            .and_then(Builder::build_initiator)
            .unwrap();
        let mut second = builder()
            .local_private_key(&bob.private)
            .and_then(Builder::build_responder)
            .unwrap();
        say(&mut first, &mut second);
        say(&mut second, &mut first);
        say(&mut first, &mut second);
        let ended = |state: HandshakeState| state.into_transport_mode().unwrap();
        (ended(first), ended(second))
    }
}

fn say(from: &mut HandshakeState, to: &mut HandshakeState) {
    let (mut message, mut payload) = ([0; 256], [0; 256]);
    let length = from.write_message(&[], &mut message).unwrap();
    to.read_message(&message[..length], &mut payload).unwrap();
}

/// One direction of a session, both ends of it.
pub(crate) struct Path {
    from: TransportState,
    to: TransportState,
    sealed: Vec<u8>,
    opened: Vec<u8>,
}

impl Path {
    pub(crate) fn new(resolver: Resolver) -> Self {
        let (from, to) = Keys::new().handshake(resolver);
        Path {
            from,
            to,
            sealed: vec![0; LONGEST],
            opened: vec![0; LONGEST],
        }
    }

    /// Seals and opens one message.
    pub(crate) fn pass(&mut self, message: &[u8]) {
        let length = self.from.write_message(message, &mut self.sealed).unwrap();
        let sealed = &self.sealed[..length];
        let length = self.to.read_message(sealed, &mut self.opened).unwrap();
        assert_eq!(length, message.len());
    }
}
