//! Which parts of the table are asked for, and how much of each.

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    /// For figures.
    Whole,
    /// `--test`: shows that it runs.
    Tiny,
}

impl Amount {
    /// `whole`, or `tiny` to show that it runs.
    pub(crate) fn of<T>(self, whole: T, tiny: T) -> T {
        match self {
            Amount::Whole => whole,
            Amount::Tiny => tiny,
        }
    }
}

/// What the command line asks of the table.
pub(crate) struct Wanted {
    /// `None`: nothing; criterion lists, or compares what it kept.
    amount: Option<Amount>,
    list: bool,
    filters: Vec<String>,
}

impl Wanted {
    pub(crate) fn by_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let given = |name: &str| arguments.iter().any(|argument| argument == name);
        let list = given("--list");
        let amount = if list || given("--load-baseline") {
            None
        } else if given("--test") || !given("--bench") {
            Some(Amount::Tiny)
        } else {
            Some(Amount::Whole)
        };
        Wanted {
            amount,
            list,
            filters: arguments
                .into_iter()
                .filter(|argument| !argument.starts_with('-'))
                .collect(),
        }
    }

    /// How much of a part, if any of it; with `--list` its name.
    pub(crate) fn part(&self, part: &str) -> Option<Amount> {
        let name = format!("transport/table/{part}");
        let named = self.filters.iter().all(|filter| name.contains(filter));
        if named && self.list {
            println!("{name}: benchmark");
        }
        self.amount.filter(|_| named)
    }

    /// Whether the figures are worth a file: all of them, and all of each.
    pub(crate) fn everything(&self, parts: &[&str]) -> bool {
        let whole = |part: &&str| self.part(part) == Some(Amount::Whole);
        parts.iter().all(whole)
    }
}
