use super::*;
use crate::Backend;
use crate::backend::RecordCipher;
use crate::testing::{
    ANN_EPHEMERAL, BOB_EPHEMERAL, Finished, Nobody, ann, bob, counted, each_suite, handshake,
    handshake_of, identity, unhex, unhex32,
};

const LIMITS: RekeyLimits = RekeyLimits {
    records: 3,
    bytes: 1 << 30,
};

fn started(ann: &LinkIdentity, peer: PublicKey) -> (AwaitReply, [u8; MESSAGE_1]) {
    started_in(Suite::ChaChaPoly, ann, peer)
}

fn started_in(suite: Suite, ann: &LinkIdentity, peer: PublicKey) -> (AwaitReply, [u8; MESSAGE_1]) {
    let mut out = [0; MESSAGE_1];
    let initiator = Initiator {
        identity: ann,
        peer,
        suite,
        limits: LIMITS,
    };
    let state = initiator.start(counted(ANN_EPHEMERAL), &mut out).unwrap();
    (state, out)
}

fn answered(
    bob: &LinkIdentity,
    first: &[u8; MESSAGE_1],
) -> Result<(AwaitClaim, [u8; MESSAGE_2]), HandshakeError> {
    let mut out = [0; MESSAGE_2];
    let state = respond(bob, LIMITS, counted(BOB_EPHEMERAL), first, &mut out)?;
    Ok((state, out))
}

fn each_backend(test: impl Fn(Backend)) {
    for &backend in Backend::BUILT_IN {
        test(backend);
    }
}

#[test]
fn link_1_both_sides_know_whom_they_talk_to() {
    each_suite(|backend, suite| {
        let done = handshake_of(suite, &ann(backend), &bob(backend), LIMITS);
        assert_eq!(done.claimed, ann(backend).public());
        assert_eq!(
            done.expected.check(&done.proof).unwrap(),
            bob(backend).public()
        );
    });
}

#[test]
fn link_1_records_pass_both_ways() {
    each_suite(|backend, suite| {
        let Finished {
            mut ann, mut bob, ..
        } = handshake_of(suite, &ann(backend), &bob(backend), LIMITS);
        for text in [&b"x"[..], b"some frames", &[7; 65_519]] {
            let mut record = [&[0; 2], text, &[0; 16]].concat();
            ann.seal.seal(&mut record).unwrap();
            assert_eq!(bob.open.open(&mut record[2..]).unwrap(), text);
            let mut record = [&[0; 2], text, &[0; 16]].concat();
            bob.seal.seal(&mut record).unwrap();
            assert_eq!(ann.open.open(&mut record[2..]).unwrap(), text);
        }
    });
}

#[test]
fn link_1_backends_make_the_same_bytes() {
    let all: Vec<_> = Backend::BUILT_IN
        .iter()
        .map(|&backend| handshake(&ann(backend), &bob(backend), LIMITS))
        .collect();
    for pair in all.windows(2) {
        assert_eq!(pair[0].message_1, pair[1].message_1);
        assert_eq!(pair[0].message_2, pair[1].message_2);
        assert_eq!(pair[0].message_3, pair[1].message_3);
        assert_eq!(pair[0].proof, pair[1].proof);
    }
}

#[test]
fn link_1_an_unknown_suite_is_refused() {
    let backend = Backend::default();
    let (_, mut first) = started(&ann(backend), bob(backend).public());
    for found in [0, 3, 255] {
        first[0] = found;
        let refused = answered(&bob(backend), &first).unwrap_err();
        assert!(matches!(refused, HandshakeError::Suite { found: byte, .. } if byte == found));
        let refused = answered(&bob(Backend::RustCrypto), &first).unwrap_err();
        let expected = "1";
        assert_eq!(refused, HandshakeError::Suite { found, expected });
    }
}

/// Without the backend suite 2 is an unknown suite, and cannot be dialled.
#[test]
fn link_1_suite_2_is_not_there_without_its_backend() {
    let portable = Backend::RustCrypto;
    let (_, mut first) = started(&ann(portable), bob(portable).public());
    first[0] = 2;
    let refused = answered(&bob(portable), &first).unwrap_err();
    let text = "suite 2 is not spoken here, expected 1";
    assert_eq!(refused.to_string(), text);
    let initiator = Initiator {
        identity: &ann(portable),
        peer: bob(portable).public(),
        suite: Suite::AesGcm,
        limits: LIMITS,
    };
    let mut out = [0; MESSAGE_1];
    let refused = initiator.start(counted(ANN_EPHEMERAL), &mut out);
    let refused = refused.unwrap_err();
    assert_eq!(refused, HandshakeError::NotOffered(Suite::AesGcm));
    assert_eq!(out, [0; MESSAGE_1]);
}

/// A suite byte that was changed on the way, in either direction: the prologue holds the name, so
/// message 1 does not authenticate.
#[test]
fn link_1_a_suite_that_was_changed_on_the_way_is_refused() {
    each_suite(|backend, suite| {
        if !backend.offers(Suite::AesGcm) {
            return;
        }
        let (_, mut first) = started_in(suite, &ann(backend), bob(backend).public());
        assert_eq!(first[0], suite.number());
        assert!(answered(&bob(backend), &first).is_ok());
        first[0] ^= 3;
        let refused = answered(&bob(backend), &first).unwrap_err();
        assert_eq!(refused, HandshakeError::Message { message: 1 });
    });
}

/// Both suites with the same secrets: nothing that goes over the wire but the ephemeral keys is
/// the same, and neither a claim nor a proof of one holds in the other.
#[test]
fn link_1_suites_have_nothing_in_common() {
    let backend = Backend::default();
    if !backend.offers(Suite::AesGcm) {
        return;
    }
    let done = Suite::ALL.map(|suite| handshake_of(suite, &ann(backend), &bob(backend), LIMITS));
    let [one, two] = done;
    assert_eq!(one.message_1[1..33], two.message_1[1..33]);
    assert_ne!(one.message_1[33..], two.message_1[33..]);
    assert_eq!(one.message_2[..32], two.message_2[..32]);
    assert_ne!(one.message_2[32..], two.message_2[32..]);
    assert_ne!(one.message_3[..48], two.message_3[..48]);
    assert_ne!(one.proof, two.proof);
    let refused = one.expected.check(&two.proof).unwrap_err();
    assert_eq!(refused, HandshakeError::Unproven);
    let (_, first) = started_in(Suite::AesGcm, &ann(backend), bob(backend).public());
    let (answering, _) = answered(&bob(backend), &first).unwrap();
    let refused = answering.finish(&one.message_3).unwrap_err();
    assert_eq!(refused, HandshakeError::Message { message: 3 });
}

#[test]
fn link_1_another_key_than_the_one_dialled_shows_at_message_1() {
    each_backend(|backend| {
        let (_, first) = started(&ann(backend), bob(backend).public());
        let other = identity(0x77, backend);
        let refused = answered(&other, &first).unwrap_err();
        assert_eq!(refused, HandshakeError::Message { message: 1 });
    });
}

/// Every flipped bit of every message is refused, at that message.
#[test]
fn link_1_a_changed_message_is_refused() {
    let backend = Backend::default();
    for suite in Suite::ALL
        .into_iter()
        .filter(|&suite| backend.offers(suite))
    {
        every_changed_message_is_refused(backend, suite);
    }
}

fn every_changed_message_is_refused(backend: Backend, suite: Suite) {
    let (ann, bob) = (ann(backend), bob(backend));
    let started = |ann, peer| started_in(suite, ann, peer);
    let step = if cfg!(feature = "aws-lc") { 3 } else { 17 };
    for bit in (8..MESSAGE_1 * 8).step_by(step) {
        let (_, mut first) = started(&ann, bob.public());
        first[bit / 8] ^= 1 << (bit % 8);
        let refused = answered(&bob, &first).unwrap_err();
        assert_eq!(refused, HandshakeError::Message { message: 1 }, "bit {bit}");
    }
    for bit in (0..MESSAGE_2 * 8).step_by(step) {
        let (state, first) = started(&ann, bob.public());
        let (_, mut reply) = answered(&bob, &first).unwrap();
        reply[bit / 8] ^= 1 << (bit % 8);
        let refused = state.finish(&reply, &mut [0; MESSAGE_3]).unwrap_err();
        assert_eq!(refused, HandshakeError::Message { message: 2 }, "bit {bit}");
    }
    for bit in (0..MESSAGE_3 * 8).step_by(step) {
        let (state, first) = started(&ann, bob.public());
        let (answering, reply) = answered(&bob, &first).unwrap();
        let mut third = [0; MESSAGE_3];
        state.finish(&reply, &mut third).unwrap();
        third[bit / 8] ^= 1 << (bit % 8);
        let refused = answering.finish(&third).unwrap_err();
        assert_eq!(refused, HandshakeError::Message { message: 3 }, "bit {bit}");
    }
}

/// C3: somebody without any key, who sends the all-zero point, would know every shared secret.
#[test]
fn link_1_keys_of_small_order_are_refused_on_both_roles() {
    each_backend(|backend| {
        let (honest_ann, honest_bob) = (ann(backend), bob(backend));
        let nobody = ann(Nobody::backend());
        let (_, first) = started(&nobody, honest_bob.public());
        let refused = answered(&honest_bob, &first).unwrap_err();
        assert_eq!(refused, HandshakeError::Message { message: 1 });

        // With the key of Bob, but an ephemeral key of nobody: the tag of message 2 is right if
        // the result of the exchange is taken to be zero.
        let half = HalfBob::backend();
        let (state, first) = started(&honest_ann, honest_bob.public());
        let (_, reply) = answered(&bob(half), &first).unwrap();
        assert_eq!(reply[..32], [0; 32]);
        let refused = state.finish(&reply, &mut [0; MESSAGE_3]).unwrap_err();
        assert_eq!(refused, HandshakeError::Message { message: 2 });

        for point in SMALL_ORDER {
            let (state, mut first) = started(&honest_ann, honest_bob.public());
            let (_, mut reply) = answered(&honest_bob, &first).unwrap();
            reply[..32].copy_from_slice(&unhex32(point));
            let refused = state.finish(&reply, &mut [0; MESSAGE_3]).unwrap_err();
            assert_eq!(refused, HandshakeError::Message { message: 2 });
            first[1..33].copy_from_slice(&unhex32(point));
            let refused = answered(&honest_bob, &first).unwrap_err();
            assert_eq!(refused, HandshakeError::Message { message: 1 });
        }
    });
}

/// Has Bob's static key; its ephemeral key is the all-zero point.
struct HalfBob;

impl HalfBob {
    fn backend() -> Backend {
        Backend::Custom(&HalfBob)
    }
}

impl Primitives for HalfBob {
    fn name(&self) -> &'static str {
        "half of bob"
    }

    fn cipher(&self, key: &[u8; 32]) -> Box<dyn RecordCipher> {
        Nobody.cipher(key)
    }

    fn exchange_key(&self, secret: &[u8; 32]) -> Box<dyn ExchangeKey> {
        if *secret == counted(BOB_EPHEMERAL) {
            return Nobody.exchange_key(secret);
        }
        Backend::RustCrypto.primitives().exchange_key(secret)
    }
}

/// The points of order 1, 2, 4 and 8 of Curve25519 and its twist, and their encodings above p.
pub(crate) const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// Message 3 with another claim than the honest one.
fn claim(
    ann: &LinkIdentity,
    bob: &LinkIdentity,
    make: impl FnOnce(Bound) -> (PublicKeyBytes, Signature),
) -> HandshakeError {
    let (state, first) = started(ann, bob.public());
    let (answering, reply) = answered(bob, &first).unwrap();
    let mut noise = state.noise;
    noise.read(2, &reply, &mut []).unwrap();
    let bound = Bound {
        role: Role::Initiator,
        hash: noise.hash(),
        x25519: *noise.own.public(),
    };
    let (key, signature) = make(bound);
    let mut third = [0; MESSAGE_3];
    let payload = [&key[..], signature.as_bytes()].concat();
    noise.write(&payload, &mut third).unwrap();
    answering.finish(&third).unwrap_err()
}

type PublicKeyBytes = [u8; 32];

#[test]
fn link_1_a_claim_of_somebody_elses_key_is_refused() {
    let backend = Backend::default();
    let (ann, bob, eve) = (ann(backend), bob(backend), identity(0x99, backend));
    let own = *ann.public().as_bytes();

    // Another key, with a good signature of its owner: not the key of the handshake.
    let refused = claim(&ann, &bob, |bound| {
        (
            *eve.public().as_bytes(),
            bound.sign(&eve.secret_handle()).unwrap(),
        )
    });
    assert_eq!(refused, HandshakeError::ClaimedOther);

    // The own key with somebody else's signature.
    let refused = claim(&ann, &bob, |bound| {
        (own, bound.sign(&eve.secret_handle()).unwrap())
    });
    assert_eq!(refused, HandshakeError::Unproven);

    // -A has the same X25519 key as A, and is another identity.
    let mut negative = own;
    negative[31] ^= 0x80;
    assert_eq!(
        PublicKey::from_bytes(&negative).unwrap().x25519(),
        ann.public().x25519()
    );
    let refused = claim(&ann, &bob, |bound| {
        (negative, bound.sign(&ann.secret_handle()).unwrap())
    });
    assert_eq!(refused, HandshakeError::Unproven);

    // Points of small order, and no points at all.
    let identity_point: [u8; 32] = std::array::from_fn(|n| u8::from(n == 0));
    for bytes in [identity_point, [0; 32], [0xff; 32], [2; 32]] {
        let refused = claim(&ann, &bob, |bound| {
            (bytes, bound.sign(&ann.secret_handle()).unwrap())
        });
        assert_eq!(refused, HandshakeError::ClaimedKey, "{bytes:02x?}");
    }
}

/// Who proved its key before has to prove it again, and nobody else is taken for it.
#[test]
fn link_1_a_peer_that_came_before_proves_its_key_again() {
    each_suite(|backend, suite| {
        let (ann, bob) = (ann(backend), bob(backend));
        for _ in 0..3 {
            let done = handshake_of(suite, &ann, &bob, LIMITS);
            assert_eq!(done.claimed, ann.public());
        }
        for (why, message_3) in Transcript::bad_claims(suite, &ann, &bob, &identity(9, backend)) {
            let (_, first) = started_in(suite, &ann, bob.public());
            let (answering, _) = answered(&bob, &first).unwrap();
            let refused = answering.finish(&message_3).unwrap_err();
            let stranger = identity(0x20, backend);
            let (answering, _) = answered(&stranger, &first).unwrap();
            assert_eq!(refused, answering.finish(&message_3).unwrap_err(), "{why}");
        }
        let done = handshake_of(suite, &ann, &bob, LIMITS);
        assert_eq!(done.claimed, ann.public());
    });
}

#[test]
fn link_1_a_signature_for_another_role_handshake_or_key_is_refused() {
    let backend = Backend::default();
    let (ann, bob) = (ann(backend), bob(backend));
    let own = *ann.public().as_bytes();
    let secret = ann.secret_handle();
    let wrong: [fn(&mut Bound); 3] = [
        |bound| bound.role = Role::Responder,
        |bound| bound.hash[0] ^= 1,
        |bound| bound.x25519[0] ^= 1,
    ];
    for change in wrong {
        let refused = claim(&ann, &bob, |mut bound| {
            change(&mut bound);
            (own, bound.sign(&secret).unwrap())
        });
        assert_eq!(refused, HandshakeError::Unproven);
    }
}

#[test]
fn link_1_the_responder_has_to_prove_the_very_key_that_was_dialled() {
    let backend = Backend::default();
    let finished = || handshake(&ann(backend), &bob(backend), LIMITS);
    let done = finished();
    let mut bytes = done.proof.to_bytes();
    bytes[10] ^= 1;
    let refused = done.expected.check(&Signature::from_bytes(bytes));
    assert_eq!(refused.unwrap_err(), HandshakeError::Unproven);

    // Whoever dials -B reaches Bob by X25519, and finds out here.
    let (ann, bob) = (ann(backend), bob(backend));
    let mut negative = *bob.public().as_bytes();
    negative[31] ^= 0x80;
    let negative = PublicKey::from_bytes(&negative).unwrap();
    let (state, first) = started(&ann, negative);
    let (answering, reply) = answered(&bob, &first).unwrap();
    let mut third = [0; MESSAGE_3];
    let (_, expected) = state.finish(&reply, &mut third).unwrap();
    let (_, proof) = answering.finish(&third).unwrap().accept().unwrap();
    assert_eq!(
        expected.check(&proof).unwrap_err(),
        HandshakeError::Unproven
    );
}

/// The static keys of the published vector stand in for ours.
fn published(secret: [u8; 32], backend: Backend) -> LinkIdentity {
    LinkIdentity::with_exchange(backend, &secret)
}

/// The cacophony vector of this protocol, through our resolver: six messages, two of them
/// transport messages each way, and the handshake hash.
#[test]
fn the_published_noise_vector_holds_on_every_backend() {
    published_vector(
        Suite::ChaChaPoly,
        include_str!("../../tests/vectors/noise-xk-cacophony.json"),
    );
    published_vector(
        Suite::AesGcm,
        include_str!("../../tests/vectors/noise-xk-aesgcm-cacophony.json"),
    );
}

/// The same with the vector that snow publishes: another prologue, payloads in all messages, no hash.
#[test]
fn the_vector_of_snow_holds_on_every_backend() {
    published_vector(
        Suite::ChaChaPoly,
        include_str!("../../tests/vectors/noise-xk-snow.json"),
    );
    published_vector(
        Suite::AesGcm,
        include_str!("../../tests/vectors/noise-xk-aesgcm-snow.json"),
    );
}

fn published_vector(suite: Suite, text: &str) {
    let vector: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(vector["protocol_name"], suite.noise_name());
    let field = |name: &str| unhex(vector[name].as_str().unwrap());
    let key = |name: &str| unhex32(vector[name].as_str().unwrap());
    each_backend(|backend| {
        if !backend.offers(suite) {
            return;
        }
        let prologue = field("init_prologue");
        let rs = key("init_remote_static");
        let state = |own: LinkIdentity, peer: Option<&[u8; 32]>, e: [u8; 32]| {
            handshake_state(suite.noise_name(), &prologue, &own, peer, Zeroizing::new(e)).unwrap()
        };
        let own = published(key("init_static"), backend);
        let mut i = state(own, Some(&rs), key("init_ephemeral"));
        let mut r = state(
            published(key("resp_static"), backend),
            None,
            key("resp_ephemeral"),
        );
        let messages = vector["messages"].as_array().unwrap();
        let part = |n: usize, name: &str| unhex(messages[n][name].as_str().unwrap());
        let (mut out, mut back) = ([0; 200], [0; 200]);
        for n in 0..3 {
            let (payload, ciphertext) = (part(n, "payload"), part(n, "ciphertext"));
            let (from, to) = if n % 2 == 0 {
                (&mut i, &mut r)
            } else {
                (&mut r, &mut i)
            };
            let written = from.write_message(&payload, &mut out).unwrap();
            assert_eq!(out[..written], ciphertext, "message {n}");
            let read = to.read_message(&ciphertext, &mut back).unwrap();
            assert_eq!(back[..read], payload, "message {n}");
        }
        assert_eq!(i.get_handshake_hash(), r.get_handshake_hash());
        if vector.get("handshake_hash").is_some() {
            assert_eq!(i.get_handshake_hash(), field("handshake_hash"));
        }

        // What follows, by our own keys.
        let (to_r, to_i) = i.dangerously_get_raw_split();
        let primitives = backend.primitives();
        let seal = |key| SealingKey::new(suite.cipher(primitives, key).unwrap(), LIMITS);
        let (mut seal_i, mut seal_r) = (seal(&to_r), seal(&to_i));
        for n in 3..messages.len() {
            let sealing = if n % 2 == 0 { &mut seal_i } else { &mut seal_r };
            let mut record = [&[0; 2], &part(n, "payload")[..], &[0; 16]].concat();
            sealing.seal(&mut record).unwrap();
            assert_eq!(record[2..], part(n, "ciphertext"), "message {n}");
        }
    });
}

#[test]
fn debug_shows_no_secret() {
    let backend = Backend::default();
    let (ann, bob) = (ann(backend), bob(backend));
    let (state, first) = started(&ann, bob.public());
    let (answering, _) = answered(&bob, &first).unwrap();
    assert!(format!("{state:?}").starts_with("AwaitReply(PublicKey("));
    assert_eq!(format!("{answering:?}"), "AwaitClaim(..)");
    let done = handshake(&ann, &bob, LIMITS);
    assert_eq!(
        format!("{:?}", done.ann),
        "LinkKeys { seal: SealingKey(..), open: OpeningKey(..) }"
    );
}
