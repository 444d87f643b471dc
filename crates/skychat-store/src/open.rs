//! Opening: every segment is read, and the index is built from it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use skychat_identity::{KeyCache, PublicKey};
use skychat_proto::ids::{EventSeq, FeedId, Incarnation, TableId};
use skychat_seal::StoreKey;
use tracing::{info, warn};

use crate::ahead::Ahead;
use crate::ballast::Ballast;
use crate::disk::Disk;
use crate::error::{Damage, OpenError, Warning};
use crate::index::{Index, Tail, Tip};
use crate::layout::{
    Counts, FOOTER_MAGIC, GROUP_LEN, GROUP_MAGIC, GroupHeader, HEAD_FILE, HEAD_LEN, HEADER_MAGIC,
    HeadFile, JOURNAL, SEGMENT_LEN, STORE_LEN, SegmentMark, StoreId, Unread, segment_number,
    segment_path, store_prefix,
};
use crate::reader::StoreReader;
use crate::record::{LIVES, is_own, open_row};
use crate::replay::{Fault, Replay};
use crate::shared::Shared;
use crate::writer::{At, Current, SegmentSizes, StoreWriter};

/// What is needed to open a store.
#[derive(Debug)]
pub struct OpenOptions {
    /// Whose store it is.
    pub owner: PublicKey,
    /// What content and rows are sealed under.
    pub store_key: StoreKey,
    /// The life that writes from now on. Used by one life only.
    pub incarnation: Incarnation,
    /// Random bytes for nonces and, in a new store, its name.
    pub seed: [u8; 32],
    /// How large segments are made.
    pub segments: SegmentSizes,
    /// How many ranges and messages are kept in memory, if there is an index on disk for what is
    /// older ([`crate::MAX_TAIL`] is the usual number); `None`: all, for a store in memory.
    pub tail: Option<usize>,
}

impl OpenOptions {
    /// With segments of the usual sizes, and all in memory.
    pub fn new(
        owner: PublicKey,
        store_key: StoreKey,
        incarnation: Incarnation,
        seed: [u8; 32],
    ) -> Self {
        OpenOptions {
            owner,
            store_key,
            incarnation,
            seed,
            segments: SegmentSizes::default(),
            tail: None,
        }
    }
}

/// What machines go on from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// All live rows, opened, without those of [`EVENT`](skychat_proto::record::tables::EVENT).
    pub tables: BTreeMap<(TableId, Vec<u8>), Vec<u8>>,
    /// How far each feed goes.
    pub tips: BTreeMap<FeedId, Tip>,
    /// The number of the last event.
    pub events: EventSeq,
    /// What was not as expected.
    pub warnings: Vec<Warning>,
}

/// A store: a journal and its index.
#[derive(Debug)]
pub struct Store;

impl Store {
    /// Opens the store on this disk, or makes one if there is nothing yet.
    ///
    /// All of the journal is read. What was being written when the store went down is cut, and
    /// overwritten by the next group; nothing else is ever taken away here (JRN-5).
    ///
    /// # Errors
    /// [`OpenError`]; nothing was altered.
    pub fn open(
        disk: impl Disk + 'static,
        options: OpenOptions,
    ) -> Result<(StoreWriter, StoreReader, Recovered), OpenError> {
        open(Box::new(disk), options)
    }
}

fn disk_error(path: &str) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Disk { path, source }
}

fn damaged(segment: u32, offset: u64, what: Damage) -> OpenError {
    OpenError::Damaged {
        segment,
        offset,
        what,
    }
}

fn open(
    disk: Box<dyn Disk>,
    options: OpenOptions,
) -> Result<(StoreWriter, StoreReader, Recovered), OpenError> {
    let mut rng = ChaCha20Rng::from_seed(options.seed);
    let mut warnings = Vec::new();
    let (head, head_made) = read_head(&*disk)?;
    let names = disk.list(JOURNAL).map_err(disk_error(JOURNAL))?;
    let segments: Vec<u32> = names
        .iter()
        .filter_map(|name| segment_number(name))
        .collect();

    let mut scan = Scan {
        disk: &*disk,
        options: &options,
        head,
        head_met: false,
        replay: Replay::new(options.tail.map_or(Tail::whole(), Tail::bounded)),
        counts: Counts::default(),
        store: None,
        warnings: &mut warnings,
    };
    let current = scan.run(&segments)?;
    let fresh = scan.store.is_none();
    let Scan {
        replay,
        counts,
        store,
        ..
    } = scan;
    let (mut index, rows) = replay.finish().map_err(at_fault)?;
    let mut tables = BTreeMap::new();
    for ((table, key), (place, sealed)) in rows {
        let value = open_row(&options.store_key, table, &key, &sealed)
            .ok_or_else(|| damaged(place.segment, place.offset, Damage::Row))?;
        if table == LIVES {
            let life = Incarnation::from_slice(&key);
            let first = value.first_chunk().map(|first| u64::from_be_bytes(*first));
            let (Some(life), Some(first)) = (life, first) else {
                return Err(damaged(place.segment, place.offset, Damage::Row));
            };
            index.lives.push((place.record, EventSeq::new(first), life));
        } else if !is_own(table) {
            tables.insert((table, key.clone()), value.to_vec());
            index.put(table, key, value);
        }
    }
    // In the order in which they began.
    index.lives.sort_by_key(|(record, ..)| *record);
    let known = index.lives.last().map(|(.., life)| *life) == Some(options.incarnation);
    index.groups = counts.groups;
    index.records = counts.records;

    if !fresh && (head.is_none()) {
        warnings.push(Warning::NoHead);
    }
    for warning in &warnings {
        warn!(%warning, "store");
    }
    let tips = index
        .feeds
        .iter()
        .filter(|(_, feed)| feed.tip != Tip::START);
    let recovered = Recovered {
        tables,
        tips: tips.map(|(id, feed)| (*id, feed.tip)).collect(),
        events: index.last_event(),
        warnings,
    };
    let store = store.unwrap_or_else(|| {
        let mut store = [0; STORE_LEN];
        rng.fill_bytes(&mut store);
        store
    });
    let OpenOptions {
        owner,
        store_key,
        incarnation,
        segments: sizes,
        ..
    } = options;
    let shared = Arc::new(Shared::new(disk, store_key, store, Ahead::default(), index));
    let mut writer = StoreWriter {
        shared: Arc::clone(&shared),
        owner: *owner.as_bytes(),
        sizes,
        rng,
        counts,
        current,
        life: (!known).then_some(incarnation),
        head_made,
        head_dirty: false,
        poisoned: false,
        waiting: None,
        ballast: Ballast::default(),
    };
    writer.settle(fresh)?;
    info!(
        groups = counts.groups,
        records = counts.records,
        events = counts.events,
        "store open"
    );
    Ok((writer, StoreReader::new(shared), recovered))
}

impl StoreWriter {
    /// What was read may be in the cache of the system only: it is told to nobody before it is on
    /// disk.
    fn settle(&mut self, fresh: bool) -> Result<(), OpenError> {
        match self.current {
            Current::Next { segment, .. } if fresh => {
                let path = segment_path(segment);
                self.create(segment, 0).map_err(disk_error(&path))?;
            }
            Current::Next { segment, length } => {
                let path = segment_path(segment.saturating_sub(1));
                self.end_segment(&path, length).map_err(disk_error(&path))?;
            }
            Current::Open(at) => {
                let path = segment_path(at.segment);
                let synced = self.shared.disk.sync(&path);
                synced.map_err(disk_error(&path))?;
            }
        }
        let synced = self.shared.disk.sync_dir(JOURNAL);
        synced.map_err(disk_error(JOURNAL))?;
        self.write_head();
        self.sync_head().map_err(disk_error(HEAD_FILE))
    }
}

impl StoreWriter {
    /// A segment with a footer ends there: it may have been cut to its length, or not yet.
    fn end_segment(&self, path: &str, length: u64) -> io::Result<()> {
        let disk = &self.shared.disk;
        if disk.len(path)? > length {
            disk.truncate(path, length)?;
        }
        disk.sync(path)
    }
}

/// `HEAD`, if it is valid, and whether there is a file of that length; else it is made anew.
fn read_head(disk: &dyn Disk) -> Result<(Option<HeadFile>, bool), OpenError> {
    let length = match disk.len(HEAD_FILE) {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, false)),
        Err(error) => return Err(disk_error(HEAD_FILE)(error)),
    };
    if length != HEAD_LEN as u64 {
        return Ok((None, false));
    }
    let mut bytes = [0; HEAD_LEN];
    disk.read_at(HEAD_FILE, 0, &mut bytes)
        .map_err(disk_error(HEAD_FILE))?;
    Ok((HeadFile::decode(&bytes).ok(), true))
}

fn at_fault(fault: Fault) -> OpenError {
    damaged(fault.segment, fault.offset, fault.what)
}

struct Scan<'a> {
    disk: &'a dyn Disk,
    options: &'a OpenOptions,
    head: Option<HeadFile>,
    head_met: bool,
    replay: Replay,
    counts: Counts,
    store: Option<StoreId>,
    warnings: &'a mut Vec<Warning>,
}

impl Scan<'_> {
    fn run(&mut self, segments: &[u32]) -> Result<Current, OpenError> {
        let mut keys = KeyCache::new();
        let mut current = Current::Next {
            segment: 1,
            length: 0,
        };
        let segments = self.without_unmade(segments)?;
        for (number, segment) in (1..).zip(segments) {
            if number != *segment {
                return Err(damaged(number, 0, Damage::Missing));
            }
            // Only after a footer.
            let Current::Next { length, .. } = current else {
                return Err(damaged(number.saturating_sub(1), 0, Damage::Footer));
            };
            let last = number as usize == segments.len();
            let bytes = self.read(&segment_path(number))?;
            let header = self.header(&bytes, number, length)?;
            current = self.segment(&bytes, header, last, &mut keys)?;
        }
        if let Some(head) = self.head.filter(|_| !self.head_met) {
            return Err(damaged(head.segment, head.length.into(), Damage::Head));
        }
        Ok(current)
    }

    /// Without the last segment, if it was being made when the store went down, and holds nothing:
    /// it counts as not there, and is made again when it is needed.
    fn without_unmade<'a>(&mut self, segments: &'a [u32]) -> Result<&'a [u32], OpenError> {
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
            self.warnings.push(Warning::TornTail {
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
    fn promised(&self, segment: u32, offset: u64) -> bool {
        self.head
            .is_some_and(|head| (head.segment, u64::from(head.length)) > (segment, offset))
    }

    /// Looks whether `HEAD` is of this place.
    fn meet(&mut self, segment: u32, offset: u64) -> Result<(), OpenError> {
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

    /// Whether anything from `from` on shows that group `after` was committed: a later group, or the
    /// end of the segment behind it.
    fn holds_more(&self, bytes: &[u8], from: usize, segment: u32, after: u64) -> bool {
        let mut at = from;
        while let Some(rest) = bytes.get(at..) {
            let Some(skip) = rest.iter().position(|byte| *byte == GROUP_MAGIC[0]) else {
                return false;
            };
            at = at.saturating_add(skip);
            let rest = bytes.get(at..).unwrap_or_default();
            let ours = |store: StoreId| self.store.is_none_or(|known| known == store);
            if let Ok(group) = GroupHeader::decode(rest, at as u64)
                && group.number > after
                && ours(group.store)
                && group.segment == segment
            {
                return true;
            }
            if let Ok(footer) = SegmentMark::decode(rest, FOOTER_MAGIC)
                && footer.counts.groups >= after
                && ours(footer.store)
                && footer.segment == segment
            {
                return true;
            }
            at = at.saturating_add(1);
        }
        false
    }

    fn segment(
        &mut self,
        bytes: &bytes::Bytes,
        header: SegmentMark,
        last: bool,
        keys: &mut KeyCache,
    ) -> Result<Current, OpenError> {
        let segment = header.segment;
        let mut at = SEGMENT_LEN;
        self.meet(segment, at as u64)?;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if let Ok(footer) = SegmentMark::decode(rest, FOOTER_MAGIC) {
                let expected = SegmentMark {
                    counts: self.counts,
                    ..header
                };
                let end = at.saturating_add(SEGMENT_LEN);
                if footer == expected && (last || end == bytes.len()) {
                    self.replay.bytes = self.replay.bytes.saturating_add(end as u64);
                    self.meet(segment, end as u64)?;
                    // `HEAD` may have been written just before the footer.
                    let next = segment.saturating_add(1);
                    return Ok(Current::Next {
                        segment: next,
                        length: end as u64,
                    });
                }
            }
            match self.group(bytes, at, &header, keys) {
                Ok(end) => {
                    at = end;
                    self.meet(segment, at as u64)?;
                }
                Err(Stop::Version(found)) => return Err(OpenError::Version { segment, found }),
                Err(Stop::Fault(fault)) => {
                    let next = self.counts.groups.saturating_add(1);
                    if !last {
                        return Err(match fault.what {
                            Damage::Group => damaged(segment, at as u64, Damage::Footer),
                            _ => at_fault(fault),
                        });
                    }
                    if self.promised(segment, at as u64)
                        || self.holds_more(bytes, at, segment, next)
                    {
                        return Err(at_fault(fault));
                    }
                    return Ok(Current::Open(self.tail(
                        rest,
                        segment,
                        header.generation,
                        at,
                    )));
                }
            }
        }
    }

    /// Where the next group goes: behind the last one that is whole.
    fn tail(&mut self, rest: &[u8], segment: u32, generation: u32, at: usize) -> At {
        let offset = at as u64;
        let used = rest.iter().rposition(|byte| *byte != 0);
        let dirty = used.map_or(offset, |last| {
            self.warnings.push(Warning::TornTail { segment, offset });
            offset.saturating_add(last as u64).saturating_add(1)
        });
        self.replay.bytes = self.replay.bytes.saturating_add(offset);
        At {
            segment,
            generation,
            offset,
            capacity: offset.saturating_add(rest.len() as u64),
            dirty,
        }
    }

    /// Reads the group at `at`, and enters it; gives where it ends.
    fn group(
        &mut self,
        bytes: &bytes::Bytes,
        at: usize,
        mark: &SegmentMark,
        keys: &mut KeyCache,
    ) -> Result<usize, Stop> {
        let segment = mark.segment;
        let fault = |what| {
            Stop::Fault(Fault {
                segment,
                offset: at as u64,
                what,
            })
        };
        let rest = bytes.get(at..).unwrap_or_default();
        let header = GroupHeader::decode(rest, at as u64).map_err(|error| match error {
            Unread::Version(found) if rest.get(6..6 + STORE_LEN) == Some(&mark.store) => {
                Stop::Version(found)
            }
            _ => fault(Damage::Group),
        })?;
        let expected = GroupHeader {
            store: mark.store,
            segment,
            generation: mark.generation,
            number: self.counts.groups.saturating_add(1),
            ..header
        };
        let start = at.saturating_add(GROUP_LEN);
        let length = usize::try_from(header.length).map_err(|_| fault(Damage::Group))?;
        let end = start
            .checked_add(length)
            .ok_or_else(|| fault(Damage::Group))?;
        if header != expected || header.records == 0 || end > bytes.len() {
            return Err(fault(Damage::Group));
        }
        let (group, counts) =
            Replay::read(bytes, start..end, &header, self.counts).map_err(Stop::Fault)?;
        // In the last group every body counts.
        if let Some(fault) = group.uncovered_body(keys) {
            let open_end = !self.promised(segment, at as u64)
                && !self.holds_more(bytes, end, segment, header.number);
            if open_end {
                return Err(Stop::Fault(fault));
            }
        }
        self.replay.enter(group, keys).map_err(Stop::Fault)?;
        self.counts = counts;
        Ok(end)
    }
}

enum Stop {
    Fault(Fault),
    Version(u16),
}

/// What the index is built from.
pub(crate) type Rows = BTreeMap<(TableId, Vec<u8>), (crate::index::Place, bytes::Bytes)>;

/// For [`Replay::finish`].
pub(crate) type Built = (Index, Rows);
