//! `skychat history`: what was said.

use std::time::Duration;

use skychat_api::{Code, History, V1};
use skychat_client::{Client, ClientError, HistoryQuery};

use super::listen::line;
use crate::failure::Failure;
use crate::flags;
use crate::screen::Screen;

/// Messages the daemon gives in one page at most.
const PAGE: u32 = 256;

/// How often a page is asked for that the daemon does not know yet, and how far apart: 10 s in all.
const LOOKS: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(
    client: &Client,
    history: flags::History,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut all = History {
        v: V1,
        messages: Vec::new(),
        before: history.before,
    };
    let mut left = history.limit;
    // The daemon gives pages; what was asked for may be several.
    while left > 0 {
        let query = HistoryQuery {
            peer: history.peer.key,
            before: all.before,
            limit: Some(left.min(PAGE)),
        };
        let page = page(client, query).await?;
        left = left.saturating_sub(u32::try_from(page.messages.len()).unwrap_or(u32::MAX));
        all.messages.extend(page.messages);
        all.before = page.before;
        if all.before.is_none() {
            break;
        }
    }
    if screen.is_json() {
        return screen.document(&all);
    }
    if all.messages.is_empty() && history.before.is_none() {
        // Any key may be talked to, so one that was mistyped is no error; it is to be noticed.
        screen.note(format_args!(
            "nothing was said with {} on this node",
            history.peer.key
        ));
    }
    for message in all.messages.iter().rev() {
        screen.line(line(message))?;
    }
    Ok(())
}

/// A page; right after its start the daemon may need a moment to find what is older.
async fn page(client: &Client, query: HistoryQuery) -> Result<History, ClientError> {
    for _ in 1..LOOKS {
        match client.history(query).await {
            Err(error) if error.code() == Code::IndexOpening => tokio::time::sleep(PAUSE).await,
            other => return other,
        }
    }
    client.history(query).await
}
