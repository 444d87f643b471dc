//! What the machine does without us: copying, and bare sockets.

use std::hint::black_box;
use std::time::{Duration, Instant};

use skychat_benches::{Cores, Report, Row, in_turn, seconds_each};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::net::runtime;
use crate::part::Amount;

pub(crate) fn compare(report: &mut Report, amount: Amount) {
    report.section("the machine: copying in memory", "");
    let span = Duration::from_millis(amount.of(40, 1));
    for (size, bytes) in [
        ("1KiB", 1 << 10),
        ("16KiB", 16 << 10),
        ("64KiB", 64 << 10),
        ("1MiB", 1 << 20),
    ] {
        let (from, mut to) = (vec![0x5a_u8; bytes], vec![0_u8; bytes]);
        let [each] = in_turn(amount.of(9, 1), |_| {
            seconds_each(span, || {
                to.copy_from_slice(black_box(&from));
                black_box(&mut to);
            })
        });
        let id = format!("raw/memcpy/{size}");
        report.row(Row::shown(id, size, bytes as f64 / each / 1e6, "MB/s"));
    }
    let runtime = runtime(2);
    for (size, length, bytes) in [
        ("64B", 64, 8 << 20),
        ("1KiB", 1 << 10, 64 << 20),
        ("16KiB", 16 << 10, 256 << 20),
        ("64KiB", 64 << 10, 256 << 20),
        ("1MiB", 1 << 20, 256 << 20),
    ] {
        let mut pair = Some(runtime.block_on(pair()));
        let message = vec![0x5a; length];
        let times = amount.of(bytes / length, 8);
        let mut cores = Cores::start();
        let [rate] = in_turn(amount.of(9, 1), |_| {
            cores.during(|| {
                let (taken, back) = runtime.block_on(send(pair.take().unwrap(), &message, times));
                pair = Some(back);
                (times * length) as f64 / taken
            })
        });
        if length == 64 {
            report.section(
                "the machine: bare loopback TCP, one way, one message a write",
                "",
            );
        }
        let row = Row::shown(format!("raw/tcp/{size}"), size, rate / 1e6, "MB/s");
        report.row(row.aside(format!("{:.2} cores had", cores.had())));
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (server, _) = listener.accept().await.unwrap();
    client.set_nodelay(true).unwrap();
    (client, server)
}

/// Seconds from the first write to the last byte at the other end.
async fn send(
    (mut client, mut server): (TcpStream, TcpStream),
    message: &[u8],
    times: usize,
) -> (f64, (TcpStream, TcpStream)) {
    let expected = message.len() * times;
    let message = message.to_vec();
    let start = Instant::now();
    let sending = tokio::spawn(async move {
        for _ in 0..times {
            client.write_all(&message).await.unwrap();
        }
        client
    });
    let receiving = tokio::spawn(async move {
        let mut buffer = vec![0; 192 << 10];
        let mut left = expected;
        while left > 0 {
            left -= server.read(&mut buffer).await.unwrap();
        }
        server
    });
    let server = receiving.await.unwrap();
    let taken = start.elapsed().as_secs_f64();
    (taken, (sending.await.unwrap(), server))
}
