//! The insides of a handshake, for vectors only.

use super::*;
use crate::testing::{ANN_EPHEMERAL, BOB_EPHEMERAL, counted};

/// What a handshake computes and never shows.
pub(crate) struct Transcript {
    pub(crate) after_2: [u8; 32],
    pub(crate) after_3: [u8; 32],
    pub(crate) initiator_key: [u8; 32],
    pub(crate) responder_key: [u8; 32],
    /// The payload of message 3.
    pub(crate) claim: [u8; CLAIM],
}

/// Two states of snow, after message 2.
fn halfway(
    suite: Suite,
    ann: &LinkIdentity,
    bob: &LinkIdentity,
    e_i: [u8; 32],
    e_r: [u8; 32],
) -> (Noise, Noise) {
    let peer = bob.public().x25519();
    let mut i = Noise::new(ann, suite, Some(&peer), Zeroizing::new(e_i)).unwrap();
    let mut r = Noise::new(bob, suite, None, Zeroizing::new(e_r)).unwrap();
    let mut message = [0; 48];
    i.write(&[], &mut message).unwrap();
    r.read(1, &message, &mut []).unwrap();
    r.write(&[], &mut message).unwrap();
    i.read(2, &message, &mut []).unwrap();
    (i, r)
}

impl Transcript {
    pub(crate) fn of(
        suite: Suite,
        ann: &LinkIdentity,
        bob: &LinkIdentity,
        ann_ephemeral: [u8; 32],
        bob_ephemeral: [u8; 32],
    ) -> Self {
        let (mut i, mut r) = halfway(suite, ann, bob, ann_ephemeral, bob_ephemeral);
        let after_2 = i.hash();
        let claim = claim(ann, &bound(&i));
        let mut message = [0; MESSAGE_3];
        i.write(&claim, &mut message).unwrap();
        r.read(3, &message, &mut [0; CLAIM]).unwrap();
        assert_eq!(i.hash(), r.hash());
        let (initiator_key, responder_key) = r.state.dangerously_get_raw_split();
        Transcript {
            after_2,
            after_3: r.hash(),
            initiator_key,
            responder_key,
            claim,
        }
    }

    /// Messages 3 of the vectors' handshake that authenticate, with claims that do not hold.
    pub(crate) fn bad_claims(
        suite: Suite,
        ann: &LinkIdentity,
        bob: &LinkIdentity,
        eve: &LinkIdentity,
    ) -> Vec<(&'static str, [u8; MESSAGE_3])> {
        let message = |make: &dyn Fn(Bound) -> [u8; CLAIM]| {
            let (mut i, _) = halfway(
                suite,
                ann,
                bob,
                counted(ANN_EPHEMERAL),
                counted(BOB_EPHEMERAL),
            );
            let mut out = [0; MESSAGE_3];
            let claim = make(bound(&i));
            i.write(&claim, &mut out).unwrap();
            out
        };
        let with_key = |key: [u8; 32]| {
            message(&|bound| {
                let mut claim = claim(ann, &bound);
                claim[..32].copy_from_slice(&key);
                claim
            })
        };
        let mut negative = *ann.public().as_bytes();
        negative[31] ^= 0x80;
        let neutral = std::array::from_fn(|n| u8::from(n == 0));
        vec![
            (
                "another key, signed by its owner",
                message(&|bound| claim(eve, &bound)),
            ),
            (
                "the negative of the key, which has the same X25519 form",
                with_key(negative),
            ),
            ("a key of small order", with_key(neutral)),
            ("a key that is no point", with_key([2; 32])),
            (
                "signed for the other role",
                message(&|mut bound| {
                    bound.role = Role::Responder;
                    claim(ann, &bound)
                }),
            ),
            (
                "signed for another handshake",
                message(&|mut bound| {
                    bound.hash = [0; 32];
                    claim(ann, &bound)
                }),
            ),
        ]
    }
}

/// The handshake of the vectors, finished, as snow holds it.
pub(crate) fn snow_pair(
    suite: Suite,
    ann: &LinkIdentity,
    bob: &LinkIdentity,
) -> (snow::HandshakeState, snow::HandshakeState) {
    let (mut i, mut r) = halfway(
        suite,
        ann,
        bob,
        counted(ANN_EPHEMERAL),
        counted(BOB_EPHEMERAL),
    );
    let claim = claim(ann, &bound(&i));
    let mut message = [0; MESSAGE_3];
    i.write(&claim, &mut message).unwrap();
    r.read(3, &message, &mut [0; CLAIM]).unwrap();
    (i.state, r.state)
}

fn bound(noise: &Noise) -> Bound {
    Bound {
        role: Role::Initiator,
        hash: noise.hash(),
        x25519: *noise.own.public(),
    }
}

fn claim(who: &LinkIdentity, bound: &Bound) -> [u8; CLAIM] {
    let signature = bound.sign(&who.secret_handle()).unwrap();
    let claim = [&who.public().as_bytes()[..], signature.as_bytes()].concat();
    claim.try_into().unwrap()
}
