//! An address: a key, and hints where its node may be reached.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{HostPort, HostPortError, KeyError, PublicKey, Quoted};

/// Most hints an [`Address`] holds.
pub const MAX_HINTS: usize = 8;

/// Longest text, in bytes, that is read as an [`Address`].
pub const MAX_ADDRESS_TEXT: usize = 4096;

/// A public key with up to [`MAX_HINTS`] places where its node may be reached. The key is the
/// address; a hint may be old or wrong, and the handshake finds out.
///
/// Reads two forms, and prints the first:
///
/// - `skychat:<64 hex digits>`, with hints `?at=host:port&at=host:port`,
/// - `tcp://<64 hex digits>@host:port`, with one hint.
///
/// ```
/// # use skychat_identity::{Address, SecretKey};
/// let key = SecretKey::from_seed([7; 32]).public();
/// let address: Address = format!("tcp://{key}@[2001:db8::7]:8801").parse()?;
/// assert_eq!(address.key(), key);
/// assert_eq!(address.to_string(), format!("skychat:{key}?at=[2001:db8::7]:8801"));
/// # Ok::<(), skychat_identity::AddressError>(())
/// ```
///
/// Spec: `docs/protocol/identity.md`, IDENT-6.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    key: PublicKey,
    hints: Vec<HostPort>,
}

impl Address {
    /// From its parts. A hint that stands there twice is kept once, at its first place.
    ///
    /// # Errors
    /// [`AddressError::TooManyHints`].
    pub fn new(
        key: PublicKey,
        hints: impl IntoIterator<Item = HostPort>,
    ) -> Result<Self, AddressError> {
        let mut address = Address::from(key);
        for hint in hints {
            address.add(hint)?;
        }
        Ok(address)
    }

    /// The key.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// The hints, in the order in which they are to be tried; there may be none.
    pub fn hints(&self) -> &[HostPort] {
        &self.hints
    }

    /// The `tcp://` form: one text for each hint.
    pub fn tcp_forms(&self) -> impl Iterator<Item = String> + '_ {
        let key = self.key;
        self.hints
            .iter()
            .map(move |hint| format!("tcp://{key}@{hint}"))
    }

    fn add(&mut self, hint: HostPort) -> Result<(), AddressError> {
        if self.hints.contains(&hint) {
            return Ok(());
        }
        if self.hints.len() == MAX_HINTS {
            return Err(AddressError::TooManyHints);
        }
        self.hints.push(hint);
        Ok(())
    }
}

/// The key alone, without hints.
impl From<PublicKey> for Address {
    fn from(key: PublicKey) -> Self {
        let hints = Vec::new();
        Address { key, hints }
    }
}

/// The `skychat:` form.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skychat:{}", self.key)?;
        for (n, hint) in self.hints.iter().enumerate() {
            let joint = if n == 0 { '?' } else { '&' };
            write!(f, "{joint}at={hint}")?;
        }
        Ok(())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_ADDRESS_TEXT {
            return Err(AddressError::TooLong { found: text.len() });
        }
        if let Some(rest) = text.strip_prefix("skychat:") {
            parse_uri(rest)
        } else if let Some(rest) = text.strip_prefix("tcp://") {
            parse_tcp(rest)
        } else if text.parse::<PublicKey>().is_ok() {
            Err(AddressError::BareKey)
        } else {
            let found = Quoted::new(text);
            Err(AddressError::UnknownForm { found })
        }
    }
}

fn parse_tcp(rest: &str) -> Result<Address, AddressError> {
    let (key, place) = rest.split_once('@').ok_or_else(|| AddressError::NoKey {
        found: Quoted::new(rest),
    })?;
    Address::new(parse_key(key)?, [parse_hint(place)?])
}

fn parse_uri(rest: &str) -> Result<Address, AddressError> {
    let (key, query) = match rest.split_once('?') {
        Some((key, query)) => (key, Some(query)),
        None => (rest, None),
    };
    let mut address = Address::from(parse_key(key)?);
    for parameter in query.iter().flat_map(|query| query.split('&')) {
        let (name, value) = parameter
            .split_once('=')
            .filter(|(name, _)| is_name(name))
            .ok_or_else(|| AddressError::BadParameter {
                found: Quoted::new(parameter),
            })?;
        if name == "at" {
            address.add(parse_hint(&unescape(value)?)?)?;
        } else if name.starts_with("req-") {
            let name = Quoted::new(name);
            return Err(AddressError::Required { name });
        }
    }
    Ok(address)
}

/// The name of a parameter: `a` to `z`, digits and `-`, at least one character.
fn is_name(name: &str) -> bool {
    let of_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.bytes().all(of_name)
}

/// Undoes the percent encoding that programs put on the three characters of `[address]:port`.
fn unescape(value: &str) -> Result<String, AddressError> {
    let mut plain = String::with_capacity(value.len());
    let mut parts = value.split('%');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (c, rest) = match part.split_at_checked(2) {
            Some(("5B" | "5b", rest)) => ('[', rest),
            Some(("5D" | "5d", rest)) => (']', rest),
            Some(("3A" | "3a", rest)) => (':', rest),
            _ => {
                let found = Quoted::new(value);
                return Err(AddressError::BadEscape { found });
            }
        };
        plain.push(c);
        plain.push_str(rest);
    }
    Ok(plain)
}

fn parse_key(text: &str) -> Result<PublicKey, AddressError> {
    text.parse().map_err(|source| AddressError::Key { source })
}

fn parse_hint(text: &str) -> Result<HostPort, AddressError> {
    text.parse().map_err(|source| AddressError::Hint { source })
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Address;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address: `skychat:<key>` or `tcp://<key>@host:port`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Why a text is no [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Neither of the two forms.
    #[error(
        "address: found {found}, expected `skychat:<key>?at=host:port` or `tcp://<key>@host:port`"
    )]
    UnknownForm {
        /// The text.
        found: Quoted,
    },
    /// A key by itself: where an address is asked for, it is written `skychat:<key>`.
    #[error(
        "address: found a key alone, expected `skychat:` before it, or `tcp://<key>@host:port`"
    )]
    BareKey,
    /// The text is longer than any address.
    #[error("address: found {found} bytes, expected at most {MAX_ADDRESS_TEXT}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// A `tcp://` address that does not say whom it leads to.
    #[error("address: found `tcp://` and {found} without a key, expected `tcp://<key>@host:port`")]
    NoKey {
        /// What follows `tcp://`.
        found: Quoted,
    },
    /// The key is none.
    #[error("address: the key in it is not valid")]
    Key {
        /// What is wrong with it.
        source: KeyError,
    },
    /// A hint is no `host:port`.
    #[error("address: the place in it is not valid")]
    Hint {
        /// What is wrong with it.
        source: HostPortError,
    },
    /// More hints than fit.
    #[error("address: found more than {MAX_HINTS} places (`at=`), expected at most {MAX_HINTS}")]
    TooManyHints,
    /// After the `?`, something other than `name=value`.
    #[error("address: found the parameter {found}, expected `name=value` with a lower-case name")]
    BadParameter {
        /// The parameter.
        found: Quoted,
    },
    /// A percent sign where none can be.
    #[error("address: found {found}, expected no percent encoding but of `[`, `]` and `:`")]
    BadEscape {
        /// The value of the parameter.
        found: Quoted,
    },
    /// The address asks for something that this version does not know.
    #[error("address: it requires {name}, which this version of Skychat does not know")]
    Required {
        /// The name of the parameter.
        name: Quoted,
    },
}

#[cfg(test)]
mod tests;
