//! Why a command did not do what was asked.

use std::fmt;
use std::io;

use skychat_api::{Code, ErrorBody};
use skychat_client::ClientError;

/// The end of a command that did not succeed.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// It failed, with what programs and people are told.
    Said(Box<ErrorBody>),
    /// Whoever read our output has gone: end without a word.
    PipeClosed,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Said(Box::new(ErrorBody::new(code, message)))
    }

    /// An error with its causes in one line.
    pub(crate) fn caused(code: Code, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(code, chain(error))
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Said(body) => body.code,
            Self::PipeClosed => Code::Internal,
        }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(body) => f.write_str(&body.message),
            Self::PipeClosed => f.write_str("the reader of the output has gone"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Answer(body) => Self::Said(body),
            error => Self::new(error.code(), chain(&error)),
        }
    }
}

/// An error of writing output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::PipeClosed
        } else {
            Self::new(Code::Internal, format!("writing the output: {error}"))
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        if error.io_error_kind() == Some(io::ErrorKind::BrokenPipe) {
            Self::PipeClosed
        } else {
            Self::new(Code::Internal, format!("writing JSON: {error}"))
        }
    }
}
