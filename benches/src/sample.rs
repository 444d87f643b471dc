//! Samples taken in turn.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Seconds of a processor between two looks at its clock, about.
const BETWEEN_LOOKS: f64 = 1e-3;

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
pub fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// The one that such a share of all is below; `NaN` of none. `0.99` is the 99th percentile.
pub fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * share) as usize;
    let last = values.len().saturating_sub(1);
    values.get(at.min(last)).copied().unwrap_or(f64::NAN)
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

/// Processor seconds of this thread that `work` takes each time, over about `span` of them: for
/// work that waits for nothing. Others on the machine cost it nothing but their share of the caches.
pub fn cpu_seconds_each(span: Duration, mut work: impl FnMut()) -> f64 {
    let (start, span) = (thread_seconds(), span.as_secs_f64());
    let (mut last, mut times, mut batch) = (start, 0_u64, 16_u64);
    loop {
        for _ in 0..batch {
            work();
        }
        times = times.saturating_add(batch);
        let now = thread_seconds();
        if now - start >= span {
            return (now - start) / times as f64;
        }
        // To look at this clock takes a system call, which is not to be part of what is measured.
        if now - last < BETWEEN_LOOKS {
            batch = batch.saturating_mul(2);
        }
        last = now;
    }
}

/// Processor time of this thread, in seconds.
pub fn thread_seconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default().as_secs_f64()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_among_the_values() {
        let values: Vec<f64> = (0..200).map(f64::from).rev().collect();
        assert_eq!(median(values.clone()), 100.0);
        assert_eq!(quantile(values.clone(), 0.99), 198.0);
        assert_eq!(quantile(values, 1.0), 199.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn the_account_of_a_thread_grows_with_its_work() {
        let before = thread_seconds();
        let mut sum = 0_u64;
        while thread_seconds() <= before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let each = cpu_seconds_each(Duration::from_millis(1), || {
            std::hint::black_box(sum);
        });
        assert!(each.is_finite() && each >= 0.0, "{each}");
    }

    #[test]
    fn the_first_round_does_not_count_and_all_take_their_turn() {
        let mut turns = Vec::new();
        let medians = in_turn::<2>(3, |candidate| {
            turns.push(candidate);
            turns.len() as f64
        });
        assert_eq!(turns, [0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(medians, [5.0, 6.0]);
    }
}
