//! Where a node may be reached: a host and a port.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Quoted;

/// A host and a TCP port, as `name:port`, `192.0.2.7:port` or `[2001:db8::7]:port`.
///
/// Names are kept in lower case, IPv6 addresses print in their short form: what is equal prints
/// the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: Host,
    port: u16,
}

/// The host of a [`HostPort`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A numeric address. IPv6 zones (`%eth0`) are not part of an address that is given away.
    Ip(IpAddr),
    /// A name, to be looked up when dialling.
    Name(HostName),
}

/// A host name that passed the checks of [`HostName::new`]; lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Longest name in characters, as in DNS.
    pub const MAX: usize = 253;
    /// Longest part between two dots.
    pub const MAX_LABEL: usize = 63;

    /// Takes a name of ASCII letters, digits, `-`, `_` and dots, and makes it lower case.
    ///
    /// # Errors
    /// [`HostPortError::BadName`]; [`HostPortError::BadIpv4`] if its last part is a number, which
    /// systems read as a way to write an IPv4 address, each in its own way.
    pub fn new(name: &str) -> Result<Self, HostPortError> {
        let bad = |problem| HostPortError::BadName {
            found: Quoted::new(name),
            problem,
        };
        if name.len() > Self::MAX {
            return Err(bad("longer than 253 characters"));
        }
        for label in name.split('.') {
            if label.is_empty() {
                return Err(bad("a part of it is empty"));
            }
            if label.len() > Self::MAX_LABEL {
                return Err(bad("a part of it is longer than 63 characters"));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(bad("a part of it begins or ends with `-`"));
            }
            if !label.is_ascii() {
                return Err(bad("not ASCII; write it in its `xn--` form"));
            }
            if !label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            {
                return Err(bad("a character other than letters, digits, `-`, `_`, `.`"));
            }
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        let hex = last.strip_prefix("0x").or(last.strip_prefix("0X"));
        if last.bytes().all(|b| b.is_ascii_digit())
            || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Err(HostPortError::BadIpv4 {
                found: Quoted::new(name),
            });
        }
        Ok(HostName(name.to_ascii_lowercase()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HostPort {
    /// From its parts.
    ///
    /// # Errors
    /// [`HostPortError::BadPort`] if `port` is 0.
    pub fn new(host: Host, port: u16) -> Result<Self, HostPortError> {
        if port == 0 {
            let found = Quoted::new("0");
            return Err(HostPortError::BadPort { found });
        }
        Ok(HostPort { host, port })
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let found = || Quoted::new(text);
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, after) = rest
                .split_once(']')
                .ok_or_else(|| HostPortError::BadIpv6 { found: found() })?;
            let port = after
                .strip_prefix(':')
                .ok_or_else(|| HostPortError::NoPort { found: found() })?;
            return HostPort::new(Host::Ip(parse_ipv6(inside)?), parse_port(port)?);
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| match text {
            "" => HostPortError::NoHost { found: found() },
            _ => HostPortError::NoPort { found: found() },
        })?;
        if host.is_empty() {
            return Err(HostPortError::NoHost { found: found() });
        }
        if host.contains(':') {
            return Err(HostPortError::UnbracketedIpv6 { found: found() });
        }
        let port = parse_port(port)?;
        let host = match host.parse::<Ipv4Addr>() {
            Ok(ip) => Host::Ip(IpAddr::V4(ip)),
            Err(_) => Host::Name(HostName::new(host)?),
        };
        HostPort::new(host, port)
    }
}

fn parse_ipv6(text: &str) -> Result<IpAddr, HostPortError> {
    if text.contains('%') {
        let found = Quoted::new(text);
        return Err(HostPortError::Zone { found });
    }
    text.parse::<Ipv6Addr>()
        .map(IpAddr::V6)
        .map_err(|_| HostPortError::BadIpv6 {
            found: Quoted::new(text),
        })
}

fn parse_port(text: &str) -> Result<u16, HostPortError> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    match text.parse::<u16>() {
        Ok(port) if plain => Ok(port),
        _ => Err(HostPortError::BadPort {
            found: Quoted::new(text),
        }),
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = HostPort;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`host:port`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<HostPort, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Why a text is no `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostPortError {
    /// Nothing before the port.
    #[error("host and port: found {found}, which names no host, expected `host:port`")]
    NoHost {
        /// The text.
        found: Quoted,
    },
    /// No port.
    #[error("host and port: found {found}, which names no port, expected `host:port`")]
    NoPort {
        /// The text.
        found: Quoted,
    },
    /// The port is no number from 1 to 65535 in plain digits.
    #[error("port: found {found}, expected a number from 1 to 65535")]
    BadPort {
        /// What stands after the colon.
        found: Quoted,
    },
    /// More than one colon without brackets.
    #[error("host and port: found {found}, expected an IPv6 address in brackets: `[address]:port`")]
    UnbracketedIpv6 {
        /// The text.
        found: Quoted,
    },
    /// What stands in the brackets is no IPv6 address.
    #[error("host: found {found}, expected an IPv6 address in brackets")]
    BadIpv6 {
        /// What stands there.
        found: Quoted,
    },
    /// An IPv6 address with a zone, which means something on one machine only.
    #[error("host: found {found}, expected an IPv6 address without a zone (`%...`)")]
    Zone {
        /// The address.
        found: Quoted,
    },
    /// It looks like an IPv4 address and is none in its one plain form.
    #[error("host: found {found}, expected an IPv4 address of four numbers from 0 to 255")]
    BadIpv4 {
        /// The host.
        found: Quoted,
    },
    /// No host name.
    #[error("host name: found {found}: {problem}")]
    BadName {
        /// The name.
        found: Quoted,
        /// What is wrong with it.
        problem: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> HostPortError {
        text.parse::<HostPort>().unwrap_err()
    }

    #[test]
    fn good_ones_print_in_one_form() {
        for (text, printed) in [
            ("example.org:8801", "example.org:8801"),
            ("Example.ORG:1", "example.org:1"),
            ("my_service:65535", "my_service:65535"),
            ("192.0.2.7:8801", "192.0.2.7:8801"),
            ("[::1]:8801", "[::1]:8801"),
            ("[2001:DB8:0:0::7]:8801", "[2001:db8::7]:8801"),
            ("[::ffff:192.0.2.7]:1", "[::ffff:192.0.2.7]:1"),
            ("4you.example:9", "4you.example:9"),
        ] {
            let parsed: HostPort = text.parse().unwrap();
            assert_eq!(parsed.to_string(), printed);
            assert_eq!(printed.parse::<HostPort>().unwrap(), parsed);
        }
    }

    #[test]
    fn bad_ones_are_named() {
        use HostPortError as E;
        for text in ["", ":8801"] {
            assert!(matches!(error(text), E::NoHost { .. }), "{text}");
        }
        for text in ["example.org", "[::1]", "[::1]8801"] {
            assert!(matches!(error(text), E::NoPort { .. }), "{text}");
        }
        for text in [
            "a:", "a:0", "a:65536", "a:+1", "a:080", "a:1 ", "a:http", "a:8801/", "[::1]:",
        ] {
            assert!(matches!(error(text), E::BadPort { .. }), "{text}");
        }
        for text in ["::1:8801", "2001:db8::7:1", "a:b:1", "tcp://a:1"] {
            assert!(matches!(error(text), E::UnbracketedIpv6 { .. }), "{text}");
        }
        for text in ["[::1", "[1.2.3.4]:1", "[]:1", "[::g]:1"] {
            assert!(matches!(error(text), E::BadIpv6 { .. }), "{text}");
        }
        assert!(matches!(error("[fe80::1%eth0]:1"), E::Zone { .. }));
        for text in [
            "256.1.1.1:1",
            "1.2.3:1",
            "127.1:1",
            "010.0.0.1:1",
            "0x7f:1",
            "a.0X1:1",
            "2130706433:1",
        ] {
            assert!(matches!(error(text), E::BadIpv4 { .. }), "{text}");
        }
        let long_label = format!("{}:1", "a".repeat(64));
        let long = format!("{}:1", ["abcdefghi"; 26].join("."));
        for text in [
            "a..b:1",
            "a.:1",
            "-a:1",
            "a-.b:1",
            "a b:1",
            "bücher.example:1",
            "a/b:1",
            "u@h:1",
            &long_label,
            &long,
        ] {
            assert!(matches!(error(text), E::BadName { .. }), "{text}");
        }
    }

    #[test]
    fn messages_say_what_was_found_and_expected() {
        assert_eq!(
            error("a:99999").to_string(),
            "port: found `99999`, expected a number from 1 to 65535"
        );
        assert_eq!(
            error("a\u{1b}[2J:1").to_string(),
            "host name: found `a\\u{1b}[2J`: a character other than letters, digits, `-`, `_`, `.`"
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_round_trips(text in any::<String>()) {
            if let Ok(parsed) = text.parse::<HostPort>() {
                prop_assert_eq!(parsed.to_string().parse::<HostPort>().unwrap(), parsed);
            }
        }

        #[test]
        fn every_ip_and_port_round_trips(ip: IpAddr, port in 1u16..) {
            let made = HostPort::new(Host::Ip(ip), port).unwrap();
            prop_assert_eq!(made.to_string().parse::<HostPort>().unwrap(), made);
        }
    }
}
