//! What the daemon says when it is ready: who it is, where it is, who may come, what to try next.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use serde::Serialize;
use skychat_api::{Admission, V1};
use skychat_identity::{Address, PublicKey};

/// The facts.
#[derive(Debug, Serialize)]
pub(crate) struct Announcement<'a> {
    pub(crate) v: V1,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) public_key: PublicKey,
    /// Where the identity came from, for people.
    pub(crate) identity: String,
    /// Whether it was made just now.
    pub(crate) new_identity: bool,
    /// `skychat:` addresses under which others find this node.
    pub(crate) addresses: Vec<String>,
    pub(crate) links: Vec<SocketAddr>,
    pub(crate) http: SocketAddr,
    pub(crate) admission: Admission,
    /// How many keys are admitted, with a whitelist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) admitted: Option<usize>,
    pub(crate) data_dir: &'a Path,
    /// Whether messages are kept in memory only.
    pub(crate) memory: bool,
    /// Whether the data directory is the one commands find without being told.
    #[serde(skip)]
    pub(crate) usual_dir: bool,
}

impl Announcement<'_> {
    /// Prints it on stdout; a reader that has gone is no reason not to run.
    pub(crate) fn print(&self, json: bool) {
        let mut out = io::stdout().lock();
        let _ = if json {
            self.print_json(&mut out)
        } else {
            self.print_text(&mut out)
        };
        let _ = out.flush();
    }

    fn print_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    fn print_text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "skychatd {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "key        {}", self.public_key)?;
        writeln!(out, "identity   {}", self.identity)?;
        let memory = if self.memory {
            " (messages are kept in memory only)"
        } else {
            ""
        };
        writeln!(out, "data       {}{memory}", self.data_dir.display())?;
        for address in &self.addresses {
            writeln!(out, "address    {address}")?;
        }
        writeln!(
            out,
            "http       http://{} (token in {})",
            self.http,
            self.data_dir.join("token").display()
        )?;
        writeln!(out, "admission  {}", self.admission_text())?;
        let dir = if self.usual_dir {
            String::new()
        } else {
            format!(" --data-dir {}", self.data_dir.display())
        };
        writeln!(out, "next       skychat{dir} status")?;
        writeln!(
            out,
            "           skychat{dir} send <key of a peer> \"hello\" --wait"
        )?;
        writeln!(out, "ready")
    }

    fn admission_text(&self) -> String {
        match (self.admission, self.admitted) {
            (Admission::Open, _) if self.links.iter().any(|addr| !addr.ip().is_loopback()) => {
                "OPEN: anybody who reaches this machine may open a link; --tcp-whitelist limits it"
                    .into()
            }
            (Admission::Open, _) => "open, on this machine only".into(),
            (_, Some(0)) => "nobody: the whitelist is empty".into(),
            (Admission::WhitelistStrict, Some(n)) => {
                format!("{n} keys of the whitelist, nobody else")
            }
            (_, n) => format!("{} keys of the whitelist", n.unwrap_or_default()),
        }
    }
}

/// The addresses to tell others: one with a place they may reach, and one for this machine when
/// the node listens on every address.
pub(crate) fn addresses(key: PublicKey, links: &[SocketAddr]) -> Vec<String> {
    let mut addresses = Vec::new();
    for link in links {
        for ip in reachable(link.ip()) {
            let place = SocketAddr::new(ip, link.port()).to_string();
            if let Ok(hint) = place.parse()
                && let Ok(address) = Address::new(key, [hint])
            {
                addresses.push(address.to_string());
            }
        }
    }
    addresses
}

/// For "every address": the one packets leave by, and loopback.
fn reachable(ip: IpAddr) -> Vec<IpAddr> {
    if !ip.is_unspecified() {
        return vec![ip];
    }
    let (any, elsewhere, loopback): (IpAddr, IpAddr, IpAddr) = if ip.is_ipv4() {
        let elsewhere = Ipv4Addr::new(192, 0, 2, 1);
        (ip, elsewhere.into(), Ipv4Addr::LOCALHOST.into())
    } else {
        let elsewhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        (ip, elsewhere.into(), Ipv6Addr::LOCALHOST.into())
    };
    // Nothing is sent: connecting a datagram socket only looks up the route.
    let outward = UdpSocket::bind(SocketAddr::new(any, 0))
        .and_then(|socket| {
            socket
                .connect((elsewhere, 9))
                .and_then(|()| socket.local_addr())
        })
        .map(|addr| addr.ip())
        .ok()
        .filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
    outward.into_iter().chain([loopback]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skychat_identity::SecretKey;

    fn announcement(links: &str, admission: Admission, admitted: Option<usize>) -> String {
        let links: Vec<SocketAddr> = vec![links.parse().unwrap()];
        let key = SecretKey::from_seed([7; 32]).public();
        let announcement = Announcement {
            v: V1,
            kind: "ready",
            public_key: key,
            identity: "/x/identity.key".into(),
            new_identity: true,
            addresses: addresses(key, &links),
            links,
            http: "127.0.0.1:8002".parse().unwrap(),
            admission,
            admitted,
            data_dir: Path::new("/x"),
            memory: false,
            usual_dir: false,
        };
        let mut text = Vec::new();
        announcement.print_text(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn open_admission_beyond_loopback_is_said_aloud() {
        let loud = announcement("0.0.0.0:8801", Admission::Open, None);
        assert!(loud.contains("OPEN: anybody"), "{loud}");
        let quiet = announcement("127.0.0.1:8801", Admission::Open, None);
        assert!(!quiet.contains("OPEN"), "{quiet}");
        let nobody = announcement("0.0.0.0:8801", Admission::Whitelist, Some(0));
        assert!(nobody.contains("nobody"), "{nobody}");
    }

    #[test]
    fn the_first_run_says_what_is_needed() {
        let text = announcement("127.0.0.1:8801", Admission::Open, None);
        let key = SecretKey::from_seed([7; 32]).public();
        assert!(
            text.contains(&format!("skychat:{key}?at=127.0.0.1:8801")),
            "{text}"
        );
        assert!(text.contains("/x/identity.key"), "{text}");
        assert!(text.contains("http://127.0.0.1:8002"), "{text}");
        assert!(text.contains("skychat --data-dir /x status"), "{text}");
        assert!(text.ends_with("ready\n"), "{text}");
    }

    #[test]
    fn every_address_has_loopback_among_its_hints() {
        let key = SecretKey::from_seed([7; 32]).public();
        let all = addresses(
            key,
            &["0.0.0.0:1".parse().unwrap(), "[::]:2".parse().unwrap()],
        );
        assert!(
            all.iter()
                .any(|address| address.ends_with("?at=127.0.0.1:1")),
            "{all:?}"
        );
        assert!(
            all.iter().any(|address| address.ends_with("?at=[::1]:2")),
            "{all:?}"
        );
    }
}
