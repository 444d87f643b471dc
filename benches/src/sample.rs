//! Samples taken in turn.

use std::time::{Duration, Instant};

/// Runs each candidate once a round, for `rounds` rounds after one that does not count, and
/// returns the median of each: what disturbs the machine meanwhile disturbs all of them.
pub fn in_turn<const N: usize>(rounds: usize, take: impl FnMut(usize) -> f64) -> [f64; N] {
    let mut medians = all_in_turn(N, rounds, take).into_iter();
    std::array::from_fn(|_| medians.next().unwrap_or(f64::NAN))
}

/// The same for as many candidates as there are in a list.
pub fn all_in_turn(
    candidates: usize,
    rounds: usize,
    mut take: impl FnMut(usize) -> f64,
) -> Vec<f64> {
    let mut taken = vec![Vec::with_capacity(rounds); candidates];
    for round in 0..=rounds {
        for (candidate, values) in taken.iter_mut().enumerate() {
            let value = take(candidate);
            if round > 0 {
                values.push(value);
            }
        }
    }
    taken.into_iter().map(median).collect()
}

/// The middle one; `NaN` of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds that `work` takes each time, over about `span`.
pub fn seconds_each(span: Duration, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut times = 0_u32;
    while start.elapsed() < span {
        for _ in 0..16 {
            work();
        }
        times = times.saturating_add(16);
    }
    start.elapsed().as_secs_f64() / f64::from(times)
}

/// Memory of this process that is in use now, in KiB: `VmRSS`, 0 where the system does not say.
pub fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0)
}

/// How much of the processor this process had while it measured. Samples of work that two cores
/// share mean little on a machine that is busy with other things.
#[derive(Debug, Default)]
pub struct Cores {
    wall: f64,
    busy: f64,
}

impl Cores {
    /// Nothing was measured yet.
    pub const fn start() -> Self {
        Cores {
            wall: 0.0,
            busy: 0.0,
        }
    }

    /// Does some work, and counts.
    pub fn during<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (start, before) = (Instant::now(), ticks());
        let done = work();
        self.wall += start.elapsed().as_secs_f64();
        self.busy += ticks() - before;
        done
    }

    /// Cores that were busy, in the middle.
    pub fn had(&self) -> f64 {
        self.busy / self.wall
    }
}

/// Processor time of this process in seconds; `NaN` where there is no /proc.
fn ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let mut fields = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    match (fields.next(), fields.next()) {
        (Some(Ok(user)), Some(Ok(system))) => (user + system) / 100.0,
        _ => f64::NAN,
    }
}
