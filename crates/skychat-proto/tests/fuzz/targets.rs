//! What is fuzzed here: one plain function for each decoder of `skychat-proto` and
//! `skychat-identity` that is fed by others. `fuzz/fuzz_targets/*.rs` hand them what libFuzzer
//! makes up, and `tests/fuzz_corpus.rs` replays `fuzz/corpus` on stable.
//!
//! Each reads arbitrary bytes. What is accepted has to come out again as it went in, or, where an
//! encoding is not unique, has to mean the same.
#![allow(
    dead_code,
    reason = "every fuzz target includes all of them and uses one"
)]

use bytes::Bytes;
use skychat_identity::{Address, KeyCache, keyfile};
use skychat_proto::content::Content;
use skychat_proto::entry::Header;
use skychat_proto::ids::{BodyHash, EntryId};
use skychat_proto::link::LinkMessage;
use skychat_proto::open::Open;
use skychat_proto::range::{RangeBuilder, RawRange};
use skychat_proto::sync::SyncMessage;
use skychat_proto::text::{self, Limits};

/// A fuzz target.
pub(crate) type Target = fn(&[u8]);

/// Every target by the name of its folder in `fuzz/corpus` and its file in `fuzz/fuzz_targets`.
pub(crate) const TARGETS: [(&str, Target); 9] = [
    ("address_parse", address_parse),
    ("content_decode", content_decode),
    ("header_decode", header_decode),
    ("keyfile_decode", keyfile_decode),
    ("link_decode", link_decode),
    ("open_decode", open_decode),
    ("range_decode", range_decode),
    ("sanitize_text", sanitize_text),
    ("sync_decode", sync_decode),
];

/// An address prints as a text that reads as the same address.
pub(crate) fn address_parse(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Address>() {
        Ok(address) => assert_eq!(address.to_string().parse(), Ok(address)),
        Err(error) => assert!(error.to_string().len() < 1_000, "errors do not echo all"),
    }
}

/// A key file has one encoding.
pub(crate) fn keyfile_decode(data: &[u8]) {
    if let Ok(key) = keyfile::decode(data) {
        assert_eq!(keyfile::encode(&key)[..], *data);
    }
}

/// A header has one encoding.
pub(crate) fn header_decode(data: &[u8]) {
    if let Ok(header) = Header::decode(data, &mut KeyCache::new()) {
        assert_eq!(header.encode()[..], *data);
        assert_eq!(header.id(), EntryId::of(&header.encode()));
    }
}

/// A range has one encoding; its parts agree with each other, and can be cut and joined.
pub(crate) fn range_decode(data: &[u8]) {
    let mut keys = KeyCache::new();
    let Ok(range) = RawRange::decode(Bytes::copy_from_slice(data), &mut keys) else {
        return;
    };
    assert_eq!(range.to_bytes()[..], *data);
    assert_eq!(range.entries().count(), range.len());
    assert_eq!(range.headers().count(), range.len());
    let mut hashes = 0_u32;
    for (n, (row, body)) in range.entries().enumerate() {
        assert_eq!(range.row(n), Some(row));
        assert_eq!(range.body(n).as_deref(), body);
        hashes += u32::from(body.is_some_and(|body| BodyHash::of(body) == row.body_hash));
    }
    assert!(hashes as usize <= range.len());

    let bare = range.without_bodies(|seq, _| seq.get() % 2 == 0);
    assert_eq!(bare.tip(), range.tip());
    let middle = range.start().saturating_add(range.len() as u64 / 2);
    let Some(back) = range.suffix(middle) else {
        return;
    };
    assert_eq!(back.tip(), range.tip());
    let Ok(mut builder) = RangeBuilder::new(range.feed(), range.first(), range.first_prev()) else {
        panic!("a range that was read can be built");
    };
    if let Some(front) = range.slice(range.start(), middle, range.first_prev(), range.signature()) {
        assert_eq!(builder.append(&front), Ok(()));
    }
    assert_eq!(builder.append(&back), Ok(()));
    assert_eq!(builder.finish(range.signature()), Ok(range));
}

/// An open body has one encoding.
pub(crate) fn open_decode(data: &[u8]) {
    if let Ok(open) = Open::decode(data) {
        assert_eq!(open.encode().as_deref(), Ok(data));
    }
}

/// A content has one encoding, and does not show itself in logs.
pub(crate) fn content_decode(data: &[u8]) {
    if let Ok(content) = Content::decode(data) {
        assert_eq!(content.encode()[..], *data);
        assert!(format!("{content:?}").len() < 60);
    }
}

/// A message of service 0 means the same after it was written again.
pub(crate) fn link_decode(data: &[u8]) {
    if let Ok(message) = LinkMessage::decode(data)
        && !matches!(message, LinkMessage::Unknown { .. })
    {
        assert_eq!(LinkMessage::decode(&message.encode()), Ok(message));
    }
}

/// A message of service 1 means the same after it was written again.
pub(crate) fn sync_decode(data: &[u8]) {
    let mut keys = KeyCache::new();
    if let Ok(message) = SyncMessage::decode(data, &mut keys)
        && !matches!(message, SyncMessage::Unknown { .. })
    {
        assert_eq!(
            SyncMessage::decode(&message.encode(), &mut keys),
            Ok(message)
        );
    }
}

/// What is shown has no control, bidirectional or tag characters, stays within its limits, and
/// does not change when it is cleaned again. The first two bytes choose the limits.
pub(crate) fn sanitize_text(data: &[u8]) {
    let Some(([lines, width], text)) = data.split_first_chunk() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let limits = Limits::block(usize::from(*lines), usize::from(*width));
    let shown = text::sanitize(text, limits);
    assert!(shown.split('\n').count() <= limits.lines.max(1));
    for c in shown.chars() {
        assert!(!c.is_control() || c == '\n', "{c:?}");
        assert!(
            !matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}'),
            "{c:?}"
        );
    }
    assert_eq!(text::sanitize(&shown, limits), shown);
    let name = text::name(text);
    assert_eq!(text::name(&name), name);
}
