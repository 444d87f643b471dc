//! `--scenario clones`: a directory is copied and both copies run at the same time. Each speaks, nobody forks, peers are
//! told once, and everything accepted arrives.

use std::time::Duration;

use anyhow::Result;

use super::{
    super::{Plan, clock, daemon::Daemon, end, load::Switch, record::Record, session, stage},
    copy, expect,
};

/// Messages a second of each lane.
const RATE: u64 = 40;
/// How long each part takes.
const PART: Duration = Duration::from_secs(4);
/// How often the two are killed while both live.
const KILLS: u64 = 3;

/// Plays it.
pub(super) fn run(plan: &Plan, record: &Record) -> Result<()> {
    let (mut daemons, mut wires) = stage::set(plan, 3)?;
    copy::second(&mut daemons, &mut wires, &plan.dir, record)?;
    let [one, bob, carol, other] = daemons.as_slice() else {
        anyhow::bail!("the stage has other players");
    };
    let consumers = session::consumers(&daemons, record);
    for daemon in [one, bob, carol] {
        daemon.start(record)?;
    }
    let outcome = session::watched(&daemons, &consumers, plan.seed, || {
        let talk = |from: &[&Daemon], to: &[&Daemon]| {
            let switch = Switch::default();
            let lanes = session::lanes(from, to, RATE, record, &switch);
            session::talk_for(&lanes, plan.seed, PART);
        };
        talk(&[one, bob, carol], &[one, bob, carol]);
        end::quiet(&daemons, &consumers, record);
        one.terminate(record)?;
        copy::directory(&one.dir, &other.dir)?;
        one.start(record)?;
        other.start(record)?;
        // Both speak to the same peers at the same time.
        talk(&[one, other], &[bob, carol]);
        end::quiet(&daemons, &consumers, record);
        for peer in [bob, carol] {
            expect(record, &peer.name, "incarnation", 1..=1);
            expect(record, &peer.name, "clone", 1..=1);
            expect(record, &peer.name, "fork", 0..=0);
        }
        // Each further life of one of two that are both alive is another pair of lives; it may be told again.
        for _ in 0..KILLS {
            let switch = Switch::default();
            let lanes = session::lanes(&[one, other], &[bob, carol], RATE, record, &switch);
            session::talk(&lanes, plan.seed, || {
                clock::pause(Duration::from_millis(700));
                other.kill()?;
                record.line("kill", serde_json::json!({ "node": other.name }));
                other.start(record)
            })?;
        }
        end::all(&daemons, &consumers, record)
    });
    stage::close(&wires);
    outcome
}
