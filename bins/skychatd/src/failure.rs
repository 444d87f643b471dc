//! Why the daemon does not run: a code of the one table, and a text.

use std::fmt;

use skychat_api::{Code, ErrorBody};

/// A failure with its code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A setting that cannot be used.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(Code::BadConfig, message)
    }

    /// An error with its causes in one line.
    pub(crate) fn caused(code: Code, error: &(dyn std::error::Error + 'static)) -> Self {
        let message = std::iter::successors(Some(error), |error| error.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ");
        Self::new(code, message)
    }

    /// The same, and what it is about before it.
    pub(crate) fn about(self, what: &str) -> Self {
        Self::new(self.code, format!("{what}: {}", self.message))
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The failure as the document programs read.
    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody::new(self.code, self.message.clone())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
