//! Writing out what was said, for people, other programs, and an import.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use skychat_api::{Kept, Message};
use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::{EventSeq, Incarnation};
use skychat_store::{
    CheckOptions, EventView, FileDisk, OpenOptions, Progress, ReadOnly, Store, StoreReader,
};

use super::archive::ArchiveLines;
use super::rebuild::{identity_if_there, read_key};
use super::{UpkeepError, ended, open_dir, random};
use crate::ReadError;
use crate::messages::{Messages, record};
use crate::waiters::Waiters;

/// Events that are read at once.
const PAGE: usize = 256;
/// Ways through the journal: one for the messages, two for the history.
const WAYS: u64 = 3;

/// What was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Whose history it is.
    pub public_key: PublicKey,
    /// Messages that were written out.
    pub messages: u64,
    /// Groups of the history.
    pub groups: u64,
    /// Records of it.
    pub records: u64,
    /// Whether its owner signed it; nobody imports what is not signed.
    pub signed: bool,
}

/// Writes all messages of a data directory to `out`, in the order in which they came here, and behind
/// them the history they are from, a JSON document a line (`docs/protocol/archive.md`). Nothing of
/// it is sealed; the state of keys is not in it. Nothing in the directory is altered.
///
/// The identity that signs it is the one that is `given`, as a start would be, or that of
/// `identity.key`. Without one it is not signed, and is for readers only.
///
/// # Errors
/// [`UpkeepError`]: the store is damaged, or of another identity; [`UpkeepError::Output`] if `out`
/// took no more. What was written is of no use then.
pub fn export(
    dir: &Path,
    out: &mut dyn Write,
    given: Option<SecretKey>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Exported, UpkeepError> {
    let held = open_dir(dir)?;
    ended(dir)?;
    if !held.has_journal() {
        return Err(UpkeepError::Nothing { dir: dir.into() });
    }
    let signer = match given {
        Some(given) => Some(given),
        None => identity_if_there(&held)?,
    };
    let owner = match &signer {
        Some(signer) => signer.public(),
        None => owner_of_journal(dir)?,
    };
    let life = Incarnation::from_bytes(random()?);
    // Messages are read by their events, so nothing is looked up: the tail may be empty.
    let options = OpenOptions {
        tail: Some(0),
        ..OpenOptions::new(owner, read_key(&held)?, life, random()?)
    };
    let (_, reader, _) = Store::open(ReadOnly(FileDisk::new(dir)), options)?;
    let mut lines = ArchiveLines::start(out, owner, crate::clock::Clock::start().wall())?;
    let total = journal_bytes(dir);
    messages(&reader, owner, life, &mut lines, &mut |done, of| {
        let read = share(total, done, of).checked_div(WAYS).unwrap_or(0);
        progress(Progress { read, total });
    })?;
    drop(reader);
    let store_key = read_key(&held)?;
    let options = CheckOptions {
        owner: Some(owner),
        store_key: Some(&store_key),
        index_mark: None,
    };
    let disk = FileDisk::new(dir);
    let mut rest = |now: Progress| {
        let left = now.total.saturating_sub(now.read);
        let left = share(left, WAYS.saturating_sub(1), WAYS);
        progress(Progress {
            read: now.total.saturating_sub(left),
            ..now
        });
    };
    let report = skychat_store::gather::<UpkeepError>(&disk, options, &mut rest, &mut |group| {
        lines.group(&group)
    })?;
    if !report.is_whole() {
        let report = Box::new(report);
        return Err(UpkeepError::Damaged { report });
    }
    let (messages, groups, records) = lines.end(signer.as_ref())?;
    Ok(Exported {
        public_key: owner,
        messages,
        groups,
        records,
        signed: signer.is_some(),
    })
}

/// Writes the messages. `progress` is told how many events of how many were read.
fn messages(
    reader: &StoreReader,
    owner: PublicKey,
    life: Incarnation,
    lines: &mut ArchiveLines<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), UpkeepError> {
    let waiters = Arc::new(Waiters::default());
    let messages = Messages::new(reader.clone(), owner, Kept::Disk, life, waiters);
    let (mut next, last) = (reader.first_event(), reader.last_event());
    while next <= last {
        let page = reader.events(next, PAGE).map_err(read_failed)?;
        let Some(end) = page.last().map(|event| event.seq) else {
            break;
        };
        for event in page {
            if let Some(message) = message(&messages, event.seq, event.view)? {
                lines.message(&message)?;
            }
        }
        progress(end.get(), last.get());
        next = end.next();
    }
    Ok(())
}

/// Bytes of all segments, to say how far it is; what cannot be looked at counts as none.
fn journal_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir.join("journal")) else {
        return 0;
    };
    let sizes = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    sizes.fold(0, |sum, found| sum.saturating_add(found.len()))
}

/// The part of `whole` that `part` is of `of`.
fn share(whole: u64, part: u64, of: u64) -> u64 {
    let product = u128::from(whole).saturating_mul(part.into());
    let share = product.checked_div(of.into()).unwrap_or(0);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Whose journal it is, as that says itself: the identity may be given elsewhere.
fn owner_of_journal(dir: &Path) -> Result<PublicKey, UpkeepError> {
    let disk = FileDisk::new(dir);
    let report = skychat_store::check(&disk, CheckOptions::default(), &mut |_| {})?;
    report.owner.ok_or(UpkeepError::Nothing { dir: dir.into() })
}

fn message(
    messages: &Messages,
    seq: EventSeq,
    view: EventView,
) -> Result<Option<Message>, UpkeepError> {
    let EventView::Message {
        header,
        record: place,
        plaintext,
    } = view
    else {
        return Ok(None);
    };
    let content = plaintext.as_deref().map(Vec::as_slice);
    let found = messages
        .now(&header)
        .and_then(|delivery| messages.message(&header, content, delivery));
    let message = found.map_err(UpkeepError::Read)?;
    Ok(Some(Message {
        cursor: Some(messages.cursor(seq)),
        record: Some(record(place)),
        ..message
    }))
}

fn read_failed(error: skychat_store::ReadError) -> UpkeepError {
    UpkeepError::Read(ReadError::Store(Arc::new(error)))
}
