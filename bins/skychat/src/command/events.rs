//! `skychat events`: everything that happens, for programs.

use std::io::Write;

use skychat_api::Code;
use skychat_client::{Client, EventQuery, Start, StreamItem};

use crate::failure::Failure;
use crate::flags::Events;
use crate::screen::Screen;

pub(super) async fn run(
    client: &Client,
    events: Events,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let start = match events.after.as_deref() {
        None => Start::Now,
        Some("first") => Start::First,
        Some(text) => Start::After(text.parse().map_err(
            |error: skychat_api::MalformedCursor| {
                Failure::new(Code::MalformedCursor, error.to_string())
            },
        )?),
    };
    let query = EventQuery {
        start,
        types: events.types,
        notices: events.notices,
    };
    let mut stream = client.events(query).await?;
    let mut left = events.count.unwrap_or(u64::MAX);
    while left > 0 {
        match stream.next().await? {
            StreamItem::Event(event) => {
                screen.document(&event)?;
                screen.flush()?;
                left = left.saturating_sub(1);
            }
            StreamItem::Interrupted { error, pause } => interrupted(&error, pause),
        }
    }
    Ok(())
}

/// Says on stderr that the daemon is away; what is on stdout stays a clean stream.
pub(super) fn interrupted(error: &skychat_client::ClientError, pause: std::time::Duration) {
    let _ = writeln!(
        anstream::stderr(),
        "{}; trying again in {} s",
        crate::screen::lines(&error.to_string()),
        pause.as_secs()
    );
}
