//! `skychat demo`: two nodes on this machine, and what they do for each other.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use skychat_api::{Code, EventKind, V1, WaitFor};
use skychat_core::{Admission, Draft, Node, one_shot};
use skychat_identity::{Address, PublicKey, SecretKey};
use skychat_proto::content::Content;
use tokio::time::{Instant, timeout};

use crate::failure::Failure;
use crate::screen::{DIM, GREEN, Screen};

/// How long any step may take.
const STEP: Duration = Duration::from_secs(15);

/// A step and what was measured.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    /// Microseconds.
    took_us: u64,
    what: String,
}

#[derive(Debug, Serialize)]
struct Report {
    v: V1,
    steps: Vec<Step>,
}

pub(super) async fn run(screen: &mut Screen) -> Result<(), Failure> {
    let dir = tempfile::Builder::new()
        .prefix("skychat-demo-")
        .tempdir()
        .map_err(|error| {
            Failure::new(
                Code::StoreFailed,
                format!("making a temporary directory: {error}"),
            )
        })?;
    let mut report = Report {
        v: V1,
        steps: Vec::new(),
    };
    play(dir.path(), screen, &mut report).await?;
    dir.close().map_err(|error| {
        Failure::new(
            Code::StoreFailed,
            format!("removing the temporary directory: {error}"),
        )
    })?;
    if screen.is_json() {
        return screen.document(&report);
    }
    screen.line(format_args!(
        "\n{} Nothing is left behind.",
        GREEN.of("All as promised.")
    ))
}

async fn play(dir: &Path, screen: &mut Screen, report: &mut Report) -> Result<(), Failure> {
    // The identities are drawn for this run; the stores are real, on disk.
    let (ann_seed, bob_seed) = (seed()?, seed()?);
    let bob_key = SecretKey::from_seed(bob_seed).public();
    say(
        screen,
        &format!(
            "Two nodes over TCP on loopback, their stores in {}",
            dir.display()
        ),
    )?;

    let start = Instant::now();
    let bob = spawn(bob_seed, &dir.join("bob"), loopback(0), None).await?;
    let bob_addr = first(&bob)?;
    let bob_at = address(bob_key, bob_addr)?;
    let ann = spawn(
        ann_seed,
        &dir.join("ann"),
        loopback(0),
        Some(bob_at.clone()),
    )
    .await?;
    let ann_key = ann.public_key();
    let what = format!("Ann {} and Bob {}", ann_key.short(), bob_key.short());
    step(screen, report, "two nodes are up", start, what)?;

    // 1. A message and its acknowledgement.
    for text in [
        "Hello Bob, this came sealed.",
        "And this over the link that is up now.",
    ] {
        let start = Instant::now();
        let sent = ann
            .deliver(draft(bob_key, text)?, WaitFor::Stored, STEP)
            .await
            .map_err(failed)?;
        let by = sent
            .acknowledged
            .map_or(bob_key, |acknowledged| acknowledged.by);
        step(
            screen,
            report,
            "sent and acknowledged",
            start,
            format!("Acked by {}: on Bob's disk", by.short()),
        )?;
    }
    expect(
        &bob,
        ann_key,
        &[
            "Hello Bob, this came sealed.",
            "And this over the link that is up now.",
        ],
    )
    .await?;

    // 2. Bob is away, and comes back.
    let start = Instant::now();
    stop(bob).await?;
    step(screen, report, "Bob stops", start, "gracefully".into())?;
    let away = "Written while you were away.";
    let start = Instant::now();
    let accepted = ann.send(draft(bob_key, away)?).await.map_err(failed)?;
    step(
        screen,
        report,
        "sent while Bob is down",
        start,
        "accepted: on Ann's disk, and owed to Bob".into(),
    )?;
    let start = Instant::now();
    let bob = spawn(bob_seed, &dir.join("bob"), bob_addr, None).await?;
    let acknowledged = ann
        .wait(bob_key, accepted.message, WaitFor::Stored, STEP)
        .await
        .map_err(failed)?;
    let by = acknowledged.map_or(bob_key, |acknowledged| acknowledged.by);
    step(
        screen,
        report,
        "Bob is back",
        start,
        format!("delivered, Acked by {}", by.short()),
    )?;
    expect(
        &bob,
        ann_key,
        &[
            "Hello Bob, this came sealed.",
            "And this over the link that is up now.",
            away,
        ],
    )
    .await?;

    // 3. A wrong key is refused.
    let wrong = SecretKey::from_seed(seed()?).public();
    let mallory = SecretKey::from_seed(seed()?);
    let start = Instant::now();
    let content = content("For somebody else.")?;
    match one_shot::send(&mallory, &address(wrong, bob_addr)?, content, None, STEP).await {
        Err(error) if error.code() == Code::WrongKey => {
            step(
                screen,
                report,
                "a wrong key is refused",
                start,
                error.to_string(),
            )?;
        }
        Err(error) => return Err(Failure::caused(error.code(), &error)),
        Ok(_) => return Err(broken("a message went to a key nobody has")),
    }
    stop(ann).await?;
    stop(bob).await
}

async fn spawn(
    seed: [u8; 32],
    dir: &Path,
    listen: SocketAddr,
    peer: Option<Address>,
) -> Result<Node, Failure> {
    let mut builder = Node::builder(SecretKey::from_seed(seed))
        .data_dir(dir)
        .listen(listen)
        .admission(Admission::Anyone);
    if let Some(peer) = peer {
        builder = builder.peer(peer);
    }
    builder
        .spawn()
        .await
        .map_err(|error| Failure::caused(error.code(), &error))
}

async fn stop(node: Node) -> Result<(), Failure> {
    let report = node.shutdown(Duration::from_secs(5)).await;
    if report.aborted.is_empty() {
        Ok(())
    } else {
        Err(broken(&format!(
            "a node did not stop in order: {}",
            report.aborted.join(", ")
        )))
    }
}

/// Reads the events of a node from the first on until these texts came from `author`, once each
/// and in this order, and nothing else.
async fn expect(node: &Node, author: PublicKey, texts: &[&str]) -> Result<(), Failure> {
    let beginning =
        skychat_api::Cursor::new(node.incarnation(), skychat_proto::ids::EventSeq::new(0));
    let mut reader = node.events(Some(beginning));
    for text in texts {
        let found = timeout(STEP, next_text(&mut reader, author)).await;
        match found {
            Ok(Some(found)) if found == *text => {}
            Ok(found) => return Err(broken(&format!("expected {text:?}, found {found:?}"))),
            Err(_) => return Err(broken(&format!("{text:?} did not come"))),
        }
    }
    Ok(())
}

async fn next_text(reader: &mut skychat_core::EventReader, author: PublicKey) -> Option<String> {
    loop {
        let event = reader.next().await.ok()??.into_inner();
        if let EventKind::Message(message) = event.kind
            && message.from == author
        {
            return match message.body {
                skychat_api::Body::Text(text) => Some(text),
                _ => None,
            };
        }
    }
}

fn step(
    screen: &mut Screen,
    report: &mut Report,
    name: &'static str,
    start: Instant,
    what: String,
) -> Result<(), Failure> {
    let took = start.elapsed();
    let ms = took.as_secs_f64() * 1_000.0;
    say(
        screen,
        &format!(
            "{} {name:<24} {ms:>9.3} ms  {}",
            GREEN.of("ok"),
            DIM.of(&what)
        ),
    )?;
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    report.steps.push(Step {
        name,
        took_us,
        what,
    });
    Ok(())
}

fn say(screen: &mut Screen, line: &str) -> Result<(), Failure> {
    if screen.is_json() {
        return Ok(());
    }
    screen.line(line)?;
    screen.flush()
}

fn first(node: &Node) -> Result<SocketAddr, Failure> {
    node.listen_addrs()
        .first()
        .copied()
        .ok_or_else(|| broken("a node listens nowhere"))
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

fn address(key: PublicKey, addr: SocketAddr) -> Result<Address, Failure> {
    format!("tcp://{key}@{addr}")
        .parse()
        .map_err(|error: skychat_identity::AddressError| Failure::caused(Code::Internal, &error))
}

fn content(text: &str) -> Result<Content, Failure> {
    Content::text(text).map_err(|error| Failure::caused(Code::BadText, &error))
}

fn draft(to: PublicKey, text: &str) -> Result<Draft, Failure> {
    Ok(Draft {
        to,
        message: None,
        content: content(text)?,
    })
}

fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new(Code::Internal, format!("drawing a key: {error}")))?;
    Ok(seed)
}

fn failed(error: impl std::error::Error + 'static) -> Failure {
    Failure::caused(Code::Internal, &error)
}

fn broken(what: &str) -> Failure {
    Failure::new(
        Code::Internal,
        format!("the demo did not go as promised: {what}"),
    )
}
