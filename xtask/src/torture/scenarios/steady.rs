//! `--scenario steady`: nothing is broken, and nothing may grow. One daemon writes to another at an even rate for
//! `--minutes`; memory, descriptors, threads and tasks of both are read from outside, a sample a second.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::super::{
    Plan, clock,
    daemon::{Daemon, lock},
    load::Switch,
    record::Record,
    stage,
};

/// Messages a second in all, and how many write them.
const RATE: u64 = 3_000;
const LANES: u64 = 12;
/// Bytes of each text.
const TEXT: usize = 256;
/// How long it takes when nobody says.
const SHORT: Duration = Duration::from_secs(60);
/// How long everything may take to arrive after the last one was said.
const ARRIVAL: Duration = Duration::from_secs(30);
/// How much memory there may be, and how much it may grow in a minute once it is warm, in KiB; and how many descriptors,
/// threads and tasks there may be more in the last third than in the middle of the one before: in its middle, and for a
/// moment, as when the index merges files.
const MOST_MEMORY: u64 = 64 * 1024;
const MOST_GROWTH: f64 = 512.0;
const MOST_MORE: u64 = 4;
const MOST_FOR_A_MOMENT: u64 = 16;
/// Of the rate, what has to be reached for the run to mean something.
const LEAST_SHARE: f64 = 0.95;

/// What is not as it has to be.
#[derive(Default)]
struct Wrong(Mutex<Vec<String>>);

impl Wrong {
    fn add(&self, what: String) {
        lock(&self.0).push(what);
    }

    fn verdict(self) -> Result<()> {
        let found = lock(&self.0);
        if found.is_empty() {
            return Ok(());
        }
        bail!("{}", found.join("; "))
    }
}

/// What one daemon takes at one time.
#[derive(Clone, Copy, Default)]
struct Sample {
    resident_kib: u64,
    descriptors: u64,
    threads: u64,
    tasks: u64,
}

/// Plays it.
pub(super) fn run(plan: &Plan, record: &Record) -> Result<()> {
    let wrong = Wrong::default();
    let (daemons, wires) = stage::set(plan, 2)?;
    let [from, to] = daemons.as_slice() else {
        bail!("the stage has other players");
    };
    for daemon in [from, to] {
        daemon.start(record)?;
    }
    let (switch, accepted, seen) = (Switch::default(), AtomicU64::new(0), AtomicU64::new(0));
    let time = plan.minutes.unwrap_or(SHORT);
    let samples = thread::scope(|scope| {
        scope.spawn(|| watch(to, &seen, &wrong));
        for lane in 0..LANES {
            let (switch, accepted, wrong) = (&switch, &accepted, &wrong);
            scope.spawn(move || say(from, to, lane, switch, accepted, wrong));
        }
        let samples = look(plan, [from, to], time, &accepted, &seen);
        switch.no_more();
        let arrived = clock::eventually(ARRIVAL, || {
            (seen.load(Ordering::Relaxed) >= accepted.load(Ordering::Relaxed)).then_some(())
        });
        to.over();
        // Its reader ends with the stream.
        let ended = [from, to].map(|daemon| daemon.terminate(record));
        (samples, arrived, ended)
    });
    stage::close(&wires);
    let (samples, arrived, ended) = samples;
    for ended in ended {
        ended?;
    }
    let (accepted, seen) = (accepted.into_inner(), seen.into_inner());
    if arrived.is_none() || seen != accepted {
        wrong.add(format!(
            "{accepted} messages were accepted, and {seen} seen"
        ));
    }
    let expected = RATE as f64 * time.as_secs_f64();
    if (accepted as f64) < expected * LEAST_SHARE {
        wrong.add(format!(
            "{accepted} messages were accepted, and {expected:.0} were to be"
        ));
    }
    for (daemon, samples) in [from, to].into_iter().zip(samples?) {
        judge(plan, daemon, &samples, &wrong);
    }
    wrong.verdict()
}

/// Writes messages of one lane, numbered, at its share of the rate; what was late is made up for.
fn say(
    from: &Daemon,
    to: &Daemon,
    lane: u64,
    switch: &Switch,
    accepted: &AtomicU64,
    wrong: &Wrong,
) {
    let period = Duration::from_micros(1_000_000 * LANES / RATE);
    let filler = "x".repeat(TEXT);
    let mut connection = None;
    let mut due = clock::now();
    for number in 0_u64.. {
        if switch.is_over() {
            return;
        }
        let text = format!("{lane} {number} {filler}");
        let body = json!({ "to": to.key, "text": text, "wait": "accepted", "timeout_ms": 10_000 });
        let mut open = match connection.take().map_or_else(|| from.connect(), Ok) {
            Ok(open) => open,
            Err(error) => return wrong.add(format!("no connection: {error}")),
        };
        match open.ask("POST", "/v1/messages", Some(&body)) {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => return wrong.add(format!("not accepted: {}", answer.document)),
            Err(error) => return wrong.add(format!("no answer: {error}")),
        }
        connection = Some(open);
        accepted.fetch_add(1, Ordering::Relaxed);
        due = due.checked_add(period).unwrap_or(due);
        clock::pause(due.saturating_duration_since(clock::now()));
    }
}

/// Reads what arrives: of each lane one after the other, none left out.
fn watch(at: &Daemon, seen: &AtomicU64, wrong: &Wrong) {
    let stream = at
        .connect()
        .and_then(|connection| connection.stream("/v1/events?after=first", "application/x-ndjson"));
    let mut lines = match stream {
        Ok(lines) => lines,
        Err(error) => return wrong.add(format!("no events: {error}")),
    };
    let mut next = vec![0_u64; usize::try_from(LANES).unwrap_or_default()];
    while let Ok(Some(line)) = lines.next() {
        let Ok(event) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let Some(text) = event.get("text").and_then(Value::as_str) else {
            continue;
        };
        let mut words = text.split(' ').map(str::parse::<u64>);
        let (Some(Ok(lane)), Some(Ok(number))) = (words.next(), words.next()) else {
            return wrong.add("a message that nobody wrote".to_owned());
        };
        let place = usize::try_from(lane)
            .ok()
            .and_then(|lane| next.get_mut(lane));
        match place {
            Some(next) if *next == number => *next = number.saturating_add(1),
            _ => {
                return wrong.add(format!("lane {lane} goes on with {number}: {next:?}"));
            }
        }
        seen.fetch_add(1, Ordering::Relaxed);
    }
}

/// Takes samples for so long.
fn look(
    plan: &Plan,
    daemons: [&Daemon; 2],
    time: Duration,
    accepted: &AtomicU64,
    seen: &AtomicU64,
) -> Result<[Vec<Sample>; 2]> {
    let mut samples = [Vec::new(), Vec::new()];
    for second in 1..=time.as_secs() {
        clock::pause(Duration::from_secs(1));
        for (samples, daemon) in samples.iter_mut().zip(daemons) {
            samples.push(sample(daemon)?);
        }
        if second.is_multiple_of(10) {
            let (accepted, seen) = (
                accepted.load(Ordering::Relaxed),
                seen.load(Ordering::Relaxed),
            );
            let last = |n: usize| -> Sample {
                let samples = samples.get(n).and_then(|samples| samples.last());
                samples.copied().unwrap_or_default()
            };
            let said = daemons.iter().enumerate().map(|(n, daemon)| {
                let now = last(n);
                format!(
                    "{}: {:.1} MiB, {} descriptors, {} threads, {} tasks",
                    daemon.name,
                    now.resident_kib as f64 / 1024.0,
                    now.descriptors,
                    now.threads,
                    now.tasks
                )
            });
            let said: Vec<String> = said.collect();
            plan.say(&format!(
                "{second} s: {accepted} accepted, {seen} seen; {}",
                said.join("; ")
            ));
        }
    }
    Ok(samples)
}

fn sample(daemon: &Daemon) -> Result<Sample> {
    let pid = daemon.pid().context("it does not run")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .context("memory and threads can be read on Linux only")?;
    let number = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let word = line.and_then(|line| line.split_whitespace().nth(1));
        word.and_then(|word| word.parse().ok())
            .with_context(|| format!("no {name} of process {pid}"))
    };
    let tasks = daemon
        .status()
        .and_then(|status| status.get("tasks").and_then(Value::as_u64));
    Ok(Sample {
        resident_kib: number("VmRSS:")?,
        threads: number("Threads:")?,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        tasks: tasks.context("the status names no tasks")?,
    })
}

/// One of the counts of a sample.
type Count = fn(&Sample) -> u64;

/// Looks at the last two thirds of the run: the first one is for getting warm.
fn judge(plan: &Plan, daemon: &Daemon, samples: &[Sample], wrong: &Wrong) {
    let third = samples.len() / 3;
    let warm = samples.get(third..).unwrap_or_default();
    let (before, last) = warm.split_at(warm.len() / 2);
    let memory: Vec<u64> = warm.iter().map(|sample| sample.resident_kib).collect();
    let growth = slope(&memory) * 60.0;
    let most = samples.iter().map(|sample| sample.resident_kib).max();
    let most = most.unwrap_or_default();
    plan.say(&format!(
        "{}: memory grows by {growth:.0} KiB a minute; at most {:.1} MiB",
        daemon.name,
        most as f64 / 1024.0
    ));
    if growth > MOST_GROWTH {
        wrong.add(format!(
            "memory of {} grows by {growth:.0} KiB a minute",
            daemon.name
        ));
    }
    if most > MOST_MEMORY {
        wrong.add(format!("{} takes {most} KiB of memory", daemon.name));
    }
    let descriptors: Count = |sample| sample.descriptors;
    let (threads, tasks): (Count, Count) = (|sample| sample.threads, |sample| sample.tasks);
    for (what, of) in [
        ("descriptors", descriptors),
        ("threads", threads),
        ("tasks", tasks),
    ] {
        let [before, last] = [before, last].map(|part| part.iter().map(of).collect::<Vec<_>>());
        let most = last.iter().copied().max().unwrap_or_default();
        let (is_grown, before, last) = (is_more(&before, &last), middle(before), middle(last));
        plan.say(&format!(
            "{}: {what} {before}, then {last}, at most {most}",
            daemon.name
        ));
        if is_grown {
            wrong.add(format!(
                "{what} of {} grow from {before} to {last}, at most {most}",
                daemon.name
            ));
        }
    }
}

/// Whether there are more than before, for good or for a moment.
fn is_more(before: &[u64], last: &[u64]) -> bool {
    let usual = middle(before.to_vec());
    let most = last.iter().copied().max().unwrap_or_default();
    middle(last.to_vec()) > usual.saturating_add(MOST_MORE)
        || most > usual.saturating_add(MOST_FOR_A_MOMENT)
}

/// The median.
fn middle<T: Copy + PartialOrd + Default>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// By how much the values grow from one to the next: the median of the slopes between any two of them (Theil 1950, Sen
/// 1968). What grows, grows between most of them; one step, as when the oldest text begins to be given away, does not
/// count as growth.
fn slope(values: &[u64]) -> f64 {
    let pairs = values.iter().enumerate().flat_map(|(at, from)| {
        let later = values.iter().enumerate().skip(at.saturating_add(1));
        later.map(move |(then, to)| (*to as f64 - *from as f64) / (then as f64 - at as f64))
    });
    middle(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::{is_more, slope};

    #[test]
    fn growth_is_found_under_what_swings_and_a_step_is_none() {
        let line = |of: fn(u64) -> u64| (0..100).map(of).collect::<Vec<_>>();
        let close = |values: Vec<u64>, grows: f64| (slope(&values) - grows).abs() < 0.05;
        assert!(close(line(|at| 9_000 + at % 2), 0.0));
        assert!(close(line(|at| 9_000 + at * 3 + at % 2), 3.0));
        assert!(close(line(|at| if at < 80 { 9_000 } else { 15_000 }), 0.0));
        // Steps that go on are growth.
        assert!(slope(&line(|at| 9_000 + at / 10 * 100)) > 8.0);
        assert!(close(Vec::new(), 0.0));
    }

    #[test]
    fn what_is_open_for_a_moment_is_bounded_too() {
        let before = [40; 9];
        let last = |most: u64| [40, 41, 40, 40, most, 39, 40, 40, 41];
        assert!(!is_more(&before, &last(49)));
        assert!(is_more(&before, &last(57)));
        assert!(!is_more(&before, &[44; 9]));
        assert!(is_more(&before, &[45; 9]));
    }
}
