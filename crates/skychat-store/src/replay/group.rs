//! Records and groups as they are read, before they are entered.

use std::ops::Range;

use bytes::Bytes;
use skychat_identity::KeyCache;
use skychat_proto::entry::Kind;
use skychat_proto::ids::{BodyHash, FeedId, Seq};
use skychat_proto::range::RawRange;
use skychat_proto::record::Parts;

use crate::error::Damage;
use crate::index::{Place, RecordId};
use crate::layout::{CRC_LEN, GroupHeader, RECORD_LEN, RecordHead, RecordKind, head_sum};
use crate::record::{ContentMeta, Span, gone, without_bodies};

/// Where something is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) what: Damage,
}

/// A record with a valid head.
pub(crate) struct ReadRecord {
    pub(crate) kind: RecordKind,
    pub(crate) meta: Bytes,
    pub(crate) body: Bytes,
    pub(crate) body_is_good: bool,
    pub(crate) place: Place,
}

impl ReadRecord {
    /// The record at the start of `span`, the one with this number of a group that ends where
    /// `span` does; with the bytes of its head, and where it ends. `None`: none that is valid
    /// there.
    pub(crate) fn read(
        bytes: &Bytes,
        span: Range<usize>,
        header: &GroupHeader,
        index: u16,
    ) -> Option<(Self, [u8; RECORD_LEN], usize)> {
        ReadRecord::read_from(bytes, 0, span, header, index)
    }

    /// The same, where `bytes` begin at `base` of the segment.
    pub(crate) fn read_from(
        bytes: &Bytes,
        base: u64,
        span: Range<usize>,
        header: &GroupHeader,
        index: u16,
    ) -> Option<(Self, [u8; RECORD_LEN], usize)> {
        let (segment, at) = (header.segment, span.start);
        let offset = base.saturating_add(at as u64);
        let left = bytes.get(span.clone())?;
        let head_bytes = left.first_chunk::<RECORD_LEN>()?;
        let head = RecordHead::decode(head_bytes)?;
        let meta_at = at.saturating_add(RECORD_LEN);
        let meta_end = meta_at.saturating_add(head.meta as usize);
        let body_at = meta_end.saturating_add(CRC_LEN);
        let end = body_at.saturating_add(head.body as usize);
        if end > span.end {
            return None;
        }
        let meta = bytes.slice(meta_at..meta_end);
        let sum = head_sum(segment, header.generation, offset, head_bytes, &meta);
        if bytes.get(meta_end..body_at) != Some(&sum) {
            return None;
        }
        let body = bytes.slice(body_at..end);
        let record = ReadRecord {
            kind: head.kind,
            body_is_good: head.has_body(&body),
            place: Place {
                segment,
                generation: header.generation,
                offset,
                group_end: base.saturating_add(span.end as u64),
                meta: head.meta,
                body: head.body,
                body_sum: head.body_sum,
                record: RecordId {
                    group: header.number,
                    index,
                },
                event: head.event,
            },
            meta,
            body,
        };
        Some((record, *head_bytes, end))
    }

    /// Whether the body of a content or a row is not what was written, or was left out: a later
    /// record has to be the reason.
    pub(crate) fn is_bare(&self) -> bool {
        !self.body_is_good || self.body.is_empty()
    }

    /// How many records of the history it is; `None`: it cannot be.
    pub(crate) fn stands_for(&self, header: &GroupHeader) -> Option<u32> {
        if self.kind != RecordKind::Gone {
            return Some(1);
        }
        let bare = header.generation > 0 && self.body.is_empty() && self.place.event == 0;
        gone(&self.meta).filter(|_| bare).map(u32::from)
    }

    pub(super) fn fault(&self, what: Damage) -> Fault {
        Fault {
            segment: self.place.segment,
            offset: self.place.offset,
            what,
        }
    }

    /// The entries whose bodies are not what was written; `None` if one of them is never dropped
    /// (FEED-5), or there is no range.
    pub(crate) fn bad_entries(&self, keys: &mut KeyCache) -> Option<(FeedId, Vec<Seq>)> {
        let range = RawRange::from_parts(self.meta.clone(), self.body.clone(), keys).ok()?;
        let mut bad = Vec::new();
        for (index, (row, body)) in range.entries().enumerate() {
            if body.is_some_and(|body| BodyHash::of(body) != row.body_hash) {
                if row.kind != Kind::Content {
                    return None;
                }
                bad.push(range.first().checked_add(index as u64)?);
            }
        }
        Some((range.feed(), bad))
    }
}

/// A group whose heads are all valid.
pub(crate) struct ReadGroup(pub(crate) Vec<ReadRecord>);

impl ReadGroup {
    /// A body that is not what was written, and which nothing in this group covers.
    pub(crate) fn uncovered_body(&self, keys: &mut KeyCache) -> Option<Fault> {
        for (at, record) in self.0.iter().enumerate() {
            if record.body_is_good {
                continue;
            }
            let later = self.0.get(at.saturating_add(1)..).unwrap_or_default();
            let covered = match record.kind {
                RecordKind::Put => later.iter().any(|later| {
                    matches!(later.kind, RecordKind::Put | RecordKind::Delete)
                        && later.meta == record.meta
                }),
                RecordKind::Entry => record.bad_entries(keys).is_some_and(|(feed, bad)| {
                    let drops = drops(later, &feed, Parts::has_bodies, keys);
                    bad.iter()
                        .all(|seq| drops.iter().any(|span| span.has(*seq)))
                }),
                RecordKind::Content => self.told_at(at, keys).is_some_and(|(feed, seq)| {
                    let drops = drops(later, &feed, Parts::has_contents, keys);
                    drops.iter().any(|span| span.has(seq))
                }),
                _ => false,
            };
            if !covered {
                return Some(record.fault(Damage::Body));
            }
        }
        None
    }

    /// Which entry a content is of; `None`: of none that is here.
    fn told_at(&self, at: usize, keys: &mut KeyCache) -> Option<(FeedId, Seq)> {
        let meta = ContentMeta::decode(&self.0.get(at)?.meta, keys)?;
        let ContentMeta::Entry { back, row } = meta else {
            return None;
        };
        let range = self.0.get(at)?.place.record.back(back)?;
        let range = self.0.iter().find(|record| record.place.record == range)?;
        let head = without_bodies(&range.meta);
        let range = RawRange::from_parts(head, Bytes::new(), keys).ok()?;
        Some((range.feed(), range.first().checked_add(row.into())?))
    }
}

/// The drops of such parts of a feed.
fn drops(
    records: &[ReadRecord],
    feed: &FeedId,
    has_part: impl Fn(Parts) -> bool,
    keys: &mut KeyCache,
) -> Vec<Span> {
    let drops = records.iter().filter(|next| next.kind == RecordKind::Drop);
    drops
        .filter_map(|drop| Span::decode(&drop.meta, keys))
        .filter(|span| span.feed == *feed && has_part(span.parts))
        .collect()
}
