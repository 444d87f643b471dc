//! Handshakes a second: both sides in one thread, by its processor time, and connections one after
//! another over loopback.

use std::time::Duration;

use skychat_benches::{Asked, Better, Report, Row, all_in_turn, cpu_seconds_each};
use skychat_transport::LinkIdentity;
use tokio::runtime::Runtime;

use crate::link::{self, Quiet, runtime};
use crate::noise::{Keys, Resolver};
use crate::ours::{self, Cipher, Ours, identity};
use crate::peer::{self, Layer, Peer};
use crate::tls::{self, Proof};

type Work = Box<dyn FnMut()>;

/// Bytes that a stream in memory holds.
const PIPE: usize = 16 * 1024;

pub(crate) fn compare(ask: &Asked, report: &mut Report) {
    in_memory(ask, report);
    over_loopback(ask, report);
}

fn in_memory(ask: &Asked, report: &mut Report) {
    let mut candidates: Vec<(String, String, Work)> = Vec::new();
    for ours in Ours::all() {
        let (ann, bob): (LinkIdentity, LinkIdentity) =
            (identity(1, ours.backend), identity(2, ours.backend));
        let suite = ours.suite;
        let what = format!("{}: both keys proven, two signatures", ours.name);
        let work = move || drop(ours::handshake(suite, &ann, &bob));
        candidates.push((ours.name.to_owned(), what, Box::new(work)));
    }
    let keys = Keys::new();
    let what = "snow plainly, XK: no signatures".to_owned();
    let work = move || drop(keys.handshake(Resolver::Default));
    candidates.push(("snow-default".to_owned(), what, Box::new(work)));
    for (id, said, proof) in [
        ("rustls", "server proven, one signature", Proof::Server),
        ("rustls-both", "both proven, two signatures", Proof::Both),
    ] {
        let (client, server) = tls::configs(Cipher::ChaCha, proof);
        let work = move || tls::handshake(&client, &server);
        let what = format!("rustls, X25519, Ed25519: {said}");
        candidates.push((id.to_owned(), what, Box::new(work)));
    }
    let (runtime, layer) = (runtime(1), Layer::libp2p_noise());
    let work = move || {
        runtime.block_on(async {
            let (client, server) = tokio::io::duplex(PIPE);
            layer.put_on(client, server).await;
        });
    };
    let what = "libp2p-noise, XX: both keys proven".to_owned();
    candidates.push(("libp2p-noise".to_owned(), what, Box::new(work)));

    let span = ask.amount(Duration::from_millis(100), Duration::from_micros(1));
    let rates = all_in_turn(candidates.len(), ask.amount(9, 1), |n| {
        cpu_seconds_each(span, &mut candidates[n].2).recip()
    });
    report.section(
        "handshakes in memory, both sides in one thread",
        "ours / it",
    );
    for (n, (who, what, _)) in candidates.iter().enumerate() {
        let row = Row::shown(format!("handshake/memory/{who}"), what, rates[n], "/s");
        report.row(match n {
            n if n < Ours::all().len() => row,
            _ => row.ratio(rates[0] / rates[n], Better::Higher),
        });
    }
}

enum Candidate {
    Ours(link::Hub<fn(&skychat_transport::Link) -> Quiet>),
    Peer(peer::Hub),
}

fn quiet(_: &skychat_transport::Link) -> Quiet {
    Quiet
}

/// Seconds for one connection, one after another. Each is closed before the next begins.
async fn connections(candidate: &mut Candidate, times: usize) -> f64 {
    if let Candidate::Ours(hub) = candidate {
        hub.ready(times);
    }
    let start = std::time::Instant::now();
    for _ in 0..times {
        match candidate {
            Candidate::Ours(hub) => hub.connect().await.abort(),
            Candidate::Peer(hub) => drop(hub.connect().await),
        }
    }
    start.elapsed().as_secs_f64() / times as f64
}

fn over_loopback(ask: &Asked, report: &mut Report) {
    let runtime: Runtime = runtime(2);
    let _inside = runtime.enter();
    let mut candidates: Vec<(&str, &str, Candidate)> = Vec::new();
    for ours in Ours::all() {
        let hub = link::Hub::new(*ours, quiet as fn(&_) -> _);
        candidates.push((ours.name, ours.name, Candidate::Ours(hub)));
    }
    for peer in Peer::ALL {
        let hub = runtime.block_on(peer::Hub::new(peer));
        candidates.push((peer.id(), peer.name(), Candidate::Peer(hub)));
    }
    let times = ask.amount(150, 3);
    let rates = all_in_turn(candidates.len(), ask.amount(9, 1), |n| {
        runtime
            .block_on(connections(&mut candidates[n].2, times))
            .recip()
    });
    let title = "connections over loopback, one after another, both ends in 2 workers";
    report.section(title, "ours / it");
    for (n, (who, what, _)) in candidates.iter().enumerate() {
        let row = Row::shown(format!("handshake/loopback/{who}"), *what, rates[n], "/s");
        report.row(match n {
            n if n < Ours::all().len() => row,
            _ => row.ratio(rates[0] / rates[n], Better::Higher),
        });
    }
    for (_, _, candidate) in candidates {
        if let Candidate::Peer(hub) = candidate {
            runtime.block_on(hub.close());
        }
    }
}
