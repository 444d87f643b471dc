//! Overwriting bodies with zeros, in place.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use skychat_identity::KeyCache;
use skychat_proto::entry::Kind;
use skychat_proto::ids::Seq;
use skychat_proto::range::RawRange;

use crate::disk::Disk;
use crate::index::Place;
use crate::layout::{CRC_LEN, RECORD_LEN, segment_path};

/// Bytes that are read and overwritten at once.
const PART: usize = 64 * 1024;
static ZEROS: [u8; PART] = [0; PART];

/// Where the body of a record begins.
fn body_at(place: &Place) -> u64 {
    let before = (RECORD_LEN + CRC_LEN) as u64;
    let meta = u64::from(place.meta);
    place.offset.saturating_add(before).saturating_add(meta)
}

/// Overwrites a part of a segment, unless it is zeros; whether it was not.
fn wipe(disk: &dyn Disk, segment: u32, span: Range<u64>) -> io::Result<bool> {
    let path = segment_path(segment);
    let mut at = span.start;
    let mut wiped = false;
    let mut bytes = Vec::new();
    while at < span.end {
        let left = usize::try_from(span.end.saturating_sub(at)).unwrap_or(PART);
        let length = left.min(PART);
        bytes.resize(length, 0);
        disk.read_at(&path, at, &mut bytes)?;
        if bytes.iter().any(|byte| *byte != 0) {
            disk.write_at(&path, at, ZEROS.get(..length).unwrap_or(&ZEROS))?;
            wiped = true;
        }
        at = at.saturating_add(length as u64);
    }
    Ok(wiped)
}

/// Overwrites the body of a record.
pub(super) fn wipe_body(disk: &dyn Disk, place: &Place) -> io::Result<bool> {
    let start = body_at(place);
    let end = start.saturating_add(place.body.into());
    wipe(disk, place.segment, start..end)
}

/// Overwrites the bodies of those content entries of a range that are dropped.
pub(super) fn wipe_entries(
    disk: &dyn Disk,
    place: &Place,
    head: &Bytes,
    keys: &mut KeyCache,
    is_dropped: impl Fn(Seq) -> bool,
) -> io::Result<bool> {
    let start = body_at(place);
    let mut wiped = false;
    for dropped in spans(place, head, keys, is_dropped) {
        let from = start.saturating_add(dropped.start);
        let to = start.saturating_add(dropped.end);
        wiped |= wipe(disk, place.segment, from..to)?;
    }
    Ok(wiped)
}

/// Where in the body of a range those bodies stand; neighbours are one.
pub(crate) fn spans(
    place: &Place,
    head: &Bytes,
    keys: &mut KeyCache,
    is_dropped: impl Fn(Seq) -> bool,
) -> Vec<Range<u64>> {
    // Which bodies there are stands in the head; what is in them does not matter.
    let bodies = Bytes::from(vec![0; place.body as usize]);
    let Ok(range) = RawRange::from_parts(head.clone(), bodies, keys) else {
        return Vec::new();
    };
    let mut found: Vec<Range<u64>> = Vec::new();
    let mut at = 0_u64;
    for (index, (row, body)) in range.entries().enumerate() {
        let Some(body) = body else { continue };
        let end = at.saturating_add(body.len() as u64);
        let seq = range.first().checked_add(index as u64);
        if row.kind == Kind::Content && seq.is_some_and(&is_dropped) {
            match found.last_mut() {
                Some(last) if last.end == at => last.end = end,
                _ => found.push(at..end),
            }
        }
        at = end;
    }
    found
}
