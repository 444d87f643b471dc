//! Suite 1 as its users see it. Rules: `docs/protocol/direct.md`, DIRECT-3 to DIRECT-6.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::SeedableRng;
use skychat_identity::SecretKey;
use skychat_seal::{
    BODY_OVERHEAD, EntryAad, KeyId, MAX_AGE_MS, MAX_SEALED, OPENER_CACHE, OpenError, Opener,
    SealError, SealInfo, Sealer, sealed_len,
};

const NOW: u64 = 1_790_000_000_000;

struct Pair {
    bob: SecretKey,
    info: SealInfo,
    rng: ChaCha20Rng,
}

/// Ann writes to Bob.
fn pair(seed: u8) -> Pair {
    let ann = SecretKey::from_seed([seed; 32]);
    let bob = SecretKey::from_seed([seed ^ 0xff; 32]);
    let info = SealInfo {
        space: [seed.wrapping_add(1); 32],
        author: ann.public(),
        recipient: bob.public(),
        incarnation: [seed.wrapping_add(2); 8],
    };
    let rng = ChaCha20Rng::from_seed([seed; 32]);
    Pair { bob, info, rng }
}

fn entry(seq: u64) -> EntryAad {
    EntryAad {
        stream: 1,
        seq,
        message: [seq as u8; 16],
        kind: 1,
    }
}

impl Pair {
    fn sealer(&mut self) -> Sealer {
        Sealer::new(&mut self.rng, &self.info, NOW).unwrap()
    }

    fn seal(&mut self, sealer: &mut Sealer, entry: &EntryAad, text: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        sealer.seal(&mut self.rng, entry, text, &mut body).unwrap();
        body
    }

    fn open(
        &self,
        opener: &mut Opener,
        entry: &EntryAad,
        body: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let text = opener.open(&self.bob.x25519(), &self.info, entry, body)?;
        Ok(text.to_vec())
    }
}

#[test]
fn direct_5_a_body_is_key_id_encapsulation_nonce_ciphertext_and_tag() {
    let mut pair = pair(1);
    let mut sealer = pair.sealer();
    let one = pair.seal(&mut sealer, &entry(1), b"hello");
    let two = pair.seal(&mut sealer, &entry(2), b"");
    let key_id = KeyId::of(&pair.info.recipient.x25519());
    assert_eq!(BODY_OVERHEAD, 80);
    assert_eq!(one.len(), sealed_len(5));
    assert_eq!(two.len(), sealed_len(0));
    assert_eq!(&one[..8], key_id.as_bytes());
    assert_eq!(one[..40], two[..40], "one encapsulation for both");
    assert_ne!(one[40..64], two[40..64], "a nonce each");
}

#[test]
fn sealing_appends() {
    let mut pair = pair(1);
    let mut sealer = pair.sealer();
    let mut out = b"header".to_vec();
    sealer
        .seal(&mut pair.rng, &entry(1), b"hello", &mut out)
        .unwrap();
    assert_eq!(&out[..6], b"header");
    let opened = pair.open(&mut Opener::new(), &entry(1), &out[6..]);
    assert_eq!(opened, Ok(b"hello".to_vec()));
}

#[test]
fn direct_5_another_life_has_another_encapsulation() {
    let mut pair = pair(1);
    let mut before = pair.sealer();
    let old = pair.seal(&mut before, &entry(1), b"hello");
    pair.info.incarnation = [0x77; 8];
    let mut after = pair.sealer();
    let new = pair.seal(&mut after, &entry(1), b"hello");
    assert_ne!(old[8..40], new[8..40]);
    let mut opener = Opener::new();
    assert!(pair.open(&mut opener, &entry(1), &new).is_ok());
    assert_eq!(
        pair.open(&mut opener, &entry(1), &old),
        Err(OpenError::BadSeal)
    );
}

#[test]
fn direct_4_a_body_opens_nowhere_else() {
    let mut pair = pair(1);
    let mut sealer = pair.sealer();
    let body = pair.seal(&mut sealer, &entry(1), b"hello");
    let secret = pair.bob.x25519();
    let stranger = SecretKey::from_seed([9; 32]);
    let infos = [
        SealInfo {
            space: [0; 32],
            ..pair.info
        },
        SealInfo {
            author: stranger.public(),
            ..pair.info
        },
        SealInfo {
            author: pair.info.recipient,
            ..pair.info
        },
        SealInfo {
            incarnation: [0; 8],
            ..pair.info
        },
    ];
    let here = entry(1);
    let entries = [
        EntryAad { stream: 0, ..here },
        EntryAad { seq: 2, ..here },
        EntryAad {
            message: [0; 16],
            ..here
        },
        EntryAad { kind: 0, ..here },
    ];
    // Whatever is in the cache already, the answer is the same.
    let mut warm = Opener::new();
    assert!(pair.open(&mut warm, &here, &body).is_ok());
    for mut opener in [Opener::new(), warm] {
        for info in &infos {
            let opened = opener.open(&secret, info, &here, &body);
            assert_eq!(opened, Err(OpenError::BadSeal), "{info:?}");
        }
        for entry in &entries {
            let opened = opener.open(&secret, &pair.info, entry, &body);
            assert_eq!(opened, Err(OpenError::BadSeal), "{entry:?}");
        }
        assert!(pair.open(&mut opener, &here, &body).is_ok());
    }
}

#[test]
fn a_body_opens_for_its_recipient_only() {
    let mut pair = pair(1);
    let mut sealer = pair.sealer();
    let body = pair.seal(&mut sealer, &entry(1), b"hello");
    let found = KeyId::of(&pair.info.recipient.x25519());
    let eve = SecretKey::from_seed([9; 32]);
    let mut opener = Opener::new();
    // She says so, she has the secret for it, but the body names Bob's key.
    let info = SealInfo {
        recipient: eve.public(),
        ..pair.info
    };
    let opened = opener.open(&eve.x25519(), &info, &entry(1), &body);
    assert_eq!(opened, Err(OpenError::WrongKey { found }));
    // She tries Bob's place with her own secret.
    let opened = opener.open(&eve.x25519(), &pair.info, &entry(1), &body);
    assert_eq!(opened, Err(OpenError::WrongKey { found }));
    // She writes her own key id over Bob's.
    let mut claimed = body.clone();
    claimed[..8].copy_from_slice(KeyId::of(&eve.public().x25519()).as_bytes());
    let opened = opener.open(&eve.x25519(), &info, &entry(1), &claimed);
    assert_eq!(opened, Err(OpenError::BadSeal));
    assert!(opener.is_empty());
}

#[test]
fn direct_6_whoever_copies_an_encapsulation_displaces_nothing() {
    let mut pair = pair(1);
    let mut sealer = pair.sealer();
    let body = pair.seal(&mut sealer, &entry(1), b"hello");
    // Mallory is first with Ann's encapsulation, in an entry of his own.
    let mallory = SecretKey::from_seed([9; 32]);
    let info = SealInfo {
        author: mallory.public(),
        ..pair.info
    };
    let mut opener = Opener::new();
    let opened = opener.open(&pair.bob.x25519(), &info, &entry(1), &body);
    assert_eq!(opened, Err(OpenError::BadSeal));
    assert!(opener.is_empty());
    assert_eq!(
        pair.open(&mut opener, &entry(1), &body),
        Ok(b"hello".to_vec())
    );
    assert_eq!(opener.len(), 1);
}

#[test]
fn direct_6_too_short_is_malformed() {
    let pair = pair(1);
    for found in 0..BODY_OVERHEAD {
        let opened = pair.open(&mut Opener::new(), &entry(1), &vec![0; found]);
        assert_eq!(opened, Err(OpenError::Malformed { found }));
    }
}

#[test]
fn an_encapsulation_of_small_order_opens_nothing() {
    let mut pair = pair(1);
    let mut sealer = pair.sealer();
    let mut body = pair.seal(&mut sealer, &entry(1), b"hello");
    body[8..40].fill(0);
    assert_eq!(
        pair.open(&mut Opener::new(), &entry(1), &body),
        Err(OpenError::BadSeal)
    );
}

#[test]
fn direct_5_an_encapsulation_is_renewed_after_a_day_or_a_thousand_entries() {
    let mut pair = pair(1);
    let mut sealer = pair.sealer();
    assert!(!sealer.expired(NOW));
    assert!(!sealer.expired(NOW + MAX_AGE_MS - 1));
    assert!(sealer.expired(NOW + MAX_AGE_MS));
    assert!(sealer.expired(u64::MAX));
    assert!(sealer.expired(NOW - 1), "the clock was set back");
    for seq in 0..u64::from(MAX_SEALED) {
        assert!(!sealer.expired(NOW));
        pair.seal(&mut sealer, &entry(seq), b"x");
    }
    assert!(sealer.expired(NOW));
    let mut out = b"before".to_vec();
    let more = sealer.seal(&mut pair.rng, &entry(1_000), b"x", &mut out);
    assert_eq!(more, Err(SealError::Exhausted));
    assert_eq!(out, b"before");
}

#[test]
fn the_cache_is_bounded_and_keeps_what_was_used_last() {
    let mut pair = pair(1);
    let mut opener = Opener::new();
    let bodies: Vec<_> = (0..OPENER_CACHE as u64 + 20)
        .map(|seq| {
            let mut sealer = pair.sealer();
            pair.seal(&mut sealer, &entry(seq), b"hello")
        })
        .collect();
    for (seq, body) in (0..).zip(&bodies) {
        assert!(pair.open(&mut opener, &entry(seq), body).is_ok());
        assert!(pair.open(&mut opener, &entry(0), &bodies[0]).is_ok());
        assert_eq!(opener.len(), (seq as usize + 1).min(OPENER_CACHE));
    }
    // What was pushed out opens as well, after one more decapsulation.
    for (seq, body) in (0..).zip(&bodies) {
        assert!(pair.open(&mut opener, &entry(seq), body).is_ok());
    }
    assert_eq!(opener.len(), OPENER_CACHE);
}

#[test]
fn nothing_secret_is_printed() {
    let mut pair = pair(1);
    let mut sealer = pair.sealer();
    let body = pair.seal(&mut sealer, &entry(1), b"hello");
    let mut opener = Opener::new();
    pair.open(&mut opener, &entry(1), &body).unwrap();
    let shown = format!("{sealer:?} {opener:?}");
    assert!(
        shown.contains("sealed: 1") && shown.contains("secrets: 1"),
        "{shown}"
    );
    assert!(!shown.contains("secret: "), "{shown}");
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        seed: u8,
        space: [u8; 32],
        incarnation: [u8; 8],
        stream: u8,
        seq: u64,
        message: [u8; 16],
        kind: u8,
        text: Vec<u8>,
    ) {
        let mut pair = pair(seed);
        pair.info.space = space;
        pair.info.incarnation = incarnation;
        let entry = EntryAad { stream, seq, message, kind };
        let mut sealer = pair.sealer();
        let body = pair.seal(&mut sealer, &entry, &text);
        prop_assert_eq!(body.len(), sealed_len(text.len()));
        let mut opener = Opener::new();
        prop_assert_eq!(pair.open(&mut opener, &entry, &body), Ok(text.clone()));
        prop_assert_eq!(pair.open(&mut opener, &entry, &body), Ok(text));
    }

    #[test]
    fn every_changed_bit_of_a_body_is_refused(
        seed: u8,
        text in prop::collection::vec(any::<u8>(), 0..200),
        bit: prop::sample::Index,
        warm: bool,
    ) {
        let mut pair = pair(seed);
        let mut sealer = pair.sealer();
        let mut body = pair.seal(&mut sealer, &entry(3), &text);
        let mut opener = Opener::new();
        if warm {
            prop_assert!(pair.open(&mut opener, &entry(3), &body).is_ok());
        }
        let bit = bit.index(body.len() * 8);
        body[bit / 8] ^= 1 << (bit % 8);
        let opened = pair.open(&mut opener, &entry(3), &body);
        match bit / 8 {
            0..8 => {
                let wrong_key = matches!(opened, Err(OpenError::WrongKey { .. }));
                prop_assert!(wrong_key);
            }
            _ => prop_assert_eq!(opened, Err(OpenError::BadSeal)),
        }
    }

    #[test]
    fn every_shorter_or_longer_body_is_refused(
        text in prop::collection::vec(any::<u8>(), 0..200),
        cut: prop::sample::Index,
        more in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut pair = pair(1);
        let mut sealer = pair.sealer();
        let body = pair.seal(&mut sealer, &entry(3), &text);
        let shorter = &body[..cut.index(body.len())];
        prop_assert!(pair.open(&mut Opener::new(), &entry(3), shorter).is_err());
        let longer = [&body[..], &more].concat();
        prop_assert!(pair.open(&mut Opener::new(), &entry(3), &longer).is_err());
    }

    #[test]
    fn every_changed_bit_of_the_context_is_refused(
        seed: u8,
        in_space in 0..256usize,
        in_incarnation in 0..64usize,
        in_seq in 0..64u32,
        in_message in 0..128usize,
        in_byte in 0..8u32,
        warm: bool,
    ) {
        let mut pair = pair(seed);
        let mut sealer = pair.sealer();
        let here = entry(3);
        let body = pair.seal(&mut sealer, &here, b"hello");
        let mut opener = Opener::new();
        if warm {
            prop_assert!(pair.open(&mut opener, &here, &body).is_ok());
        }
        let secret = pair.bob.x25519();
        let mut info = pair.info;
        info.space[in_space / 8] ^= 1 << (in_space % 8);
        prop_assert!(opener.open(&secret, &info, &here, &body).is_err());
        let mut info = pair.info;
        info.incarnation[in_incarnation / 8] ^= 1 << (in_incarnation % 8);
        prop_assert!(opener.open(&secret, &info, &here, &body).is_err());
        let mut message = here.message;
        message[in_message / 8] ^= 1 << (in_message % 8);
        for entry in [
            EntryAad { seq: here.seq ^ (1 << in_seq), ..here },
            EntryAad { stream: here.stream ^ (1 << in_byte), ..here },
            EntryAad { kind: here.kind ^ (1 << in_byte), ..here },
            EntryAad { message, ..here },
        ] {
            prop_assert!(opener.open(&secret, &pair.info, &entry, &body).is_err());
        }
        prop_assert!(opener.open(&secret, &pair.info, &here, &body).is_ok());
    }

    #[test]
    fn opening_never_panics(body: Vec<u8>, key_id: bool) {
        let pair = pair(1);
        let id = KeyId::of(&pair.info.recipient.x25519());
        let body = if key_id { [id.as_bytes(), &body[..]].concat() } else { body };
        prop_assert!(pair.open(&mut Opener::new(), &entry(1), &body).is_err());
    }
}
