//! Whom a command is about.

use std::str::FromStr;

use skychat_api::Code;
use skychat_identity::{Address, AddressError, PublicKey};

use crate::failure::Failure;

/// A peer, as a key of 64 hex digits, a `skychat:` address or `tcp://<key>@host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The key.
    pub(crate) key: PublicKey,
}

impl FromStr for Target {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        let parsed = if text.starts_with("skychat:") || text.starts_with("tcp://") {
            text.parse::<Address>()
                .map(|address| address.key())
                .map_err(|error| {
                    let code = match error {
                        AddressError::Key { .. } => Code::MalformedKey,
                        _ => Code::MalformedAddress,
                    };
                    Failure::caused(code, &error)
                })
        } else {
            text.parse().map_err(|error: skychat_identity::KeyError| {
                Failure::new(Code::MalformedKey, error.to_string())
            })
        };
        parsed.map(|key| Self { key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skychat_identity::SecretKey;

    #[test]
    fn a_key_in_three_forms() {
        let key = SecretKey::from_seed([7; 32]).public();
        for text in [
            key.to_string(),
            format!("skychat:{key}"),
            format!("skychat:{key}?at=h.example:1"),
            format!("tcp://{key}@h.example:1"),
            format!(" {key}\n"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().key, key, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_usage() {
        for text in [
            String::new(),
            "bob".to_owned(),
            "00".repeat(32),
            "0".repeat(63),
            "G".repeat(64),
            "skychat:".to_owned(),
            "skychat:bob".to_owned(),
            "tcp://h.example:1".to_owned(),
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert_eq!(error.code().exit(), 2, "{text:?}: {error}");
        }
    }
}
