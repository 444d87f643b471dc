//! Addresses to listen on, as they are written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::failure::Failure;

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The address.
    pub(crate) addr: SocketAddr,
    /// Whether it was asked for. One that was not moves to a free port when it is taken; one that
    /// was is an error.
    pub(crate) explicit: bool,
}

impl Place {
    pub(crate) const fn explicit(addr: SocketAddr) -> Self {
        Self {
            addr,
            explicit: true,
        }
    }

    pub(crate) const fn default_at(addr: SocketAddr) -> Self {
        Self {
            addr,
            explicit: false,
        }
    }

    /// The address to bind: for a default that is taken, the same with port 0.
    pub(crate) fn free(self) -> SocketAddr {
        if self.explicit || TcpListener::bind(self.addr).is_ok() {
            self.addr
        } else {
            SocketAddr::new(self.addr.ip(), 0)
        }
    }
}

/// Where links are taken: `host:port`, or `:port` and `*:port` for every address.
pub(crate) fn links(text: &str) -> Result<SocketAddr, Failure> {
    parse(text, "--tcp-listen", Ipv4Addr::UNSPECIFIED)
}

/// Where HTTP listens: `host:port`, `:port` for loopback, `*:port` for every address.
pub(crate) fn http(text: &str) -> Result<SocketAddr, Failure> {
    parse(text, "--addr", Ipv4Addr::LOCALHOST)
}

fn parse(text: &str, flag: &str, empty: Ipv4Addr) -> Result<SocketAddr, Failure> {
    let malformed = || {
        Failure::config(format!(
            "{flag}: found {text:?}, expected an address and a port, like 127.0.0.1:{}",
            if flag == "--addr" { 8002 } else { 8801 }
        ))
    };
    if let Ok(addr) = text.parse() {
        return Ok(addr);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
    let canonical = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = port
        .parse()
        .ok()
        .filter(|_| canonical)
        .ok_or_else(malformed)?;
    let ip = match host {
        "" => IpAddr::V4(empty),
        "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        "[::]" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return Err(malformed()),
    };
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_addresses() {
        for (text, expected) in [
            (":8801", "0.0.0.0:8801"),
            ("*:1", "0.0.0.0:1"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("localhost:7", "127.0.0.1:7"),
            ("[::1]:8801", "[::1]:8801"),
        ] {
            assert_eq!(links(text).unwrap().to_string(), expected);
        }
        assert_eq!(http(":8002").unwrap().to_string(), "127.0.0.1:8002");
        assert_eq!(http("*:8002").unwrap().to_string(), "0.0.0.0:8002");
        for text in [
            "",
            ":",
            "8801",
            "127.0.0.1",
            ":70000",
            ":-1",
            ":+1",
            "a:b",
            "host.example:1",
            ":1 ",
        ] {
            assert!(links(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_default_that_is_taken_moves_and_an_explicit_one_stays() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        assert_eq!(Place::default_at(addr).free().port(), 0);
        assert_eq!(Place::explicit(addr).free(), addr);
    }
}
