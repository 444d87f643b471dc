use proptest::prelude::*;

use super::*;
use crate::arbitrary;

fn sample() -> Open {
    Open {
        writer: WriterKind::Node,
        parent: Some(Incarnation::from_bytes([1; 8])),
        epoch: 0,
        heads: vec![],
        continues: vec![Continues {
            incarnation: Incarnation::from_bytes([1; 8]),
            seq: Seq::new(41),
            hash: EntryId::from_bytes([2; 32]),
        }],
    }
}

/// FEED-4, INC-2.
#[test]
fn the_layout_is_fixed() {
    let bytes = sample().encode().unwrap();
    assert_eq!(bytes.len(), Open::MIN_LEN + 48);
    assert_eq!(bytes[..3], [1, 0, 1]);
    assert_eq!(bytes[3..11], [1; 8]);
    assert_eq!(bytes[11..19], [0; 8]);
    assert_eq!(bytes[19..21], [0, 1]);
    assert_eq!(bytes[21..29], [1; 8]);
    assert_eq!(bytes[29..37], 41_u64.to_be_bytes());
    assert_eq!(bytes[37..], [2; 32]);
}

#[test]
fn lists_are_bounded() {
    let many = Open {
        heads: vec![EntryId::from_bytes([1; 32]); 9],
        ..sample()
    };
    assert_eq!(
        many.encode(),
        Err(OpenError::TooMany {
            what: "heads",
            found: 9,
            limit: 8
        })
    );
    let mut bytes = sample().encode().unwrap();
    bytes[20] = 9;
    assert!(matches!(
        Open::decode(&bytes),
        Err(OpenError::TooMany { found: 9, .. })
    ));
}

#[test]
fn one_body_has_one_encoding() {
    let bytes = sample().encode().unwrap();
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Open::decode(&bytes)
    };
    assert_eq!(changed(0, 2), Err(OpenError::Version { found: 2 }));
    assert_eq!(changed(1, 3), Err(OpenError::Writer { found: 3 }));
    assert_eq!(changed(2, 0), Err(OpenError::Parent));
    assert_eq!(changed(2, 2), Err(OpenError::Parent));
    assert!(matches!(changed(29, 0x80), Err(OpenError::Seq { .. })));
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Open::decode(&longer), Err(OpenError::Trailing { found: 1 }));
}

proptest! {
    #[test]
    fn it_survives(open in arbitrary::open()) {
        let bytes = open.encode().unwrap();
        prop_assert_eq!(Open::decode(&bytes), Ok(open));
        for end in 0..bytes.len() {
            prop_assert!(Open::decode(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn what_is_read_is_written_the_same(
        open in arbitrary::open(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = open.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(open) = Open::decode(&bytes) {
            prop_assert_eq!(open.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Open::decode(&bytes);
        if let Some(version) = bytes.first_mut() {
            *version = OPEN_VERSION;
        }
        let _ = Open::decode(&bytes);
    }
}
