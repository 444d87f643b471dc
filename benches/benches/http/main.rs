//! The control surface beside a bare hyper responder that gives the same bytes: `GET /v1/status`
//! and `POST /v1/messages`, requests a second over 64 connections kept alive.
//!
//! `cargo bench -- http`. Each server has one thread; who asks has another one, does as little as
//! possible, and asks the next thing of a connection when the answer is whole. On a machine of two
//! cores who asks may be the slower one all the same, so the processor time of the server's thread
//! stands beside. The store is in
//! memory and the recipient away, so an answer waits for no disk and for nobody.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a benchmark: it fails aloud, and reads the clock"
)]

mod asking;
mod bare;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use asking::Asking;
use skychat_api::SendRequest;
use skychat_benches::{Asked, Better, Report, Row, in_turn, median};
use skychat_core::Node;
use skychat_http::{Caps, Gate, Listener, Token, routes};
use skychat_identity::SecretKey;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const CONNECTIONS: usize = 64;
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const BODY: usize = 256;

const LEAST_STATUS: f64 = 0.6;

/// Rounds, and requests of a sample: so many for each connection.
const WHOLE: (usize, usize) = (11, 64 * 320);
/// Shows that it runs.
const TEST: (usize, usize) = (1, 64 * 4);

fn main() {
    let mut asked = Asked::of_command_line();
    let mut report = Report::new("http");
    let parts = ["status", "messages"].map(|part| asked.measures(&format!("http/{part}")));
    if parts.contains(&true) {
        let [of_node, of_bare, of_client] = std::array::from_fn(|_| Thread::new());
        let (node, addr) = of_node.runtime.block_on(serve());
        let servers = [&of_bare, &of_node];
        if parts[0] {
            let request = format!("GET /v1/status HTTP/1.1\r\n{}\r\n", head(addr));
            let found = compare(&asked, &of_client, servers, addr, request.into_bytes());
            report.section("GET /v1/status", BARE);
            let [raw, ours] = found.rates;
            let row = Row::shown("status/bare", "bare hyper", raw, "requests/s");
            report.row(row.aside(format!("{} bytes of JSON", found.bytes)));
            let row = Row::shown("status", "status of a node", ours, "requests/s");
            report.row(row.at_least(ours / raw, LEAST_STATUS));
            processor(&mut report, "status", found.processor);
        }
        if parts[1] {
            let found = compare(&asked, &of_client, servers, addr, post(addr));
            let title = format!("POST /v1/messages, {BODY} bytes of text, until accepted");
            report.section(title, BARE);
            let [raw, ours] = found.rates;
            report.row(Row::shown("messages/bare", "bare hyper", raw, "requests/s"));
            let what = "sealed, signed, stored in memory";
            let row = Row::shown("messages", what, ours, "requests/s");
            report.row(row.ratio(ours / raw, Better::Higher));
            processor(&mut report, "messages", found.processor);
        }
        of_node
            .runtime
            .block_on(node.shutdown(Duration::from_secs(5)));
    }
    asked.finish(&report).unwrap();
}

const BARE: &str = "a bare hyper responder with the same bytes";

/// A runtime of one worker thread, and where the system tells how long that one ran.
struct Thread {
    runtime: Runtime,
    ran: PathBuf,
}

impl Thread {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let worker = async { std::fs::read_link("/proc/thread-self").unwrap() };
        let worker = runtime.block_on(async { tokio::spawn(worker).await.unwrap() });
        let ran = Path::new("/proc").join(worker).join("schedstat");
        Thread { runtime, ran }
    }

    /// Nanoseconds that its worker has been on a processor.
    fn ran(&self) -> f64 {
        let text = std::fs::read_to_string(&self.ran).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// What the server's thread does for a request, whoever is the slower one.
fn processor(report: &mut Report, id: &str, [raw, ours]: [f64; 2]) {
    let what = "processor time of the bare one";
    report.row(Row::shown(
        format!("{id}/processor/bare"),
        what,
        raw / 1e3,
        "us",
    ));
    let what = "processor time of ours, without the thread of the store";
    let row = Row::shown(format!("{id}/processor"), what, ours / 1e3, "us");
    report.row(row.ratio(raw / ours, Better::Higher));
}

/// A node, and its control surface; it is served as long as the runtime lives.
async fn serve() -> (Node, SocketAddr) {
    let node = Node::builder(SecretKey::from_seed([1; 32])).memory();
    let node = node.spawn().await.unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(any).await.unwrap();
    let addr = listener.local_addr();
    let gate = Gate::new(addr, Token::new(TOKEN).unwrap());
    let stop = CancellationToken::new();
    let router = routes(node.clone(), addr, stop.clone());
    tokio::spawn(listener.serve(gate, router, Caps::default(), stop));
    (node, addr)
}

fn head(addr: SocketAddr) -> String {
    format!("Host: {addr}\r\nAuthorization: Bearer {TOKEN}\r\n")
}

fn post(addr: SocketAddr) -> Vec<u8> {
    let request = SendRequest {
        to: SecretKey::from_seed([2; 32]).public(),
        text: "x".repeat(BODY),
        message_id: None,
        wait: None,
        timeout_ms: None,
    };
    let body = serde_json::to_string(&request).unwrap();
    let kind = format!(
        "Content-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    let head = format!("POST /v1/messages HTTP/1.1\r\n{}{kind}\r\n\r\n", head(addr));
    (head + &body).into_bytes()
}

/// Of the bare responder, and of ours.
struct Found {
    /// Requests a second.
    rates: [f64; 2],
    /// Nanoseconds of the server's thread a request.
    processor: [f64; 2],
    /// Of the body of an answer.
    bytes: usize,
}

fn compare(
    asked: &Asked,
    of_client: &Thread,
    servers: [&Thread; 2],
    ours: SocketAddr,
    request: Vec<u8>,
) -> Found {
    let (rounds, requests) = asked.amount(WHOLE, TEST);
    let client = &of_client.runtime;
    let answer = client.block_on(asking::once(ours, &request));
    let bytes = answer.body.len();
    let bare = servers[0].runtime.block_on(bare::serve(answer));
    let mut asking =
        [bare, ours].map(|addr| client.block_on(Asking::new(addr, &request, CONNECTIONS)));
    let mut times = [const { Vec::new() }; 2];
    let rates = in_turn(rounds, |n| {
        let before = servers[n].ran();
        let rate = client.block_on(asking[n].rate(requests));
        times[n].push((servers[n].ran() - before) / requests as f64);
        rate
    });
    Found {
        rates,
        processor: times.map(median),
        bytes,
    }
}
