use snow::types::Random;

use super::*;
use crate::Backend;

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
    assert!(resolver.resolve_cipher(&CipherChoice::AESGCM).is_none());
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
