//! The end of a run: everything owed arrives, every consumer is at the end, and the histories are read.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    clock,
    consumer::{Consumer, name_of, number_of},
    daemon::Daemon,
    record::Record,
};

/// How long after the faults have ended everything may take to arrive: a redial, then catching up.
pub(crate) const QUIET: Duration = Duration::from_secs(65);
/// Messages of a page.
const PAGE: usize = 256;
/// The most pages of one conversation that are read.
const MAX_PAGES: usize = 100_000;
/// How long the index of older pages may take to open, and how often it is looked.
const INDEX_OPEN: Duration = Duration::from_secs(10);
const INDEX_LOOK: Duration = Duration::from_millis(50);

/// Waits until nobody owes anything and the consumers have read all there is. What was still missing at the deadline
/// is written down; the checker finds what is lost by it.
pub(crate) fn quiet(daemons: &[Daemon], consumers: &[Consumer<'_>], record: &Record) -> Duration {
    let start = clock::now();
    let mut why = String::new();
    let calm = clock::eventually(QUIET, || {
        why = restless(daemons, consumers)?;
        why.is_empty().then_some(())
    });
    let took = start.elapsed();
    let ms = clock::millis(took);
    if calm.is_none() {
        let what = format!("not quiet {ms} ms after the last fault: {why}");
        record.line("broken", json!({ "what": what }));
    }
    record.line("quiet", json!({ "ms": ms }));
    took
}

/// What is not at its end yet; empty when all is. `None` when somebody could not be asked.
fn restless(daemons: &[Daemon], consumers: &[Consumer<'_>]) -> Option<String> {
    let mut last = BTreeMap::new();
    for daemon in daemons.iter().filter(|daemon| daemon.runs()) {
        let Some(status) = daemon.status() else {
            return Some(format!("{} does not answer", daemon.name));
        };
        for peer in list(&status, "peers") {
            let key = peer.get("peer").and_then(Value::as_str);
            if !daemons
                .iter()
                .any(|other| Some(other.key.as_str()) == key && other.runs())
            {
                // Nobody there to take it.
                continue;
            }
            let owed = peer.get("owed").and_then(Value::as_str).unwrap_or("0");
            if owed != "0" {
                let why = peer.get("waits").unwrap_or(&Value::Null);
                return Some(format!("{} owes {owed} entries: {why}", daemon.name));
            }
        }
        let event = status
            .get("store")
            .and_then(|store| store.get("last_event"))
            .and_then(Value::as_str)
            .and_then(number_of);
        last.insert(daemon.name.as_str(), event?);
    }
    for consumer in consumers {
        let Some(last) = last.get(consumer.at.name.as_str()) else {
            continue;
        };
        let at = consumer.last.load(Ordering::Relaxed);
        if at < *last {
            return Some(format!("{} is at event {at} of {last}", consumer.name));
        }
    }
    Some(String::new())
}

/// After the last fault: all is quiet, all are killed once more, what they have then is read, and they are ended.
pub(crate) fn all(daemons: &[Daemon], consumers: &[Consumer<'_>], record: &Record) -> Result<()> {
    let running: Vec<_> = daemons.iter().filter(|daemon| daemon.runs()).collect();
    quiet(daemons, consumers, record);
    for daemon in &running {
        daemon.kill()?;
        record.line("kill", json!({ "node": daemon.name }));
    }
    for daemon in &running {
        daemon.start(record)?;
    }
    quiet(daemons, consumers, record);
    for daemon in &running {
        histories(daemon, daemons, record)?;
    }
    for daemon in &running {
        daemon.over();
        daemon.terminate(record)?;
    }
    record.line("end", json!({}));
    Ok(())
}

/// Reads every conversation of a daemon to its end, and writes it down.
pub(crate) fn histories(at: &Daemon, all: &[Daemon], record: &Record) -> Result<()> {
    // A copy has the key of its original, which stands for both.
    let peers = all
        .iter()
        .filter(|peer| peer.key != at.key && peer.name == name_of(all, &peer.key));
    for peer in peers {
        conversation(all, at, peer, record)
            .with_context(|| format!("reading the history of {}", at.name))?;
    }
    Ok(())
}

fn conversation(all: &[Daemon], at: &Daemon, peer: &Daemon, record: &Record) -> Result<()> {
    let mut before: Option<String> = None;
    let mut connection = at.connect()?;
    let mut waited = Duration::ZERO;
    let mut pages = 0;
    while pages < MAX_PAGES {
        let from = before
            .as_ref()
            .map_or_else(String::new, |before| format!("&before={before}"));
        let target = format!("/v1/messages?peer={}&limit={PAGE}{from}", peer.key);
        let answer = connection.ask("GET", &target, None)?;
        if answer.status != 200 {
            // A conversation that never began has no page.
            if answer.status == 404 {
                break;
            }
            // It was started a moment ago: older pages come when its index is open.
            let code = answer.document.get("code").and_then(Value::as_str);
            if code == Some("index_opening") && waited < INDEX_OPEN {
                waited = waited.saturating_add(INDEX_LOOK);
                clock::pause(INDEX_LOOK);
                continue;
            }
            bail!("{target}: {} {}", answer.status, answer.document);
        }
        pages += 1;
        for message in list(&answer.document, "messages") {
            let key = message.get("from").and_then(Value::as_str);
            let line = json!({
                "where": at.name,
                "peer": peer.name,
                "id": message.get("message_id"),
                "from": name_of(all, key.unwrap_or_default()),
                "dir": message.get("direction"),
                "state": message.get("state"),
                "cause": message.get("cause"),
                "marks": message.get("marks"),
            });
            record.line("row", line);
        }
        before = answer
            .document
            .get("before")
            .and_then(Value::as_str)
            .map(ToOwned::to_owned);
        if before.is_none() {
            break;
        }
    }
    if before.is_some() {
        bail!("more than {MAX_PAGES} pages");
    }
    record.line("rows_end", json!({ "where": at.name, "peer": peer.name }));
    Ok(())
}

fn list<'a>(document: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    document
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
