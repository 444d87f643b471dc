use snow::params::NoiseParams;
use snow::types::Random;

use super::*;
use crate::Backend;
use crate::testing::each_suite;

fn resolver() -> Resolver {
    let primitives = Backend::RustCrypto.primitives();
    let own = Arc::from(primitives.exchange_key(&[1; 32]));
    Resolver::new(primitives, own, Zeroizing::new([2; 32]))
}

#[test]
fn a_seed_is_used_once() {
    let resolver = resolver();
    let mut rng = resolver.resolve_rng().unwrap();
    let mut out = [0; 32];
    rng.try_fill_bytes(&mut out).unwrap();
    assert_eq!(out, [2; 32]);
    assert_eq!(rng.try_fill_bytes(&mut out), Err(snow::Error::Rng));
    let mut second = resolver.resolve_rng().unwrap();
    assert_eq!(second.try_fill_bytes(&mut out), Err(snow::Error::Rng));
    assert_eq!(
        Once(Some(Zeroizing::new([0; 32]))).try_fill_bytes(&mut [0; 31]),
        Err(snow::Error::Rng)
    );
}

#[test]
fn only_the_primitives_of_the_protocol_are_there() {
    let resolver = resolver();
    assert!(resolver.resolve_dh(&DHChoice::Curve25519).is_some());
    assert!(resolver.resolve_dh(&DHChoice::Curve448).is_none());
    assert!(resolver.resolve_hash(&HashChoice::SHA256).is_some());
    assert!(resolver.resolve_hash(&HashChoice::Blake2s).is_none());
    assert!(resolver.resolve_cipher(&CipherChoice::ChaChaPoly).is_some());
    // The portable backend has no AES.
    assert!(resolver.resolve_cipher(&CipherChoice::AESGCM).is_none());
}

#[test]
fn a_cipher_says_its_name() {
    each_suite(|backend, suite| {
        let primitives = backend.primitives();
        let own = Arc::from(primitives.exchange_key(&[1; 32]));
        let resolver = Resolver::new(primitives, own, Zeroizing::new([2; 32]));
        let name: NoiseParams = suite.noise_name().parse().unwrap();
        let cipher = resolver.resolve_cipher(&name.cipher).unwrap();
        assert!(suite.noise_name().contains(cipher.name()), "{suite:?}");
    });
}

#[test]
fn a_key_of_small_order_is_an_error_not_a_secret() {
    let mut dh = resolver().resolve_dh(&DHChoice::Curve25519).unwrap();
    dh.set(&STATIC_PLACEHOLDER);
    let mut out = [0x55; 32];
    assert_eq!(dh.dh(&[0; 32], &mut out), Err(snow::Error::Dh));
    assert_eq!(out, [0x55; 32]);
    assert!(dh.dh(&[9; 32], &mut out).is_ok());
    assert_eq!(dh.dh(&[9; 31], &mut out), Err(snow::Error::Dh));
    assert_eq!(dh.privkey(), STATIC_PLACEHOLDER);
}

/// Every key of Wycheproof that fixes the result, handed over as snow does, on every backend: the exchange fails and
/// nothing is written.
#[test]
fn wycheproof_keys_of_small_order_end_the_exchange_on_every_backend() {
    use wycheproof::xdh::{TestName, TestSet};
    let set = TestSet::load(TestName::X25519).unwrap();
    let cases = || set.test_groups.iter().flat_map(|group| &group.tests);
    for backend in Backend::BUILT_IN {
        let primitives = backend.primitives();
        let mut refused = 0;
        for case in cases() {
            let secret = case.private_key[..].try_into().unwrap();
            let own = Arc::from(primitives.exchange_key(&secret));
            let resolver = Resolver::new(primitives, own, Zeroizing::new([2; 32]));
            let mut dh = resolver.resolve_dh(&DHChoice::Curve25519).unwrap();
            dh.set(&STATIC_PLACEHOLDER);
            let mut out = [0x55; 32];
            let found = dh.dh(&case.public_key, &mut out);
            if case.shared_secret.iter().all(|byte| *byte == 0) {
                assert_eq!(found, Err(snow::Error::Dh), "case {}", case.tc_id);
                assert_eq!(out, [0x55; 32]);
                refused += 1;
            } else {
                assert_eq!(found, Ok(()), "case {}", case.tc_id);
                assert_eq!(out[..], case.shared_secret[..]);
            }
        }
        assert_eq!(refused, 31, "{backend:?}");
    }
}

/// RFC 4231, cases 1 to 4: the hash of the handshake as snow builds its HMAC on it.
#[test]
fn rfc_4231_hmac_on_our_hash() {
    let counted: Vec<u8> = (1..=25).collect();
    let cases: [(&[u8], &[u8], &str); 4] = [
        (
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            &counted,
            &[0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
    ];
    for (key, data, expected) in cases {
        let mut hash = resolver().resolve_hash(&HashChoice::SHA256).unwrap();
        let mut out = [0; 32];
        hash.hmac(key, data, &mut out);
        assert_eq!(data_encoding::HEXLOWER.encode(&out), expected);
    }
}

#[test]
fn a_cipher_without_room_writes_nothing() {
    let mut cipher = resolver()
        .resolve_cipher(&CipherChoice::ChaChaPoly)
        .unwrap();
    cipher.set(&[3; 32]);
    let mut out = [0x55; 20];
    assert_eq!(cipher.encrypt(0, &[], b"hello", &mut out), 0);
    assert_eq!(out, [0x55; 20]);
    let mut out = [0; 21];
    assert_eq!(cipher.encrypt(0, &[], b"hello", &mut out), 21);
    let mut back = [0; 5];
    assert_eq!(cipher.decrypt(0, &[], &out, &mut back), Ok(5));
    assert_eq!(&back, b"hello");
    assert_eq!(
        cipher.decrypt(0, &[], &out[..15], &mut back),
        Err(snow::Error::Decrypt)
    );
    assert_eq!(
        cipher.decrypt(0, &[], &out, &mut [0; 4]),
        Err(snow::Error::Decrypt)
    );
}
