//! Round trips of an established link while somebody floods the port with garbage.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use skychat_transport::Backend;

use crate::net::runtime;
use crate::ping::Match;
use crate::sample::{head, in_turn, line, median};

/// Connects, sends what could be a first message, and leaves, as fast as one thread can.
struct Flood {
    on: AtomicBool,
    over: AtomicBool,
    made: AtomicUsize,
}

impl Flood {
    fn run(&self, addr: SocketAddr) {
        let garbage = [1; 49];
        while !self.over.load(Ordering::Relaxed) {
            if !self.on.load(Ordering::Relaxed) {
                thread::sleep(std::time::Duration::from_millis(1));
                continue;
            }
            if let Ok(mut stream) = TcpStream::connect(addr) {
                stream.write_all(&garbage).ok();
                self.made.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

pub(crate) fn compare() {
    let runtime = runtime(2);
    let mut game = runtime.block_on(Match::new(Backend::default()));
    let flood = Arc::new(Flood {
        on: AtomicBool::new(false),
        over: AtomicBool::new(false),
        made: AtomicUsize::new(0),
    });
    let addr = game.addr();
    let flooding = Arc::clone(&flood);
    let flooder = thread::spawn(move || flooding.run(addr));
    let mut p99: [Vec<f64>; 2] = Default::default();
    let mut seconds = 0.0;
    let [quiet, busy] = in_turn(15, |candidate| {
        flood.on.store(candidate == 1, Ordering::Relaxed);
        // So long that the backlog is full of it.
        thread::sleep(std::time::Duration::from_millis(50));
        let start = std::time::Instant::now();
        let mut times: Vec<f64> = (0..5).flat_map(|_| runtime.block_on(game.play())).collect();
        if candidate == 1 {
            seconds += start.elapsed().as_secs_f64() + 0.05;
        }
        flood.on.store(false, Ordering::Relaxed);
        times.sort_by(f64::total_cmp);
        p99[candidate].push(times[times.len() * 99 / 100]);
        median(times)
    });
    flood.over.store(true, Ordering::Relaxed);
    flooder.join().ok();
    let made = flood.made.load(Ordering::Relaxed) as f64;
    let title = format!(
        "ping-pong under a flood of {:.0} connections/s from this machine: p50 (p99)",
        made / seconds
    );
    head(&title, "of quiet");
    let [quiet_99, busy_99] = p99.map(median);
    for (name, p50, p99, target) in [
        ("quiet", quiet, quiet_99, ""),
        ("flooded", busy, busy_99, ""),
    ] {
        let figure = format!("{:.2} us ({:.1})", p50 * 1e6, p99 * 1e6);
        line(name, &figure, p50 / quiet, target);
    }
    line(
        "p99, flooded against quiet",
        "",
        busy_99 / quiet_99,
        "<= 2.50",
    );
    println!();
}
