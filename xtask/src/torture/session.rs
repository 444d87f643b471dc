//! Who takes part in a run: the lanes that write, the consumers that read, and how long they do.

use std::{sync::atomic::AtomicU64, thread, time::Duration};

use anyhow::Result;

use super::{
    chance::Chance,
    clock,
    consumer::{Consumer, Form},
    daemon::Daemon,
    load::{Lane, Switch},
    record::Record,
};

/// How long lanes may take to get their last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(60);
/// Purposes of chance: the first lane, and the first consumer.
const LANES: u64 = 1_000_000;
const CONSUMERS: u64 = 2_000_000;

/// Two readers at each daemon: one stays as long as it can, one goes away and comes back.
pub(crate) fn consumers<'a>(daemons: &'a [Daemon], record: &'a Record) -> Vec<Consumer<'a>> {
    let of = |at: &'a Daemon| {
        [(Form::Ndjson, 0, "steady"), (Form::Sse, 5, "restless")].map(|(form, restless, name)| {
            Consumer {
                name: format!("{}/{name}", at.name),
                at,
                all: daemons,
                form,
                restless,
                record,
                last: AtomicU64::new(0),
            }
        })
    };
    daemons.iter().flat_map(of).collect()
}

/// A lane from each of these to each of those, but not to itself.
pub(crate) fn lanes<'a>(
    from: &[&'a Daemon],
    to: &[&'a Daemon],
    rate: u64,
    record: &'a Record,
    switch: &'a Switch,
) -> Vec<Lane<'a>> {
    let mut lanes = Vec::new();
    for from in from {
        for to in to.iter().filter(|to| to.key != from.key) {
            let number = record.next_lane();
            lanes.push(Lane {
                name: format!("{}>{}/{number}", from.name, to.name),
                number,
                from,
                to,
                rate,
                record,
                switch,
            });
        }
    }
    lanes
}

/// Lets lanes write while something happens, then waits until they know what became of everything.
pub(crate) fn talk<T>(lanes: &[Lane<'_>], seed: u64, during: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let senders: Vec<_> = lanes
            .iter()
            .map(|lane| {
                let chance = Chance::new(seed, LANES.saturating_add(lane.number));
                scope.spawn(move || lane.run(chance))
            })
            .collect();
        let happened = during();
        for lane in lanes {
            lane.switch.no_more();
        }
        clock::eventually(LAST_ANSWERS, || {
            let finished = senders.iter().all(|sender| sender.is_finished());
            finished.then_some(())
        });
        for lane in lanes {
            lane.switch.give_up();
        }
        happened
    })
}

/// Lets lanes write for a while.
pub(crate) fn talk_for(lanes: &[Lane<'_>], seed: u64, time: Duration) {
    talk(lanes, seed, || clock::pause(time));
}

/// Lets consumers read while something happens; afterwards no daemon runs any more.
pub(crate) fn watched(
    daemons: &[Daemon],
    consumers: &[Consumer<'_>],
    seed: u64,
    during: impl FnOnce() -> Result<()>,
) -> Result<()> {
    thread::scope(|scope| {
        for (number, consumer) in (CONSUMERS..).zip(consumers) {
            let chance = Chance::new(seed, number);
            scope.spawn(move || consumer.run(chance));
        }
        let outcome = during();
        for daemon in daemons {
            daemon.over();
            // Streams end with their daemons.
            let _ = daemon.kill();
        }
        outcome
    })
}
