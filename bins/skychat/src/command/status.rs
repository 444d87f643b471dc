//! `skychat status`: how the daemon is doing.

use skychat_api::{Direction, PeerStatus, Status};
use skychat_client::Client;

use super::send::explain;
use crate::failure::Failure;
use crate::screen::{BOLD, GREEN, Screen, YELLOW, lines, time};

pub(super) async fn run(client: &Client, screen: &mut Screen) -> Result<(), Failure> {
    let status = client.status().await?;
    if screen.is_json() {
        return screen.document(&status);
    }
    for line in page(&status) {
        screen.line(line)?;
    }
    Ok(())
}

fn page(status: &Status) -> Vec<String> {
    let mut page = Vec::new();
    let mut row = |name: &str, value: String| {
        page.push(format!("{} {value}", BOLD.of(format_args!("{name:<11}"))))
    };
    row("key", status.public_key.to_string());
    row("identity", status.identity.to_string());
    row("version", lines(&status.version));
    row(
        "life",
        format!("{} ({})", status.incarnation, status.writer),
    );
    row(
        "up",
        format!("{} (process {})", span(status.uptime_ms), status.pid),
    );
    for listen in &status.listen {
        let state = if listen.up {
            GREEN.of("up")
        } else {
            YELLOW.of("down")
        };
        row(
            "listens",
            format!("{} {} {state}", lines(&listen.carrier), lines(&listen.addr)),
        );
    }
    row("admission", status.admission.to_string());
    let store = &status.store;
    let place = store
        .path
        .as_deref()
        .map_or_else(|| "memory".to_owned(), lines);
    let opening = if store.index_opening {
        ", index opening"
    } else {
        ""
    };
    let full = if store.holds_back {
        ", takes nothing new"
    } else {
        ""
    };
    row(
        "store",
        format!(
            "{place}, {} bytes, {} in use of {}{full}, event {}{opening}",
            store.bytes, store.used, store.cap, store.last_event
        ),
    );
    for link in &status.links {
        let way = if link.direction == Direction::In {
            "from"
        } else {
            "to"
        };
        let addr = link
            .addr
            .as_deref()
            .map_or_else(String::new, |a| format!(" {}", lines(a)));
        row(
            "link",
            format!(
                "{} {way}{addr} since {}",
                link.peer.short(),
                time(link.since)
            ),
        );
    }
    for peer in &status.peers {
        row("peer", describe(peer));
    }
    if status.degraded.is_empty() {
        row("health", GREEN.of("good"));
    }
    for reason in &status.degraded {
        row("degraded", YELLOW.of(lines(reason)));
    }
    page
}

fn describe(peer: &PeerStatus) -> String {
    let mut text = format!("{} ", peer.peer);
    text += if peer.linked { "linked" } else { "not linked" };
    text += &match (peer.owed, &peer.waits) {
        (0, _) => String::new(),
        (owed, None) => format!(", {owed} owed"),
        (owed, Some(reason)) => format!(", {owed} owed: {}", explain(reason)),
    };
    if let Some(error) = &peer.last_error {
        text += &format!(" ({})", lines(error));
    }
    text
}

/// A span of time in its two largest units.
fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match (
        seconds / 86_400,
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    ) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (ms, text) in [
            (0, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min 0 s"),
            (3_600_000, "1 h 0 min"),
            (90_061_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
