//! Looking at a store without opening it: all of it is read, and nothing is altered.

use skychat_identity::PublicKey;
use skychat_seal::StoreKey;

use crate::disk::Disk;
use crate::error::{OpenError, Warning};
use crate::gather::{Ahead, Gatherer, KeptGroup};
use crate::layout::{Chain, StoreId};
use crate::loss::Loss;
use crate::survey::{Progress, Survey, Whose};

/// What is known of a store that is to be looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions<'a> {
    /// Whose it has to be; `None`: anybody's.
    pub owner: Option<PublicKey>,
    /// What it is sealed under; `None`: what is sealed is not opened.
    pub store_key: Option<&'a StoreKey>,
    /// The file beside the index that says up to where it goes.
    pub index_mark: Option<&'a [u8]>,
}

/// What is in a store, and what is not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Whose it is; `None`: nothing says so.
    pub owner: Option<PublicKey>,
    /// Segments that were read.
    pub segments: u32,
    /// The number of the last group.
    pub groups: u64,
    /// Records that can be read.
    pub records: u64,
    /// Events among them.
    pub events: u64,
    /// Messages among them.
    pub messages: u64,
    /// Bytes of the journal in use.
    pub bytes: u64,
    /// Where something is lost, in the order of the journal.
    pub losses: Vec<Loss>,
    /// Further places that are not named.
    pub more_losses: u64,
    /// What is not as expected, and no loss.
    pub warnings: Vec<Warning>,
    /// The index on disk.
    pub index: IndexState,
}

impl CheckReport {
    /// Whether nothing is lost.
    pub fn is_whole(&self) -> bool {
        self.losses.is_empty()
    }
}

/// What the mark of an index says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexState {
    /// There is none: the index will be made from the journal.
    Absent,
    /// It is not valid, or of another journal: the index will be made again.
    Unfit,
    /// The index goes up to this group.
    UpTo(u64),
}

/// Looks at the store on this disk: reads all of it, and opens what is sealed.
///
/// # Errors
/// [`OpenError`]: it is somebody else's or sealed under another key, of a later version, or the
/// disk failed. Damage is no error: it is in the report.
pub fn check(
    disk: &dyn Disk,
    options: CheckOptions<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, OpenError> {
    run::<OpenError>(disk, options, None, progress, &mut |_| Ok(()))
}

/// The same, and hands over what the store says, group by group, opened: what is left of it after
/// damage. A group of which nothing is left is left out. All of it is read twice, so that nothing is
/// handed over that a later group drops.
///
/// # Errors
/// As [`check`], and what `each` says.
pub fn gather<E: From<OpenError>>(
    disk: &dyn Disk,
    options: CheckOptions<'_>,
    progress: &mut dyn FnMut(Progress),
    each: &mut dyn FnMut(KeptGroup) -> Result<(), E>,
) -> Result<CheckReport, E> {
    let mut survey = Survey::new(disk, whose(&options))?;
    let mut first = Gatherer::new(None, None);
    let mut half = |now: Progress| {
        progress(Progress {
            read: now.read / 2,
            ..now
        });
    };
    survey.run::<OpenError>(&mut half, &mut |group, losses| {
        first.group(group, losses);
        Ok(())
    })?;
    let ahead = first.ahead();
    let mut rest = |now: Progress| {
        let read = now.total.saturating_sub(now.read) / 2;
        progress(Progress {
            read: now.total.saturating_sub(read),
            ..now
        });
    };
    run(disk, options, Some(&ahead), &mut rest, each)
}

fn whose<'a>(options: &CheckOptions<'a>) -> Whose<'a> {
    Whose {
        owner: options.owner,
        key: options.store_key,
    }
}

fn run<E: From<OpenError>>(
    disk: &dyn Disk,
    options: CheckOptions<'_>,
    ahead: Option<&Ahead>,
    progress: &mut dyn FnMut(Progress),
    each: &mut dyn FnMut(KeptGroup) -> Result<(), E>,
) -> Result<CheckReport, E> {
    let mut survey = Survey::new(disk, whose(&options))?;
    let mut gatherer = Gatherer::new(options.store_key, ahead);
    let mark = mark(options.index_mark);
    let mut marked = false;
    survey.run::<E>(progress, &mut |group, losses| {
        marked |= mark.is_some_and(|mark| (mark.group, mark.chain) == (group.number, group.chain));
        let kept = gatherer.group(group, losses);
        if kept.records.is_empty() && kept.life.is_none() {
            return Ok(());
        }
        each(kept)
    })?;
    let (messages, events) = gatherer.finish(&mut survey.losses);
    let of_this =
        mark.filter(|mark| Some(mark.store) == survey.store && (marked || mark.group == 0));
    let index = match (options.index_mark, of_this) {
        (None, _) => IndexState::Absent,
        (Some(_), Some(mark)) => IndexState::UpTo(mark.group),
        (Some(_), None) => IndexState::Unfit,
    };
    let (losses, more_losses) = survey.losses.into_parts();
    Ok(CheckReport {
        owner: survey.owner,
        segments: survey.segments,
        groups: survey.counts.groups,
        records: survey.records,
        events,
        messages,
        bytes: survey.bytes,
        losses,
        more_losses,
        warnings: survey.warnings,
        index,
    })
}

/// Up to where an index goes.
#[derive(Clone, Copy)]
struct Mark {
    store: StoreId,
    group: u64,
    chain: Chain,
}

#[cfg(feature = "sled")]
fn mark(bytes: Option<&[u8]>) -> Option<Mark> {
    let mark = crate::deep::IndexMark::decode(bytes?)?;
    Some(Mark {
        store: mark.store,
        group: mark.group,
        chain: mark.chain,
    })
}

/// Nothing here makes an index, so none fits.
#[cfg(not(feature = "sled"))]
const fn mark(_: Option<&[u8]>) -> Option<Mark> {
    None
}
