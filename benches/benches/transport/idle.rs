//! What links cost that say nothing: memory, and the processor, with keepalive on.
//!
//! The node that is measured has 9,000 links; the other ends are in a process of their own, each
//! with an identity of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use skychat_benches::{Cores, Report, Row, resident_kib};
use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::ServiceId;
use skychat_transport::{
    Anyone, Backend, CloseReason, Link, LinkConfig, LinkIdentity, Listener, ListenerLimits,
    LobbyLimits, Service, Violation, dial,
};

use crate::frames::{hello, identity};
use crate::net::runtime;
use crate::part::Amount;

/// The argument that makes this program the other ends.
pub(crate) const ARGUMENT: &str = "--idle";

/// Takes what comes, which is nothing.
struct Quiet;

impl Service for Quiet {
    fn message(&mut self, _: ServiceId, _: &[u8]) -> Result<(), Violation> {
        Ok(())
    }

    async fn flush(&mut self) {}

    fn closed(&mut self, _: &CloseReason) {}
}

/// As many files as the system lets this process have. Returns how many.
pub(crate) fn raise_file_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).ok();
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Dials `links` links to `peer` at `addr`, says so, and holds them until standard input ends.
pub(crate) fn hold(addr: SocketAddr, peer: PublicKey, links: usize) {
    raise_file_limit();
    let runtime = runtime(2);
    let held = runtime.block_on(async {
        let mut held = Vec::with_capacity(links);
        for n in 0..links {
            let mut seed = [0x5a; 32];
            seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
            let secret = Arc::new(SecretKey::from_seed(seed));
            let own = LinkIdentity::new(secret, Backend::default());
            let config = LinkConfig::new(own, hello, Anyone);
            let quiet = Arc::new(|_: &Link| Quiet);
            held.push(dial(addr, peer, &config, quiet).await.unwrap());
        }
        held
    });
    println!("{}", held.len());
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).ok();
}

struct Holder(Child);

impl Holder {
    fn start(addr: SocketAddr, peer: &PublicKey, links: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                ARGUMENT,
                &addr.to_string(),
                &peer.to_string(),
                &links.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut said).unwrap();
        assert_eq!(said.trim(), links.to_string(), "links that came up");
        Holder(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

pub(crate) fn compare(report: &mut Report, amount: Amount) {
    let wanted = amount.of(9_000, 20);
    let files = raise_file_limit();
    // Some for the program itself.
    let links = wanted.min(usize::try_from(files).unwrap_or(wanted).saturating_sub(200));
    let runtime = runtime(2);
    let config = LinkConfig::new(identity(2, Backend::default()), hello, Anyone);
    let limits = ListenerLimits {
        lobby: LobbyLimits {
            total: 256,
            per_network: 256,
        },
        accepts_per_second: 100_000,
        ..ListenerLimits::default()
    };
    let _in_runtime = runtime.enter();
    let any = ([127, 0, 0, 1], 0).into();
    let quiet = Arc::new(|_: &Link| Quiet);
    let listener = Listener::bind(any, &config, quiet, limits).unwrap();
    let peer = config.identity.public();
    // What the first links make the program take is not what a link costs.
    let first = Holder::start(listener.local_addr(), &peer, 10);
    drop(first);
    while !config.links.is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    let before = resident_kib();
    let holder = Holder::start(listener.local_addr(), &peer, links);
    while config.links.len() < links {
        thread::sleep(Duration::from_millis(1));
    }
    // Until what they needed to come up is given back.
    thread::sleep(Duration::from_millis(amount.of(3_000, 1)));
    let each = resident_kib().saturating_sub(before) as f64 / links as f64;
    report.section(
        "9,000 links that say nothing, the other ends in another process",
        "what is allowed: 6 KiB, and 1 % of a core",
    );
    let row = Row::shown("idle/memory", "resident memory of a link", each, "KiB");
    let aside = format!("{links} links");
    report.row(row.aside(aside).stays_within(6.0));
    let mut cores = Cores::start();
    let start = Instant::now();
    cores.during(|| thread::sleep(Duration::from_secs(amount.of(60, 0))));
    let percent = cores.had() * 100.0;
    let what = "processor, with a ping each 30 s a link";
    let row = Row::shown("idle/processor", what, percent, "% of a core");
    let aside = format!("over {:.0} s", start.elapsed().as_secs_f64());
    report.row(row.aside(aside).at_most(percent, 1.0));
    assert_eq!(config.links.len(), links, "a link was lost");
    drop((holder, listener));
}
