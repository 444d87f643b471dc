//! `--scenario wires`: what single faults of the wires may cost, timed. A peer whose host vanished is noticed (F8), a
//! partition that heals is over soon (F6), and a peer behind a slow wire is nobody else's trouble (F7).

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{
    super::{
        Plan, clock,
        daemon::Daemon,
        end,
        load::Switch,
        proxy::Mode,
        record::Record,
        session,
        stage::{self, Wires},
    },
    broken,
};

/// Messages a second of each lane.
const RATE: u64 = 20;
/// How long it may take until a vanished peer is noticed (90 s) and everything flows over a new link.
const NOTICED: Duration = Duration::from_secs(100);
/// How long the partition lasts, long enough for the longest pause between two attempts.
const PARTED: Duration = Duration::from_secs(45);
/// How long it may take until there is a link after the partition.
const REJOINED: Duration = Duration::from_secs(35);
/// How long one wire is slow, and how many bytes a second it takes then.
const SLOW: Duration = Duration::from_secs(15);
const SLOW_RATE: u64 = 1_000;
/// How long a message between others may take meanwhile, including the machine this runs on being busy.
const UNAFFECTED: Duration = Duration::from_secs(1);
/// How long one request waits for the acknowledgement, in milliseconds; it is repeated with the same id.
const ASKED_MS: u64 = 2_000;

/// Plays it.
pub(super) fn run(plan: &Plan, record: &Record) -> Result<()> {
    let (daemons, wires) = stage::set(plan, 3)?;
    let [ann, bob, carol] = daemons.as_slice() else {
        bail!("the stage has other players");
    };
    let all = [ann, bob, carol];
    let consumers = session::consumers(&daemons, record);
    for daemon in all {
        daemon.start(record)?;
    }
    let outcome = session::watched(&daemons, &consumers, plan.seed, || {
        let under_load = |part: &dyn Fn() -> Result<()>| -> Result<()> {
            let switch = Switch::default();
            let lanes = session::lanes(&all, &all, RATE, record, &switch);
            session::talk(&lanes, plan.seed, part)?;
            end::quiet(&daemons, &consumers, record);
            Ok(())
        };
        end::quiet(&daemons, &consumers, record);
        under_load(&|| vanished(plan, ann, bob, &wires, record))?;
        // The partition cuts a link that is full of what was slow.
        under_load(&|| {
            slow(plan, [ann, bob, carol], &wires, record)?;
            parted(plan, ann, bob, &wires, record)
        })?;
        end::all(&daemons, &consumers, record)
    });
    stage::close(&wires);
    outcome
}

/// Does this to every wire between the two.
fn set(wires: &Wires, one: &Daemon, other: &Daemon, mode: Mode, record: &Record) {
    let ways = [
        format!("{}>{}", one.name, other.name),
        format!("{}>{}", other.name, one.name),
    ];
    for (name, wire) in wires.iter().filter(|(name, _)| ways.contains(name)) {
        wire.set(mode);
        record.line(
            "fault",
            json!({ "wire": name, "mode": format!("{mode:?}") }),
        );
    }
}

/// What is on the link is gone and nobody is told; new links pass.
fn vanished(plan: &Plan, ann: &Daemon, bob: &Daemon, wires: &Wires, record: &Record) -> Result<()> {
    set(wires, ann, bob, Mode::Vanish, record);
    arrives(plan, ann, bob, NOTICED, "after a link went silent", record)?;
    arrives(plan, bob, ann, NOTICED, "after a link went silent", record)?;
    set(wires, ann, bob, Mode::Pass, record);
    Ok(())
}

/// Nothing passes between the two, then everything does.
fn parted(plan: &Plan, ann: &Daemon, bob: &Daemon, wires: &Wires, record: &Record) -> Result<()> {
    set(wires, ann, bob, Mode::Refuse, record);
    clock::pause(PARTED);
    set(wires, ann, bob, Mode::Pass, record);
    arrives(plan, ann, bob, REJOINED, "after a partition healed", record)
}

/// One wire is slow; the others do not feel it.
fn slow(plan: &Plan, all: [&Daemon; 3], wires: &Wires, record: &Record) -> Result<()> {
    let [ann, bob, carol] = all;
    set(wires, ann, bob, Mode::Limit(SLOW_RATE), record);
    let start = clock::now();
    while start.elapsed() < SLOW {
        arrives(plan, ann, carol, UNAFFECTED, "beside a slow peer", record)?;
        clock::pause(Duration::from_millis(500));
    }
    set(wires, ann, bob, Mode::Pass, record);
    Ok(())
}

/// One message that has to be stored at the recipient within `limit`.
fn arrives(
    plan: &Plan,
    from: &Daemon,
    to: &Daemon,
    limit: Duration,
    when: &str,
    record: &Record,
) -> Result<()> {
    let number = record.next_lane();
    let id = format!("{number:032x}");
    let invoke = json!({
        "id": id, "from": from.name, "to": to.name, "lane": format!("timed {number}"), "n": 1,
    });
    record.line("invoke", invoke);
    let body = json!({
        "to": to.key, "text": "how long?", "message_id": id,
        "wait": "stored", "timeout_ms": ASKED_MS,
    });
    let start = clock::now();
    let mut connection = from.connect()?;
    let mut said = Value::Null;
    let stored = clock::eventually(limit, || {
        said = connection
            .ask("POST", "/v1/messages", Some(&body))
            .ok()?
            .document;
        let state = said.get("state").and_then(Value::as_str);
        (state == Some("stored")).then_some(())
    });
    let ms = clock::millis(start.elapsed());
    let state = if stored.is_some() {
        "stored"
    } else {
        "accepted"
    };
    if said.get("message_id").is_some() {
        record.line("ok", json!({ "id": id, "state": state }));
    } else {
        record.line("info", json!({ "id": id }));
    }
    let what = format!("{} to {} {when}: {ms} ms", from.name, to.name);
    if stored.is_none() {
        let limit = clock::millis(limit);
        broken(record, &format!("{id} from {what}, not {limit}"));
    } else {
        record.line("note", json!({ "what": what }));
        plan.say(&what);
    }
    Ok(())
}
