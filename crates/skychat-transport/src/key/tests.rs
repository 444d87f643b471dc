use proptest::prelude::*;

use super::*;
use crate::Backend;
use crate::handshake::snow_pair;
use crate::testing::{ann, bob, each_suite, handshake_of};

const NEVER: RekeyLimits = RekeyLimits {
    records: u64::MAX,
    bytes: u64::MAX,
};

fn pair(limits: RekeyLimits) -> (SealingKey, OpeningKey) {
    let primitives = Backend::default().primitives();
    (
        SealingKey::new(primitives.cipher(&[7; 32]), limits),
        OpeningKey::new(primitives.cipher(&[7; 32]), limits),
    )
}

fn record(text: &[u8]) -> Vec<u8> {
    [&[0; LENGTH], text, &[0; TAG]].concat()
}

fn sealed(key: &mut SealingKey, text: &[u8]) -> Vec<u8> {
    let mut record = record(text);
    key.seal(&mut record).unwrap();
    record
}

/// What snow's own transport makes of the same keys is what ours make, byte for byte, in both
/// directions and across new keys.
#[test]
fn link_4_our_records_are_those_of_noise() {
    each_suite(|backend, suite| {
        let limits = RekeyLimits {
            records: 4,
            bytes: 1 << 20,
        };
        let (ann, bob) = (ann(backend), bob(backend));
        let mut ours = handshake_of(suite, &ann, &bob, limits);
        let (initiator, responder) = snow_pair(suite, &ann, &bob);
        let mut initiator = initiator.into_transport_mode().unwrap();
        let mut responder = responder.into_transport_mode().unwrap();
        let mut out = vec![0; 65_535];
        for n in 0..11_usize {
            let text = vec![n as u8; 1 + n * 5951];
            let written = initiator.write_message(&text, &mut out).unwrap();
            assert_eq!(sealed(&mut ours.ann.seal, &text)[LENGTH..], out[..written]);
            let text = vec![0xff - n as u8; 1 + n * 997];
            let written = responder.write_message(&text, &mut out).unwrap();
            let mut wire = sealed(&mut ours.bob.seal, &text);
            assert_eq!(wire[LENGTH..], out[..written]);
            assert_eq!(ours.ann.open.open(&mut wire[LENGTH..]).unwrap(), text);
            if n % 4 == 3 {
                initiator.rekey_outgoing();
                responder.rekey_outgoing();
            }
        }
    });
}

#[test]
fn link_8_the_key_changes_after_so_many_records() {
    let limits = RekeyLimits {
        records: 100,
        bytes: u64::MAX,
    };
    let (mut with, _) = pair(limits);
    let (mut without, _) = pair(NEVER);
    for n in 1..=250 {
        let same = sealed(&mut with, b"x") == sealed(&mut without, b"x");
        assert_eq!(same, n <= 100, "record {n}");
    }
}

#[test]
fn link_8_the_key_changes_with_the_record_that_reaches_the_bytes() {
    let limits = RekeyLimits {
        records: u64::MAX,
        bytes: 1000,
    };
    for (sizes, last_with_old_key) in [
        (&[999, 1, 1][..], 2),
        (&[1000, 1, 1], 1),
        (&[5000, 1, 1], 1),
        (&[400, 400, 400, 1], 3),
    ] {
        let ((mut with, _), (mut without, _)) = (pair(limits), pair(NEVER));
        for (n, &size) in sizes.iter().enumerate() {
            let text = vec![0; size];
            let same = sealed(&mut with, &text) == sealed(&mut without, &text);
            assert_eq!(same, n < last_with_old_key, "{sizes:?}, record {n}");
        }
    }
}

#[test]
fn link_8_the_limits_are_those_of_the_protocol() {
    let limits = RekeyLimits::default();
    assert_eq!((limits.records, limits.bytes), (65_536, 1 << 30));
}

proptest! {
    /// P11: both sides change keys at the same record, whatever the sizes.
    #[test]
    fn link_8_both_sides_change_keys_together(
        sizes in prop::collection::vec(1..300_usize, 1..60),
        records in 1..8_u64,
        bytes in 1..1000_u64,
    ) {
        let (mut seal, mut open) = pair(RekeyLimits { records, bytes });
        for (n, size) in sizes.into_iter().enumerate() {
            let text = vec![n as u8; size];
            let mut wire = sealed(&mut seal, &text);
            prop_assert_eq!(open.open(&mut wire[LENGTH..]).unwrap(), &text[..]);
        }
    }
}

#[test]
fn link_4_a_record_that_does_not_open_is_the_last() {
    let (mut seal, mut open) = pair(NEVER);
    let mut bad = sealed(&mut seal, b"one");
    let mut good = bad.clone();
    bad[LENGTH] ^= 1;
    assert_eq!(open.open(&mut bad[LENGTH..]).unwrap_err().rule(), "LINK-4");
    assert!(open.open(&mut good[LENGTH..]).is_err());
}

#[test]
fn link_4_records_are_neither_repeated_nor_reordered_nor_left_out() {
    let (mut seal, _) = pair(NEVER);
    let records: Vec<_> = (0..3).map(|n| sealed(&mut seal, &[n])).collect();
    for order in [&[0, 0][..], &[1], &[0, 2]] {
        let (_, mut open) = pair(NEVER);
        let (last, first) = order.split_last().unwrap();
        for &n in first {
            open.open(&mut records[n].clone()[LENGTH..]).unwrap();
        }
        assert!(
            open.open(&mut records[*last].clone()[LENGTH..]).is_err(),
            "{order:?}"
        );
    }
}

#[test]
fn link_4_a_record_holds_1_to_65519_bytes() {
    let (mut seal, mut open) = pair(NEVER);
    for short in [0, 1, LENGTH, LENGTH + TAG - 1, LENGTH + TAG] {
        assert_eq!(seal.seal(&mut vec![0; short]), Err(SealError::Layout));
    }
    assert_eq!(seal.seal(&mut record(&[0; 65_520])), Err(SealError::Layout));
    // None of these used a nonce.
    let mut largest = sealed(&mut seal, &[1; 65_519]);
    assert_eq!(largest[..LENGTH], [0xff, 0xff]);
    assert_eq!(open.open(&mut largest[LENGTH..]).unwrap(), [1; 65_519]);
    for short in [0, 1, TAG] {
        let (_, mut open) = pair(NEVER);
        assert!(open.open(&mut vec![0; short]).is_err());
    }
}

/// 2^64 - 1 is the nonce of new keys, and of nothing else.
#[test]
fn link_8_the_last_nonce_seals_no_record() {
    let (mut seal, mut open) = pair(NEVER);
    seal.0.nonce = u64::MAX - 1;
    open.0.nonce = u64::MAX - 1;
    let mut last = sealed(&mut seal, b"last");
    open.open(&mut last[LENGTH..]).unwrap();
    assert_eq!(seal.seal(&mut record(b"x")), Err(SealError::Exhausted));
    assert!(open.open(&mut record(b"x")).is_err());
}

/// A backend that fails leaves no way to use the nonce again.
#[test]
fn a_failing_cipher_ends_the_key() {
    struct Failing;
    impl RecordCipher for Failing {
        fn set(&mut self, _: &[u8; 32]) {}
        fn seal(
            &self,
            _: u64,
            _: &[u8],
            _: &mut [u8],
        ) -> Result<[u8; 16], crate::backend::CipherError> {
            Err(crate::backend::CipherError)
        }
        fn open(
            &self,
            _: u64,
            _: &[u8],
            _: &mut [u8],
            _: &[u8; 16],
        ) -> Result<(), crate::backend::CipherError> {
            Ok(())
        }
    }
    let (mut seal, _) = pair(NEVER);
    seal.0.cipher = Box::new(Failing);
    assert_eq!(seal.seal(&mut record(b"x")), Err(SealError::Cipher));
    assert_eq!(seal.seal(&mut record(b"x")), Err(SealError::Exhausted));
}
