//! `--kills N`: three daemons write to each other through bad wires, and are killed again and again.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    Plan,
    chance::Chance,
    clock,
    daemon::Daemon,
    end,
    load::Switch,
    proxy::{Mode, Proxy},
    record::Record,
    session,
    stage::{self, Wires},
};

/// Daemons of a run.
const DAEMONS: usize = 3;
/// Messages a second of each lane; six lanes.
const RATE: u64 = 60;
/// Purposes of chance.
const KILLS: u64 = 1;
const WIRES: u64 = 2;

/// Runs it; the history is complete afterwards.
pub(crate) fn run(plan: &Plan, record: &Record) -> Result<()> {
    let (daemons, wires) = stage::set(plan, DAEMONS)?;
    let all: Vec<&Daemon> = daemons.iter().collect();
    for daemon in &daemons {
        daemon.start(record)?;
    }
    let switch = Switch::default();
    let consumers = session::consumers(&daemons, record);
    let lanes = session::lanes(&all, &all, RATE, record, &switch);
    let outcome = session::watched(&daemons, &consumers, plan.seed, || {
        session::talk(&lanes, plan.seed, || {
            let calm = AtomicBool::new(false);
            let killed = thread::scope(|scope| {
                scope.spawn(|| trouble(&wires, Chance::new(plan.seed, WIRES), &calm, record));
                let killed = killing(plan, &daemons, record);
                calm.store(true, Ordering::Relaxed);
                killed
            });
            stage::heal(&wires, record);
            killed
        })?;
        end::all(&daemons, &consumers, record)
    });
    stage::close(&wires);
    outcome
}

/// Kills, restarts and looks, as often as the plan says.
fn killing(plan: &Plan, daemons: &[Daemon], record: &Record) -> Result<()> {
    let mut chance = Chance::new(plan.seed, KILLS);
    let start = clock::now();
    let mut kills: u64 = 0;
    while !is_enough(plan, kills, start) {
        // Mostly soon after the last start, sometimes later.
        let wait = if chance.percent(75) {
            chance.millis(5, 400)
        } else {
            chance.millis(400, 2_500)
        };
        clock::pause(wait);
        let victims = victims(&mut chance, daemons);
        if chance.percent(10) {
            polite(&mut chance, &victims, record)?;
            continue;
        }
        for victim in &victims {
            victim.kill()?;
            record.line("kill", json!({ "node": victim.name }));
            kills = kills.saturating_add(1);
        }
        if chance.percent(40) {
            clock::pause(chance.millis(1, 600));
        }
        if chance.percent(10) {
            kills = kills.saturating_add(unborn(&mut chance, &victims, record)?);
        }
        for victim in &victims {
            record.line("spawn", json!({ "node": victim.name }));
            victim.spawn()?;
        }
        for victim in &victims {
            victim.ready(record)?;
        }
        plan.say(&format!(
            "{kills} kills, {:.0} s",
            start.elapsed().as_secs_f64()
        ));
    }
    Ok(())
}

fn is_enough(plan: &Plan, kills: u64, start: Instant) -> bool {
    let long_enough = plan
        .minutes
        .is_none_or(|minutes| start.elapsed() >= minutes);
    kills >= plan.kills && long_enough
}

/// One of them, two at once, or all.
fn victims<'a>(chance: &mut Chance, daemons: &'a [Daemon]) -> Vec<&'a Daemon> {
    let mut left: Vec<&Daemon> = daemons.iter().collect();
    let count = match chance.below(10) {
        0 => left.len(),
        1..=3 => 2,
        _ => 1,
    };
    let mut chosen = Vec::new();
    while chosen.len() < count && !left.is_empty() {
        let place = chance.place(left.len());
        chosen.push(left.swap_remove(place));
    }
    chosen
}

/// Kills in the middle of a start.
fn unborn(chance: &mut Chance, victims: &[&Daemon], record: &Record) -> Result<u64> {
    let mut kills: u64 = 0;
    for victim in victims {
        victim.spawn()?;
        clock::pause(chance.millis(0, 60));
        victim.kill()?;
        record.line("kill", json!({ "node": victim.name, "unborn": true }));
        kills = kills.saturating_add(1);
    }
    Ok(kills)
}

/// SIGTERM under load, and a second daemon on a directory that is taken.
fn polite(chance: &mut Chance, victims: &[&Daemon], record: &Record) -> Result<()> {
    let victim = victims.first().context("nobody to end")?;
    if chance.percent(50) {
        let code = victim.second()?;
        record.line("second", json!({ "node": victim.name, "code": code }));
    }
    victim.terminate(record)?;
    victim.start(record)?;
    Ok(())
}

/// Does things to the wires until it is calm.
fn trouble(wires: &Wires, mut chance: Chance, calm: &AtomicBool, record: &Record) {
    while !calm.load(Ordering::Relaxed) {
        clock::pause(chance.millis(100, 900));
        let (name, wire) = match wires.get(chance.place(wires.len())) {
            Some(found) => found,
            None => return,
        };
        let mode = mode(&mut chance);
        record.line(
            "fault",
            json!({ "wire": name, "mode": format!("{mode:?}") }),
        );
        wire.set(mode);
        clock::pause(chance.millis(20, 1_500));
        heal(&mut chance, wire);
        record.line("heal", json!({ "wire": name }));
    }
}

fn mode(chance: &mut Chance) -> Mode {
    match chance.below(8) {
        0 => Mode::Stall,
        1 => Mode::StallBack,
        2 => Mode::Vanish,
        3 => Mode::Delay(chance.millis(1, 200)),
        4 => Mode::Limit(chance.between(1_000, 200_000)),
        5 => Mode::Refuse,
        _ => Mode::CutAfter(chance.below(8_000)),
    }
}

/// A link whose bytes vanished is sometimes left as it is: the daemons have to find out.
fn heal(chance: &mut Chance, wire: &Proxy) {
    if chance.percent(30) {
        wire.heal_silently();
    } else {
        wire.heal();
    }
}
