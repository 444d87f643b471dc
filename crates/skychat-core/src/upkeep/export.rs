//! Writing out what was said, for people and other programs.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use skychat_api::{Kept, Message, V1};
use skychat_identity::PublicKey;
use skychat_proto::ids::{EventSeq, Incarnation, Timestamp};
use skychat_store::{CheckOptions, EventView, FileDisk, OpenOptions, Progress, ReadOnly, Store};

use super::rebuild::{owner, read_key};
use super::{UpkeepError, ended, open_dir, random};
use crate::ReadError;
use crate::messages::{Messages, record};
use crate::waiters::Waiters;

/// Events that are read at once.
const PAGE: usize = 256;

/// The first line.
#[derive(Serialize)]
struct Start {
    v: V1,
    #[serde(rename = "type")]
    kind: &'static str,
    public_key: PublicKey,
    exported: Timestamp,
}

/// A message.
#[derive(Serialize)]
struct Line {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    message: Message,
}

/// The last line: without it something is missing.
#[derive(Serialize)]
struct End {
    #[serde(rename = "type")]
    kind: &'static str,
    messages: String,
}

/// Writes all messages of a data directory to `out`, in the order in which they came here, a JSON
/// document a line (`docs/operations.md`). Gives how many. Nothing in the directory is altered.
///
/// # Errors
/// [`UpkeepError`]; [`UpkeepError::Output`] if `out` took no more.
pub fn export(
    dir: &Path,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64, UpkeepError> {
    let held = open_dir(dir)?;
    ended(dir)?;
    if !held.has_journal() {
        return Err(UpkeepError::Nothing { dir: dir.into() });
    }
    let (key, disk) = (read_key(&held)?, ReadOnly(FileDisk::new(dir)));
    let owner = match owner(&held)? {
        Some(owner) => owner,
        None => owner_of_journal(dir)?,
    };
    let life = Incarnation::from_bytes(random()?);
    // Messages are read by their events, so nothing is looked up: the tail may be empty.
    let options = OpenOptions {
        tail: Some(0),
        ..OpenOptions::new(owner, key, life, random()?)
    };
    let (_, reader, _) = Store::open(disk, options)?;
    let waiters = Arc::new(Waiters::default());
    let messages = Messages::new(reader.clone(), owner, Kept::Disk, life, waiters);
    let last = reader.last_event();
    let start = Start {
        v: V1,
        kind: "skychat-export",
        public_key: owner,
        exported: crate::clock::Clock::start().wall(),
    };
    line(out, &start)?;
    let (mut next, mut count) = (reader.first_event(), 0_u64);
    while next <= last {
        let page = reader.events(next, PAGE).map_err(read_failed)?;
        let Some(end) = page.last().map(|event| event.seq) else {
            break;
        };
        for event in page {
            if let Some(message) = message(&messages, event.seq, event.view)? {
                let kind = "message";
                line(out, &Line { kind, message })?;
                count = count.saturating_add(1);
            }
        }
        progress(Progress {
            read: end.get(),
            total: last.get(),
        });
        next = end.next();
    }
    let end = End {
        kind: "end",
        messages: count.to_string(),
    };
    line(out, &end)?;
    out.flush().map_err(UpkeepError::Output)?;
    Ok(count)
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

fn line(out: &mut dyn Write, document: &impl Serialize) -> Result<(), UpkeepError> {
    let mut text = serde_json::to_vec(document)
        .map_err(|error| UpkeepError::Output(std::io::Error::other(error)))?;
    text.push(b'\n');
    out.write_all(&text).map_err(UpkeepError::Output)
}
