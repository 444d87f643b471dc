//! Reading the journal at start (JRN-5): from the newest checkpoint on, or all of it.

use std::io;

use skychat_identity::{KeyCache, PublicKey};

use super::{OpenOptions, damaged, disk_error, rows};
use crate::checkpoint::{self, FileHash, State};
use crate::disk::Disk;
use crate::error::{Damage, OpenError, Warning};
use crate::index::{Index, Tail};
use crate::layout::{
    Counts, FOOTER_MAGIC, HEADER_MAGIC, HeadFile, REWRITTEN_LEN, RewrittenMark, SEGMENT_LEN,
    SegmentMark, StoreId, Unread, checkpoint_number, segment_path, store_prefix,
};
use crate::record::is_secret;
use crate::replay::{Fault, Replay, Rows};
use crate::writer::Current;

/// What a journal says.
pub(super) struct Scanned {
    pub(super) index: Index,
    pub(super) counts: Counts,
    pub(super) current: Current,
    pub(super) store: Option<StoreId>,
    pub(super) warnings: Vec<Warning>,
    /// What a checkpoint should be made of.
    pub(super) due: Option<Box<State>>,
    /// Whether the secret rows have to be put again in the last segment.
    pub(super) carry: bool,
    /// The first segment that was read.
    pub(super) from: u32,
}

/// Reads the journal in these segments.
pub(super) fn journal(
    disk: &dyn Disk,
    options: &OpenOptions,
    head: Option<HeadFile>,
    segments: &[u32],
) -> Result<Scanned, OpenError> {
    let mut warnings = Vec::new();
    let scan = || Scan {
        disk,
        options,
        head,
        head_met: false,
        replay: Replay::new(options.tail.map_or(Tail::whole(), Tail::bounded)),
        counts: Counts::default(),
        store: None,
        warnings: Vec::new(),
        at_last: None,
    };
    let segments = scan().without_unmade(segments, &mut warnings)?;
    for (number, segment) in (1..).zip(segments) {
        if number != *segment {
            return Err(damaged(number, 0, Damage::Missing));
        }
    }
    let last = segments.last().copied().unwrap_or(0);
    if let Some(most) = options.tail {
        for base in bases(disk, last)? {
            // What `HEAD` promises has to be met.
            if head.is_some_and(|head| head.segment < base) {
                continue;
            }
            let mut scan = scan();
            let Some((length, hash)) = scan.resume(base, most)? else {
                continue;
            };
            let current = scan.run(base, last, length)?;
            let scanned = scan.finish(base, current, &warnings)?;
            if scanned.index.checkpoints.get(&base) == Some(&hash) {
                return Ok(scanned);
            }
        }
    }
    let mut scan = scan();
    let current = scan.run(1, last, 0)?;
    scan.finish(1, current, &warnings)
}

/// The segments of which there is a checkpoint, the last of them first.
fn bases(disk: &dyn Disk, last: u32) -> Result<Vec<u32>, OpenError> {
    let names = disk.list("").map_err(disk_error("."))?;
    let found = names.iter().filter_map(|name| checkpoint_number(name));
    let mut bases: Vec<u32> = found.filter(|base| (2..=last).contains(base)).collect();
    bases.sort_unstable_by(|a, b| b.cmp(a));
    Ok(bases)
}

pub(super) fn at_fault(fault: Fault) -> OpenError {
    damaged(fault.segment, fault.offset, fault.what)
}

pub(super) struct Scan<'a> {
    disk: &'a dyn Disk,
    options: &'a OpenOptions,
    head: Option<HeadFile>,
    head_met: bool,
    pub(super) replay: Replay,
    pub(super) counts: Counts,
    pub(super) store: Option<StoreId>,
    pub(super) warnings: Vec<Warning>,
    /// The state at the header of the last segment, unless it is that of a checkpoint.
    at_last: Option<(State, Rows)>,
}

impl Scan<'_> {
    /// Goes past all segments before `base`, and on from its checkpoint: how long the segment
    /// before is, and what the checkpoint has to be journalled as; `None`: it is not valid.
    fn resume(&mut self, base: u32, most: usize) -> Result<Option<(u64, FileHash)>, OpenError> {
        let mut length = 0;
        for segment in 1..base {
            length = self.pass(segment, length)?;
        }
        let bytes: [u8; SEGMENT_LEN] = self.block(&segment_path(base), 0)?;
        let header = self.header(&bytes, base, length)?;
        let found = checkpoint::read(self.disk, &self.options.store_key, &header);
        Ok(found.map(|(state, hash)| {
            self.replay.resume(state, most);
            (length, hash)
        }))
    }

    /// Goes past a segment by its header and its footer; gives its length.
    fn pass(&mut self, segment: u32, before: u64) -> Result<u64, OpenError> {
        let path = segment_path(segment);
        let length = self.disk.len(&path).map_err(disk_error(&path))?;
        let header: [u8; SEGMENT_LEN] = self.block(&path, 0)?;
        let header = self.header(&header, segment, before)?;
        let (at, footer) = if header.generation == 0 {
            let at = length.saturating_sub(SEGMENT_LEN as u64);
            let block: [u8; SEGMENT_LEN] = self.block(&path, at)?;
            (at, SegmentMark::decode(&block, FOOTER_MAGIC))
        } else {
            let at = length.saturating_sub(REWRITTEN_LEN as u64);
            let block: [u8; REWRITTEN_LEN] = self.block(&path, at)?;
            (at, RewrittenMark::decode(&block).map(|footer| footer.mark))
        };
        let footer = match footer {
            Ok(footer) => footer,
            Err(Unread::Version(found)) => return Err(OpenError::Version { segment, found }),
            Err(Unread::Invalid) => return Err(damaged(segment, at, Damage::Footer)),
        };
        let (from, to) = (header.counts, footer.counts);
        let grows =
            from.groups <= to.groups && from.records <= to.records && from.events <= to.events;
        let expected = SegmentMark {
            counts: to,
            ..header
        };
        if footer != expected || !grows {
            return Err(damaged(segment, at, Damage::Footer));
        }
        self.replay.begin(&header);
        self.counts = to;
        self.replay.bytes = self.replay.bytes.saturating_add(length);
        Ok(length)
    }

    /// A header or footer; zeros if there is not as much.
    fn block<const N: usize>(&self, path: &str, offset: u64) -> Result<[u8; N], OpenError> {
        let mut block = [0; N];
        match self.disk.read_at(path, offset, &mut block) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok([0; N]),
            read => read.map(|()| block).map_err(disk_error(path)),
        }
    }

    /// Reads the segments from `first` to `last`; the one before has this length.
    fn run(&mut self, first: u32, last: u32, length: u64) -> Result<Current, OpenError> {
        let mut keys = KeyCache::new();
        let is_read = first > 1;
        let mut current = Current::Next {
            segment: first,
            length,
        };
        for number in first..=last {
            // Only after a footer.
            let Current::Next { length, .. } = current else {
                return Err(damaged(number.saturating_sub(1), 0, Damage::Footer));
            };
            let bytes = self.read(&segment_path(number))?;
            let header = self.header(&bytes, number, length)?;
            self.replay.begin(&header);
            let has_one = number == 1 || (is_read && number == first);
            if number == last && self.options.tail.is_some() && !has_one {
                self.at_last = Some(self.replay.so_far(header));
            }
            current = if header.generation == 0 {
                self.segment(&bytes, header, number == last, &mut keys)?
            } else if number == last {
                // Only one that others follow is ever rewritten.
                return Err(damaged(number, 0, Damage::Header));
            } else {
                self.rewritten(&bytes, header, &mut keys)?
            };
        }
        if let Some(head) = self.head.filter(|_| !self.head_met) {
            return Err(damaged(head.segment, head.length.into(), Damage::Head));
        }
        Ok(current)
    }

    /// All that was read, from segment `from` on.
    fn finish(
        self,
        from: u32,
        current: Current,
        warnings: &[Warning],
    ) -> Result<Scanned, OpenError> {
        let key = &self.options.store_key;
        let due = self
            .at_last
            .map(|(state, rows)| rows::complete(key, state, rows).map(Box::new))
            .transpose()?;
        let (mut index, sources) = self.replay.finish().map_err(at_fault)?;
        let carry = match current {
            Current::Open(at) => sources
                .read
                .iter()
                .any(|((table, _), (place, _))| is_secret(*table) && place.segment < at.segment),
            // All of them are, in the next one.
            Current::Next { .. } => false,
        };
        rows::enter(key, sources, &mut index)?;
        let mut warnings = [warnings, &self.warnings].concat();
        if self.options.tail.is_some() {
            let lost = index.checkpoints.keys().filter(|segment| **segment > from);
            warnings.extend(lost.map(|segment| Warning::Checkpoint { segment: *segment }));
        }
        Ok(Scanned {
            index,
            counts: self.counts,
            current,
            store: self.store,
            warnings,
            due,
            carry: carry && self.options.tail.is_some(),
            from,
        })
    }

    /// Without the last segment, if it was being made when the store went down, and holds nothing:
    /// it counts as not there, and is made again when it is needed.
    fn without_unmade<'a>(
        &self,
        segments: &'a [u32],
        warnings: &mut Vec<Warning>,
    ) -> Result<&'a [u32], OpenError> {
        let Some((segment, before)) = segments.split_last() else {
            return Ok(segments);
        };
        let path = segment_path(*segment);
        let mut header = [0; SEGMENT_LEN];
        let length = self.disk.len(&path).map_err(disk_error(&path))?;
        if length >= SEGMENT_LEN as u64 {
            let read = self.disk.read_at(&path, 0, &mut header);
            read.map_err(disk_error(&path))?;
        }
        let promised = self.head.is_some_and(|head| head.segment >= *segment);
        if SegmentMark::decode(&header, HEADER_MAGIC) != Err(Unread::Invalid) || promised {
            return Ok(segments);
        }
        let bytes = self.read(&path)?;
        if self.holds_more(&bytes, 0, *segment, 0) {
            return Ok(segments);
        }
        if bytes.iter().any(|byte| *byte != 0) {
            warnings.push(Warning::TornTail {
                segment: *segment,
                offset: 0,
            });
        }
        Ok(before)
    }

    fn read(&self, path: &str) -> Result<bytes::Bytes, OpenError> {
        let length = self.disk.len(path).map_err(disk_error(path))?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.disk
            .read_at(path, 0, &mut bytes)
            .map_err(disk_error(path))?;
        Ok(bytes.into())
    }

    /// The header of a segment.
    fn header(
        &mut self,
        bytes: &[u8],
        segment: u32,
        before: u64,
    ) -> Result<SegmentMark, OpenError> {
        let header = match SegmentMark::decode(bytes, HEADER_MAGIC) {
            Ok(header) => header,
            Err(Unread::Version(found)) => return Err(OpenError::Version { segment, found }),
            Err(Unread::Invalid) => return Err(damaged(segment, 0, Damage::Header)),
        };
        let expected = self.options.owner;
        if header.owner != *expected.as_bytes() {
            let found = PublicKey::from_bytes(&header.owner);
            let found = found.map_err(|_| damaged(segment, 0, Damage::Header))?;
            return Err(OpenError::Owner { found, expected });
        }
        if !self.options.store_key.has_check(&header.check) {
            return Err(OpenError::StoreKey);
        }
        let same_store = self.store.is_none_or(|store| store == header.store);
        let follows = header.segment == segment && header.counts == self.counts;
        if !same_store || !follows || (segment > 1 && before == 0) {
            return Err(damaged(segment, 0, Damage::Header));
        }
        self.store = Some(header.store);
        Ok(header)
    }

    /// Whether `HEAD` says that there is more than up to here.
    pub(super) fn promised(&self, segment: u32, offset: u64) -> bool {
        self.head
            .is_some_and(|head| (head.segment, u64::from(head.length)) > (segment, offset))
    }

    /// Looks whether `HEAD` is of this place.
    pub(super) fn meet(&mut self, segment: u32, offset: u64) -> Result<(), OpenError> {
        let Some(head) = self.head else { return Ok(()) };
        if (head.segment, u64::from(head.length)) != (segment, offset) {
            return Ok(());
        }
        let store = self.store.as_ref().map(store_prefix);
        if head.chain != self.counts.chain
            || head.records != self.counts.records
            || Some(head.store) != store
        {
            return Err(damaged(segment, offset, Damage::Head));
        }
        self.head_met = true;
        Ok(())
    }
}
