//! The event log: one node whose events are followed by nobody, by one, by a hundred and by a
//! thousand readers at once. What it takes on its way to each of them, and what the readers cost
//! those who send.
//!
//! `cargo bench -- events`. The store is in memory: what is measured is the log.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a benchmark: it fails aloud, and reads the clock"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use skychat_api::EventKind;
use skychat_benches::{Asked, Better, Report, Row, in_turn, quantile};
use skychat_core::{Draft, EventReader, Node};
use skychat_identity::{PublicKey, SecretKey};
use tokio::task::JoinSet;

const BODY: usize = 256;
/// Who sends at the same time.
const SENDERS: usize = 64;

/// Readers, messages of a sample, messages of which each is awaited by all.
#[derive(Clone, Copy)]
struct Case {
    readers: usize,
    messages: usize,
    single: usize,
}

const CASES: [Case; 4] = [
    case(0, 4_000, 0),
    case(1, 4_000, 400),
    case(100, 2_000, 100),
    case(1_000, 500, 20),
];

const fn case(readers: usize, messages: usize, single: usize) -> Case {
    Case {
        readers,
        messages,
        single,
    }
}

fn main() {
    let mut asked = Asked::of_command_line();
    let mut report = Report::new("events");
    if asked.measures("events/readers") {
        let rounds = asked.amount(9, 1);
        let cases = asked.amount(
            CASES,
            CASES.map(|case| Case {
                messages: 8,
                single: case.single.min(2),
                ..case
            }),
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        measure(&runtime, &mut report, rounds, cases);
    }
    asked.finish(&report).unwrap();
}

fn measure(
    runtime: &tokio::runtime::Runtime,
    report: &mut Report,
    rounds: usize,
    cases: [Case; CASES.len()],
) {
    let node = runtime.block_on(async {
        let node = Node::builder(SecretKey::from_seed([1; 32])).memory();
        node.spawn().await.unwrap()
    });
    let rates: [f64; CASES.len()] = in_turn(rounds, |n| runtime.block_on(flow(&node, cases[n])));
    let tails: [f64; CASES.len()] = in_turn(rounds, |n| match cases[n].readers {
        0 => f64::NAN,
        _ => quantile(runtime.block_on(one_by_one(&node, cases[n])), 0.99),
    });
    let title = format!("Messages of {BODY} bytes, {SENDERS} senders, and who follows the events");
    report.section(title, "nobody follows");
    for (case, rate) in cases.into_iter().zip(rates) {
        let readers = case.readers;
        let row = Row::shown(
            format!("readers/{readers}"),
            named(readers),
            rate,
            "messages/s",
        );
        report.row(match readers {
            0 => row,
            _ => {
                let told = rate * readers as f64;
                let row = row.aside(format!("{told:.0} events/s in all"));
                row.ratio(rate / rates[0], Better::Higher)
            }
        });
    }
    report.section(
        "From what the sender is told to the reader, 99 of 100 within",
        "one reader",
    );
    for (case, tail) in cases
        .into_iter()
        .zip(tails)
        .filter(|(case, _)| case.readers > 0)
    {
        let id = format!("p99/{}", case.readers);
        let row = Row::shown(id, named(case.readers), tail * 1e3, "ms");
        report.row(match case.readers {
            1 => row,
            _ => row.ratio(tail / tails[1], Better::Lower),
        });
    }
    runtime.block_on(node.shutdown(Duration::from_secs(5)));
}

fn named(readers: usize) -> String {
    match readers {
        0 => "nobody".to_owned(),
        1 => "1 reader".to_owned(),
        readers => format!("{readers} readers"),
    }
}

/// To whom everything is said: somebody who is not there.
fn away() -> PublicKey {
    SecretKey::from_seed([2; 32]).public()
}

fn draft() -> Draft {
    Draft::text(away(), "x".repeat(BODY)).unwrap()
}

/// Reads until so many messages have come; when each did.
async fn read(mut reader: EventReader, messages: usize) -> Vec<Instant> {
    let mut came = Vec::with_capacity(messages);
    while came.len() < messages {
        let event = reader.next().await.unwrap().unwrap();
        if matches!(event.kind, EventKind::Message(_)) {
            came.push(Instant::now());
        }
    }
    came
}

fn readers(node: &Node, case: Case, messages: usize) -> JoinSet<Vec<Instant>> {
    let readers = (0..case.readers).map(|_| node.events(None));
    readers.map(|reader| read(reader, messages)).collect()
}

/// Messages a second, from the first send until every reader has seen the last one.
async fn flow(node: &Node, case: Case) -> f64 {
    let reading = readers(node, case, case.messages);
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let senders = (0..SENDERS).map(|_| {
        let (node, next) = (node.clone(), Arc::clone(&next));
        async move {
            while next.fetch_add(1, Ordering::Relaxed) < case.messages {
                node.send(draft()).await.unwrap();
            }
        }
    });
    senders.collect::<JoinSet<()>>().join_all().await;
    reading.join_all().await;
    case.messages as f64 / began.elapsed().as_secs_f64()
}

/// Seconds from `send` having returned, which it does when the message is committed, to each
/// reader; a microsecond where the reader was the earlier one. The next one is sent when all have
/// this one.
async fn one_by_one(node: &Node, case: Case) -> Vec<f64> {
    let mut took = Vec::new();
    for _ in 0..case.single {
        let reading = readers(node, case, 1);
        // Let them get to where they wait.
        tokio::time::sleep(Duration::from_millis(2)).await;
        node.send(draft()).await.unwrap();
        let told = Instant::now();
        for came in reading.join_all().await {
            let later = came[0].saturating_duration_since(told);
            took.push(later.as_secs_f64().max(1e-6));
        }
    }
    took
}
