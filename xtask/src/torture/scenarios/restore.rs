//! `--scenario restore`: a node with fifty contacts goes on for some lives after its backup was made, then the backup
//! takes its place. Peers are told once, what the backup does not know comes back, and everything accepted arrives.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    super::{Plan, clock, daemon::Daemon, end, load::Switch, record::Record, session, stage},
    broken, copy, expect,
};

/// Contacts of the node, and how many of them run.
const CONTACTS: usize = 50;
const RUNNING: usize = 3;
/// Messages a second of each lane.
const RATE: u64 = 40;
/// How long it talks before the backup, and in each life after it.
const PART: Duration = Duration::from_secs(3);
/// Lives after the backup.
const LIVES: u64 = 4;
/// How long the status may take to show what is owed to contacts that are not there.
const SHOWN: Duration = Duration::from_secs(10);

/// Plays it.
pub(super) fn run(plan: &Plan, record: &Record) -> Result<()> {
    let (mut daemons, mut wires) = stage::set(plan, RUNNING.saturating_add(1))?;
    copy::second(&mut daemons, &mut wires, &plan.dir, record)?;
    plan.say(&format!("{CONTACTS} contacts, {RUNNING} of them run"));
    let absent = absent(plan)?;
    let [node, first, second, third, restored] = daemons.as_slice() else {
        bail!("the stage has other players");
    };
    let peers = [first, second, third];
    let everybody = [node, first, second, third];
    for daemon in [node, restored] {
        // Nothing listens on that port.
        let arguments = absent.iter().flat_map(|key| {
            let peer = format!("tcp://{key}@127.0.0.1:9");
            ["--tcp-peer".to_owned(), peer]
        });
        daemon.add_arguments(arguments);
    }
    let consumers = session::consumers(&daemons, record);
    for daemon in everybody {
        daemon.start(record)?;
    }
    let outcome = session::watched(&daemons, &consumers, plan.seed, || {
        let talk = |all: &[&Daemon]| {
            let switch = Switch::default();
            let lanes = session::lanes(all, all, RATE, record, &switch);
            session::talk_for(&lanes, plan.seed, PART);
        };
        talk(&everybody);
        write_to(node, &absent, record)?;
        end::quiet(&daemons, &consumers, record);
        node.terminate(record)?;
        copy::directory(&node.dir, &restored.dir)?;
        // Thirty days of it: what was said then is in no backup, and was answered.
        for _ in 0..LIVES {
            node.start(record)?;
            talk(&everybody);
            end::quiet(&daemons, &consumers, record);
            end_life(node, record)?;
        }
        node.start(record)?;
        end::quiet(&daemons, &consumers, record);
        end::histories(node, &daemons, record)?;
        node.over();
        node.terminate(record)?;

        restored.start(record)?;
        talk(&[restored, first, second, third]);
        end::quiet(&daemons, &consumers, record);
        told_once(&peers, restored, record);
        // A restart of it is silent.
        end_life(restored, record)?;
        restored.start(record)?;
        talk(&[restored, first, second, third]);
        end::quiet(&daemons, &consumers, record);
        told_once(&peers, restored, record);
        still_owed(restored, &absent, record);
        end::all(&daemons, &consumers, record)
    });
    stage::close(&wires);
    outcome
}

/// Peers were told that an older life goes on, and the restored node that something came back.
fn told_once(peers: &[&Daemon], restored: &Daemon, record: &Record) {
    for peer in peers {
        expect(record, &peer.name, "incarnation", 1..=1);
        expect(record, &peer.name, "clone", 0..=0);
        expect(record, &peer.name, "fork", 0..=0);
    }
    expect(record, &restored.name, "recovered", 1..=u64::MAX);
}

/// Keys of contacts that never run again.
fn absent(plan: &Plan) -> Result<BTreeSet<String>> {
    let dir = plan.dir.join("absent");
    std::fs::create_dir(&dir)?;
    (RUNNING..CONTACTS)
        .map(|number| {
            let name = format!("absent-{number}");
            let daemon = Daemon::create(plan, &name, dir.join(&name))?;
            Ok(daemon.key.clone())
        })
        .collect()
}

/// A message to each of them, accepted and owed. What becomes of it nobody is there to see.
fn write_to(node: &Daemon, absent: &BTreeSet<String>, record: &Record) -> Result<()> {
    let mut connection = node.connect()?;
    for key in absent {
        let number = record.next_lane();
        let id = format!("{number:032x}");
        let invoke = json!({
            "id": id, "from": node.name, "to": key, "lane": format!("absent {number}"), "n": 1,
        });
        record.line("invoke", invoke);
        let body = json!({ "to": key, "text": "are you there?", "message_id": id });
        let answer = connection.ask("POST", "/v1/messages", Some(&body))?;
        if answer.status != 200 {
            bail!("a message to an absent contact: {}", answer.document);
        }
        record.line("info", json!({ "id": id }));
    }
    Ok(())
}

/// Ends a life as a crash does.
fn end_life(node: &Daemon, record: &Record) -> Result<()> {
    node.kill().context("ending a life")?;
    record.line("kill", json!({ "node": node.name }));
    Ok(())
}

/// What the backup owed to contacts that were absent, the restored node owes.
fn still_owed(node: &Daemon, absent: &BTreeSet<String>, record: &Record) {
    let mut missing = 0;
    let all = clock::eventually(SHOWN, || {
        let status = node.status()?;
        let peers = status.get("peers").and_then(Value::as_array)?;
        let owed = |peer: &&Value| {
            let key = peer.get("peer").and_then(Value::as_str).unwrap_or_default();
            let owed = peer.get("owed").and_then(Value::as_str).unwrap_or("0");
            absent.contains(key) && owed != "0"
        };
        missing = absent
            .len()
            .saturating_sub(peers.iter().filter(owed).count());
        (missing == 0).then_some(())
    });
    if all.is_none() {
        let what = format!(
            "{} forgot what it owes to {missing} of {} absent contacts",
            node.name,
            absent.len()
        );
        broken(record, &what);
    }
}
