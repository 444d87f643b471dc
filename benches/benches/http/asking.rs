//! Who asks: the same bytes again and again, and of the answer only where it ends.

use std::net::SocketAddr;
use std::time::Instant;

use hyper::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Of an answer, which none of ours comes near.
const MOST: usize = 64 * 1024;

/// An answer: its headers but for those that hyper makes by itself, and its body.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A connection that is kept alive.
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    async fn new(addr: SocketAddr, request: &[u8]) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Connection {
            stream,
            request: request.to_vec(),
            buffer: vec![0; MOST],
        }
    }

    /// Asks once; how many bytes the head of the answer has, and all of it.
    async fn ask(&mut self) -> (usize, usize) {
        self.stream.write_all(&self.request).await.unwrap();
        let (mut read, mut whole) = (0, None);
        loop {
            let free = &mut self.buffer[read..];
            let more = self.stream.read(free).await.unwrap();
            assert_ne!(
                more, 0,
                "the server closed a connection, or an answer is too long"
            );
            read += more;
            if whole.is_none() {
                whole = ends(&self.buffer[..read]);
            }
            if let Some((head, all)) = whole
                && read >= all
            {
                assert_eq!(read, all, "more than one answer");
                return (head, all);
            }
        }
    }
}

/// Where head and body end, once the head is there.
fn ends(answer: &[u8]) -> Option<(usize, usize)> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", shown(answer));
    let text = std::str::from_utf8(&answer[..head]).unwrap();
    let length = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.unwrap().1.parse().unwrap();
    Some((head, head + length))
}

fn shown(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).into_owned()
}

/// The answer to one request.
pub(crate) async fn once(addr: SocketAddr, request: &[u8]) -> Answer {
    let mut connection = Connection::new(addr, request).await;
    let (head, all) = connection.ask().await;
    let mut headers = HeaderMap::new();
    let text = shown(&connection.buffer[..head]);
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        let name: HeaderName = name.parse().unwrap();
        if name != CONTENT_LENGTH && name != DATE {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
    }
    let body = connection.buffer[head..all].to_vec();
    Answer { headers, body }
}

/// Connections to one server.
pub(crate) struct Asking {
    connections: Vec<Connection>,
}

impl Asking {
    /// All of them are open, and ask for this.
    pub(crate) async fn new(addr: SocketAddr, request: &[u8], connections: usize) -> Self {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Connection::new(addr, request).await);
        }
        Asking { connections: open }
    }

    /// Requests a second, of about so many.
    pub(crate) async fn rate(&mut self, requests: usize) -> f64 {
        let each = requests.div_ceil(self.connections.len());
        let asked = each * self.connections.len();
        let began = Instant::now();
        let asking = self.connections.drain(..).map(|mut connection| async move {
            for _ in 0..each {
                connection.ask().await;
            }
            connection
        });
        let asking: JoinSet<Connection> = asking.collect();
        self.connections = asking.join_all().await;
        asked as f64 / began.elapsed().as_secs_f64()
    }
}
