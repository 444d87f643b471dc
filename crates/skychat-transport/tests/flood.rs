//! A flood of strangers: links that are up go on, and honest peers get in meanwhile.
#![cfg(all(feature = "tcp", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

mod common;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use common::*;
use skychat_proto::link::Goodbye;
use skychat_transport::ListenerLimits;
use socket2::{Domain, Socket, Type};

/// Connections of the flood that wait for their end at one time.
const WAITING: usize = 128;
/// Connections that send one byte and stay: more than a lobby holds.
const STAYING: usize = 270;

struct Flood {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Flood {
    /// Connects as fast as it finds its connections closed, until it is stopped.
    fn start(addr: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let (mut waiting, mut staying) = (VecDeque::new(), Vec::new());
            for n in 0_u32.. {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = connect_from(n, addr);
                if n % 4 == 3 && staying.len() < STAYING {
                    stream.write_all(&[1]).ok();
                    staying.push(stream);
                    continue;
                }
                let mut garbage = [0xa5; 49];
                garbage[0] = (n % 3) as u8;
                garbage[1..5].copy_from_slice(&n.to_be_bytes());
                stream.write_all(&garbage).ok();
                waiting.push_back(stream);
                if waiting.len() == WAITING {
                    let mut oldest = waiting.pop_front().unwrap();
                    // Closed, or reset.
                    assert!(matches!(oldest.read(&mut [0]), Ok(0) | Err(_)));
                }
            }
        });
        Flood { over, thread }
    }

    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// From one of a hundred addresses, all of them other ones than that of an honest peer.
fn connect_from(n: u32, addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let own = SocketAddr::from(([127, 0, 0, (100 + n % 100) as u8], 0));
    socket.bind(&own.into()).unwrap();
    socket.connect(&addr.into()).unwrap();
    socket.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_9_in_a_flood_links_go_on_and_honest_peers_get_in() {
    let (mut ann, mut bob) = (node(1), node(2));
    let listener = bob.listen_with(ListenerLimits::default());
    let addr = listener.local_addr();
    let link = ann.dial(addr, bob.key).await.unwrap();
    bob.up().await;
    let flood = Flood::start(addr);
    let mut in_the_flood = 0;
    for n in 0..10 {
        // Until the flood has come some way since the last one.
        within(async {
            while listener.stats().failed < 200 * (n + 1) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        link.try_send(ECHO, &[b"still there?"]).unwrap();
        assert_eq!(ann.message().await.1, b"still there?");
        bob.message().await;
        let honest = node(10 + n as u8);
        let other = honest.dial(addr, bob.key).await.unwrap();
        bob.up().await;
        in_the_flood += 1;
        other.close(Goodbye::Done);
        bob.closed().await;
    }
    flood.stop();
    let stats = listener.stats();
    assert_eq!((in_the_flood, stats.proven, stats.refused), (10, 11, 0));
    assert!(listener.waiting() <= 256, "{}", listener.waiting());
    assert!(stats.evicted > 0, "{stats:?}");
    link.close(Goodbye::Done);
    drop(listener);
    bob.reports.close();
    bob.all_done().await;
}
