//! What both benches share: what the command line asks for, and a clock that stands still while
//! others have the processor.
#![allow(clippy::print_stdout, reason = "for benchmarks: they print")]

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Seconds of processor time that `work` takes each time, over about `span` of it: for what one
/// thread does alone, on a machine that does other things too.
pub fn own_seconds_each(span: Duration, mut work: impl FnMut()) -> f64 {
    let start = own_seconds();
    let (mut times, mut taken) = (0_u32, 0.0);
    while taken < span.as_secs_f64() {
        for _ in 0..16 {
            work();
        }
        times = times.saturating_add(16);
        taken = own_seconds() - start;
    }
    taken / f64::from(times)
}

/// Processor time of this thread.
fn own_seconds() -> f64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    tv_sec as f64 + tv_nsec as f64 / 1e9
}

/// What the command line asks of a bench.
#[derive(Clone, Debug)]
pub struct Ask {
    bench: String,
    filters: Vec<String>,
    /// Show that everything runs, in seconds; the figures mean nothing and are not kept.
    pub test: bool,
    list: bool,
}

impl Ask {
    /// Of this bench, by the arguments of the process. `cargo bench` says `--bench`; without it,
    /// or with `--test`, it is a test.
    pub fn of(bench: &str) -> Self {
        Ask::from_arguments(bench, std::env::args().skip(1))
    }

    fn from_arguments(bench: &str, arguments: impl Iterator<Item = String>) -> Self {
        let (options, filters): (Vec<_>, Vec<_>) =
            arguments.partition(|argument| argument.starts_with("--"));
        let given = |name: &str| options.iter().any(|option| option == name);
        Ask {
            bench: bench.to_owned(),
            test: given("--test") || !given("--bench"),
            list: given("--list"),
            filters,
        }
    }

    /// Whether a section is to run: one of the filters is a part of `BENCH/SECTION`, or there is
    /// none. If sections are only to be listed, it is, and does not run.
    pub fn wants(&self, section: &str) -> bool {
        let name = format!("{}/{section}", self.bench);
        let named = self.filters.iter().any(|filter| name.contains(filter));
        let wanted = named || self.filters.is_empty();
        if wanted && self.list {
            println!("{name}: benchmark");
        }
        wanted && !self.list
    }

    /// The first amount of a measurement, the second of a test.
    pub fn amount<T>(&self, measured: T, tested: T) -> T {
        if self.test { tested } else { measured }
    }

    /// Whether the figures are to be kept: they are not those of a test.
    pub fn keeps(&self) -> bool {
        !self.test && !self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(arguments: &str) -> Ask {
        let arguments = arguments.split_whitespace().map(str::to_owned);
        Ask::from_arguments("links", arguments)
    }

    #[test]
    fn filters_choose_sections_by_their_names() {
        assert!(ask("--bench").wants("ping"));
        assert!(ask("--bench links/ping").wants("ping"));
        assert!(ask("ping --bench memory").wants("ping"));
        assert!(!ask("--bench memory").wants("ping"));
        assert!(!ask("--bench journals").wants("ping"));
        assert!(ask("--bench links").wants("ping"));
    }

    #[test]
    fn work_is_done_in_sixteens_and_takes_some_time() {
        let mut times = 0;
        let each = own_seconds_each(Duration::from_nanos(1), || times += 1);
        assert!(times > 0 && times % 16 == 0, "{times}");
        assert!(each > 0.0 && each.is_finite(), "{each}");
    }

    #[test]
    fn figures_of_a_test_are_not_kept() {
        assert!(ask("--bench").keeps());
        for test in ["", "--test", "--bench --test", "ping"] {
            assert!(!ask(test).keeps(), "{test}");
            assert_eq!(ask(test).amount(7, 1), 1, "{test}");
        }
        let list = ask("--bench --list");
        assert!(!list.keeps() && !list.wants("ping"));
    }
}
