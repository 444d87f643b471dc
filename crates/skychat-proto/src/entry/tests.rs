use proptest::prelude::*;

use super::*;
use crate::arbitrary;

fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
    Header::decode(bytes, &mut KeyCache::new())
}

fn sample() -> Header {
    Header {
        feed: FeedId {
            author: arbitrary::secret(1).public(),
            space: crate::ids::SpaceId::from_bytes([2; 32]),
            stream: crate::ids::Stream::MESSAGES,
            incarnation: crate::ids::Incarnation::from_bytes([3; 8]),
        },
        seq: Seq::new(5),
        prev: EntryId::from_bytes([4; 32]),
        time: Timestamp::from_millis(1_800_000_000_000),
        kind: Kind::Content,
        suite: Suite::HPKE_X25519,
        flags: Flags::AGAIN,
        context: Seq::FIRST,
        message: MessageId::from_bytes([6; 16]),
        body_len: 7,
        body_hash: BodyHash::of(b"7 bytes"),
    }
}

/// FEED-1.
#[test]
fn the_layout_is_fixed() {
    let bytes = sample().encode();
    assert_eq!(bytes.len(), 206);
    assert_eq!(&bytes[..21], b"skychat/v1/feed-entry");
    assert_eq!(bytes[21], 1);
    assert_eq!(&bytes[22..95], sample().feed.to_bytes());
    assert_eq!(bytes[95..103], 5_u64.to_be_bytes());
    assert_eq!(bytes[103..135], [4; 32]);
    assert_eq!(bytes[135..143], 1_800_000_000_000_u64.to_be_bytes());
    assert_eq!(bytes[143..146], [1, 1, 1]);
    assert_eq!(bytes[146..154], [0; 8]);
    assert_eq!(bytes[154..170], [6; 16]);
    assert_eq!(bytes[170..174], 7_u32.to_be_bytes());
    assert_eq!(&bytes[174..], BodyHash::of(b"7 bytes").as_bytes());
}

/// FEED-2, FEED-3: a newer suite or flag is kept, a newer kind or version is not.
#[test]
fn what_is_not_known_is_judged_field_by_field() {
    let bytes = sample().encode();
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes;
        bytes[at] = byte;
        decode(&bytes)
    };
    assert_eq!(changed(0, b'S'), Err(HeaderError::Tag));
    assert_eq!(changed(21, 2), Err(HeaderError::Version { found: 2 }));
    assert_eq!(changed(143, 3), Err(HeaderError::Kind { found: 3 }));
    assert!(!changed(144, 200).unwrap().suite.is_known());
    assert!(!changed(145, 0x81).unwrap().flags.is_known());
    assert!(changed(145, 0x81).unwrap().flags.is_again());
    assert_eq!(
        changed(170, 1),
        Err(HeaderError::BodyLength { found: 0x0100_0007 })
    );
    assert!(matches!(changed(95, 0x80), Err(HeaderError::Seq { .. })));
    assert!(matches!(
        changed(146, 0x80),
        Err(HeaderError::Context { .. })
    ));
}

#[test]
fn only_the_first_entry_has_no_predecessor() {
    let first = Header {
        seq: Seq::FIRST,
        prev: EntryId::ZERO,
        ..sample()
    };
    assert_eq!(decode(&first.encode()), Ok(first));
    let without = Header {
        prev: EntryId::ZERO,
        ..sample()
    };
    assert_eq!(decode(&without.encode()), Err(HeaderError::Prev { seq: 5 }));
    let with = Header {
        seq: Seq::FIRST,
        ..sample()
    };
    assert_eq!(decode(&with.encode()), Err(HeaderError::Prev { seq: 0 }));
}

#[test]
fn the_largest_numbers_fit() {
    let header = Header {
        seq: Seq::MAX,
        context: Seq::MAX,
        time: Timestamp::from_millis(u64::MAX),
        body_len: MAX_BODY as u32,
        ..sample()
    };
    assert_eq!(decode(&header.encode()), Ok(header));
    let too_far = Header {
        seq: Seq::new(MAX_SEQ + 1),
        ..sample()
    };
    assert!(matches!(
        decode(&too_far.encode()),
        Err(HeaderError::Seq { .. })
    ));
}

/// P1: every flip of one bit of a signed object is refused.
#[test]
fn no_bit_can_be_flipped() {
    let header = sample();
    let signature = header.sign(&arbitrary::secret(1));
    header.verify(&signature).unwrap();
    let bytes = header.encode();
    let mut keys = KeyCache::new();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(header) = Header::decode(&flipped, &mut keys) {
            assert_eq!(header.encode(), flipped);
            assert!(header.verify(&signature).is_err(), "bit {bit}");
        }
    }
    for bit in 0..512 {
        let mut flipped = signature.to_bytes();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let flipped = Signature::from_bytes(flipped);
        assert!(
            header.verify(&flipped).is_err(),
            "bit {bit} of the signature"
        );
    }
}

#[test]
fn another_author_cannot_have_signed_it() {
    let signature = sample().sign(&arbitrary::secret(2));
    assert!(sample().verify(&signature).is_err());
}

proptest! {
    #[test]
    fn it_survives(header in arbitrary::header()) {
        let bytes = header.encode();
        prop_assert_eq!(decode(&bytes), Ok(header));
        prop_assert_eq!(header.id(), EntryId::of(&bytes));
        for end in 0..bytes.len() {
            prop_assert!(decode(&bytes[..end]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert_eq!(decode(&longer), Err(HeaderError::Length { found: 207 }));
    }

    #[test]
    fn anything_else_is_refused_or_is_what_it_says(
        header in arbitrary::header(),
        at in 0_usize..206,
        byte in any::<u8>(),
    ) {
        let mut bytes = header.encode();
        bytes[at] = byte;
        if let Ok(header) = decode(&bytes) {
            prop_assert_eq!(header.encode(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }
}
