//! What is done with a stream of bytes, whatever it is made of.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::peer::{Hub, Peer, Stream};

pub(crate) const PING: [u8; 64] = [0x5a; 64];
/// As much as our own side reads at once.
const BUFFER: usize = skychat_transport::READ_BUFFER;

/// One connection in one direction.
pub(crate) struct OneWay {
    ends: Option<(Stream, Stream)>,
    hub: Hub,
}

impl OneWay {
    pub(crate) async fn new(peer: Peer) -> Self {
        let mut hub = Hub::new(peer).await;
        let ends = Some(hub.connect().await);
        OneWay { ends, hub }
    }

    /// Seconds from the first write to the last byte at the other end. Each message is one write
    /// and one flush: it is sent when the call returns.
    pub(crate) async fn send(&mut self, message: &[u8], times: usize) -> f64 {
        let (mut from, mut to) = self.ends.take().unwrap();
        let expected = message.len() * times;
        let (message, mut buffer) = (message.to_vec(), vec![0; BUFFER]);
        let start = Instant::now();
        let sending = tokio::spawn(async move {
            for _ in 0..times {
                from.write_all(&message).await.unwrap();
                from.flush().await.unwrap();
            }
            from
        });
        let receiving = tokio::spawn(async move {
            let mut got = 0;
            while got < expected {
                let read = to.read(&mut buffer).await.unwrap();
                assert_ne!(read, 0, "the stream ended after {got} of {expected} bytes");
                got += read;
            }
            assert_eq!(got, expected);
            to
        });
        let to = receiving.await.unwrap();
        let taken = start.elapsed().as_secs_f64();
        self.ends = Some((sending.await.unwrap(), to));
        taken
    }

    pub(crate) async fn close(self) {
        drop(self.ends);
        self.hub.close().await;
    }
}

/// Connections whose ends answer each other.
pub(crate) struct Match {
    streams: Vec<Stream>,
    trips: usize,
    hub: Hub,
}

impl Match {
    pub(crate) async fn new(peer: Peer, links: usize, trips: usize) -> Self {
        let mut hub = Hub::new(peer).await;
        let mut streams = Vec::new();
        for _ in 0..links {
            let (client, mut server) = hub.connect().await;
            streams.push(client);
            tokio::spawn(async move {
                let mut buffer = [0; PING.len()];
                while server.read_exact(&mut buffer).await.is_ok() {
                    server.write_all(&buffer).await.unwrap();
                    server.flush().await.unwrap();
                }
            });
        }
        Match {
            streams,
            trips,
            hub,
        }
    }

    /// The times of every connection's trips, but the first.
    pub(crate) async fn play(&mut self) -> Vec<f64> {
        let trips = self.trips;
        let tasks: Vec<_> = self
            .streams
            .drain(..)
            .map(|s| tokio::spawn(play(s, trips)))
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            let (stream, times) = task.await.unwrap();
            self.streams.push(stream);
            all.extend(times.into_iter().skip(1));
        }
        all
    }

    pub(crate) async fn close(self) {
        drop(self.streams);
        self.hub.close().await;
    }
}

async fn play(mut stream: Stream, trips: usize) -> (Stream, Vec<f64>) {
    let mut times = Vec::with_capacity(trips);
    let mut buffer = [0; PING.len()];
    for _ in 0..trips {
        let sent = Instant::now();
        stream.write_all(&PING).await.unwrap();
        stream.flush().await.unwrap();
        stream.read_exact(&mut buffer).await.unwrap();
        times.push(sent.elapsed().as_secs_f64());
    }
    (stream, times)
}
