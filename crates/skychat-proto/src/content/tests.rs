use proptest::prelude::*;

use super::*;

#[test]
fn a_text_is_two_bytes_of_kind_and_protobuf() {
    let content = Content::text("hi").unwrap();
    assert_eq!(content.encode()[..], [0, 1, 0x0a, 2, b'h', b'i']);
    assert_eq!(Content::decode(&content.encode()), Ok(content));
}

#[test]
fn the_generated_code_agrees() {
    let text = wire::Text {
        text: "héllo".into(),
    };
    let bytes = [&TEXT.to_be_bytes()[..], &text.encode_to_vec()].concat();
    assert_eq!(Content::text("héllo").unwrap().encode()[..], bytes);
}

#[test]
fn texts_are_bounded_and_not_empty() {
    assert_eq!(Content::text(""), Err(ContentError::Empty));
    assert_eq!(Content::decode(&[0, 1]), Err(ContentError::Empty));
    assert_eq!(Content::decode(&[0, 1, 0x0a, 0]), Err(ContentError::Empty));
    // Two bytes of kind, one of tag, three of length.
    let most = MAX_CONTENT - 6;
    let content = Content::text("x".repeat(most)).unwrap();
    assert_eq!(content.encode().len(), MAX_CONTENT);
    assert_eq!(Content::decode(&content.encode()), Ok(content));
    assert_eq!(
        Content::text("x".repeat(most + 1)),
        Err(ContentError::TooLong {
            found: MAX_CONTENT + 1
        })
    );
    assert!(matches!(
        Content::decode(&vec![0; MAX_CONTENT + 1]),
        Err(ContentError::TooLong { .. })
    ));
}

#[test]
fn malformed_texts_are_refused() {
    for bytes in [
        &[][..],
        &[0],
        &[0, 1, 0x0a],
        &[0, 1, 0x0a, 3, b'a'],
        &[0, 1, 0x0a, 1, 0xff],
        &[0, 1, 0x0a, 1, b'a', 0x0a, 1, b'b'],
        &[0, 1, 0x0a, 0x81, 0, b'a'],
        &[0, 1, 0x08, 1],
        &[0, 1, 0x0b, 0x0c],
    ] {
        assert!(Content::decode(bytes).is_err(), "{bytes:?}");
    }
}

/// FEED-2.
#[test]
fn what_is_not_known_is_kept() {
    for bytes in [
        &[0, 0][..],
        &[0, 2, 1, 2, 3],
        &[0xff, 0xff],
        // A text with a field from a later version.
        &[0, 1, 0x0a, 1, b'a', 0x12, 1, b'b'],
    ] {
        let content = Content::decode(bytes).unwrap();
        assert!(matches!(content, Content::Unsupported { .. }), "{bytes:?}");
        assert_eq!(content.encode()[..], *bytes);
    }
}

#[test]
fn debug_does_not_tell() {
    let content = Content::text("secret").unwrap();
    assert_eq!(format!("{content:?}"), "Text(6 bytes)");
    let content = Content::decode(b"\x00\x09secret").unwrap();
    assert_eq!(format!("{content:?}"), "Unsupported(kind 9, 6 bytes)");
}

proptest! {
    #[test]
    fn it_survives(text in ".{1,80}") {
        let content = Content::text(text.clone()).unwrap();
        let bytes = content.encode();
        prop_assert_eq!(Content::decode(&bytes), Ok(content));
        for end in 0..bytes.len() {
            prop_assert!(Content::decode(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 2..100)) {
        let _ = Content::decode(&bytes);
        bytes[..2].copy_from_slice(&[0, 1]);
        if let Ok(content) = Content::decode(&bytes) {
            prop_assert_eq!(&content.encode()[..], &bytes[..]);
        }
    }
}
