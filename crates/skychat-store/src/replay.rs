//! Reading groups, and entering what they say.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use skychat_identity::KeyCache;
use skychat_proto::entry::{Header, Kind};
use skychat_proto::ids::{BodyHash, EntryId, FeedId, Seq, TableId};
use skychat_proto::limits::MAX_RANGE_ENTRIES;
use skychat_proto::range::RawRange;
use skychat_proto::record::{Parts, tables};

use crate::checkpoint::State;
use crate::doubts::Doubts;
use crate::error::Damage;
use crate::index::{Index, Place, RecordId, Start, Tables, Tail};
use crate::layout::{
    CRC_LEN, Counts, GroupHeader, RECORD_LEN, RecordHead, RecordKind, SegmentMark, head_sum,
};
use crate::record::{CHECKPOINTS, ContentMeta, Span, row_meta, without_bodies};
use crate::sweep::is_swept;

/// The newest of each row that was read, sealed.
pub(crate) type Rows = BTreeMap<(TableId, Vec<u8>), (Place, Bytes)>;

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
        let (segment, at) = (header.segment, span.start);
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
        let sum = head_sum(segment, header.generation, at as u64, head_bytes, &meta);
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
                offset: at as u64,
                group_end: span.end as u64,
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

    fn fault(&self, what: Damage) -> Fault {
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
        let range = self.0.get(at.checked_sub(back.into())?)?;
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

/// What the rows of a journal are made of.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    /// Of the checkpoint, but for those that were replaced or taken away since.
    pub(crate) kept: Tables,
    pub(crate) read: Rows,
}

/// The journal so far.
pub(crate) struct Replay {
    index: Index,
    rows: Sources,
    /// Bodies and contents that a drop has to cover.
    doubts: Doubts<Fault>,
    /// Rows that a later one has to cover, by their places.
    bad_rows: BTreeMap<(TableId, Vec<u8>), Fault>,
    pub(crate) bytes: u64,
}

impl Replay {
    pub(crate) fn new(tail: Tail) -> Self {
        Replay {
            index: Index::new(tail),
            rows: Sources::default(),
            doubts: Doubts::default(),
            bad_rows: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Goes on from a checkpoint. What is older is not in the tail.
    pub(crate) fn resume(&mut self, state: State, most: usize) {
        let index = &mut self.index;
        let counts = state.mark.counts;
        index.tail = Tail::bounded(most).beginning_at(counts.groups.saturating_add(1));
        (index.feeds, index.spaces) = (state.feeds, state.spaces);
        (index.lives, index.checkpoints) = (state.lives, state.checkpoints);
        index.unswept = state.unswept;
        index.events = counts.events;
        self.rows.kept = state.rows;
    }

    /// The state so far, as a checkpoint may have to say it; its rows are still sealed.
    pub(crate) fn so_far(&self, mark: SegmentMark) -> (State, Rows) {
        let mut state = State::of(mark, &self.index);
        state.rows.clone_from(&self.rows.kept);
        (state, self.rows.read.clone())
    }

    /// A segment begins, with this before it.
    pub(crate) fn begin(&mut self, mark: &SegmentMark) {
        self.index.marks.begin(Start {
            segment: mark.segment,
            generation: mark.generation,
            groups: mark.counts.groups,
            events: mark.counts.events,
        });
    }

    /// Reads the records of a group; enters nothing.
    pub(crate) fn read(
        bytes: &Bytes,
        span: Range<usize>,
        header: &GroupHeader,
        mut counts: Counts,
    ) -> Result<(ReadGroup, Counts), Fault> {
        let segment = header.segment;
        let mut at = span.start;
        let mut records = Vec::new();
        while at < span.end {
            let invalid = || Fault {
                segment,
                offset: at as u64,
                what: Damage::Record,
            };
            let index = u16::try_from(records.len()).map_err(|_| invalid())?;
            let record = ReadRecord::read(bytes, at..span.end, header, index);
            let (record, head_bytes, end) = record.ok_or_else(invalid)?;
            if record.place.event != 0 {
                counts.events = counts.events.saturating_add(1);
                if record.place.event != counts.events {
                    return Err(invalid());
                }
            }
            counts.chain = counts.chain.step(&head_bytes, &record.meta);
            counts.records = counts.records.saturating_add(1);
            records.push(record);
            at = end;
        }
        let whole = records.len() == header.records as usize && counts.chain == header.chain;
        if !whole {
            return Err(Fault {
                segment,
                offset: span.start as u64,
                what: Damage::Chain,
            });
        }
        counts.groups = header.number;
        Ok((ReadGroup(records), counts))
    }

    pub(crate) fn enter(&mut self, group: ReadGroup, keys: &mut KeyCache) -> Result<(), Fault> {
        let mut ranges: BTreeMap<usize, Vec<(Header, EntryId)>> = BTreeMap::new();
        for (number, record) in group.0.into_iter().enumerate() {
            let invalid = || record.fault(Damage::Record);
            self.index.add_record(&record.place);
            match record.kind {
                RecordKind::Entry => {
                    let headers = self.range(&record, keys)?;
                    ranges.insert(number, headers);
                }
                RecordKind::Content => {
                    match ContentMeta::decode(&record.meta, keys).ok_or_else(invalid)? {
                        ContentMeta::Entry { back, row } => {
                            let range = number.checked_sub(back.into());
                            let range = range.and_then(|range| ranges.get(&range));
                            let found = range.and_then(|range| range.get(usize::from(row)));
                            let (header, _) = found.ok_or_else(invalid)?;
                            let (feed, seq) = (header.feed, header.seq);
                            if !record.body_is_good {
                                let fault = || record.fault(Damage::Body);
                                let event = record.place.event != 0;
                                self.doubts.content(feed, seq, event, fault);
                            }
                            self.index
                                .add_content(feed, seq, header.message, record.place.record);
                        }
                        ContentMeta::Draft { .. } if !record.body_is_good => {
                            return Err(record.fault(Damage::Body));
                        }
                        ContentMeta::Draft { .. } => {}
                    }
                }
                RecordKind::Drop => {
                    let span = Span::decode(&record.meta, keys).ok_or_else(invalid)?;
                    self.index.add_drop(&span, record.place.record.group);
                }
                RecordKind::Put => {
                    let (table, key) = row_meta(&record.meta).ok_or_else(invalid)?;
                    let row = (table, key.to_vec());
                    if record.body_is_good {
                        self.bad_rows.remove(&row);
                    } else {
                        self.bad_rows
                            .insert(row.clone(), record.fault(Damage::Body));
                    }
                    if table != tables::EVENT {
                        // A copy: the segment is not kept for the sake of a row.
                        let sealed = Bytes::copy_from_slice(&record.body);
                        self.replaced(&row, record.place.record.group);
                        self.rows.read.insert(row, (record.place, sealed));
                    }
                }
                RecordKind::Delete => {
                    let (table, key) = row_meta(&record.meta).ok_or_else(invalid)?;
                    let row = (table, key.to_vec());
                    self.bad_rows.remove(&row);
                    if table == CHECKPOINTS {
                        self.index.forget_checkpoint(key);
                    }
                    self.replaced(&row, record.place.record.group);
                }
            }
        }
        Ok(())
    }

    /// A row is put again or taken away in this group: what stood before is to be overwritten,
    /// unless it was.
    fn replaced(&mut self, row: &(TableId, Vec<u8>), group: u64) {
        let (table, key) = row;
        let kept = self.rows.kept.get_mut(table);
        let kept = kept.and_then(|rows| rows.remove(key));
        let mut before = kept.map(|row| row.record);
        if let Some((place, sealed)) = self.rows.read.remove(row) {
            before = sealed.iter().any(|byte| *byte != 0).then_some(place.record);
        }
        if let Some(before) = before.filter(|_| is_swept(*table)) {
            self.index.unswept.add_row(before, group);
        }
    }

    fn range(
        &mut self,
        record: &ReadRecord,
        keys: &mut KeyCache,
    ) -> Result<Vec<(Header, EntryId)>, Fault> {
        let range = RawRange::from_parts(record.meta.clone(), record.body.clone(), keys)
            .map_err(|_| record.fault(Damage::Record))?;
        let feed = range.feed();
        let tip = self.index.tip(&feed);
        if range.start() != tip.head || range.first_prev() != tip.hash {
            return Err(record.fault(Damage::Range));
        }
        if !record.body_is_good {
            let (feed, bad) = record
                .bad_entries(keys)
                .ok_or_else(|| record.fault(Damage::Body))?;
            let fault = || record.fault(Damage::Body);
            self.doubts.bodies(feed, &bad, fault);
        }
        let mut headers = Vec::with_capacity(MAX_RANGE_ENTRIES.min(range.len()));
        headers.extend(range.headers());
        let hash = headers.last().map_or(EntryId::ZERO, |(_, id)| *id);
        self.index.add_range(feed, range.end(), hash, record.place);
        Ok(headers)
    }

    /// All of the journal was read: what was wrong with bodies has to be covered by now.
    pub(crate) fn finish(self) -> Result<(Index, Sources), Fault> {
        let left = self.doubts.settle(&self.index);
        if let Some(doubt) = left.bodies.iter().chain(&left.contents).next() {
            return Err(doubt.at);
        }
        if let Some(fault) = self.bad_rows.values().next() {
            return Err(*fault);
        }
        let mut index = self.index;
        index.bytes = self.bytes;
        Ok((index, self.rows))
    }
}
