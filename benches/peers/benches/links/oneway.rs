//! One way over loopback: bulk, and a stream of small messages.

use skychat_benches::{Asked, Better, Cores, Report, Row, all_in_turn};
use tokio::runtime::Runtime;

use crate::link::{Pair, runtime};
use crate::ours::{Cipher, Ours};
use crate::peer::Peer;
use crate::stream::OneWay;

struct Size {
    id: &'static str,
    name: &'static str,
    bytes: usize,
    /// Of one sample: of what coalesces, and of what makes a system call for each message.
    volume: [usize; 2],
    /// What our suite with AES-256-GCM has to reach over TLS with AES-128-GCM.
    aes: f64,
}

const SIZES: [Size; 4] = [
    Size {
        id: "1KiB",
        name: "1 KiB",
        bytes: 1 << 10,
        volume: [64 << 20, 16 << 20],
        aes: 1.0,
    },
    Size {
        id: "16KiB",
        name: "16 KiB",
        bytes: 16 << 10,
        volume: [96 << 20, 64 << 20],
        aes: 1.1,
    },
    Size {
        id: "64KiB",
        name: "64 KiB",
        bytes: 64 << 10,
        volume: [96 << 20, 64 << 20],
        aes: 1.1,
    },
    Size {
        id: "1MiB",
        name: "1 MiB",
        bytes: 1 << 20,
        volume: [96 << 20, 64 << 20],
        aes: 1.1,
    },
];

const SMALL: usize = 64;
/// Small messages of one sample: of what coalesces, and of what makes a call for each.
const SMALL_TIMES: [usize; 2] = [1_500_000, 40_000];
/// Small messages that are written at once when they are packed by hand.
const PACKED: usize = 1024;

enum Candidate {
    Ours(Pair),
    Peer(Peer, OneWay),
}

struct Ends {
    runtime: Runtime,
    all: Vec<Candidate>,
}

impl Ends {
    fn new() -> Self {
        let runtime = runtime(2);
        let ours = Ours::all()
            .iter()
            .map(|ours| Candidate::Ours(runtime.block_on(Pair::new(*ours))));
        let peers =
            Peer::ALL.map(|peer| Candidate::Peer(peer, runtime.block_on(OneWay::new(peer))));
        let all = ours.chain(peers).collect();
        Ends { runtime, all }
    }

    fn close(self) {
        for candidate in self.all {
            if let Candidate::Peer(_, ends) = candidate {
                self.runtime.block_on(ends.close());
            }
        }
    }
}

pub(crate) fn bulk(ask: &Asked, report: &mut Report) {
    let mut ends = Ends::new();
    for size in &SIZES {
        let message = vec![0x5a; size.bytes];
        let times = size.volume.map(|volume| ask.amount(volume / size.bytes, 8));
        let mut cores = Cores::start();
        let Ends { runtime, all } = &mut ends;
        let rates = all_in_turn(all.len(), ask.amount(11, 1), |n| {
            cores.during(|| match &mut all[n] {
                Candidate::Ours(pair) => {
                    (times[0] * size.bytes) as f64 / runtime.block_on(pair.send(&message, times[0]))
                }
                Candidate::Peer(_, ends) => {
                    (times[1] * size.bytes) as f64 / runtime.block_on(ends.send(&message, times[1]))
                }
            })
        });
        let title = format!("one way over loopback, {} messages", size.name);
        report.section(title, "ours / it");
        let id = |name: &str| format!("one-way/{}/{name}", size.id);
        for (ours, rate) in Ours::all().iter().zip(&rates) {
            let row = Row::shown(id(ours.name), ours.name, rate / 1e6, "MB/s");
            report.row(row.aside(format!("{:.2} cores busy in all", cores.had())));
        }
        let (ours, theirs) = rates.split_at(Ours::all().len());
        for (candidate, rate) in ends.all.iter().skip(ours.len()).zip(theirs) {
            let Candidate::Peer(peer, _) = candidate else {
                continue;
            };
            let row = Row::shown(id(peer.id()), peer.name(), rate / 1e6, "MB/s");
            let aes = match peer {
                Peer::Rustls(_) => size.aes,
                _ => 1.0,
            };
            report.row(judged(row, *peer, ours, *rate, [1.0, aes]));
        }
    }
    ends.close();
}

/// Our rate over theirs, of links with the same cipher. Where we have no such link it is our
/// default one, and not judged. Bounds are those of ChaCha20-Poly1305 and of AES.
fn judged(row: Row, peer: Peer, ours: &[f64], rate: f64, bounds: [f64; 2]) -> Row {
    let [chacha, aes] = bounds;
    let least = match peer.cipher() {
        Cipher::None => None,
        Cipher::ChaCha => Some(chacha),
        Cipher::Aes => Some(aes),
    };
    match (Ours::rival(peer.cipher()), least) {
        (Some(rival), Some(least)) => row.at_least(ours[rival] / rate, least),
        _ => row.ratio(ours[0] / rate, Better::Neither),
    }
}

pub(crate) fn small(ask: &Asked, report: &mut Report) {
    let mut ends = Ends::new();
    let times = SMALL_TIMES.map(|times| ask.amount(times, PACKED));
    let (message, packed) = ([0x5a; SMALL], vec![0x5a; SMALL * PACKED]);
    let peers = ends.all.len();
    let Ends { runtime, all } = &mut ends;
    // After everybody come the peers once more, packed by hand.
    let candidates = peers + Peer::ALL.len();
    let rates = all_in_turn(candidates, ask.amount(11, 1), |n| {
        let by_hand = n >= peers;
        let n = if by_hand {
            n - peers + Ours::all().len()
        } else {
            n
        };
        match &mut all[n] {
            Candidate::Ours(pair) => {
                times[0] as f64 / runtime.block_on(pair.send(&message, times[0]))
            }
            Candidate::Peer(_, ends) if by_hand => {
                let writes = times[0] / PACKED;
                (writes * PACKED) as f64 / runtime.block_on(ends.send(&packed, writes))
            }
            Candidate::Peer(_, ends) => {
                times[1] as f64 / runtime.block_on(ends.send(&message, times[1]))
            }
        }
    });
    ends.close();
    let (ours, theirs) = rates.split_at(Ours::all().len());
    let (theirs, by_hand) = theirs.split_at(Peer::ALL.len());

    let title = "one way over loopback, 64-byte messages, one call each";
    report.section(title, "ours / it");
    let id = |name: &str| format!("one-way/64B/{name}");
    for (ours, rate) in Ours::all().iter().zip(ours) {
        report.row(Row::shown(id(ours.name), ours.name, rate / 1e6, "M/s"));
    }
    for (peer, rate) in Peer::ALL.into_iter().zip(theirs) {
        // quinn coalesces by itself.
        let least = match peer {
            Peer::Quinn(_) => 1.0,
            _ => 15.0,
        };
        let row = Row::shown(id(peer.id()), peer.name(), rate / 1e6, "M/s");
        report.row(judged(row, peer, ours, *rate, [least, least]));
    }

    let title = "one way over loopback, 64-byte messages, packed by hand to 64 KiB a write";
    report.section(title, "ours, one call each / it");
    for (peer, rate) in Peer::ALL.into_iter().zip(by_hand) {
        let id = format!("one-way/64B-packed/{}", peer.id());
        let row = Row::shown(id, peer.name(), rate / 1e6, "M/s");
        let rival = Ours::rival(peer.cipher()).unwrap_or(0);
        report.row(row.ratio(ours[rival] / rate, Better::Neither));
    }
}
