use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

#[test]
fn nothing_of_a_secret_is_printed() {
    let key = SecretKey::from_seed([0xab; 32]);
    assert_eq!(format!("{key:?} {key:#?}"), "SecretKey(..) SecretKey(..)");
    assert_eq!(format!("{:?}", key.x25519()), "X25519Secret(..)");
    let text = format!("{}x", "ab".repeat(32));
    let error = SecretKey::from_hex(&text).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("ab"));
}

#[test]
fn hex_is_read_in_either_case() {
    let key = SecretKey::from_seed([0xab; 32]);
    assert_eq!(SecretKey::from_hex(&"ab".repeat(32)), Ok(key));
    let key = SecretKey::from_seed([0xab; 32]);
    assert_eq!(SecretKey::from_hex(&"aB".repeat(32)), Ok(key));
}

#[test]
fn other_texts_are_named() {
    use SecretKeyError::{NotHex, TextLength};
    let good = "ab".repeat(32);
    for (text, error) in [
        ("", TextLength { found: 0 }),
        (&good[1..], TextLength { found: 63 }),
        (&format!("{good}a"), TextLength { found: 65 }),
        (&format!("0x{good}"), NotHex { position: 1 }),
        (&format!("{good}\n"), NotHex { position: 64 }),
        ("é", NotHex { position: 0 }),
    ] {
        assert_eq!(SecretKey::from_hex(text), Err(error));
    }
    assert_eq!(
        SecretKey::from_hex("a b").unwrap_err().to_string(),
        "secret key: character 2 is no hex digit, expected 64 hex digits"
    );
}

#[test]
fn secrets_compare() {
    let [a, b] = [1, 2].map(|n| SecretKey::from_seed([n; 32]));
    assert_eq!(a, SecretKey::from_seed(*a.expose_bytes()));
    assert_ne!(a, b);
    assert_eq!(a.x25519(), a.x25519());
    assert_ne!(a.x25519(), b.x25519());
}

/// What libsodium 1.0.20 (through PyNaCl 1.6.2) makes of a thousand seeds: the SHA-256 of public
/// key, X25519 public key and X25519 secret of each, one after the other.
#[test]
fn the_x25519_forms_are_those_of_libsodium() {
    let mut all = Sha256::new();
    for n in 0..1000u32 {
        let seed = Sha256::new()
            .chain_update(b"skychat identity test")
            .chain_update(n.to_be_bytes())
            .finalize();
        let key = SecretKey::from_seed(seed.into());
        all.update(key.public().as_bytes());
        all.update(key.public().x25519());
        all.update(key.x25519().expose_bytes());
    }
    assert_eq!(
        data_encoding::HEXLOWER.encode(&all.finalize()),
        "2210f9c152c34ea38a51ae77f300209f8770f4d957d5eeb32c13c05171a77da4"
    );
}

proptest! {
    /// With the faster library this compares the two; else it says that nothing is left to chance.
    #[test]
    fn signatures_are_the_same_bytes_whoever_makes_them(seed: [u8; 32], message: Vec<u8>) {
        let key = SecretKey::from_seed(seed);
        for _ in 0..2 {
            let signature = key.sign_bytes(&message);
            prop_assert_eq!(*signature.as_bytes(), key.signer.portable(&message));
        }
    }

    #[test]
    fn the_x25519_secret_belongs_to_the_x25519_form(seed: [u8; 32], other: [u8; 32]) {
        let [ann, bob] = [seed, other].map(SecretKey::from_seed);
        prop_assert_eq!(ann.x25519().public(), ann.public().x25519());
        prop_assert_ne!(*ann.x25519().expose_bytes(), *ann.expose_bytes());

        // Both sides of a DH by another library meet.
        let half = |key: &SecretKey| {
            let scalar = *key.x25519().expose_bytes();
            prop_assert_eq!(scalar, clamp_integer(scalar));
            Ok(x25519_dalek::StaticSecret::from(scalar))
        };
        let by_ann = half(&ann)?.diffie_hellman(&bob.public().x25519().into());
        let by_bob = half(&bob)?.diffie_hellman(&ann.public().x25519().into());
        prop_assert_eq!(by_ann.as_bytes(), by_bob.as_bytes());
    }

    #[test]
    fn hex_round_trips(seed: [u8; 32]) {
        let text = data_encoding::HEXLOWER.encode(&seed);
        prop_assert_eq!(SecretKey::from_hex(&text), Ok(SecretKey::from_seed(seed)));
    }
}
