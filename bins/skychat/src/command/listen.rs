//! `skychat listen`: messages as they come.

use std::io::{ErrorKind, Write};
use std::path::Path;

use skychat_api::{Code, Cursor, Direction, Event, EventKind, Gap, GapCause, Mark, Message};
use skychat_client::{Client, EventQuery, Start, StreamItem};

use super::catch_up::CatchUp;
use super::events::interrupted;
use crate::failure::Failure;
use crate::flags::Listen;
use crate::screen::{BOLD, DIM, Screen, YELLOW, body, time};

pub(super) async fn run(
    client: &Client,
    listen: Listen,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let saved = listen
        .cursor_file
        .as_deref()
        .map(load)
        .transpose()?
        .flatten();
    let start = match saved {
        Some(cursor) => Start::After(cursor),
        None if listen.from_start => Start::First,
        None => Start::Now,
    };
    let mut catch_up = CatchUp::new(screen.is_json());
    let types = ["message", "gap", "incarnation", "clone", "fork"]
        .map(str::to_owned)
        .to_vec();
    let mut stream = client
        .events(EventQuery {
            start,
            types,
            notices: catch_up.is_shown(),
        })
        .await?;
    if let (Some(path), None, Some(now)) = (&listen.cursor_file, saved, stream.cursor()) {
        // From the first run on nothing is missed between two of them.
        save(path, now)?;
    }
    let mut left = listen.count.unwrap_or(u64::MAX);
    while left > 0 {
        let event = match stream.next().await? {
            StreamItem::Event(event) => event,
            StreamItem::Interrupted { error, pause } => {
                catch_up.beside(|| interrupted(&error, pause));
                continue;
            }
        };
        if let EventKind::Sync(progress) = &event.kind {
            catch_up.show(progress);
            continue;
        }
        if wanted(&listen, &event) {
            catch_up.beside(|| {
                if screen.is_json() {
                    screen.document(&event)?;
                } else {
                    screen.line(show(&event))?;
                }
                screen.flush()
            })?;
            if matches!(event.kind, EventKind::Message(_)) {
                left = left.saturating_sub(1);
            }
        }
        if let (Some(path), Some(cursor)) = (&listen.cursor_file, stream.cursor()) {
            // Only after it was printed: a crash between the two repeats a line, and loses none.
            save(path, cursor)?;
        }
    }
    Ok(())
}

fn wanted(listen: &Listen, event: &Event) -> bool {
    let message = match &event.kind {
        EventKind::Message(message) => message,
        EventKind::Gap(_)
        | EventKind::Incarnation(_)
        | EventKind::Clone(_)
        | EventKind::Fork(_) => return true,
        // Notices.
        _ => return false,
    };
    let inbound = message.direction == Direction::In;
    let peer = if inbound {
        Some(message.from)
    } else {
        message.to
    };
    (inbound || listen.all)
        && listen
            .from
            .as_ref()
            .is_none_or(|target| peer == Some(target.key))
}

fn show(event: &Event) -> String {
    match &event.kind {
        EventKind::Message(message) => line(message),
        EventKind::Gap(Gap { cause, .. }) => warning(&match cause {
            GapCause::Dropped {
                author, from, to, ..
            } => format!(
                "{} messages of {} were dropped before they came",
                to.get().saturating_sub(from.get()),
                author.short()
            ),
            GapCause::Unavailable { author, .. } | GapCause::Mismatch { author, .. } => {
                format!("something of {} is missing", author.short())
            }
            GapCause::Retention { .. } => "older events are no longer kept".into(),
            GapCause::UnknownCursor { .. } => "this is not the log that was left off".into(),
            _ => "something is missing".into(),
        }),
        EventKind::Incarnation(branch) => warning(&format!(
            "{} goes on from an older state: a restored or copied directory",
            branch.peer.short()
        )),
        EventKind::Clone(clone) => warning(&format!(
            "{} runs twice at the same time",
            clone.peer.short()
        )),
        EventKind::Fork(fork) => warning(&format!(
            "{} wrote two different histories",
            fork.author.short()
        )),
        _ => String::new(),
    }
}

fn warning(text: &str) -> String {
    YELLOW.of(format_args!("! {text}"))
}

/// A message in one line, or in as many as its text has: time, who, what.
pub(super) fn line(message: &Message) -> String {
    let (arrow, peer) = match message.direction {
        Direction::In => ("", message.from),
        _ => ("> ", message.to.unwrap_or(message.from)),
    };
    let marks: Vec<&str> = message
        .marks
        .iter()
        .map(|mark: &Mark| mark.word())
        .collect();
    let marks = if marks.is_empty() {
        String::new()
    } else {
        format!(" {}", YELLOW.of(format_args!("[{}]", marks.join(", "))))
    };
    format!(
        "{} {arrow}{}{marks} {}",
        DIM.of(time(message.time)),
        BOLD.of(peer.short()),
        body(&message.body)
    )
}

/// Reads a cursor file; one that is not there yet is no error.
fn load(path: &Path) -> Result<Option<Cursor>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|error| {
            Failure::new(
                Code::MalformedCursor,
                format!("{}: {error}", path.display()),
            )
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(
            Code::BadConfig,
            format!("{}: {error}", path.display()),
        )),
    }
}

/// Writes a cursor file, whole or not at all.
fn save(path: &Path, cursor: Cursor) -> Result<(), Failure> {
    let failed = |error| Failure::new(Code::BadConfig, format!("{}: {error}", path.display()));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = std::fs::File::create(&new).map_err(failed)?;
    writeln!(file, "{cursor}").map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}
