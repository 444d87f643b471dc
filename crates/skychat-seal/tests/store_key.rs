//! The store key as the store sees it. Rules: `docs/protocol/direct.md`, STOREKEY-1 and -2.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use skychat_seal::{BadStoreSeal, STORE_KEY_LEN, STORE_OVERHEAD, StoreKey, StoreKeyError};

fn key(seed: u8) -> (StoreKey, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    (StoreKey::generate(&mut rng), rng)
}

fn file(seed: u8) -> Vec<u8> {
    key(seed).0.to_file_bytes().to_vec()
}

#[test]
fn what_is_written_is_read() {
    let (key, mut rng) = key(1);
    let file = key.to_file_bytes();
    assert_eq!(file.len(), STORE_KEY_LEN);
    assert_eq!(file.len(), 82);
    assert_eq!(file.capacity(), STORE_KEY_LEN, "grown: copies left behind");
    let read = StoreKey::from_file_bytes(&file).unwrap();
    assert_eq!(read.check(), key.check());
    assert_eq!(read.to_file_bytes(), file);
    let mut sealed = Vec::new();
    key.seal(&mut rng, &[b"row"], b"text", &mut sealed).unwrap();
    assert_eq!(*read.open(&[b"row"], &sealed).unwrap(), b"text");
}

#[test]
fn every_change_of_a_byte_of_the_file_is_a_named_error() {
    let good = file(1);
    for at in 0..good.len() {
        for change in 1..=255u8 {
            let mut file = good.clone();
            file[at] ^= change;
            let error = StoreKey::from_file_bytes(&file).unwrap_err();
            match at {
                0..16 => assert_eq!(error, StoreKeyError::Magic),
                16..18 => assert!(matches!(error, StoreKeyError::Version { .. })),
                _ => assert_eq!(error, StoreKeyError::Checksum),
            }
        }
    }
}

#[test]
fn every_other_length_is_refused() {
    let long = [file(1), vec![0; 40]].concat();
    for found in (0..long.len()).filter(|n| *n != STORE_KEY_LEN) {
        let error = StoreKey::from_file_bytes(&long[..found]).unwrap_err();
        assert_eq!(error, StoreKeyError::Length { found });
    }
}

#[test]
fn a_key_put_together_from_two_files_is_refused() {
    let (mut one, two) = (file(1), file(2));
    one[18..50].copy_from_slice(&two[18..50]);
    let sum = Sha256::digest(&one[..66]);
    one[66..].copy_from_slice(&sum[..16]);
    let error = StoreKey::from_file_bytes(&one).unwrap_err();
    assert_eq!(error, StoreKeyError::Check);
}

#[test]
fn storekey_1_the_key_of_another_store_is_known_by_its_check_value() {
    let ((one, _), (two, _)) = (key(1), key(2));
    assert!(one.has_check(&one.check()));
    assert!(!one.has_check(&two.check()));
}

#[test]
fn nothing_secret_is_printed() {
    assert_eq!(format!("{:?}", key(1).0), "StoreKey(..)");
}

#[test]
fn storekey_2_what_is_sealed_opens_at_its_place_only() {
    let (key, mut rng) = key(1);
    let mut sealed = Vec::new();
    let place: [&[u8]; 3] = [b"value", &[7], b"ab"];
    key.seal(&mut rng, &place, b"text", &mut sealed).unwrap();
    assert_eq!(sealed.len(), 4 + STORE_OVERHEAD);
    let others: [&[&[u8]]; 8] = [
        &[],
        &[b"value", &[7]],
        &[b"value", &[7], b"ab", b""],
        &[b"value", &[7], b"a", b"b"],
        &[b"value", &[7, b'a'], b"b"],
        &[b"value", &[8], b"ab"],
        &[b"content", &[7], b"ab"],
        &[b"value\x07ab"],
    ];
    for other in others {
        assert_eq!(key.open(other, &sealed), Err(BadStoreSeal), "{other:?}");
    }
    assert_eq!(*key.open(&place, &sealed).unwrap(), b"text");
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        seed: u8,
        place: Vec<Vec<u8>>,
        text: Vec<u8>,
        before: Vec<u8>,
    ) {
        let (key, mut rng) = key(seed);
        let place: Vec<&[u8]> = place.iter().map(Vec::as_slice).collect();
        let mut out = before.clone();
        key.seal(&mut rng, &place, &text, &mut out).unwrap();
        prop_assert_eq!(&out[..before.len()], &before);
        let sealed = &out[before.len()..];
        prop_assert_eq!(sealed.len(), text.len() + STORE_OVERHEAD);
        prop_assert_eq!(key.open(&place, sealed).unwrap().to_vec(), text);
    }

    #[test]
    fn every_changed_bit_is_refused(
        text in prop::collection::vec(any::<u8>(), 0..100),
        bit: prop::sample::Index,
    ) {
        let (key, mut rng) = key(1);
        let mut sealed = Vec::new();
        key.seal(&mut rng, &[b"row"], &text, &mut sealed).unwrap();
        let bit = bit.index(sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(key.open(&[b"row"], &sealed), Err(BadStoreSeal));
        prop_assert_eq!(key.open(&[b"row"], &sealed[..bit / 8]), Err(BadStoreSeal));
    }

    #[test]
    fn two_places_are_never_the_same(a: Vec<Vec<u8>>, b: Vec<Vec<u8>>) {
        prop_assume!(a != b);
        let (key, mut rng) = key(1);
        let a: Vec<&[u8]> = a.iter().map(Vec::as_slice).collect();
        let b: Vec<&[u8]> = b.iter().map(Vec::as_slice).collect();
        let mut sealed = Vec::new();
        key.seal(&mut rng, &a, b"text", &mut sealed).unwrap();
        prop_assert_eq!(key.open(&b, &sealed), Err(BadStoreSeal));
    }

    #[test]
    fn reading_never_panics(bytes: Vec<u8>, tail: Vec<u8>) {
        prop_assert!(StoreKey::from_file_bytes(&bytes).is_err());
        let begun = [b"skychat storekey\x00\x01", &tail[..]].concat();
        prop_assert!(StoreKey::from_file_bytes(&begun).is_err());
        prop_assert!(key(1).0.open(&[b"row"], &bytes).is_err());
    }
}
