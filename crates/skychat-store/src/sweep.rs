//! Sweeps (JRN-6): what was dropped, and values of rows that others took the place of, are
//! overwritten with zeros where they stand, beside the commits.
//!
//! What is to be overwritten is in a bounded list, which checkpoints carry, so that it survives a
//! crash. It is taken from the list once it is overwritten and synced.

mod list;
mod look;
mod wipe;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

use skychat_identity::KeyCache;
use skychat_proto::ids::{FeedId, Position, Seq};
use tracing::{debug, warn};

pub(crate) use list::{MAX_ROWS, MAX_SPANS, Unswept};

use crate::disk::is_full;
use crate::error::ReadError;
use crate::index::{Place, RecordId};
use crate::layout::{CRC_LEN, RECORD_LEN, RecordKind, segment_path};
use crate::reader::StoreReader;
use crate::record::{ContentMeta, Span};
use crate::shared::Shared;
use crate::walk::{Locator, Walk};
use wipe::{Wiped, wipe_body, wipe_entries};

/// Rows in one step.
const ROWS: usize = 64;
/// Entries, and bytes of their ranges, in one step.
const ENTRIES: u64 = 4096;
const BYTES: usize = 1024 * 1024;

/// How many sweeps there were since the start. Each overwrites what was dead when it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweeps {
    /// How many began.
    pub begun: u64,
    /// The number of the last one that came to its end; the first is 1.
    pub ended: u64,
}

/// One sweep: what was listed when it began.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Which of this start it is.
    number: u64,
    /// What is left to do.
    rows: VecDeque<RecordId>,
    spans: VecDeque<Span>,
    look: Option<look::Look>,
    /// What will have been done at its end.
    swept: Unswept,
    tally: Tally,
}

/// What a sweep did to segments.
#[derive(Debug, Default)]
struct Tally {
    /// Those that were written to.
    dirty: BTreeSet<u32>,
    /// How many bytes of each are dead.
    dead: BTreeMap<u32, u64>,
}

impl Tally {
    fn add(&mut self, segment: u32, wiped: Wiped) {
        if wiped.written {
            self.dirty.insert(segment);
        }
        let dead = self.dead.entry(segment).or_insert(0);
        *dead = dead.saturating_add(wiped.dead);
    }
}

/// Why something was not overwritten.
enum Failed {
    Read(ReadError),
    Disk(io::Error),
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Failed::Read(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Failed::Disk(error)
    }
}

/// Overwrites what is dead, beside the one who writes and on a thread of its own. It never touches
/// what is not committed.
///
/// A full disk is no matter: it is tried again at the next sweep. After any other error of the disk
/// the writer writes nothing more, as after one of its own.
#[derive(Clone, Debug)]
pub struct Sweeper {
    shared: Arc<Shared>,
}

impl Sweeper {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Sweeper { shared }
    }

    /// Whether there is anything to overwrite.
    pub fn has_work(&self) -> bool {
        !self.shared.read().unswept.is_empty()
    }

    /// Whether there is so much of it that it should not wait.
    pub fn is_pressing(&self) -> bool {
        self.shared.read().unswept.is_pressing()
    }

    /// Does a part of a sweep: about 64 rows, or 1 MiB of ranges or of a look at all of the journal; begins
    /// one if none is under way. The last part syncs what was overwritten. Whether this sweep goes
    /// on.
    pub fn step(&self) -> bool {
        let mut chores = self.shared.chores.lock();
        // One that copies a segment is not to miss what is overwritten meanwhile.
        if self.shared.ahead.is_broken() || chores.work.is_some() {
            return false;
        }
        let mut round = match chores.round.take() {
            Some(round) => round,
            None => match self.begin() {
                Some(round) => round,
                None => return false,
            },
        };
        match self.go_on(&mut round) {
            Ok(true) => {
                chores.round = Some(round);
                true
            }
            Ok(false) => {
                // What came meanwhile, or was not found yet, is left for the next sweep.
                let mut index = self.shared.write();
                index.unswept.done(&round.swept);
                index.sweeps.ended = round.number;
                for (segment, bytes) in round.tally.dead {
                    index.add_dead(segment, bytes);
                }
                false
            }
            Err(error) => {
                if is_full(&error) {
                    debug!(%error, "a sweep was given up for now");
                } else {
                    warn!(%error, "a sweep failed");
                    self.shared.ahead.break_down();
                }
                false
            }
        }
    }

    fn begin(&self) -> Option<Box<Round>> {
        let mut index = self.shared.write();
        if index.unswept.is_empty() {
            return None;
        }
        index.sweeps.begun = index.sweeps.begun.saturating_add(1);
        let listed = &index.unswept;
        Some(Box::new(Round {
            number: index.sweeps.begun,
            rows: listed.rows.iter().copied().collect(),
            spans: listed.spans().collect(),
            look: listed.all.map(|group| look::Look::new(&index, group)),
            swept: listed.clone(),
            tally: Tally::default(),
        }))
    }

    /// A part of a sweep; whether there is more of it.
    fn go_on(&self, round: &mut Round) -> io::Result<bool> {
        if !round.rows.is_empty() {
            let count = round.rows.len().min(ROWS);
            let rows: Vec<RecordId> = round.rows.drain(..count).collect();
            let mut locator = Locator::new(&self.shared);
            for row in rows {
                let done = self.row(&mut locator, row, &mut round.tally);
                if !finished(done)? {
                    round.swept.rows.remove(&row);
                }
            }
            return Ok(true);
        }
        if let Some(span) = round.spans.pop_front() {
            match self.blocks(&span, &mut round.tally) {
                Ok(Some(at)) => round.spans.push_front(Span { from: at, ..span }),
                Ok(None) => {}
                Err(failed) => {
                    if !finished(Err(failed))? {
                        round.swept.spans.remove(&(span.feed, span.parts));
                    }
                }
            }
            return Ok(true);
        }
        if let Some(look) = &mut round.look {
            match look.go_on(&self.shared, &mut round.tally) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(failed) => {
                    if !finished(Err(failed))? {
                        round.swept.all = None;
                    }
                }
            }
            round.look = None;
            return Ok(true);
        }
        for segment in std::mem::take(&mut round.tally.dirty) {
            self.shared.disk.sync(&segment_path(segment))?;
        }
        Ok(false)
    }

    /// The value of a row.
    fn row(&self, locator: &mut Locator, row: RecordId, tally: &mut Tally) -> Result<(), Failed> {
        // It may have been left out when its segment was rewritten.
        let Some(passed) = locator.seek(row)? else {
            return Ok(());
        };
        if passed.kind == RecordKind::Put {
            let wiped = wipe_body(&*self.shared.disk, &passed.place)?;
            let dead = dead_row(&passed.place);
            tally.add(passed.place.segment, Wiped { dead, ..wiped });
        }
        Ok(())
    }

    /// Some ranges of a span; where to go on, if there are more.
    fn blocks(&self, span: &Span, tally: &mut Tally) -> Result<Option<Position>, Failed> {
        let reader = StoreReader::new(Arc::clone(&self.shared));
        let to = span.to.min(span.from.saturating_add(ENTRIES));
        let found = reader.blocks(&span.feed, span.from, to, BYTES)?;
        let blocks = found.map(|(blocks, _)| blocks).unwrap_or_default();
        let mut keys = KeyCache::knowing(span.feed.author);
        let mut next = None;
        let mut groups: BTreeSet<u64> = BTreeSet::new();
        for place in &blocks {
            let (head, _) = reader.record(place, false)?;
            if span.parts.has_bodies() {
                let is_dropped = |seq: Seq| span.has(seq);
                let disk = &*self.shared.disk;
                let wiped = wipe_entries(disk, place, &head, &mut keys, is_dropped)?;
                tally.add(place.segment, wiped);
            }
            next = Some(crate::reader::bodiless(&head, place, &mut keys)?.end());
            groups.insert(place.record.group);
            if next.is_some_and(|next| next >= span.to) {
                break;
            }
        }
        if span.parts.has_contents() {
            for group in groups {
                self.contents(group, span, &mut keys, tally)?;
            }
        }
        Ok(next.filter(|next| *next < span.to))
    }

    /// The contents of a span in one group.
    fn contents(
        &self,
        group: u64,
        span: &Span,
        keys: &mut KeyCache,
        tally: &mut Tally,
    ) -> Result<(), Failed> {
        let first = RecordId { group, index: 0 };
        let Some(mut walk) = Walk::before(&self.shared, first)? else {
            return Ok(());
        };
        let mut ranges: Vec<(u16, FeedId, Seq)> = Vec::new();
        while let Some(passed) = walk.next()? {
            let record = passed.place.record;
            if record.group > group {
                break;
            }
            if record.group < group {
                continue;
            }
            match passed.kind {
                RecordKind::Entry => {
                    let range = crate::reader::heads(&passed, keys)?;
                    ranges.push((record.index, range.feed(), range.first()));
                }
                RecordKind::Content => {
                    let of = told(&passed.meta, record, &ranges, keys);
                    let dead = of.is_some_and(|(feed, seq)| feed == span.feed && span.has(seq));
                    if dead {
                        let wiped = wipe_body(&*self.shared.disk, &passed.place)?;
                        tally.add(passed.place.segment, wiped);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Which entry a content is of, with the ranges of its group by their numbers.
fn told(
    meta: &[u8],
    record: RecordId,
    ranges: &[(u16, FeedId, Seq)],
    keys: &mut KeyCache,
) -> Option<(FeedId, Seq)> {
    let ContentMeta::Entry { back, row } = ContentMeta::decode(meta, keys)? else {
        return None;
    };
    let range = record.index.checked_sub(back)?;
    let at = ranges.binary_search_by_key(&range, |(index, ..)| *index);
    let (_, feed, first) = ranges.get(at.ok()?)?;
    Some((*feed, first.checked_add(row.into())?))
}

/// Whether something is done: if it cannot be found for now, it is left for the next sweep; if it
/// is damaged, there is nothing that could be overwritten.
fn finished(result: Result<(), Failed>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Failed::Read(ReadError::Indexing)) => Ok(false),
        Err(Failed::Read(ReadError::Disk { source, .. }) | Failed::Disk(source)) => Err(source),
        Err(Failed::Read(error)) => {
            warn!(%error, "something that is dead was not overwritten");
            Ok(true)
        }
    }
}

/// Bytes of a row that is dead: it can be left out as a whole.
pub(crate) fn dead_row(place: &Place) -> u64 {
    let fixed = (RECORD_LEN + CRC_LEN) as u64;
    let rest = u64::from(place.meta).saturating_add(place.body.into());
    fixed.saturating_add(rest)
}

/// Whether a value that stands here is dead: a log is not, and the rows of the store's own are
/// told to nobody.
pub(crate) fn is_swept(table: skychat_proto::ids::TableId) -> bool {
    table != skychat_proto::record::tables::EVENT && !crate::record::is_own(table)
}
