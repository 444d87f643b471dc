//! Seal and open in memory: our whole way from the queue to the handler, against snow used
//! plainly and against the bare cipher, in processor time of the one thread that does it.

use std::hint::black_box;
use std::time::Duration;

use skychat_benches::{Asked, Better, Report, Row, all_in_turn, cpu_seconds_each};

use crate::aead::Raw;
use crate::noise::{self, Resolver};
use crate::ours::{self, Cipher, Ours};

/// What a frame adds to its message.
const FRAME: usize = 5;
/// What one record is filled to when messages are coalesced.
const RECORD: usize = 65_519;

struct Size {
    id: &'static str,
    name: &'static str,
    bytes: usize,
    /// Against snow with its default resolver, one message a record.
    alone: Option<f64>,
    /// Against snow with the same library, as many messages a record as fit.
    packed: Option<f64>,
}

/// The last two are what just fits into a record with its frame.
const SIZES: [Size; 4] = [
    Size {
        id: "64B",
        name: "64 B",
        bytes: 64,
        alone: Some(7.0),
        packed: Some(4.0),
    },
    Size {
        id: "1KiB",
        name: "1 KiB",
        bytes: 1024,
        alone: Some(3.0),
        packed: Some(1.2),
    },
    Size {
        id: "16KiB",
        name: "16 KiB",
        bytes: 16_379,
        alone: None,
        packed: None,
    },
    Size {
        id: "64KiB",
        name: "64 KiB",
        bytes: 65_514,
        alone: None,
        packed: None,
    },
];

pub(crate) fn compare(ask: &Asked, report: &mut Report) {
    for size in &SIZES {
        compare_size(ask, report, size);
    }
}

enum Candidate {
    Alone(ours::Path),
    Packed(ours::Path, usize),
    Snow(noise::Path),
    Raw(Raw),
}

fn compare_size(ask: &Asked, report: &mut Report, size: &Size) {
    let times = (RECORD / (size.bytes + FRAME)).max(1);
    let mut candidates = Vec::new();
    for ours in Ours::all() {
        let path = || ours::Path::new(*ours);
        let name = |how| format!("{}/{how}", ours.name);
        candidates.push((name("alone"), ours.cipher, Candidate::Alone(path())));
        if times > 1 {
            let packed = Candidate::Packed(path(), times);
            candidates.push((name("packed"), ours.cipher, packed));
        }
    }
    for (name, resolver) in Resolver::ALL {
        let path = Candidate::Snow(noise::Path::new(resolver));
        candidates.push((name.to_owned(), Cipher::ChaCha, path));
    }
    for (name, cipher, raw) in Raw::all() {
        candidates.push((name.to_owned(), cipher, Candidate::Raw(raw)));
    }
    let message = vec![0x5a; size.bytes];
    let mut text = vec![0x5a; size.bytes + FRAME];
    let span = ask.amount(Duration::from_millis(25), Duration::from_micros(100));
    let taken = all_in_turn(candidates.len(), ask.amount(11, 1), |n| {
        let message = black_box(message.as_slice());
        match &mut candidates[n].2 {
            Candidate::Alone(path) => cpu_seconds_each(span, || path.pass(message, 1)),
            Candidate::Packed(path, times) => {
                cpu_seconds_each(span, || path.pass(message, *times)) / *times as f64
            }
            Candidate::Snow(path) => cpu_seconds_each(span, || path.pass(message)),
            Candidate::Raw(raw) => {
                cpu_seconds_each(span, || raw.seal_and_open(black_box(&mut text)))
            }
        }
    });
    for (n, (name, cipher, _)) in candidates.iter().enumerate() {
        if let Some((backend, how)) = name.split_once('/') {
            // Like beside like: others with the same cipher, and the portable library beside itself.
            let portable = |name: &str| name == "snow-default" || name == "raw-rust-crypto";
            let others = candidates.iter().zip(&taken);
            let others = others.filter(|((name, theirs, _), _)| {
                theirs == cipher
                    && !name.contains('/')
                    && (backend != "rust-crypto" || portable(name))
            });
            let others: Vec<_> = others
                .map(|((name, ..), taken)| (name.as_str(), *taken))
                .collect();
            section(report, size, [backend, how], taken[n], &others);
        }
    }
}

/// One of ours, and what is beside it.
fn section(
    report: &mut Report,
    size: &Size,
    [backend, how]: [&str; 2],
    ours: f64,
    others: &[(&str, f64)],
) {
    let records = match how {
        "alone" => "one message a record",
        _ => "as many messages a record as fit",
    };
    let title = format!("in memory, {}: {backend}, {records}", size.name);
    report.section(title, "its time / ours");
    let id = |name: &str| format!("memory/{}/{backend}/{how}/{name}", size.id);
    let shown =
        |name: &str, what: String, seconds: f64| Row::shown(id(name), what, seconds * 1e9, "ns");
    let what = format!("{backend}: queue, seal, open, handler");
    report.row(shown("ours", what, ours));
    // The library that is the same on both sides, but for its version.
    let same = match backend {
        "rust-crypto" => "snow-default",
        _ => "snow-aws-lc",
    };
    for (name, theirs) in others.iter().copied() {
        let target = match how {
            "alone" if backend == "aws-lc" && name == "snow-default" => size.alone,
            "packed" if name == same => size.packed,
            _ => None,
        };
        let row = shown(name, said(name), theirs);
        let ratio = theirs / ours;
        report.row(match target {
            Some(least) => row.at_least(ratio, least),
            None if name.starts_with("raw") => row.ratio(ratio, Better::Neither),
            None => row.ratio(ratio, Better::Higher),
        });
    }
}

fn said(name: &str) -> String {
    match name {
        "snow-default" => "snow plainly, its default resolver",
        "snow-aws-lc" => "snow plainly, cipher of aws-lc",
        "snow-ring" => "snow plainly, cipher of ring",
        "raw-aws-lc" => "aws-lc alone, the message with its frame",
        "raw-ring" => "ring alone",
        "raw-rust-crypto" => "RustCrypto alone",
        "raw-aws-lc-aes" => "aws-lc alone, AES-256-GCM",
        other => other,
    }
    .to_owned()
}
