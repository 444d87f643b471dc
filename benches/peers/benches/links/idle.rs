//! Memory that an idle link keeps, measured in a process of its own for each candidate.
//!
//! Both ends are in that process, and each of the peers' ends has a task that waits to read into
//! 64 bytes. What the system holds for a socket is not counted, what the allocator kept of the
//! handshakes is.

use std::process::{Command, Stdio};
use std::time::Duration;

use skychat_benches::{Asked, Better, Report, Row, median, resident_kib};
use tokio::io::AsyncReadExt;

use crate::link::{self, Quiet, runtime};
use crate::ours::Ours;
use crate::peer::{Hub, Peer, Stream};

/// What makes this program such a process: followed by a candidate, a number of links, and how
/// many milliseconds they rest.
pub(crate) const CHILD: &str = "--idle-child";
const LINKS: usize = 1000;
/// After it everything has given up what it does not need: our links wait for a second.
const REST: Duration = Duration::from_millis(2500);

pub(crate) fn compare(ask: &Asked, report: &mut Report) {
    let ours = Ours::all().iter().map(|ours| (ours.name, ours.name));
    let peers = Peer::ALL.map(|peer| (peer.id(), peer.name()));
    let candidates: Vec<_> = ours.chain(peers).collect();
    let links = ask.amount(LINKS, 20);
    let rest = ask.amount(REST, Duration::from_millis(1));
    // Each is a process of its own: none is there only to warm up.
    let mut sizes = vec![Vec::new(); candidates.len()];
    for _ in 0..ask.amount(3, 1) {
        for (sizes, (who, _)) in sizes.iter_mut().zip(&candidates) {
            sizes.push(child(who, links, rest));
        }
    }
    let sizes: Vec<f64> = sizes.into_iter().map(median).collect();
    report.section("memory of an idle link, one end of it", "ours / it");
    for (n, (who, what)) in candidates.iter().enumerate() {
        let row = Row::shown(format!("idle/{who}"), *what, sizes[n], "KiB");
        report.row(match n {
            n if n < Ours::all().len() => row,
            _ if *who == Peer::Raw.id() => row.ratio(sizes[0] / sizes[n], Better::Neither),
            _ => row.ratio(sizes[0] / sizes[n], Better::Lower),
        });
    }
}

fn child(name: &str, links: usize, rest: Duration) -> f64 {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args([CHILD, name])
        .args([links as u128, rest.as_millis()].map(|number| number.to_string()))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", output.status);
    let said = String::from_utf8(output.stdout).unwrap();
    said.trim().parse().unwrap()
}

/// The child: prints KiB for each end of a link.
pub(crate) fn be_child(mut arguments: impl Iterator<Item = String>) {
    let (Some(name), Some(links), Some(rest)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        panic!("{CHILD} needs a candidate, a number of links and milliseconds");
    };
    let links: usize = links.parse().unwrap();
    let rest = Duration::from_millis(rest.parse().unwrap());
    let size = runtime(2).block_on(async {
        match Ours::all().iter().find(|ours| ours.name == name) {
            Some(ours) => measure_ours(*ours, links, rest).await,
            None => {
                let peer = Peer::ALL.into_iter().find(|peer| peer.id() == name);
                measure_peer(peer.expect("a candidate"), links, rest).await
            }
        }
    });
    println!("{size}");
}

/// What memory grew by, for each of the two ends.
async fn grown(links: usize, before: u64, rest: Duration) -> f64 {
    tokio::time::sleep(rest).await;
    (resident_kib() as f64 - before as f64) / (2 * links) as f64
}

async fn measure_ours(ours: Ours, links: usize, rest: Duration) -> f64 {
    let mut hub = link::Hub::new(ours, |_: &skychat_transport::Link| Quiet);
    let mut up = vec![hub.connect().await];
    // A node has one identity and one configuration for all of its links.
    hub.ready(links);
    let before = resident_kib();
    for _ in 0..links {
        up.push(hub.connect().await);
    }
    grown(links, before, rest).await
}

fn wait(mut stream: Stream) {
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    });
}

async fn measure_peer(peer: Peer, links: usize, rest: Duration) -> f64 {
    let mut hub = Hub::new(peer).await;
    let mut before = 0;
    for n in 0..=links {
        let (client, server) = hub.connect().await;
        wait(client);
        wait(server);
        if n == 0 {
            before = resident_kib();
        }
    }
    grown(links, before, rest).await
}
