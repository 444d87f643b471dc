//! What the command line asks of a bench: all of it, some parts, a list, or a test that it runs.

use std::io;
use std::path::PathBuf;

use crate::report::directory;
use crate::shape::Report;

/// Arguments as cargo and criterion have them: `--test`, `--list`, and words that pick parts.
#[derive(Debug, Default)]
pub struct Asked {
    test: bool,
    list: bool,
    filters: Vec<String>,
    left_out: bool,
}

impl Asked {
    /// By whoever started this bench.
    pub fn of_command_line() -> Self {
        Self::of(std::env::args().skip(1))
    }

    fn of(arguments: impl Iterator<Item = String>) -> Self {
        // `cargo bench` says `--bench`, `cargo test` says nothing: it wants to see that it runs.
        let mut asked = Asked {
            test: true,
            ..Asked::default()
        };
        let mut test = false;
        for argument in arguments {
            match argument.as_str() {
                "--bench" => asked.test = false,
                "--test" => test = true,
                "--list" => asked.list = true,
                flag if flag.starts_with('-') => {}
                _ => asked.filters.push(argument),
            }
        }
        asked.test |= test;
        asked
    }

    /// Whether it only has to be shown that it runs.
    pub const fn is_test(&self) -> bool {
        self.test
    }

    /// So much, or so little for a test.
    pub fn amount<T>(&self, whole: T, test: T) -> T {
        if self.test { test } else { whole }
    }

    /// Whether the part of this name is to be measured. For a list it is named, and not measured.
    pub fn measures(&mut self, part: &str) -> bool {
        let picked = |filter: &String| part.contains(filter.as_str());
        let wanted = self.filters.is_empty() || self.filters.iter().any(picked);
        if wanted && self.list {
            println!("{part}: benchmark");
        }
        self.left_out |= !wanted || self.list;
        wanted && !self.list
    }

    /// Ends a bench: writes its file if all of it was measured. Figures of a part do not take the
    /// place of the whole.
    ///
    /// # Errors
    /// Those of [`Report::finish`].
    pub fn finish(&self, report: &Report) -> io::Result<()> {
        if !self.left_out {
            return report.finish();
        }
        if !report.sections.is_empty() {
            println!("\nnot written: only a part was measured");
        }
        Ok(())
    }
}

/// How many messages a long bench has: `$SKYCHAT_BENCH_MESSAGES`, else `usual`.
///
/// # Errors
/// The variable holds something else than a number above 0.
pub fn messages(usual: u64) -> io::Result<u64> {
    const NAME: &str = "SKYCHAT_BENCH_MESSAGES";
    let Some(text) = std::env::var_os(NAME) else {
        return Ok(usual);
    };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.filter(|&number| number > 0).ok_or_else(|| {
        io::Error::other(format!("{NAME}: found {text:?}, expected a number above 0"))
    })
}

/// Where a bench puts its files: `$SKYCHAT_BENCH_DIR`, else its target directory. It has to be on
/// a disk for figures of the disk to mean something.
///
/// # Errors
/// It cannot be made.
pub fn scratch() -> io::Result<PathBuf> {
    let dir = match std::env::var_os("SKYCHAT_BENCH_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => directory()?,
    };
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Asked {
        Asked::of(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_pick_parts_and_flags_of_cargo_do_not() {
        let mut all = asked("--bench");
        assert!(all.measures("memory") && all.measures("bulk"));
        assert!(!all.left_out);
        let mut some = asked("mem --bench");
        assert!(some.measures("memory") && !some.measures("bulk"));
        assert!(some.left_out);
    }

    #[test]
    fn a_list_measures_nothing_and_a_test_little() {
        assert!(asked("").is_test() && asked("--bench --test").is_test());
        assert!(!asked("--bench").is_test());
        let mut list = asked("--list");
        assert!(!list.measures("memory") && list.left_out);
        let mut test = asked("--test");
        assert!(test.measures("memory") && test.is_test());
        assert_eq!((test.amount(9, 1), all_of(9, 1)), (1, 9));
    }

    fn all_of(whole: u32, test: u32) -> u32 {
        asked("--bench").amount(whole, test)
    }
}
