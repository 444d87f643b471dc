//! How much of a part of the table is measured.

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
