//! The load: lanes that send one message after the other, each until its answer is known.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    chance::Chance,
    check::CAUSES,
    clock,
    daemon::Daemon,
    http::{Answer, Connection},
    record::Record,
};

/// How long a lane rests when nobody answers.
const REST: Duration = Duration::from_millis(10);
/// How long a send waits for a state beyond `accepted`, in milliseconds.
const WAIT_MS: u64 = 3_000;

/// When the load ends.
#[derive(Default)]
pub(crate) struct Switch {
    no_more: AtomicBool,
    give_up: AtomicBool,
}

impl Switch {
    /// No new messages; those without an answer are tried on.
    pub(crate) fn no_more(&self) {
        self.no_more.store(true, Ordering::Relaxed);
    }

    /// Nothing is tried any more.
    pub(crate) fn give_up(&self) {
        self.no_more();
        self.give_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.no_more.load(Ordering::Relaxed)
    }

    fn is_given_up(&self) -> bool {
        self.give_up.load(Ordering::Relaxed)
    }
}

/// One sender of sequential messages.
pub(crate) struct Lane<'a> {
    /// Its name in the history.
    pub(crate) name: String,
    /// A number no other lane has.
    pub(crate) number: u64,
    /// The daemon that sends.
    pub(crate) from: &'a Daemon,
    /// The daemon that is written to.
    pub(crate) to: &'a Daemon,
    /// Messages a second, when the answers come fast enough.
    pub(crate) rate: u64,
    /// Where everything is written down.
    pub(crate) record: &'a Record,
    /// When it ends.
    pub(crate) switch: &'a Switch,
}

/// What became of a send.
enum Outcome {
    Ok(String),
    Failed(String),
    Unknown,
}

impl Lane<'_> {
    /// Sends until the switch says otherwise.
    pub(crate) fn run(&self, mut chance: Chance) {
        let mut connection = None;
        let period = Duration::from_micros(1_000_000_u64.checked_div(self.rate).unwrap_or(0));
        let mut due = clock::now();
        let mut place: u64 = 0;
        while !self.switch.is_over() {
            place = place.saturating_add(1);
            self.one(place, &mut chance, &mut connection);
            due = wait_for(due, period);
        }
    }

    fn one(&self, place: u64, chance: &mut Chance, connection: &mut Option<Connection>) {
        let id = format!(
            "{:08x}{:08x}{:016x}",
            self.number & 0xffff_ffff,
            place & 0xffff_ffff,
            chance.draw()
        );
        let wait = match chance.below(20) {
            0 => "stored",
            1 => "acked",
            _ => "accepted",
        };
        // Mostly short lines, sometimes a long text.
        let size = if chance.percent(2) {
            chance.between(1_000, 20_000)
        } else {
            chance.between(1, 300)
        };
        let filler = "x".repeat(usize::try_from(size).unwrap_or(1));
        let body = json!({
            "to": self.to.key,
            "text": format!("{} {place} {filler}", self.name),
            "message_id": id,
            "wait": wait,
            "timeout_ms": WAIT_MS,
        });
        let invoke = json!({
            "id": id, "from": self.from.name, "to": self.to.name,
            "lane": self.name, "n": place, "wait": wait,
        });
        self.record.line("invoke", invoke);
        let outcome = self.settle(&id, &body, connection);
        match outcome {
            Outcome::Ok(state) => self.record.line("ok", json!({ "id": id, "state": state })),
            Outcome::Failed(cause) => {
                self.record
                    .line("fail", json!({ "id": id, "cause": cause }));
            }
            Outcome::Unknown => self.record.line("info", json!({ "id": id })),
        }
    }

    /// Asks with one id until the answer is known: that is what the id is for.
    fn settle(&self, id: &str, body: &Value, connection: &mut Option<Connection>) -> Outcome {
        while !self.switch.is_given_up() {
            let held = connection
                .take()
                .filter(|connection| self.from.is_current(connection));
            let mut open = match held.map_or_else(|| self.from.connect(), Ok) {
                Ok(open) => open,
                Err(_) => {
                    clock::pause(REST);
                    continue;
                }
            };
            let Ok(answer) = open.ask("POST", "/v1/messages", Some(body)) else {
                self.record
                    .line("retry", json!({ "id": id, "code": "cut" }));
                clock::pause(REST);
                continue;
            };
            *connection = Some(open);
            if let Some(outcome) = read(&answer) {
                return outcome;
            }
            let code = word(&answer.document, "code");
            self.record.line("retry", json!({ "id": id, "code": code }));
            let pause = answer
                .document
                .get("retry_after_ms")
                .and_then(Value::as_u64);
            clock::pause(Duration::from_millis(pause.unwrap_or(20).min(200)));
        }
        Outcome::Unknown
    }
}

/// What an answer says of the message; `None`: nothing yet, try again.
fn read(answer: &Answer) -> Option<Outcome> {
    let document = &answer.document;
    let code = word(document, "code");
    match answer.status {
        200 => Some(Outcome::Ok(word(document, "state"))),
        // Not in the asked state in time: accepted, and owed.
        504 if code == "timed_out" => Some(Outcome::Ok("accepted".to_owned())),
        403 if word(document, "state") == "failed" => {
            Some(Outcome::Failed(word(document, "cause")))
        }
        500.. => None,
        // The request is always the same good one: no fault of the run explains this.
        _ => Some(Outcome::Failed(if CAUSES.contains(&code.as_str()) {
            format!("http {}", answer.status)
        } else {
            code
        })),
    }
}

fn word(document: &Value, field: &str) -> String {
    let text = document.get(field).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// Keeps the pace; what was missed is not made up for.
fn wait_for(due: Instant, period: Duration) -> Instant {
    let now = clock::now();
    let next = due.checked_add(period).unwrap_or(now);
    if next <= now {
        return now;
    }
    clock::pause(next.saturating_duration_since(now));
    next
}
