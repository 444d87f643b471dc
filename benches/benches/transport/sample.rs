//! Samples taken in turn, and what is said about them.

use std::time::{Duration, Instant};

/// Whether a part of the table is asked for: by `cargo bench`, not when criterion only lists or
/// tests, nor when the filters mean something else.
pub(crate) fn wanted(part: &str) -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    if !given("--bench") || given("--test") || given("--list") || given("--load-baseline") {
        return false;
    }
    let part = format!("transport/table/{part}");
    let mut filters = arguments.iter().filter(|a| !a.starts_with("--"));
    filters.all(|filter| part.contains(filter.as_str()))
}

/// Runs each candidate once a round, for `rounds` rounds after one that does not count, and
/// returns the median of each.
pub(crate) fn in_turn<const N: usize>(
    rounds: usize,
    mut take: impl FnMut(usize) -> f64,
) -> [f64; N] {
    let mut taken: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for round in 0..=rounds {
        for (candidate, values) in taken.iter_mut().enumerate() {
            let value = take(candidate);
            if round > 0 {
                values.push(value);
            }
        }
    }
    taken.map(median)
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds that `work` takes each time, over about `span`.
pub(crate) fn seconds_each(span: Duration, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut times = 0_u32;
    while start.elapsed() < span {
        for _ in 0..16 {
            work();
        }
        times += 16;
    }
    start.elapsed().as_secs_f64() / f64::from(times)
}

/// How much of the processor this process had while it measured. Samples of work that two cores
/// share mean little on a machine that is busy with other things.
pub(crate) struct Cores {
    wall: f64,
    busy: f64,
}

impl Cores {
    pub(crate) fn start() -> Self {
        Cores {
            wall: 0.0,
            busy: 0.0,
        }
    }

    pub(crate) fn during<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (start, before) = (Instant::now(), ticks());
        let done = work();
        self.wall += start.elapsed().as_secs_f64();
        self.busy += ticks() - before;
        done
    }

    pub(crate) fn had(&self) -> f64 {
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

/// A line of the table.
pub(crate) fn line(what: &str, figure: &str, ratio: f64, target: &str) {
    println!("  {what:<52} {figure:>22}   {ratio:>7.2}   {target}");
}

pub(crate) fn head(title: &str, ratio: &str) {
    println!("{title}");
    println!("  {:<52} {:>22}   {ratio:>7}   target", "", "median");
}
