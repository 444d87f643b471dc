//! Fuzz target of the control surface as a plain function: it takes arbitrary bytes, and panics if a rule is broken.
//! `fuzz/` runs it with a fuzzer, `tests/fuzz_corpus.rs` with the corpus.

use std::cell::RefCell;
use std::time::Duration;

use skychat_core::Node;
use skychat_http::{Caps, Gate, Token, routes, serve_stream};
use skychat_identity::SecretKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// Where the surface believes to be.
pub(crate) const HOST: &str = "127.0.0.1:8002";
/// The token that opens it.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// How long a request that waits for something is waited for.
const QUIET: Duration = Duration::from_millis(100);
/// How long a connection may outlive its client. Generous: a loaded machine is no fault.
const GONE: Duration = Duration::from_secs(20);
/// After how many requests the node is made anew, so that what was sent does not pile up.
const RUNS: u32 = 2_000;

/// Bytes on a connection to the control surface of a node in memory: the server, the gate, the routes.
///
/// Nothing panics, every answer is one of HTTP, who does not know the token gets nothing but refusals, and a
/// connection ends with its client.
pub(crate) fn http_request_to_handler(data: &[u8]) {
    let answers = answers(data, QUIET);
    let text = String::from_utf8_lossy(&answers);
    assert!(text.is_empty() || text.starts_with("HTTP/1."), "{text:.60}");
    assert!(!text.contains(TOKEN), "the token is never said");
    let knows = data
        .windows(TOKEN.len())
        .any(|window| window == TOKEN.as_bytes());
    if !knows {
        let status = text.split_whitespace().nth(1).unwrap_or("400");
        assert!(status.starts_with('4'), "{text:.60}");
    }
}

/// All that is answered within `limit` to these bytes and to a last request without a token, which ends the connection.
pub(crate) fn answers(data: &[u8], limit: Duration) -> Vec<u8> {
    thread_local!(static SURFACE: RefCell<Option<Surface>> = const { RefCell::new(None) });
    SURFACE.with_borrow_mut(|surface| {
        if surface.as_ref().is_some_and(|surface| surface.runs >= RUNS) {
            *surface = None;
        }
        surface.get_or_insert_with(Surface::new).ask(data, limit)
    })
}

struct Surface {
    runtime: Runtime,
    node: Node,
    runs: u32,
}

impl Surface {
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let node = Node::builder(SecretKey::from_seed([7; 32])).spawn();
        let node = runtime.block_on(node).expect("a node in memory starts");
        Self {
            runtime,
            node,
            runs: 0,
        }
    }

    fn ask(&mut self, data: &[u8], limit: Duration) -> Vec<u8> {
        self.runs += 1;
        let addr = HOST.parse().expect("an address");
        let token = Token::new(TOKEN).expect("a token");
        // Streams end at once: they see that the node stops.
        let stop = CancellationToken::new();
        stop.cancel();
        let router = routes(self.node.clone(), addr, stop);
        let last = format!("GET /v1/status HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        self.runtime.block_on(async {
            let (client, server) = tokio::io::duplex(64 * 1024);
            let serving = serve_stream(server, Gate::new(addr, token), router, Caps::default());
            let serving = tokio::spawn(serving);
            let mut answers = Vec::new();
            {
                let (mut read, mut write) = tokio::io::split(client);
                let exchange = async {
                    let ask = async {
                        // The server may close before it has read everything.
                        let _ = write.write_all(data).await;
                        let _ = write.write_all(last.as_bytes()).await;
                    };
                    let _ = tokio::join!(ask, read.read_to_end(&mut answers));
                };
                let _ = tokio::time::timeout(limit, exchange).await;
            }
            let served = tokio::time::timeout(GONE, serving).await;
            let served = served.expect("a connection ends with its client");
            served.expect("a connection does not panic");
            answers
        })
    }
}
