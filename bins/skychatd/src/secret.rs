//! A secret that is given as a text, or in a file of its own.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use skychat_api::Code;
use skychat_core::datadir;
use skychat_http::Token;

use crate::failure::Failure;

/// The longest file of a secret that is read, in bytes.
const MAX_FILE: usize = 4 * 1024;

/// A secret as it is written: its text, or `@` and the name of a file, which only its owner may read.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The file it names.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.0.strip_prefix('@').map(Path::new)
    }

    /// The same, with a file that is named without a folder looked for in `dir`.
    pub(crate) fn beside(self, dir: &Path) -> Self {
        match self.file() {
            Some(file) => Self(format!("@{}", dir.join(file).display())),
            None => self,
        }
    }

    /// The token that this is; `flag` is for the message, which shows nothing of it.
    pub(crate) fn token(&self, flag: &str) -> Result<Token, Failure> {
        let malformed = |what: &dyn fmt::Display| Failure::config(format!("{flag}: {what}"));
        let Some(file) = self.file() else {
            return Token::new(&self.0).map_err(|error| malformed(&error));
        };
        let shown = PathBuf::from(file);
        let text = datadir::read_private(file, MAX_FILE).map_err(|error| {
            let code = match error.code() {
                Code::LooseFile => Code::LooseFile,
                _ => Code::BadConfig,
            };
            Failure::caused(code, &error).about(flag)
        })?;
        std::str::from_utf8(&text)
            .map_err(|_| malformed(&format_args!("{}: not UTF-8", shown.display())))
            .and_then(|text| {
                Token::new(text)
                    .map_err(|error| malformed(&format_args!("{}: {error}", shown.display())))
            })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TEXT: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn c37_a_token_is_given_as_text_or_in_a_file_of_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("internal");
        std::fs::write(&path, format!("{TEXT}\n")).unwrap();
        let chmod = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let named = Secret::new("@internal").beside(dir.path());
        chmod(0o600);
        assert!(named.token("--x").is_ok());
        assert!(Secret::new(TEXT).token("--x").is_ok());
        chmod(0o644);
        assert_eq!(named.token("--x").unwrap_err().code(), Code::LooseFile);
        chmod(0o600);
        for bytes in [&b""[..], b"short", &[0xff; 40], &[b'x'; 5_000]] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(named.token("--x").unwrap_err().code(), Code::BadConfig);
        }
        std::fs::remove_file(&path).unwrap();
        for text in ["", "short", "@", "@/nowhere/internal", &"x".repeat(257)] {
            let error = Secret::new(text).token("--x").unwrap_err();
            assert_eq!(error.code(), Code::BadConfig, "{text}");
        }
        let shown = format!("{:?}", Secret::new(TEXT));
        assert!(!shown.contains(TEXT));
    }
}
