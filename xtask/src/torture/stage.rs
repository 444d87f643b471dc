//! What a run is played on: daemons that know each other, with a proxy on every way from one to another.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::{Plan, daemon::Daemon, proxy::Proxy, record::Record};

/// The proxies with their names in the history.
pub(crate) type Wires = Vec<(String, Proxy)>;

/// Daemons `a`, `b`, … with keys and directories; each names all others, and reaches each through a proxy of its own.
/// None of them runs yet.
pub(crate) fn set(plan: &Plan, count: usize) -> Result<(Vec<Daemon>, Wires)> {
    set_in(plan, count, |name| plan.dir.join(name))
}

/// The same, each in a directory of this choice.
pub(crate) fn set_in(
    plan: &Plan,
    count: usize,
    dir: impl Fn(&str) -> PathBuf,
) -> Result<(Vec<Daemon>, Wires)> {
    let mut daemons = Vec::new();
    for letter in ('a'..='z').take(count) {
        let name = letter.to_string();
        daemons.push(Daemon::create(plan, &name, dir(&name))?);
    }
    let mut wires = Wires::new();
    let all: Vec<&Daemon> = daemons.iter().collect();
    for from in &daemons {
        wires.extend(introduce(from, &all)?);
    }
    Ok((daemons, wires))
}

/// Tells one daemon of all others.
pub(crate) fn introduce(from: &Daemon, all: &[&Daemon]) -> Result<Wires> {
    let mut wires = Wires::new();
    let mut arguments = Vec::new();
    for to in all.iter().filter(|to| to.key != from.key) {
        let wire = Proxy::listen()?;
        arguments.push("--tcp-peer".to_owned());
        arguments.push(format!("tcp://{}@{}", to.key, wire.address()));
        to.add_way(wire.clone());
        wires.push((format!("{}>{}", from.name, to.name), wire));
    }
    from.set_arguments(arguments);
    Ok(wires)
}

/// The end of all faults. Links that went silent are cut, or the end would wait for their time to run out.
pub(crate) fn heal(wires: &Wires, record: &Record) {
    for (_, wire) in wires {
        wire.renew();
    }
    record.line("heal", json!({ "wire": "all" }));
}

/// The end of all wires.
pub(crate) fn close(wires: &Wires) {
    for (_, wire) in wires {
        wire.close();
    }
}
