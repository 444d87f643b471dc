use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use sha2::{Digest, Sha512};

use super::*;

/// R is the identity, and S is what makes the equation hold: the owner of a key can make it. The
/// lenient check of the library takes it, neither its strict one nor ours does.
#[test]
fn an_r_of_small_order_is_refused() {
    let signing = SigningKey::from_bytes(&[7; 32]);
    let key = PublicKey::from_bytes(&signing.verifying_key().to_bytes()).unwrap();
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let hash = Sha512::new()
        .chain_update(&bytes[..32])
        .chain_update(key.as_bytes())
        .chain_update(b"text");
    let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    bytes[32..].copy_from_slice((k * signing.to_scalar()).as_bytes());
    let signature = ed25519_dalek::Signature::from_bytes(&bytes);
    let library = signing.verifying_key();
    #[expect(
        clippy::disallowed_methods,
        reason = "it is what ours is compared with"
    )]
    let lenient = library.verify(b"text", &signature);
    assert!(lenient.is_ok());
    assert!(library.verify_strict(b"text", &signature).is_err());
    let ours = Signature::from_bytes(bytes);
    assert_eq!(key.verify_bytes(b"text", &ours), Err(BadSignature));
}

/// Every point of small order as R, in every encoding there is, with every S that is small: no
/// verdict of ours differs from the library's strict one.
#[test]
fn the_verdict_on_an_odd_r_is_the_strict_one() {
    let signing = SigningKey::from_bytes(&[9; 32]);
    let key = PublicKey::from_bytes(&signing.verifying_key().to_bytes()).unwrap();
    let good = signing.sign(b"text").to_bytes();
    let mut encodings: Vec<[u8; 32]> = EIGHT_TORSION.map(|point| point.compress().0).to_vec();
    let mut odd = [0xff; 32];
    for low in 0xec..=0xff {
        odd[0] = low;
        encodings.push(odd);
    }
    for point in EIGHT_TORSION {
        let r = CompressedEdwardsY(*good.first_chunk().unwrap());
        encodings.push((r.decompress().unwrap() + point).compress().0);
    }
    let mut held = 0;
    for mut r in encodings {
        for sign in [0, 0x80] {
            r[31] ^= sign;
            for s in [&good[32..], &[0; 32], &[1; 32]] {
                let bytes: [u8; 64] = [&r, s].concat().try_into().unwrap();
                let library = ed25519_dalek::Signature::from_bytes(&bytes);
                let strict = signing.verifying_key().verify_strict(b"text", &library);
                let ours = key.verify_bytes(b"text", &Signature::from_bytes(bytes));
                assert_eq!(ours.is_ok(), strict.is_ok());
                held += u32::from(ours.is_ok());
            }
        }
    }
    // The good one, plus the point of order 1.
    assert_eq!(held, 1);
}

proptest! {
    /// Whatever decodes is canonical by our rule when the library encodes it to the same bytes,
    /// and of prime order when the library says so.
    #[test]
    fn the_checks_agree_with_the_library(mut y: [u8; 32], edge in 0u8..4, low: u8, which in 0usize..8) {
        match edge {
            0 => y = [0xff; 32],
            1 => y = [0; 32],
            _ => {}
        }
        if edge < 2 {
            y[0] = low;
            y[31] ^= low & 0x80;
        }
        if let Some(point) = CompressedEdwardsY(y).decompress() {
            prop_assert_eq!(is_canonical(&y), point.compress().0 == y);
            for point in [point, point.mul_by_cofactor() + EIGHT_TORSION[which]] {
                let encoding = point.compress().0;
                let whole = point.is_torsion_free() && !point.is_small_order();
                prop_assert_eq!(PublicKey::from_bytes(&encoding).is_ok(), whole);
            }
        }
    }
}
