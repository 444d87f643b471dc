//! Round trips of an established link while another process floods the port with garbage.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use skychat_benches::{Report, Row, median};
use skychat_transport::{Backend, Suite};

use crate::net::runtime;
use crate::part::Amount;
use crate::ping::Match;

/// The argument that makes this program the one that floods.
pub(crate) const ARGUMENT: &str = "--flood";

/// Connects, sends what could be a first message, and leaves, as fast as one thread can, until
/// standard input ends. Then it says how many it made.
pub(crate) fn flood(addr: SocketAddr) {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    let end = thread::spawn(move || {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        told.store(true, Ordering::Relaxed);
    });
    let mut garbage = [0xa5; 49];
    garbage[0] = 1;
    let mut made = 0_u64;
    while !over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = TcpStream::connect(addr) {
            stream.write_all(&garbage).ok();
            made += 1;
        }
    }
    end.join().ok();
    println!("{made}");
}

/// The other process.
struct Flooder {
    child: Child,
    since: Instant,
}

impl Flooder {
    fn start(addr: SocketAddr) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([ARGUMENT, &addr.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Flooder {
            child,
            since: Instant::now(),
        }
    }

    /// Connections a second.
    fn stop(mut self) -> f64 {
        drop(self.child.stdin.take());
        let mut said = String::new();
        let mut out = self.child.stdout.take().unwrap();
        out.read_to_string(&mut said).unwrap();
        let seconds = self.since.elapsed().as_secs_f64();
        self.child.wait().unwrap();
        said.trim().parse::<f64>().unwrap() / seconds
    }
}

/// Round trips a second and the 99th percentile, over `span`.
fn play(runtime: &tokio::runtime::Runtime, game: &mut Match, span: Duration) -> (f64, f64) {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < span {
        times.extend(runtime.block_on(game.play()));
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    (rate, times[times.len() * 99 / 100])
}

pub(crate) fn compare(report: &mut Report, amount: Amount) {
    let runtime = runtime(2);
    let mut game = runtime.block_on(Match::new(Backend::default(), Suite::ChaChaPoly));
    let span = Duration::from_millis(amount.of(400, 1));
    // Until the backlog is full of it.
    let warm = Duration::from_millis(amount.of(300, 20));
    let (mut rates, mut late, mut floods) = (Vec::new(), Vec::new(), Vec::new());
    let mut quiet = Vec::new();
    play(&runtime, &mut game, span);
    for _ in 0..amount.of(7, 1) {
        let (rate, p99) = play(&runtime, &mut game, span);
        let flooder = Flooder::start(game.addr());
        thread::sleep(warm);
        let (flooded_rate, flooded_p99) = play(&runtime, &mut game, span);
        floods.push(flooder.stop());
        // What waits in the backlog is taken in at the pace of the listener.
        thread::sleep(Duration::from_millis(amount.of(2500, 20)));
        rates.push(flooded_rate / rate);
        late.push(flooded_p99 / p99);
        quiet.push((rate, p99 * 1e6, flooded_rate, flooded_p99 * 1e6));
    }
    let of = |pick: fn(&(f64, f64, f64, f64)) -> f64| median(quiet.iter().map(pick).collect());
    report.section(
        "ping-pong while another process connects and sends garbage, as fast as it can",
        "the same link left alone; each run, then their median",
    );
    let row = Row::shown(
        "flood/trips",
        "round trips a second",
        of(|q| q.2),
        "trips/s",
    );
    let aside = format!("{:.0} left alone", of(|q| q.0));
    report.row(row.aside(aside).at_least(median(rates), 0.50));
    let row = Row::shown("flood/p99", "99th percentile of a trip", of(|q| q.3), "us");
    let aside = format!("{:.1} left alone", of(|q| q.1));
    report.row(row.aside(aside).at_most(median(late), 2.50));
    let what = "connections that the other process makes";
    report.row(Row::shown("flood/connections", what, median(floods), "/s"));
}
