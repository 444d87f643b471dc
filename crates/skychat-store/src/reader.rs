//! Reading what is committed.

mod events;
mod messages;
mod size;

pub use size::{StoreSize, Usage};

use std::sync::{Arc, RwLockReadGuard};

use bytes::Bytes;
use skychat_identity::{KeyCache, Signature};
use skychat_proto::entry::{Header, Kind};
use skychat_proto::ids::{EntryId, FeedId, Position, TableId};
use skychat_proto::limits::{MAX_RANGE_BYTES, MAX_RANGE_ENTRIES, ROW_LEN};
use skychat_proto::range::{RangeBuilder, RawRange};

use crate::deep::{self, DeepError};
use crate::error::{Damage, ReadError};
use crate::index::{Index, Place, Spans, Tip, is_dropped};
use crate::layout::{CRC_LEN, RECORD_LEN, RecordHead, head_sum, segment_path};
use crate::record::without_bodies;
use crate::shared::Shared;
use crate::walk::{Locator, Passed};

/// Reads what is committed, from any thread; clones are cheap. Everything here may block on the
/// disk, but never on the writer's sync.
#[derive(Clone, Debug)]
pub struct StoreReader {
    shared: Arc<Shared>,
}

fn damaged(place: &Place, what: Damage) -> ReadError {
    ReadError::Damaged {
        segment: place.segment,
        offset: place.offset,
        what,
    }
}

impl StoreReader {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        StoreReader { shared }
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.shared.read()
    }

    /// How far a feed goes.
    pub fn tip(&self, feed: FeedId) -> Option<Tip> {
        let index = self.index();
        index.feeds.get(&feed).map(|feed| feed.tip)
    }

    /// Entries of a feed from `from` on; `None` if there is none.
    ///
    /// It has at most `max_entries` entries and `max_bytes` bytes (rows and bodies; and never
    /// more than a range may have), but at least one entry. Unless `any_end`, it ends where a
    /// stored range ends, under that signature: then the first of them is given even if it is
    /// larger. With `any_end` it may be cut anywhere, and its signature is zeros if it is. Bodies
    /// that were dropped are absent.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn range(
        &self,
        feed: FeedId,
        from: Position,
        max_entries: u32,
        max_bytes: u32,
        any_end: bool,
    ) -> Result<Option<RawRange>, ReadError> {
        let max_entries = usize::try_from(max_entries)
            .unwrap_or(MAX_RANGE_ENTRIES)
            .clamp(1, MAX_RANGE_ENTRIES);
        let max_bytes = usize::try_from(max_bytes)
            .unwrap_or(MAX_RANGE_BYTES)
            .min(MAX_RANGE_BYTES);
        let _reading = self.shared.reading();
        let read = || self.joined(feed, from, max_entries, max_bytes, any_end);
        match read() {
            // It may have been dropped, and overwritten, meanwhile.
            Err(ReadError::Damaged { .. }) => read(),
            found => found,
        }
    }

    fn joined(
        &self,
        feed: FeedId,
        from: Position,
        max_entries: usize,
        max_bytes: usize,
        any_end: bool,
    ) -> Result<Option<RawRange>, ReadError> {
        let to = from.saturating_add(max_entries as u64);
        let Some((blocks, dropped)) = self.blocks(&feed, from, to, max_bytes)? else {
            return Ok(None);
        };
        let mut keys = KeyCache::knowing(feed.author);
        let mut parts: Vec<RawRange> = Vec::new();
        let (mut entries, mut bytes) = (0_usize, 0_usize);
        for block in &blocks {
            let whole = self.whole_range(block, &dropped, &mut keys)?;
            let part = if parts.is_empty() {
                whole.suffix(from)
            } else {
                Some(whole)
            };
            let part = part.filter(|part| part.feed() == feed);
            let part = part.ok_or_else(|| damaged(block, Damage::Range))?;
            let fits = entries.saturating_add(part.len()) <= max_entries
                && bytes.saturating_add(part.size()) <= max_bytes;
            if fits {
                entries = entries.saturating_add(part.len());
                bytes = bytes.saturating_add(part.size());
                parts.push(part);
                continue;
            }
            if any_end {
                let room = (
                    max_entries.saturating_sub(entries),
                    max_bytes.saturating_sub(bytes),
                );
                parts.extend(cut(&part, room, parts.is_empty()));
            } else if parts.is_empty() {
                parts.push(part);
            }
            break;
        }
        join(parts).map_err(|()| {
            let place = blocks.first();
            ReadError::Damaged {
                segment: place.map_or(0, |place| place.segment),
                offset: place.map_or(0, |place| place.offset),
                what: Damage::Range,
            }
        })
    }

    /// The header of the entry before `position`, its id, and its signature if one is stored.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn header_at(
        &self,
        feed: FeedId,
        position: Position,
    ) -> Result<Option<(Header, EntryId, Option<Signature>)>, ReadError> {
        let Some(seq) = position.last() else {
            return Ok(None);
        };
        let _reading = self.shared.reading();
        let found = self.blocks(&feed, seq.position(), position, 0)?;
        let Some(place) = found.and_then(|(blocks, _)| blocks.first().copied()) else {
            return Ok(None);
        };
        let (head, _) = self.record(&place, false)?;
        let range = bodiless(&head, &place, &mut KeyCache::knowing(feed.author))?;
        let found = range.headers().find(|(header, _)| header.seq == seq);
        let signature = range.signature();
        let signed = position == range.end() && signature.as_bytes().iter().any(|byte| *byte != 0);
        Ok(found.map(|(header, id)| (header, id, signed.then_some(signature))))
    }

    /// A row.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn row(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let index = self.index();
        let row = index.rows.get(&table).and_then(|rows| rows.get(key));
        Ok(row.map(|row| row.value.to_vec()))
    }

    /// The rows of a table whose keys begin with `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// [`ReadError`].
    #[expect(clippy::type_complexity, reason = "keys and rows")]
    pub fn rows(
        &self,
        table: TableId,
        prefix: &[u8],
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, ReadError> {
        let index = self.index();
        let Some(rows) = index.rows.get(&table) else {
            return Ok(Vec::new());
        };
        let rows = rows.range(prefix.to_vec()..);
        Ok(rows
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, row)| (key.clone(), row.value.to_vec()))
            .collect())
    }

    /// Whether some of what is older is not found yet: the index is being opened, or made.
    pub fn is_indexing(&self) -> bool {
        self.shared.is_indexing()
    }

    /// Meta and body of a record, checked; the body only if it is asked for.
    pub(crate) fn record(
        &self,
        place: &Place,
        with_body: bool,
    ) -> Result<(Bytes, Bytes), ReadError> {
        let body_at = (place.meta as usize).saturating_add(RECORD_LEN + CRC_LEN);
        let body = if with_body { place.body as usize } else { 0 };
        let mut bytes = vec![0; body_at.saturating_add(body)];
        self.shared
            .disk
            .read_at(&segment_path(place.segment), place.offset, &mut bytes)
            .map_err(|source| ReadError::Disk {
                segment: place.segment,
                offset: place.offset,
                source,
            })?;
        let bytes = Bytes::from(bytes);
        let bad = || damaged(place, Damage::Record);
        let meta_end = body_at.saturating_sub(CRC_LEN);
        let head_bytes = bytes.first_chunk::<RECORD_LEN>().ok_or_else(bad)?;
        let meta = bytes.slice(RECORD_LEN..meta_end);
        let sum = head_sum(
            place.segment,
            place.generation,
            place.offset,
            head_bytes,
            &meta,
        );
        let head = RecordHead::decode(head_bytes).ok_or_else(bad)?;
        if bytes.get(meta_end..body_at) != Some(&sum) || head.body != place.body {
            return Err(bad());
        }
        Ok((meta, bytes.slice(body_at..)))
    }

    /// The same, with a body that is what was written.
    fn whole(&self, place: &Place) -> Result<(Bytes, Bytes), ReadError> {
        let (meta, body) = self.record(place, true)?;
        if place.body_sum != crc32c::crc32c(&body) {
            return Err(damaged(place, Damage::Body));
        }
        Ok((meta, body))
    }

    /// A stored range without the bodies that were dropped.
    fn whole_range(
        &self,
        place: &Place,
        dropped: &[(Position, Position)],
        keys: &mut KeyCache,
    ) -> Result<RawRange, ReadError> {
        let (head, bodies) = self.record(place, true)?;
        let is_whole = place.body_sum == crc32c::crc32c(&bodies);
        let range =
            RawRange::from_parts(head, bodies, keys).map_err(|_| damaged(place, Damage::Record))?;
        let range = if dropped.is_empty() {
            range
        } else {
            range.without_bodies(|seq, row| row.kind == Kind::Content && is_dropped(dropped, seq))
        };
        // Where bodies were overwritten, those that stay are looked at one by one.
        if !is_whole {
            for (row, body) in range.entries() {
                let good = skychat_proto::ids::BodyHash::of;
                if body.is_some_and(|body| good(body) != row.body_hash) {
                    return Err(damaged(place, Damage::Body));
                }
            }
        }
        Ok(range)
    }

    /// Where the ranges stand that entries from `from` to `to` are in, as far as `max_bytes` go, but
    /// one at least, and what of the feed was dropped; `None`: there is no such feed.
    pub(crate) fn blocks(
        &self,
        feed: &FeedId,
        from: Position,
        to: Position,
        max_bytes: usize,
    ) -> Result<Option<(Vec<Place>, Spans)>, ReadError> {
        let (recent, dropped, older) = {
            let index = self.index();
            let Some(held) = index.feeds.get(feed) else {
                return Ok(None);
            };
            if from >= held.tip.head {
                return Ok(Some((Vec::new(), Vec::new())));
            }
            let recent = index.tail.blocks(feed, from, to);
            let oldest = recent.first().map_or(held.tip.head, |block| block.start);
            // No segment is rewritten while somebody reads.
            let moved = |place: &Place| index.marks.generation(place.segment) != place.generation;
            let recent = recent
                .into_iter()
                .map(|block| (block.place, moved(&block.place)));
            let recent: Vec<(Place, bool)> = recent.collect();
            let older = (oldest > from)
                .then(|| self.shared.deep(&index).map(|deep| (deep, oldest)))
                .transpose()?;
            (recent, held.bodies.clone(), older)
        };
        let mut places = Vec::new();
        // Of those behind the first one, of which it is not known how much is asked for.
        let mut bytes = 0_usize;
        let mut add = |place: Place| {
            if !places.is_empty() {
                bytes = bytes.saturating_add(place.range_size());
            }
            places.push(place);
            bytes > max_bytes
        };
        let mut is_full = false;
        if let Some((deep, oldest)) = older {
            let Some(deep) = deep else {
                return Ok(Some((Vec::new(), dropped)));
            };
            let found = deep::blocks(&*deep, feed, from, to.min(oldest));
            let found = found.map_err(|error| self.shared.lose_deep(&error))?;
            let mut locator = Locator::new(&self.shared);
            let mut end = from;
            for block in found {
                is_full = add(locator.find(block.record)?.place);
                end = block.end;
                if end >= oldest || is_full {
                    break;
                }
            }
            if end < to.min(oldest) && !is_full {
                let error = DeepError("a range is missing".to_owned());
                return Err(self.shared.lose_deep(&error));
            }
        }
        let mut locator = Locator::new(&self.shared);
        for (place, moved) in recent {
            // The next one would not fit any more.
            if is_full {
                break;
            }
            let place = match moved {
                true => locator.find(place.record)?.place,
                false => place,
            };
            is_full = add(place);
        }
        Ok(Some((places, dropped)))
    }
}

/// A stored range without bodies.
pub(crate) fn heads(passed: &Passed, keys: &mut KeyCache) -> Result<RawRange, ReadError> {
    bodiless(&passed.meta, &passed.place, keys)
}

pub(crate) fn bodiless(
    head: &[u8],
    place: &Place,
    keys: &mut KeyCache,
) -> Result<RawRange, ReadError> {
    RawRange::from_parts(without_bodies(head), Bytes::new(), keys)
        .map_err(|_| damaged(place, Damage::Record))
}

/// The front of a range that fits, under a signature of zeros. `None`: nothing fits, and that is
/// no matter.
fn cut(range: &RawRange, room: (usize, usize), at_least_one: bool) -> Option<RawRange> {
    let (max_entries, max_bytes) = room;
    let mut count = 0_usize;
    let mut bytes = 0_usize;
    for (row, _) in range.entries() {
        bytes = bytes
            .saturating_add(ROW_LEN)
            .saturating_add(row.present_len());
        let first = count == 0 && at_least_one;
        if !first && (count >= max_entries || bytes > max_bytes) {
            break;
        }
        count = count.saturating_add(1);
    }
    let end = range.start().saturating_add(count as u64);
    if end == range.end() {
        return Some(range.clone());
    }
    let unsigned = Signature::from_bytes([0; Signature::LEN]);
    range.slice(range.start(), end, range.first_prev(), unsigned)
}

/// One range of adjacent ones.
fn join(mut parts: Vec<RawRange>) -> Result<Option<RawRange>, ()> {
    if parts.len() < 2 {
        return Ok(parts.pop());
    }
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return Ok(None);
    };
    let entries = parts.iter().map(RawRange::len).sum();
    let bytes = parts.iter().map(|part| part.bodies().len()).sum();
    let (feed, at, prev) = (first.feed(), first.first(), first.first_prev());
    let mut builder =
        RangeBuilder::with_capacity(feed, at, prev, entries, bytes).map_err(|_| ())?;
    for part in &parts {
        builder.append(part).map_err(|_| ())?;
    }
    builder.finish(last.signature()).map(Some).map_err(|_| ())
}
