//! What stays of a group.

use std::collections::BTreeMap;

use bytes::Bytes;
use skychat_identity::KeyCache;
use skychat_proto::entry::Kind;
use skychat_proto::ids::{BodyHash, FeedId, Seq};
use skychat_proto::range::RawRange;
use skychat_proto::record::Parts;

use super::Failed;
use crate::index::{Index, Mark, Start, is_dropped};
use crate::layout::{
    CRC_LEN, Chain, GROUP_LEN, GroupHeader, RECORD_LEN, RecordHead, RecordKind, RewrittenMark,
    SEGMENT_LEN, SegmentMark, head_sum, rewritten_path, segment_path,
};
use crate::record::{ContentMeta, row_meta, without_bodies};
use crate::replay::ReadRecord;
use crate::shared::Shared;
use crate::sweep::is_swept;

/// A segment as it is written anew, group by group. One group is in memory at a time, as it was and
/// as it will be.
#[derive(Debug)]
pub(super) struct Copy {
    segment: u32,
    generation: u32,
    /// Of the old file: the next group.
    at: u64,
    /// Of the new one.
    written: u64,
    held: Chain,
    groups: u64,
    records: u64,
    events: u64,
    marks: Vec<Mark>,
    old_generation: u32,
}

/// What becomes of a record.
enum Fate {
    Stays,
    /// Only its place stays.
    Gone,
    /// Another meta and body.
    Becomes(Bytes, Bytes),
}

impl Copy {
    pub(super) fn new(start: Start, generation: u32) -> Self {
        Copy {
            segment: start.segment,
            generation,
            at: SEGMENT_LEN as u64,
            written: SEGMENT_LEN as u64,
            held: Chain::default(),
            groups: 0,
            records: 0,
            events: start.events,
            marks: Vec::new(),
            old_generation: start.generation,
        }
    }

    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    pub(super) const fn footer(&self, mark: SegmentMark) -> RewrittenMark {
        RewrittenMark {
            mark,
            held: self.held,
            groups: self.groups,
            records: self.records,
        }
    }

    /// Copies the next group.
    pub(super) fn group(&mut self, shared: &Shared, end: u64) -> Result<(), Failed> {
        let path = segment_path(self.segment);
        let disk = &shared.disk;
        let mut header = [0; GROUP_LEN];
        disk.read_at(&path, self.at, &mut header)?;
        let header = GroupHeader::decode(&header, self.at).map_err(|_| Failed::Damaged)?;
        let from = self.at.saturating_add(GROUP_LEN as u64);
        let length = usize::try_from(header.length).map_err(|_| Failed::Damaged)?;
        let to = from.checked_add(header.length).filter(|to| *to <= end);
        let fits = header.generation == self.old_generation && header.segment == self.segment;
        let to = to.filter(|_| fits).ok_or(Failed::Damaged)?;
        let mut bytes = vec![0; length];
        disk.read_at(&path, from, &mut bytes)?;
        let bytes = Bytes::from(bytes);

        let mut group = Group::new(self, header);
        let mut ranges = BTreeMap::new();
        let mut keys = KeyCache::new();
        let (mut at, mut number) = (0_usize, 0_u32);
        while at < length {
            let index = u16::try_from(number).map_err(|_| Failed::Damaged)?;
            let read = ReadRecord::read_from(&bytes, from, at..length, &header, index);
            let (record, head, next) = read.ok_or(Failed::Damaged)?;
            let stands_for = record.stands_for(&header).ok_or(Failed::Damaged)?;
            let fate = {
                let index = shared.read();
                fate(&record, &index, &mut ranges, &mut keys).ok_or(Failed::Damaged)?
            };
            match fate {
                Fate::Gone => group.gone = group.gone.saturating_add(stands_for),
                Fate::Stays => group.push(&record, &head, &record.meta, &record.body)?,
                Fate::Becomes(meta, body) => {
                    let lengths = u32::try_from(meta.len()).and_then(|meta| {
                        let body = u32::try_from(body.len())?;
                        Ok((meta, body))
                    });
                    let (meta_len, body_len) = lengths.map_err(|_| Failed::Damaged)?;
                    let event = record.place.event;
                    let head = RecordHead::of(record.kind, meta_len, body_len, event, &body);
                    group.push(&record, &head.encode(), &meta, &body)?;
                }
            }
            number = number.saturating_add(stands_for);
            at = next;
        }
        if number != header.records {
            return Err(Failed::Damaged);
        }
        if let Some(bytes) = group.finish()? {
            let new = rewritten_path(self.segment);
            disk.write_at(&new, self.written, &bytes)?;
            self.written = self.written.saturating_add(bytes.len() as u64);
        }
        self.at = to;
        Ok(())
    }
}

/// Which feed and entry the ranges of a group begin with.
type Ranges = BTreeMap<u16, (FeedId, Seq)>;

/// `None`: the record is not what was written.
fn fate(
    record: &ReadRecord,
    index: &Index,
    ranges: &mut Ranges,
    keys: &mut KeyCache,
) -> Option<Fate> {
    let place = &record.place;
    let whole = record.body_is_good.then_some(Fate::Stays);
    match record.kind {
        RecordKind::Gone => Some(Fate::Gone),
        RecordKind::Drop => whole,
        RecordKind::Entry => {
            let head = without_bodies(&record.meta);
            let range = RawRange::from_parts(head, Bytes::new(), keys).ok()?;
            ranges.insert(place.record.index, (range.feed(), range.first()));
            entry(record, index, keys)
        }
        RecordKind::Content => {
            let ContentMeta::Entry { back, row } = ContentMeta::decode(&record.meta, keys)? else {
                return whole;
            };
            let (feed, first) = ranges.get(&place.record.back(back)?.index)?;
            let seq = first.checked_add(row.into())?;
            if !index.is_untold(feed, seq) {
                return whole;
            }
            // One that is not overwritten yet is to be found by the sweep.
            Some(match index.unswept.has(feed, seq, Parts::has_contents) {
                true => Fate::Stays,
                false => Fate::Becomes(record.meta.clone(), Bytes::new()),
            })
        }
        RecordKind::Put => {
            let (table, key) = row_meta(&record.meta)?;
            let live = index.live_row(table, key) == Some(place.record);
            if !is_swept(table) || live {
                return whole;
            }
            Some(if index.unswept.rows.contains(&place.record) {
                Fate::Stays
            } else if place.event != 0 {
                Fate::Becomes(record.meta.clone(), Bytes::new())
            } else {
                Fate::Gone
            })
        }
        RecordKind::Delete => {
            let (table, key) = row_meta(&record.meta)?;
            let again = index.live_row(table, key).is_some();
            let dead = again && is_swept(table) && place.event == 0;
            Some(if dead { Fate::Gone } else { Fate::Stays })
        }
    }
}

/// A range without the bodies that were dropped and overwritten.
fn entry(record: &ReadRecord, index: &Index, keys: &mut KeyCache) -> Option<Fate> {
    let range = RawRange::from_parts(record.meta.clone(), record.body.clone(), keys).ok()?;
    let feed = range.feed();
    let held = index.feeds.get(&feed);
    let dropped = held.map(|held| &held.bodies[..]).unwrap_or_default();
    let is_dead = |seq: Seq| is_dropped(dropped, seq);
    let is_out = |seq: Seq| is_dead(seq) && !index.unswept.has(&feed, seq, Parts::has_bodies);
    let mut changes = false;
    for (row, (entry, body)) in range.entries().enumerate() {
        let seq = range.first().checked_add(row as u64)?;
        let Some(body) = body else { continue };
        let is_content = entry.kind == Kind::Content;
        changes |= is_content && is_out(seq);
        let good = BodyHash::of(body) == entry.body_hash;
        let covered = is_content && is_dead(seq);
        if !good && !covered {
            return None;
        }
    }
    if !changes {
        return Some(Fate::Stays);
    }
    let range = range.without_bodies(|seq, row| row.kind == Kind::Content && is_out(seq));
    let bodies = range.bodies().clone();
    Some(Fate::Becomes(
        Bytes::copy_from_slice(range.head_block()),
        bodies,
    ))
}

/// A group as it will be.
struct Group<'a> {
    copy: &'a mut Copy,
    header: GroupHeader,
    bytes: Vec<u8>,
    /// Records that are left out here.
    gone: u32,
    pushed: u64,
}

impl<'a> Group<'a> {
    fn new(copy: &'a mut Copy, header: GroupHeader) -> Self {
        Group {
            copy,
            header,
            bytes: vec![0; GROUP_LEN],
            gone: 0,
            pushed: 0,
        }
    }

    fn push(
        &mut self,
        record: &ReadRecord,
        head: &[u8],
        meta: &[u8],
        body: &[u8],
    ) -> Result<(), Failed> {
        self.fill()?;
        let offset = self.offset();
        let event = record.place.event != 0;
        let events = self.copy.events;
        self.copy.events = events.saturating_add(event.into());
        // Where the group ends is known at its end.
        let mark = Mark {
            record: record.place.record,
            events,
            segment: self.copy.segment,
            offset,
            group_end: 0,
        };
        if !self
            .copy
            .marks
            .last()
            .is_some_and(|last| last.is_near(&mark))
        {
            self.copy.marks.push(mark);
        }
        self.add(head, meta, body);
        Ok(())
    }

    fn offset(&self) -> u64 {
        self.copy.written.saturating_add(self.bytes.len() as u64)
    }

    fn add(&mut self, head: &[u8], meta: &[u8], body: &[u8]) {
        let (segment, generation) = (self.copy.segment, self.copy.generation);
        let sum = head_sum(segment, generation, self.offset(), head, meta);
        self.bytes.reserve(RECORD_LEN + CRC_LEN);
        for part in [head, meta, &sum, body] {
            self.bytes.extend_from_slice(part);
        }
        self.copy.held = self.copy.held.step(head, meta);
        self.pushed = self.pushed.saturating_add(1);
    }

    /// Says how many were left out.
    fn fill(&mut self) -> Result<(), Failed> {
        let gone = std::mem::take(&mut self.gone);
        if gone > 0 {
            let count = u16::try_from(gone).map_err(|_| Failed::Damaged)?;
            let head = RecordHead::of(RecordKind::Gone, 2, 0, 0, &[]);
            self.add(&head.encode(), &count.to_be_bytes(), &[]);
        }
        Ok(())
    }

    /// `None`: nothing is left of it.
    fn finish(mut self) -> Result<Option<Vec<u8>>, Failed> {
        if self.pushed == 0 {
            return Ok(None);
        }
        self.fill()?;
        let copy = self.copy;
        copy.groups = copy.groups.saturating_add(1);
        copy.records = copy.records.saturating_add(self.pushed);
        let end = copy.written.saturating_add(self.bytes.len() as u64);
        let open = copy.marks.iter_mut().rev();
        for mark in open.take_while(|mark| mark.group_end == 0) {
            mark.group_end = end;
        }
        let header = GroupHeader {
            generation: copy.generation,
            length: self.bytes.len().saturating_sub(GROUP_LEN) as u64,
            chain: copy.held,
            ..self.header
        };
        let mut encoded = Vec::with_capacity(GROUP_LEN);
        header.encode(copy.written, &mut encoded);
        if let Some(place) = self.bytes.get_mut(..GROUP_LEN) {
            place.copy_from_slice(&encoded);
        }
        Ok(Some(self.bytes))
    }
}
