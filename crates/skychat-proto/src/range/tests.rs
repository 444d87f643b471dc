use bytes::Bytes;
use proptest::prelude::*;
use skychat_identity::{KeyCache, Signature};

use super::*;
use crate::arbitrary::{self, secret};
use crate::entry::{Flags, Header, HeaderError, Kind, Suite};
use crate::ids::{
    BodyHash, EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, Stream, Timestamp,
};
use crate::limits::{
    MAX_BODY, MAX_MESSAGE, MAX_POSITION, MAX_RANGE_BYTES, MAX_RANGE_LEN, MAX_SEQ, ROW_LEN,
};

fn decode(bytes: &[u8]) -> Result<RawRange, RangeError> {
    RawRange::decode(Bytes::copy_from_slice(bytes), &mut KeyCache::new())
}

fn feed() -> FeedId {
    FeedId {
        author: secret(1).public(),
        space: SpaceId::from_bytes([2; 32]),
        stream: Stream::MESSAGES,
        incarnation: Incarnation::from_bytes([3; 8]),
    }
}

fn label(n: u8) -> RowLabel {
    RowLabel {
        time: Timestamp::from_millis(1_800_000_000_000 + u64::from(n)),
        kind: Kind::Content,
        suite: Suite::HPKE_X25519,
        flags: Flags::NONE,
        context: Seq::FIRST,
        message: MessageId::from_bytes([n; 16]),
    }
}

/// Entries 5, 6, … with these bodies.
fn range_of(bodies: &[&[u8]]) -> RawRange {
    let prev = EntryId::from_bytes([4; 32]);
    let mut builder = RangeBuilder::new(feed(), Seq::new(5), prev).unwrap();
    for (n, body) in bodies.iter().enumerate() {
        let row = Row::of_body(label(n as u8), body).unwrap();
        builder.push(&row, Some(body)).unwrap();
    }
    builder.sign(&secret(1)).unwrap().0
}

/// What a receiver does in the end: hashes, chain, signature. Gives the tip.
fn verify(range: &RawRange) -> Option<EntryId> {
    for (row, body) in range.entries() {
        if body.is_some_and(|body| BodyHash::of(body) != row.body_hash) {
            return None;
        }
    }
    let (last, tip) = range.headers().last()?;
    last.verify(&range.signature()).ok()?;
    Some(tip)
}

/// RANGE-1.
#[test]
fn the_layout_is_fixed() {
    let range = range_of(&[b"one", b"three"]);
    let bytes = range.to_bytes();
    assert_eq!(bytes.len(), 116 + 2 * 72 + 64 + 8);
    assert_eq!(bytes[0], 1);
    assert_eq!(&bytes[1..74], feed().to_bytes());
    assert_eq!(bytes[74..82], 5_u64.to_be_bytes());
    assert_eq!(bytes[82..114], [4; 32]);
    assert_eq!(bytes[114..116], [0, 2]);
    let row = &bytes[188..260];
    assert_eq!(row[..8], 1_800_000_000_001_u64.to_be_bytes());
    assert_eq!(row[8..12], [1, 1, 0, 1]);
    assert_eq!(row[12..20], [0; 8]);
    assert_eq!(row[20..36], [1; 16]);
    assert_eq!(row[36..40], 5_u32.to_be_bytes());
    assert_eq!(&row[40..], BodyHash::of(b"three").as_bytes());
    assert_eq!(&bytes[260..324], range.signature().as_bytes());
    assert_eq!(&bytes[324..], b"onethree");
    assert_eq!(range.head_block()[..], bytes[..324]);
    assert_eq!(range.bodies()[..], bytes[324..]);
    assert_eq!(
        (range.size(), range.encoded_len()),
        (2 * 72 + 8, bytes.len())
    );
}

#[test]
fn nothing_is_copied_on_the_way_in() {
    let bytes = range_of(&[b"body"]).to_bytes();
    let range = RawRange::decode(bytes.clone(), &mut KeyCache::new()).unwrap();
    let within = |part: &[u8]| bytes.as_ptr_range().contains(&part.as_ptr());
    assert!(within(range.head_block()) && within(range.bodies()));
    assert!(within(&range.body(0).unwrap()));
    let compact = range.compact();
    assert_eq!(compact, range);
    assert!(!within(compact.head_block()) && !within(compact.bodies()));
}

#[test]
fn counts_are_checked_before_anything_is_read() {
    let bytes = range_of(&[b"body"]).to_bytes();
    let with_count = |count: u16| {
        let mut bytes = bytes.to_vec();
        bytes[114..116].copy_from_slice(&count.to_be_bytes());
        decode(&bytes)
    };
    assert_eq!(with_count(0), Err(RangeError::Count { found: 0 }));
    assert_eq!(with_count(257), Err(RangeError::Count { found: 257 }));
    assert_eq!(
        with_count(u16::MAX),
        Err(RangeError::Count { found: 65_535 })
    );
    assert!(matches!(with_count(256), Err(RangeError::Length { .. })));
    assert!(with_count(2).is_err());
}

#[test]
fn a_field_that_cannot_be_is_refused() {
    let bytes = range_of(&[b"body", b"more"]).to_bytes();
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = byte;
        decode(&bytes)
    };
    assert_eq!(changed(0, 2), Err(RangeError::Version { found: 2 }));
    assert!(matches!(
        changed(1, bytes[1] ^ 1),
        Err(RangeError::Author(_)) | Ok(_)
    ));
    assert!(matches!(
        changed(74, 0x80),
        Err(RangeError::Entry { index: 0, .. })
    ));
    assert_eq!(
        changed(188 + 8, 9),
        Err(RangeError::Entry {
            index: 1,
            source: HeaderError::Kind { found: 9 }
        })
    );
    assert_eq!(
        changed(188 + 11, 2),
        Err(RangeError::Present { index: 1, found: 2 })
    );
    assert_eq!(
        changed(188 + 11, 0),
        Err(RangeError::Bodies {
            found: 8,
            expected: 4
        })
    );
    assert!(matches!(
        changed(116 + 36, 1),
        Err(RangeError::Entry {
            source: HeaderError::BodyLength { .. },
            ..
        })
    ));
    let mut identity = bytes.to_vec();
    identity[1..33].fill(0);
    assert!(matches!(decode(&identity), Err(RangeError::Author(_))));
    let mut no_prev = bytes.to_vec();
    no_prev[82..114].fill(0);
    assert!(matches!(decode(&no_prev), Err(RangeError::Entry { .. })));
}

#[test]
fn a_range_ends_before_the_last_position() {
    let bytes = range_of(&[b"a", b"b"]).to_bytes();
    let from = |first: u64| {
        let mut bytes = bytes.to_vec();
        bytes[74..82].copy_from_slice(&first.to_be_bytes());
        decode(&bytes)
    };
    assert_eq!(
        from(MAX_SEQ - 1).unwrap().end(),
        Position::new(MAX_POSITION)
    );
    assert_eq!(
        from(MAX_SEQ),
        Err(RangeError::End {
            first: MAX_SEQ,
            count: 2
        })
    );
    assert!(from(u64::MAX).is_err());

    let prev = EntryId::from_bytes([1; 32]);
    let mut builder = RangeBuilder::new(feed(), Seq::MAX, prev).unwrap();
    let row = Row::of_body(label(0), b"x").unwrap();
    builder.push(&row, None).unwrap();
    assert_eq!(builder.push(&row, None), Err(BuildError::Full));
    assert!(RangeBuilder::new(feed(), Seq::new(MAX_SEQ + 1), prev).is_err());
}

/// RANGE-1: 256 entries and 256 KiB, or one entry.
#[test]
fn a_range_is_bounded() {
    let largest = vec![7; MAX_BODY];
    let range = range_of(&[&largest]);
    assert_eq!(range.encoded_len(), MAX_RANGE_LEN);
    assert!(
        range.encoded_len() <= MAX_MESSAGE,
        "fits one reassembled message"
    );
    assert_eq!(decode(&range.to_bytes()).unwrap(), range);
    assert!(Row::of_body(label(0), &vec![7; MAX_BODY + 1]).is_err());

    // Exactly full.
    let prev = EntryId::from_bytes([4; 32]);
    let mut builder = RangeBuilder::new(feed(), Seq::new(5), prev).unwrap();
    let body = vec![1; MAX_RANGE_BYTES / 2 - ROW_LEN];
    let row = Row::of_body(label(0), &body).unwrap();
    builder.push(&row, Some(&body)).unwrap();
    assert!(builder.fits(body.len()) && !builder.fits(body.len() + 1));
    builder.push(&row, Some(&body)).unwrap();
    let empty = Row::of_body(label(0), b"").unwrap();
    assert_eq!(builder.push(&empty, Some(b"")), Err(BuildError::Full));
    let full = builder.finish(Signature::from_bytes([0; 64])).unwrap();
    assert_eq!(full.size(), MAX_RANGE_BYTES);
    let bytes = full.to_bytes();
    decode(&bytes).unwrap();

    // One byte more, by hand.
    let mut bytes = bytes.to_vec();
    let length = 116 + 36;
    bytes[length..length + 4].copy_from_slice(&(row.body_len + 1).to_be_bytes());
    bytes.push(0);
    assert_eq!(
        decode(&bytes),
        Err(RangeError::Size {
            found: MAX_RANGE_BYTES + 1
        })
    );

    // 256 entries, not 257.
    let mut builder = RangeBuilder::new(feed(), Seq::new(5), prev).unwrap();
    for _ in 0..256 {
        builder.push(&empty, None).unwrap();
    }
    assert_eq!(builder.push(&empty, None), Err(BuildError::Full));
    let range = builder.finish(Signature::from_bytes([0; 64])).unwrap();
    assert_eq!(decode(&range.to_bytes()).unwrap().len(), 256);
}

#[test]
fn the_builder_takes_what_fits_together() {
    let prev = EntryId::from_bytes([4; 32]);
    let row = Row::of_body(label(0), b"body").unwrap();
    let mut builder = RangeBuilder::new(feed(), Seq::new(5), prev).unwrap();
    assert_eq!(
        builder.push(&row, Some(b"bod")),
        Err(BuildError::BodyLength {
            found: 3,
            expected: 4
        })
    );
    assert!(builder.is_empty() && builder.last_header().is_none());
    assert_eq!(
        builder.finish(Signature::from_bytes([0; 64])),
        Err(BuildError::Empty)
    );
    let builder = RangeBuilder::new(feed(), Seq::new(5), prev).unwrap();
    assert_eq!(builder.sign(&secret(1)), Err(BuildError::Empty));
    assert!(RangeBuilder::new(feed(), Seq::FIRST, prev).is_err());
    assert!(RangeBuilder::new(feed(), Seq::new(5), EntryId::ZERO).is_err());
}

#[test]
fn one_allocation_is_enough_when_the_size_is_known() {
    let prev = EntryId::from_bytes([4; 32]);
    let mut builder = RangeBuilder::with_capacity(feed(), Seq::new(5), prev, 2, 8).unwrap();
    let row = Row::of_body(label(0), b"body").unwrap();
    builder.push(&row, Some(b"body")).unwrap();
    builder.push(&row, Some(b"body")).unwrap();
    let range = builder.sign(&secret(1)).unwrap().0;
    let head_end = range.head_block().as_ptr_range().end;
    assert_eq!(
        head_end,
        range.bodies().as_ptr(),
        "head and bodies lie side by side"
    );
}

#[test]
fn ranges_can_be_joined_again() {
    let whole = range_of(&[b"a", b"bb", b"", b"dddd"]);
    let cut = Position::new(7);
    let first = whole
        .slice(
            whole.start(),
            cut,
            whole.first_prev(),
            Signature::from_bytes([0; 64]),
        )
        .unwrap();
    let second = whole.suffix(cut).unwrap();
    let mut builder = RangeBuilder::new(feed(), whole.first(), whole.first_prev()).unwrap();
    builder.append(&first).unwrap();
    assert_eq!(
        builder.append(&first),
        Err(BuildError::NotNext {
            found: whole.start(),
            expected: cut
        })
    );
    builder.append(&second).unwrap();
    assert_eq!(builder.finish(whole.signature()).unwrap(), whole);
}

#[test]
fn a_slice_is_a_part() {
    let whole = range_of(&[b"a", b"bb", b"ccc"]);
    let none = Signature::from_bytes([0; 64]);
    let at = |n: u64| Position::new(n);
    assert!(whole.slice(at(4), at(6), EntryId::ZERO, none).is_none());
    assert!(whole.slice(at(6), at(6), EntryId::ZERO, none).is_none());
    assert!(whole.slice(at(7), at(6), EntryId::ZERO, none).is_none());
    assert!(whole.slice(at(6), at(9), EntryId::ZERO, none).is_none());
    assert!(whole.suffix(at(8)).is_none() && whole.suffix(at(4)).is_none());
    assert_eq!(whole.suffix(at(5)), Some(whole.clone()));
    let middle = whole
        .slice(at(6), at(7), whole.id_before(at(6)).unwrap(), none)
        .unwrap();
    assert_eq!(middle.body(0).unwrap()[..], *b"bb");
    assert_eq!((middle.first(), middle.end()), (Seq::new(6), at(7)));
    assert_eq!(middle.tip(), whole.id_before(at(7)).unwrap());
    assert!(
        verify(&middle).is_none(),
        "the signature is of another entry"
    );
    let signed = middle.with_signature(middle.last_header().unwrap().sign(&secret(1)));
    assert_eq!(verify(&signed), Some(middle.tip()));
}

/// FEED-5: bodies can be dropped without breaking the chain.
#[test]
fn it_verifies_without_bodies() {
    let whole = range_of(&[b"a", b"bb", b"ccc"]);
    let bare = whole.without_bodies(|_, _| true);
    assert_eq!(bare.bodies().len(), 0);
    assert_eq!(verify(&bare), verify(&whole));
    assert_eq!(decode(&bare.to_bytes()).unwrap(), bare);
    let some = whole.without_bodies(|seq, _| seq == Seq::new(6));
    assert_eq!(some.bodies()[..], *b"accc");
    assert!(some.body(1).is_none());
    assert_eq!(some.body(2).unwrap()[..], *b"ccc");
    assert_eq!(verify(&some), verify(&whole));
    assert_eq!(whole.without_bodies(|_, _| false), whole);
}

/// P1: every flip of one bit is refused, by the decoder or by the verifier.
#[test]
fn no_bit_can_be_flipped() {
    let range = range_of(&[b"one", b"three"]);
    let tip = verify(&range).unwrap();
    let bytes = range.to_bytes();
    let mut keys = KeyCache::new();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(range) = RawRange::decode(flipped.into(), &mut keys) {
            assert_ne!(verify(&range), Some(tip), "bit {bit}");
            assert_eq!(verify(&range), None, "bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn it_survives(range in arbitrary::range()) {
        let bytes = range.to_bytes();
        prop_assert_eq!(&decode(&bytes).unwrap(), &range);
        let mut keys = KeyCache::new();
        let parts = (range.head_block().clone(), range.bodies().clone());
        prop_assert_eq!(&RawRange::from_parts(parts.0, parts.1, &mut keys).unwrap(), &range);
        for end in 0..bytes.len() {
            prop_assert!(RawRange::decode(bytes.slice(..end), &mut keys).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        let is_trailing = matches!(decode(&longer), Err(RangeError::Bodies { .. }));
        prop_assert!(is_trailing);
    }

    #[test]
    fn headers_are_what_the_rows_say(range in arbitrary::range()) {
        let mut prev = range.first_prev();
        for (n, (header, id)) in range.headers().enumerate() {
            let by_hand: Header = range.header(n, prev).unwrap();
            prop_assert_eq!(header, by_hand);
            prop_assert_eq!(id, by_hand.id());
            prop_assert_eq!(header.feed, range.feed());
            let position = header.seq.position();
            prop_assert_eq!(range.id_before(position), Some(prev));
            prop_assert_eq!(Row::of_header(&header, range.row(n).unwrap().present), range.row(n).unwrap());
            prev = id;
        }
        prop_assert_eq!(range.headers().len(), range.len());
        prop_assert_eq!(range.tip(), prev);
        prop_assert_eq!(verify(&range), Some(prev));
        prop_assert_eq!(range.last_header().unwrap().id(), prev);
        prop_assert!(range.header(range.len(), prev).is_none());
        prop_assert!(range.row(range.len()).is_none());
    }

    /// Ids that are at hand are those of the bytes, in whatever is made of the range.
    #[test]
    fn what_is_at_hand_is_what_is_computed(range in arbitrary::range(), keep in any::<u16>()) {
        let bare = range.unhashed();
        prop_assert!(bare.hashed_headers().is_none());
        let computed: Vec<_> = bare.headers().collect();
        let drop = |seq: Seq, _: &Row| keep >> (seq.get() % 16) & 1 == 0;
        let other = Signature::from_bytes([7; 64]);
        for made in [
            bare.clone().hashed(),
            range.clone().hashed(),
            range.clone().hashed().without_bodies(drop),
            range.clone().hashed().with_signature(other),
        ] {
            prop_assert_eq!(made.hashed_headers(), Some(&computed[..]));
            prop_assert_eq!(made.headers().collect::<Vec<_>>(), computed.clone());
            prop_assert_eq!(made.headers().len(), computed.len());
            for at in range.start().get()..=range.end().get() + 1 {
                let at = Position::new(at);
                prop_assert_eq!(made.id_before(at), bare.id_before(at));
            }
            prop_assert_eq!(made.tip(), bare.tip());
            prop_assert_eq!(made.last_header(), bare.last_header());
        }
        prop_assert!(range.clone().hashed().compact().hashed_headers().is_none());
        prop_assert_eq!(&range.clone().hashed(), &bare);
    }

    #[test]
    fn entries_and_bodies_agree(range in arbitrary::range()) {
        let mut all = Vec::new();
        for (n, (row, body)) in range.entries().enumerate() {
            prop_assert_eq!(Some(row), range.row(n));
            let single = range.body(n);
            prop_assert_eq!(body, single.as_deref());
            prop_assert_eq!(row.present, body.is_some());
            all.extend_from_slice(body.unwrap_or_default());
        }
        prop_assert_eq!(&all[..], &range.bodies()[..]);
        prop_assert_eq!(range.entries().len(), range.len());
        prop_assert!(range.body(range.len()).is_none());
    }

    #[test]
    fn every_suffix_verifies(range in arbitrary::range()) {
        let tip = verify(&range);
        for n in range.start().get()..range.end().get() {
            let suffix = range.suffix(Position::new(n)).unwrap();
            prop_assert_eq!(verify(&suffix), tip);
            prop_assert_eq!(&decode(&suffix.to_bytes()).unwrap(), &suffix);
        }
    }

    #[test]
    fn every_cut_can_be_joined(range in arbitrary::range(), at in any::<prop::sample::Index>()) {
        let cut = Position::new(range.start().get() + at.index(range.len()) as u64);
        let mut builder =
            RangeBuilder::new(range.feed(), range.first(), range.first_prev()).unwrap();
        if let Some(front) = range.slice(range.start(), cut, range.first_prev(), range.signature()) {
            builder.append(&front).unwrap();
        }
        builder.append(&range.suffix(cut).unwrap()).unwrap();
        prop_assert_eq!(builder.last_header().unwrap().1, range.tip());
        prop_assert_eq!(builder.finish(range.signature()).unwrap(), range);
    }

    #[test]
    fn bodies_can_be_left_out(range in arbitrary::range(), keep in any::<u16>()) {
        let first = range.first().get();
        let bare = range.without_bodies(|seq, _| keep >> ((seq.get() - first) % 16) & 1 == 0);
        prop_assert_eq!(verify(&bare), verify(&range));
        prop_assert_eq!(&decode(&bare.to_bytes()).unwrap(), &bare);
    }

    #[test]
    fn what_is_read_is_written_the_same(
        range in arbitrary::range(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = range.to_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(range) = decode(&bytes) {
            prop_assert_eq!(&range.to_bytes()[..], &bytes[..]);
            let _ = verify(&range);
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        count in 0_u16..300,
    ) {
        let _ = decode(&bytes);
        let mut bytes = bytes;
        if bytes.len() >= 116 {
            bytes[0] = 1;
            bytes[1..33].copy_from_slice(secret(1).public().as_bytes());
            bytes[114..116].copy_from_slice(&count.to_be_bytes());
            let _ = decode(&bytes);
        }
    }
}
