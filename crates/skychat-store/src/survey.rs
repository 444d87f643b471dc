//! Going through a journal that may be damaged, from its first byte to its last: what is whole of
//! it, group by group, and where something is not.
//!
//! A start ends at the first damage. This goes on behind it: groups and records are bound to their
//! places and to the store by their checksums, so the next whole one can be looked for.

mod blocks;
mod tally;

use std::io;
use std::ops::Range;

use bytes::Bytes;
use skychat_identity::{KeyCache, PublicKey};
use skychat_seal::StoreKey;

use crate::disk::Disk;
use crate::error::{Damage, OpenError, Warning};
use crate::layout::{
    Chain, Counts, GROUP_LEN, GroupHeader, HEAD_FILE, HEAD_LEN, HEADER_MAGIC, HeadFile, JOURNAL,
    REWRITTEN_LEN, RecordKind, SEGMENT_LEN, SegmentMark, StoreId, Unread, segment_number,
    segment_path,
};
use crate::loss::Losses;
use crate::replay::{ReadGroup, ReadRecord};
use blocks::{Block, skip};

/// How far a look at a journal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were read.
    pub read: u64,
    /// Bytes of all segments.
    pub total: u64,
}

/// A group as far as it can be read.
pub(crate) struct Surveyed {
    pub(crate) number: u64,
    /// The running hash after it.
    pub(crate) chain: Chain,
    pub(crate) records: Vec<ReadRecord>,
}

/// Whose journal it has to be, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) owner: Option<PublicKey>,
    pub(crate) key: Option<&'a StoreKey>,
}

/// One way through a journal.
pub(crate) struct Survey<'a> {
    disk: &'a dyn Disk,
    whose: Whose<'a>,
    head: Option<HeadFile>,
    head_met: bool,
    pub(crate) owner: Option<PublicKey>,
    pub(crate) store: Option<StoreId>,
    /// Up to here, as the journal counts.
    pub(crate) counts: Counts,
    /// Records that were read.
    pub(crate) records: u64,
    /// Records that are known to be lost up to the last place that says how many there were.
    missing: u64,
    /// Records that were left out when segments were rewritten.
    left_out: u64,
    /// Groups and records that were read of this segment; losses, and records missing, before it.
    held: (u64, u64, u64, u64),
    /// Whether everything since the last known running hash was read.
    unbroken: bool,
    /// Of the segment that is read.
    generation: u32,
    pub(crate) segments: u32,
    /// Bytes in use.
    pub(crate) bytes: u64,
    pub(crate) losses: Losses,
    pub(crate) warnings: Vec<Warning>,
    keys: KeyCache,
}

fn disk_error(path: &str) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Disk { path, source }
}

impl<'a> Survey<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, whose: Whose<'a>) -> Result<Self, OpenError> {
        let head = match read(disk, HEAD_FILE, HEAD_LEN as u64) {
            Ok(bytes) => HeadFile::decode(&bytes).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(disk_error(HEAD_FILE)(error)),
        };
        Ok(Survey {
            disk,
            whose,
            head,
            head_met: false,
            owner: None,
            store: None,
            counts: Counts::default(),
            records: 0,
            missing: 0,
            left_out: 0,
            held: (0, 0, 0, 0),
            unbroken: true,
            generation: 0,
            segments: 0,
            bytes: 0,
            losses: Losses::default(),
            warnings: Vec::new(),
            keys: KeyCache::new(),
        })
    }

    /// Goes through everything; each group is handed to `each` with what is lost so far.
    pub(crate) fn run<E: From<OpenError>>(
        &mut self,
        progress: &mut dyn FnMut(Progress),
        each: &mut dyn FnMut(Surveyed, &mut Losses) -> Result<(), E>,
    ) -> Result<(), E> {
        let names = self.disk.list(JOURNAL).map_err(disk_error(JOURNAL))?;
        let mut found: Vec<u32> = names
            .iter()
            .filter_map(|name| segment_number(name))
            .collect();
        let empty = found.is_empty();
        self.without_unmade(&mut found)?;
        let mut sizes = Vec::with_capacity(found.len());
        for segment in &found {
            let path = segment_path(*segment);
            sizes.push(self.disk.len(&path).map_err(disk_error(&path))?);
        }
        let total = sizes
            .iter()
            .fold(0, |sum: u64, size| sum.saturating_add(*size));
        let mut done = 0_u64;
        progress(Progress { read: 0, total });
        let mut next = 1_u32;
        for (at, (segment, size)) in found.iter().zip(sizes).enumerate() {
            let last = at.saturating_add(1) == found.len();
            if *segment > next {
                self.lose(next, 0, Damage::Missing, None, None);
            }
            next = segment.saturating_add(1);
            let path = segment_path(*segment);
            let bytes = read(self.disk, &path, size).map_err(disk_error(&path))?;
            self.segment(*segment, last, &bytes.into(), each)?;
            done = done.saturating_add(size);
            progress(Progress { read: done, total });
        }
        self.end(next, empty);
        Ok(())
    }

    /// Without the last segment if it was being made: it holds nothing, and nothing was told of it.
    fn without_unmade(&mut self, segments: &mut Vec<u32>) -> Result<(), OpenError> {
        let Some(segment) = segments.last().copied() else {
            return Ok(());
        };
        let path = segment_path(segment);
        let bytes = read(self.disk, &path, u64::MAX).map_err(disk_error(&path))?;
        let promised = self.head.is_some_and(|head| head.segment >= segment);
        let begun = SegmentMark::decode(&bytes, HEADER_MAGIC) != Err(Unread::Invalid);
        if promised || begun || self.next(&bytes, 0, segment).is_some() {
            return Ok(());
        }
        segments.pop();
        self.torn(&bytes, segment, 0);
        Ok(())
    }

    fn segment<E: From<OpenError>>(
        &mut self,
        segment: u32,
        last: bool,
        bytes: &Bytes,
        each: &mut dyn FnMut(Surveyed, &mut Losses) -> Result<(), E>,
    ) -> Result<(), E> {
        self.generation = 0;
        match self.header(bytes, segment)? {
            Some(header) => {
                self.generation = header.generation;
                self.mark(&header, segment, 0);
            }
            None => {
                self.lose(segment, 0, Damage::Header, None, None);
            }
        }
        self.segments = self.segments.saturating_add(1);
        self.held = (0, 0, self.losses.len(), self.missing);
        if self.generation > 0 {
            // What is left of it has a hash of its own.
            self.counts.chain = Chain::default();
        }
        let mut at = SEGMENT_LEN.min(bytes.len());
        loop {
            self.meet(segment, at as u64);
            match self.block(bytes, at, segment) {
                Some(Block::Footer(footer)) => {
                    self.mark(&footer, segment, at as u64);
                    let end = at.saturating_add(SEGMENT_LEN) as u64;
                    self.meet(segment, end);
                    self.bytes = self.bytes.saturating_add(end);
                    if !last && end != bytes.len() as u64 {
                        self.lose(segment, end, Damage::Footer, None, None);
                    }
                    return Ok(());
                }
                Some(Block::Rewritten(footer)) => {
                    self.rewritten(&footer, segment, at as u64);
                    let end = at.saturating_add(REWRITTEN_LEN) as u64;
                    self.bytes = self.bytes.saturating_add(end);
                    if last || end != bytes.len() as u64 {
                        self.lose(segment, end, Damage::Footer, None, None);
                    }
                    return Ok(());
                }
                Some(Block::Group(header)) => {
                    let start = at.saturating_add(GROUP_LEN);
                    let length = usize::try_from(header.length).unwrap_or(usize::MAX);
                    let end = start.saturating_add(length);
                    let Some(group) = self.group(bytes, at, end, &header, last) else {
                        self.torn(bytes.get(at..).unwrap_or_default(), segment, at as u64);
                        self.bytes = self.bytes.saturating_add(at as u64);
                        return Ok(());
                    };
                    each(group, &mut self.losses)?;
                    at = end.min(bytes.len());
                }
                None => {
                    let next = self.next(bytes, at.saturating_add(1), segment);
                    let promised = self.promised(segment, at as u64);
                    if next.is_none() && last && !promised {
                        self.torn(bytes.get(at..).unwrap_or_default(), segment, at as u64);
                        self.bytes = self.bytes.saturating_add(at as u64);
                        return Ok(());
                    }
                    let limit = next.unwrap_or(bytes.len());
                    if let Some((group, end)) = self.headless(bytes, at..limit, segment) {
                        each(group, &mut self.losses)?;
                        at = end;
                        continue;
                    }
                    let what = if last || next.is_some() {
                        Damage::Group
                    } else {
                        Damage::Footer
                    };
                    self.lose(segment, at as u64, what, None, None);
                    let Some(next) = next else {
                        self.bytes = self.bytes.saturating_add(at as u64);
                        return Ok(());
                    };
                    at = next;
                }
            }
        }
    }

    /// The records of a group whose header cannot be read; they are bound to their places too.
    fn headless(
        &mut self,
        bytes: &Bytes,
        span: Range<usize>,
        segment: u32,
    ) -> Option<(Surveyed, usize)> {
        let header = GroupHeader {
            store: self.store?,
            segment,
            generation: self.generation,
            number: self.counts.groups.saturating_add(1),
            records: 0,
            length: 0,
            chain: self.counts.chain,
        };
        let (mut records, mut chain) = (Vec::new(), self.counts.chain);
        let mut place = span.start.saturating_add(GROUP_LEN);
        while let Some((record, head, next)) = u16::try_from(records.len())
            .ok()
            .and_then(|number| ReadRecord::read(bytes, place..span.end, &header, number))
        {
            chain = chain.step(&head, &record.meta);
            records.push(record);
            place = next;
        }
        if records.is_empty() {
            return None;
        }
        self.lose(segment, span.start as u64, Damage::Group, Some(0), Some(0));
        self.records = self.records.saturating_add(records.len() as u64);
        self.counts.chain = chain;
        self.counts.groups = header.number;
        let (number, chain) = (header.number, self.counts.chain);
        let group = Surveyed {
            number,
            chain,
            records,
        };
        Some((group, place))
    }

    /// Reads a group; `None`: it was being written when the store went down, and counts as not
    /// there (JRN-5, 5 and 7).
    fn group(
        &mut self,
        bytes: &Bytes,
        at: usize,
        end: usize,
        header: &GroupHeader,
        last: bool,
    ) -> Option<Surveyed> {
        let (segment, offset) = (header.segment, at as u64);
        let before = (self.losses.len(), self.counts);
        self.store = self.store.or(Some(header.store));
        let left_out = header
            .number
            .saturating_sub(self.counts.groups)
            .saturating_sub(1);
        // In a segment that was rewritten, groups of which nothing is left are left out.
        if left_out > 0 && header.generation == 0 {
            self.lose_groups(segment, offset, left_out);
        }
        let mut records: Vec<ReadRecord> = Vec::new();
        let mut chain = self.counts.chain;
        let mut place = at.saturating_add(GROUP_LEN);
        let limit = end.min(bytes.len());
        let mut number = 0_u16;
        let mut gone = 0_u64;
        let mut fault = None;
        while place < limit {
            match ReadRecord::read(bytes, place..limit, header, number) {
                Some((record, head, next)) => {
                    chain = chain.step(&head, &record.meta);
                    self.held.1 = self.held.1.saturating_add(1);
                    place = next;
                    if record.kind == RecordKind::Gone {
                        let count = record.stands_for(header).unwrap_or(0);
                        gone = gone.saturating_add(count.into());
                        let count = u16::try_from(count).unwrap_or(u16::MAX);
                        number = number.saturating_add(count);
                        continue;
                    }
                    records.push(record);
                }
                None => {
                    fault.get_or_insert(place as u64);
                    // What it says of its lengths may still be right: then the next one is there.
                    match skip(bytes, place..limit, header, number) {
                        Some(next) => place = next,
                        None => break,
                    }
                }
            }
            number = number.saturating_add(1);
        }
        self.held.0 = self.held.0.saturating_add(1);
        let found = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let found = found.saturating_add(gone);
        let whole = found == u64::from(header.records) && end == limit;
        let follows_on = left_out == 0 || header.generation > 0;
        let other_chain = whole && self.unbroken && follows_on && chain != header.chain;
        let group = ReadGroup(records);
        let torn_body = group.uncovered_body(&mut self.keys).is_some();
        let follows = left_out == 0 && self.losses.len() == before.0;
        if last
            && follows
            && (!whole || other_chain || torn_body)
            && !self.promised(segment, offset)
        {
            let old = std::mem::replace(&mut self.counts.groups, header.number);
            let more = self.next(bytes, limit, segment).is_some();
            self.counts.groups = old;
            if !more {
                return None;
            }
        }
        let ReadGroup(records) = group;
        if !whole {
            let lost = u64::from(header.records).saturating_sub(found);
            let place = fault.unwrap_or(place as u64);
            self.lose(segment, place, Damage::Record, Some(0), Some(lost));
            self.missing = self.missing.saturating_add(lost);
        } else if other_chain {
            self.lose(segment, offset, Damage::Chain, Some(0), Some(0));
        }
        self.records = self.records.saturating_add(records.len() as u64);
        self.left_out = self.left_out.saturating_add(gone);
        let events = records.iter().map(|record| record.place.event).max();
        self.counts = Counts {
            chain: header.chain,
            groups: header.number,
            records: before.1.records,
            events: self.counts.events.max(events.unwrap_or(0)),
        };
        self.unbroken = true;
        Some(Surveyed {
            number: header.number,
            chain: header.chain,
            records,
        })
    }
}

fn read(disk: &dyn Disk, path: &str, most: u64) -> io::Result<Vec<u8>> {
    let length = disk.len(path)?.min(most);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    disk.read_at(path, 0, &mut bytes)?;
    Ok(bytes)
}
