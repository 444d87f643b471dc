//! Reading groups, and entering what they say.

mod group;

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use skychat_identity::KeyCache;
use skychat_proto::entry::Header;
use skychat_proto::ids::{EntryId, TableId};
use skychat_proto::limits::MAX_RANGE_ENTRIES;
use skychat_proto::range::RawRange;
use skychat_proto::record::tables;

use crate::checkpoint::State;
use crate::doubts::Doubts;
use crate::error::Damage;
use crate::index::{Index, Place, Start, Tables, Tail};
use crate::layout::{Counts, GroupHeader, RecordKind, SegmentMark};
use crate::record::{CHECKPOINTS, ContentMeta, Span, row_meta};
use crate::sweep::{dead_row, is_swept};

/// The newest of each row that was read, sealed.
pub(crate) type Rows = BTreeMap<(TableId, Vec<u8>), (Place, Bytes)>;

pub(crate) use group::{Fault, ReadGroup, ReadRecord};

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
        index.dead = state.dead;
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
        let mut records: Vec<ReadRecord> = Vec::new();
        // Where records were left out, there are more than are there.
        let mut number = 0_u32;
        while at < span.end {
            let invalid = || Fault {
                segment,
                offset: at as u64,
                what: Damage::Record,
            };
            let index = u16::try_from(number).map_err(|_| invalid())?;
            let record = ReadRecord::read(bytes, at..span.end, header, index);
            let (record, head_bytes, end) = record.ok_or_else(invalid)?;
            if record.place.event != 0 {
                counts.events = counts.events.saturating_add(1);
                if record.place.event != counts.events {
                    return Err(invalid());
                }
            }
            counts.chain = counts.chain.step(&head_bytes, &record.meta);
            let stands_for = record.stands_for(header).ok_or_else(invalid)?;
            number = number.saturating_add(stands_for);
            records.push(record);
            at = end;
        }
        counts.records = counts.records.saturating_add(number.into());
        let whole = number == header.records && counts.chain == header.chain;
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
        let mut ranges: BTreeMap<u16, Vec<(Header, EntryId)>> = BTreeMap::new();
        for record in group.0 {
            let number = record.place.record.index;
            let invalid = || record.fault(Damage::Record);
            if record.kind == RecordKind::Gone {
                continue;
            }
            self.index.add_record(&record.place);
            match record.kind {
                RecordKind::Gone => {}
                RecordKind::Entry => {
                    let headers = self.range(&record, keys)?;
                    ranges.insert(number, headers);
                }
                RecordKind::Content => {
                    match ContentMeta::decode(&record.meta, keys).ok_or_else(invalid)? {
                        ContentMeta::Entry { back, row } => {
                            let range = number.checked_sub(back);
                            let range = range.and_then(|range| ranges.get(&range));
                            let found = range.and_then(|range| range.get(usize::from(row)));
                            let (header, _) = found.ok_or_else(invalid)?;
                            let (feed, seq) = (header.feed, header.seq);
                            if record.is_bare() {
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
                    if !record.is_bare() {
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
            let swept = sealed.iter().all(|byte| *byte == 0);
            before = (!swept).then_some(place.record);
            if swept {
                self.index.add_dead(place.segment, dead_row(&place));
            }
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
