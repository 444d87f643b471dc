use proptest::prelude::*;

use super::generated::sync::{Have, HaveRow, Want};
use super::*;

const INNER: Shape = Shape {
    name: "inner",
    fields: &[one(1, "author", Rule::Bytes(4))],
};
const OUTER: Shape = Shape {
    name: "outer",
    fields: &[
        one(1, "space", Rule::Bytes(4)),
        many(2, "rows", 2, Rule::Message(&INNER)),
        one(3, "more", Rule::Number(1)),
        many(5, "packed", 3, Rule::Packed(300)),
        one(6, "fixed", Rule::Fixed64),
    ],
};

#[test]
fn what_fits_is_decoded() {
    let row = HaveRow {
        author: "abcd".into(),
        ..HaveRow::default()
    };
    let have = Have {
        space: "wxyz".into(),
        rows: vec![row.clone(), row],
        more: true,
    };
    assert_eq!(decode::<Have>(&have.encode_to_vec(), &OUTER), Ok(have));
}

#[test]
fn what_is_too_much_is_refused_before_it_is_decoded() {
    let many = [0x12, 0].repeat(3);
    assert_eq!(
        decode::<Have>(&many, &OUTER),
        Err(DecodeError::TooMany {
            name: "outer",
            field: "rows",
            limit: 2
        })
    );
    let long = [0x12, 7, 0x0a, 5, 1, 2, 3, 4, 5];
    assert_eq!(
        decode::<Have>(&long, &OUTER),
        Err(DecodeError::TooLarge {
            name: "inner",
            field: "author",
            found: 5,
            limit: 4
        })
    );
    let twice = [0x18, 1, 0x18, 0];
    assert!(matches!(
        decode::<Have>(&twice, &OUTER),
        Err(DecodeError::TooMany { field: "more", .. })
    ));
    let large = [0x18, 2];
    assert!(matches!(
        decode::<Have>(&large, &OUTER),
        Err(DecodeError::TooLarge {
            field: "more",
            found: 2,
            ..
        })
    ));
    for packed in [
        &[0x2a, 4, 1, 1, 1, 1][..],
        &[0x2a, 2, 1, 1, 0x28, 1, 0x28, 1],
        &[0x2a, 2, 0xff, 0x7f],
        &[0x28, 0xff, 0x7f],
        &[0x2a, 1, 0x80],
        &[0x2a, 6, 0x81, 0x80, 0x80, 0x80, 0x80, 0x01], // 1 + 2^35: cut to 32 bits it would be 1
    ] {
        assert!(check(packed, &OUTER).is_err(), "{packed:?}");
    }
    check(&[0x2a, 2, 1, 1, 0x28, 0x7f], &OUTER).unwrap();
}

#[test]
fn what_is_malformed_is_refused() {
    let malformed = Err(DecodeError::Protobuf { name: "outer" });
    for bytes in [
        &[0x0a][..],      // no length
        &[0x0a, 2, 1],    // too short
        &[0x08, 1],       // another wire type
        &[0x1a, 1, 1],    // another wire type
        &[0x31, 1, 2, 3], // half a number
        &[0x00, 0],       // field 0
        &[0x0b, 0x0c],    // a group
        &[0x7b, 0x7c],    // a group that is not known
        &[0x7e, 0],       // no wire type
        &[0x80; 11],      // a number without end
        &[
            0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
        ],
        &[0x82, 0x80, 0x80, 0x80, 0x20, 0], // a tag above 32 bits
    ] {
        assert_eq!(decode::<Have>(bytes, &OUTER), malformed, "{bytes:?}");
    }
}

#[test]
fn what_is_not_known_is_skipped() {
    let bytes = [
        0x78, 1, // a number
        0x79, 1, 2, 3, 4, 5, 6, 7, 8, // 64 bits
        0x7a, 2, 1, 2, // bytes
        0x7d, 1, 2, 3, 4, // 32 bits
        0x18, 1,
    ];
    assert!(decode::<Have>(&bytes, &OUTER).unwrap().more);
}

#[test]
fn a_frame_holds_one_message() {
    let not_one = Err(DecodeError::NotOne { name: "frame" });
    assert_eq!(single("frame", &[0x12, 1, 9], 10), Ok((2, &[9][..])));
    assert_eq!(single("frame", &[], 10), not_one);
    assert_eq!(single("frame", &[0x12, 0, 0x12, 0], 10), not_one);
    assert_eq!(single("frame", &[0x10, 0], 10), not_one);
    assert!(single("frame", &[0x12, 2, 9], 10).is_err());
    assert!(matches!(
        single("frame", &[0; 11], 10),
        Err(DecodeError::TooLong {
            found: 11,
            limit: 10,
            ..
        })
    ));
}

proptest! {
    /// What passes the walk is decoded by prost, and means the same.
    #[test]
    fn the_walk_is_no_looser_than_prost(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut walk = Walk(&bytes);
        let well_formed = loop {
            match walk.next("any") {
                Ok(Some(_)) => {}
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        // No field of `Want` has a number above 3, so only its own fields can be of a wrong type.
        if well_formed && Want::decode(&bytes[..]).is_err() {
            const SHAPE: Shape = Shape {
                name: "want",
                fields: &[
                    one(1, "feed", Rule::Bytes(usize::MAX)),
                    many(2, "from", 99, Rule::Number(u64::MAX)),
                    many(3, "limit", 99, Rule::Number(u64::MAX)),
                ],
            };
            prop_assert!(check(&bytes, &SHAPE).is_err());
        }
    }
}
