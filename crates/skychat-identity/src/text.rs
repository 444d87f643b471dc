//! Showing, in an error, a text that somebody else wrote.

use std::fmt;

/// Text that was found where something else was expected, safe to print: what is no plain ASCII
/// is escaped, and it is cut after 80 characters. `Display` puts it between backticks.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted(String);

/// How many characters are shown.
const SHOWN: usize = 80;

impl Quoted {
    /// Takes the beginning of `text`.
    pub fn new(text: &str) -> Self {
        let mut shown = String::new();
        for (n, c) in text.chars().enumerate() {
            if n == SHOWN {
                shown.push_str("...");
                break;
            }
            shown.extend(c.escape_default());
        }
        Quoted(shown)
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_escapes_and_cuts() {
        assert_eq!(
            Quoted::new("a\n\u{1b}[31m\u{202e}").to_string(),
            r"`a\n\u{1b}[31m\u{202e}`"
        );
        let long = Quoted::new(&"x".repeat(1000)).to_string();
        assert_eq!(long.len(), SHOWN + 5);
        assert!(long.ends_with("x...`"));
    }
}
