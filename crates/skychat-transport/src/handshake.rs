//! The handshake: Noise XK in one of its suites, and inside it the proof of the Ed25519 keys.
//!
//! Each step consumes itself and gives the next one, so that a message out of turn cannot be
//! written. A failed step leaves nothing: the link is over, and the peer is told nothing.
//!
//! ```text
//! Initiator::start ──message 1──► respond
//!                                    │
//!       finish    ◄──message 2── AwaitClaim
//!          │
//!      AwaitProof ──message 3──► finish ──► Claimed ──accept──► keys, proof
//!          └────────◄── proof, in the responder's first record ────┘
//! ```
//!
//! Randomness is 32 bytes a side, the secret of the ephemeral key; they come from the operating
//! system and serve one handshake.
//!
//! Spec: `docs/protocol/link.md`, LINK-1 to LINK-3.

use std::sync::Arc;

use skychat_identity::{Domain, KeyPoint, PublicKey, SecretKey, Signature, Tagged};
use snow::params::NoiseParams;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::backend::{ExchangeKey, Primitives};
use crate::known::Known;
use crate::resolver::{Resolver, STATIC_PLACEHOLDER, Seed};
use crate::{LinkIdentity, OpeningKey, RekeyLimits, SealingKey, Suite};

/// Suite byte and message 1.
pub const MESSAGE_1: usize = 1 + 48;
/// Message 2.
pub const MESSAGE_2: usize = 48;
/// Message 3: the sealed static key, then the sealed claim.
pub const MESSAGE_3: usize = 48 + CLAIM + 16;
/// An Ed25519 key and its signature.
const CLAIM: usize = PublicKey::LEN + Signature::LEN;

/// Which side of the handshake. Its number is part of what is signed, so that neither side can
/// show the other its own proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that dialled.
    Initiator = 0,
    /// The side that was dialled.
    Responder = 1,
}

/// Why a handshake failed. For our logs only: the peer sees a closed connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The first byte names a suite that is not spoken here.
    #[error("suite {found} is not spoken here, expected {expected}")]
    Suite {
        /// The byte.
        found: u8,
        /// What is spoken here.
        expected: &'static str,
    },
    /// The suite to dial with is not to be had on this side.
    #[error("suite {} cannot be dialled: this backend or processor does not have it", .0.number())]
    NotOffered(Suite),
    /// A message does not authenticate: made for another key, another protocol, or changed. A key
    /// of small order counts as such.
    #[error("message {message} of the handshake does not authenticate")]
    Message {
        /// 1, 2 or 3.
        message: u8,
    },
    /// The peer claims something that is no Ed25519 key of prime order.
    #[error("the claimed key is none")]
    ClaimedKey,
    /// The peer claims an Ed25519 key whose X25519 form is not the one it authenticated with.
    #[error("the claimed key is not the one of the handshake")]
    ClaimedOther,
    /// The signature of the peer's claim, or of its proof, does not hold.
    #[error("the peer did not prove its key")]
    Unproven,
    /// The handshake could not be set up; the fault is on our side.
    #[error("the handshake could not be set up")]
    Setup,
}

/// The keys of a link, for one side.
#[derive(Debug)]
pub struct LinkKeys {
    /// Seals what we send.
    pub seal: SealingKey,
    /// Opens what we receive.
    pub open: OpeningKey,
}

/// The initiator, before anything was sent.
#[derive(Debug)]
pub struct Initiator<'a> {
    /// Who we are.
    pub identity: &'a LinkIdentity,
    /// Whom we mean to reach.
    pub peer: PublicKey,
    /// What we speak. Any other than suite 1 is for a peer that is known to speak it.
    pub suite: Suite,
    /// When keys are renewed.
    pub limits: RekeyLimits,
}

impl Initiator<'_> {
    /// Writes the suite byte and message 1.
    ///
    /// # Errors
    /// [`HandshakeError::NotOffered`]: our backend does not have the suite.
    /// [`HandshakeError::Setup`]: our own side failed.
    pub fn start(
        self,
        seed: [u8; 32],
        out: &mut [u8; MESSAGE_1],
    ) -> Result<AwaitReply, HandshakeError> {
        if !self.suite.is_in(self.identity.primitives()) {
            return Err(HandshakeError::NotOffered(self.suite));
        }
        let peer = self.peer.point().map_err(|_| HandshakeError::Setup)?;
        let peer_x25519 = peer.x25519();
        let seed = Zeroizing::new(seed);
        let mut noise = Noise::new(self.identity, self.suite, Some(&peer_x25519), seed)?;
        let [suite, message @ ..] = out;
        *suite = self.suite.number();
        noise.write(&[], message)?;
        Ok(AwaitReply {
            noise,
            secret: self.identity.secret_handle(),
            peer,
            peer_x25519,
            limits: self.limits,
        })
    }
}

/// The initiator, after message 1.
pub struct AwaitReply {
    noise: Noise,
    secret: Arc<SecretKey>,
    peer: KeyPoint,
    peer_x25519: [u8; 32],
    limits: RekeyLimits,
}

impl AwaitReply {
    /// Takes message 2 and writes message 3, which holds our key and our signature.
    ///
    /// From here on the link is sealed; the peer has yet to show that it has the Ed25519 key we
    /// mean, not only its X25519 form.
    ///
    /// # Errors
    /// [`HandshakeError::Message`]: message 2 does not authenticate.
    pub fn finish(
        mut self,
        reply: &[u8; MESSAGE_2],
        out: &mut [u8; MESSAGE_3],
    ) -> Result<(LinkKeys, AwaitProof), HandshakeError> {
        self.noise.read(2, reply, &mut [])?;
        let bound = Bound {
            role: Role::Initiator,
            hash: self.noise.hash(),
            x25519: *self.noise.own.public(),
        };
        let mut claim = [0; CLAIM];
        let (key, signature) = claim.split_at_mut(PublicKey::LEN);
        key.copy_from_slice(self.secret.public().as_bytes());
        signature.copy_from_slice(bound.sign(&self.secret)?.as_bytes());
        self.noise.write(&claim, out)?;
        let proof = AwaitProof {
            peer: self.peer,
            bound: Bound {
                role: Role::Responder,
                hash: self.noise.hash(),
                x25519: self.peer_x25519,
            },
        };
        Ok((self.noise.split(Role::Initiator, self.limits)?, proof))
    }
}

/// The initiator, until the responder has proven its key in its first record.
#[derive(Debug)]
pub struct AwaitProof {
    peer: KeyPoint,
    bound: Bound,
}

impl AwaitProof {
    /// Checks the proof. Returns the key of the peer, now proven.
    ///
    /// # Errors
    /// [`HandshakeError::Unproven`]: the signature does not hold.
    pub fn check(self, proof: &Signature) -> Result<PublicKey, HandshakeError> {
        self.bound.check(&self.peer, proof)?;
        Ok(self.peer.key())
    }
}

/// The responder's only step before it answers: takes the suite byte and message 1, writes
/// message 2. It speaks every suite that its backend has.
///
/// # Errors
/// [`HandshakeError::Suite`], [`HandshakeError::Message`]: among them every initiator that means
/// another key.
pub fn respond(
    identity: &LinkIdentity,
    limits: RekeyLimits,
    seed: [u8; 32],
    first: &[u8; MESSAGE_1],
    out: &mut [u8; MESSAGE_2],
) -> Result<AwaitClaim, HandshakeError> {
    let [suite, message @ ..] = first;
    let primitives = identity.primitives();
    let spoken = Suite::from_number(*suite).filter(|suite| suite.is_in(primitives));
    let spoken = spoken.ok_or_else(|| HandshakeError::Suite {
        found: *suite,
        expected: match Suite::AesGcm.is_in(primitives) {
            true => "1 or 2",
            false => "1",
        },
    })?;
    let mut noise = Noise::new(identity, spoken, None, Zeroizing::new(seed))?;
    noise.read(1, message, &mut [])?;
    noise.write(&[], out)?;
    Ok(AwaitClaim {
        noise,
        secret: identity.secret_handle(),
        known: Arc::clone(identity.known()),
        limits,
    })
}

/// The responder, after message 2.
pub struct AwaitClaim {
    noise: Noise,
    secret: Arc<SecretKey>,
    known: Arc<Known>,
    limits: RekeyLimits,
}

impl AwaitClaim {
    /// Takes message 3: who dialled, proven. Whether it may stay is for the caller to judge now.
    ///
    /// # Errors
    /// [`HandshakeError`]: the message does not authenticate, or its claim does not hold.
    pub fn finish(mut self, message: &[u8; MESSAGE_3]) -> Result<Claimed, HandshakeError> {
        let hash = self.noise.hash();
        let mut claim = [0; CLAIM];
        self.noise.read(3, message, &mut claim)?;
        let x25519 = self.noise.peer().ok_or(HandshakeError::Setup)?;
        let (key, signature) = split_claim(&claim).ok_or(HandshakeError::Setup)?;
        let known = self.known.find(&x25519, key);
        let peer = match known {
            Some(peer) => peer.point().map_err(|_| HandshakeError::ClaimedKey)?,
            None => decode_claimed(key, &x25519)?,
        };
        let bound = Bound {
            role: Role::Initiator,
            hash,
            x25519,
        };
        bound.check(&peer, &Signature::from_bytes(*signature))?;
        if known.is_none() {
            self.known.remember(x25519, peer.key());
        }
        Ok(Claimed {
            noise: self.noise,
            secret: self.secret,
            peer: peer.key(),
            limits: self.limits,
        })
    }
}

/// The responder, after message 3, when it knows who dialled and has not said that it agrees.
/// Dropping it refuses: the peer sees a closed connection.
pub struct Claimed {
    noise: Noise,
    secret: Arc<SecretKey>,
    peer: PublicKey,
    limits: RekeyLimits,
}

impl Claimed {
    /// Who dialled. Proven.
    pub fn peer(&self) -> PublicKey {
        self.peer
    }

    /// What is spoken.
    pub fn suite(&self) -> Suite {
        self.noise.suite
    }

    /// Accepts the link. The signature is our proof, for the first record we send.
    ///
    /// # Errors
    /// [`HandshakeError::Setup`]: our own side failed.
    pub fn accept(self) -> Result<(LinkKeys, Signature), HandshakeError> {
        let bound = Bound {
            role: Role::Responder,
            hash: self.noise.hash(),
            x25519: *self.noise.own.public(),
        };
        let proof = bound.sign(&self.secret)?;
        Ok((self.noise.split(Role::Responder, self.limits)?, proof))
    }
}

/// The claimed key, if it is one and has this X25519 form. An X25519 key names two Ed25519 keys:
/// the claim says which, this says it is one of them.
fn decode_claimed(key: &[u8; 32], x25519: &[u8; 32]) -> Result<KeyPoint, HandshakeError> {
    let peer = KeyPoint::from_bytes(key).map_err(|_| HandshakeError::ClaimedKey)?;
    match bool::from(peer.x25519().ct_eq(x25519)) {
        true => Ok(peer),
        false => Err(HandshakeError::ClaimedOther),
    }
}

fn split_claim(claim: &[u8; CLAIM]) -> Option<(&[u8; 32], &[u8; 64])> {
    Some((claim.first_chunk()?, claim.last_chunk()?))
}

/// What a side signs to bind its Ed25519 key to the handshake:
/// tag ‖ role byte ‖ h ‖ its X25519 static key.
#[derive(Debug)]
struct Bound {
    role: Role,
    hash: [u8; 32],
    x25519: [u8; 32],
}

impl Bound {
    fn bytes(&self) -> Vec<u8> {
        let tag = Domain::NoiseBind.tag();
        [tag, &[self.role as u8], &self.hash, &self.x25519].concat()
    }

    fn sign(&self, secret: &SecretKey) -> Result<Signature, HandshakeError> {
        let bytes = self.bytes();
        let tagged = Tagged::new(Domain::NoiseBind, &bytes).map_err(|_| HandshakeError::Setup)?;
        Ok(secret.sign(tagged))
    }

    fn check(&self, key: &KeyPoint, signature: &Signature) -> Result<(), HandshakeError> {
        let bytes = self.bytes();
        let tagged = Tagged::new(Domain::NoiseBind, &bytes).map_err(|_| HandshakeError::Setup)?;
        key.verify(tagged, signature)
            .map_err(|_| HandshakeError::Unproven)
    }
}

/// snow's handshake with our resolver. Dropped at the first error: it would go on after one.
struct Noise {
    state: snow::HandshakeState,
    suite: Suite,
    own: Arc<dyn ExchangeKey>,
    primitives: &'static dyn Primitives,
}

impl Noise {
    fn new(
        identity: &LinkIdentity,
        suite: Suite,
        peer: Option<&[u8; 32]>,
        seed: Seed,
    ) -> Result<Self, HandshakeError> {
        let prologue = suite.prologue().as_bytes();
        let state = handshake_state(suite.noise_name(), prologue, identity, peer, seed);
        Ok(Noise {
            state: state.map_err(|_| HandshakeError::Setup)?,
            suite,
            own: Arc::clone(identity.exchange()),
            primitives: identity.primitives(),
        })
    }

    /// Writes the next message, which has to fill `out`.
    fn write(&mut self, payload: &[u8], out: &mut [u8]) -> Result<(), HandshakeError> {
        match self.state.write_message(payload, out) {
            Ok(written) if written == out.len() => Ok(()),
            _ => Err(HandshakeError::Setup),
        }
    }

    /// Reads message `number`, whose payload has to fill `payload`.
    fn read(&mut self, number: u8, bytes: &[u8], payload: &mut [u8]) -> Result<(), HandshakeError> {
        match self.state.read_message(bytes, payload) {
            Ok(read) if read == payload.len() => Ok(()),
            _ => Err(HandshakeError::Message { message: number }),
        }
    }

    /// The handshake hash so far.
    fn hash(&self) -> [u8; 32] {
        let hash = self.state.get_handshake_hash();
        hash.first_chunk().copied().unwrap_or([0; 32])
    }

    /// The static key the peer authenticated with.
    fn peer(&self) -> Option<[u8; 32]> {
        self.state.get_remote_static()?.first_chunk().copied()
    }

    fn split(mut self, role: Role, limits: RekeyLimits) -> Result<LinkKeys, HandshakeError> {
        let (initiator, responder) = self.state.dangerously_get_raw_split();
        let (initiator, responder) = (Zeroizing::new(initiator), Zeroizing::new(responder));
        let (ours, theirs) = match role {
            Role::Initiator => (&initiator, &responder),
            Role::Responder => (&responder, &initiator),
        };
        let cipher = |key| {
            let cipher = self.suite.cipher(self.primitives, key);
            cipher.ok_or(HandshakeError::Setup)
        };
        Ok(LinkKeys {
            seal: SealingKey::new(cipher(ours)?, limits),
            open: OpeningKey::new(cipher(theirs)?, limits),
        })
    }
}

/// A handshake of snow over our primitives. The responder knows no `peer` yet.
fn handshake_state(
    name: &str,
    prologue: &[u8],
    identity: &LinkIdentity,
    peer: Option<&[u8; 32]>,
    seed: Seed,
) -> Result<snow::HandshakeState, snow::Error> {
    let params: NoiseParams = name.parse()?;
    let resolver = Resolver::new(identity.primitives(), Arc::clone(identity.exchange()), seed);
    let builder = snow::Builder::with_resolver(params, Box::new(resolver))
        .prologue(prologue)?
        .local_private_key(&STATIC_PLACEHOLDER)?;
    match peer {
        Some(peer) => builder.remote_public_key(peer)?.build_initiator(),
        None => builder.build_responder(),
    }
}

impl std::fmt::Debug for AwaitReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AwaitReply({:?})", self.peer.key())
    }
}

impl std::fmt::Debug for AwaitClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AwaitClaim(..)")
    }
}

impl std::fmt::Debug for Claimed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claimed({:?})", self.peer)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod transcript;
#[cfg(test)]
pub(crate) use transcript::{Transcript, snow_pair};
