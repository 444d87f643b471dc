//! The little HTTP/1.1 that a run needs: requests with their answers, and streams of lines.
//!
//! Written here on purpose, so that the run judges the daemon with nothing of the daemon's own client in between.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take to come, beyond what a request waits for itself.
const ANSWER: Duration = Duration::from_secs(20);
/// The longest answer that is read, in bytes: a page of 256 messages of 64 KiB and what stands around them.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// The longest line of a head or a stream, in bytes.
const MAX_LINE: u64 = 1024 * 1024;
/// The most lines of a head.
const MAX_HEAD: usize = 100;

/// A connection to the control surface of one daemon.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    addr: SocketAddr,
    token: String,
}

/// An answer.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The document; null when there is none.
    pub(crate) document: Value,
}

struct Head {
    status: u16,
    length: usize,
    chunked: bool,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(addr: SocketAddr, token: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(Self {
            reader: BufReader::new(stream),
            addr,
            token: token.to_owned(),
        })
    }

    /// Where it leads.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Asks, and reads the answer. After an error the connection is of no use.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> io::Result<Answer> {
        self.write(method, target, "application/json", body)?;
        let head = self.head()?;
        let mut body = Vec::new();
        if head.chunked {
            let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
            Chunks::new(&mut self.reader)
                .take(limit)
                .read_to_end(&mut body)?;
        } else {
            body.resize(head.length, 0);
            self.reader.read_exact(&mut body)?;
        }
        let document = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).map_err(io::Error::other)?
        };
        Ok(Answer {
            status: head.status,
            document,
        })
    }

    /// Opens a stream of lines: NDJSON, or server-sent events.
    pub(crate) fn stream(mut self, target: &str, accept: &str) -> io::Result<Lines> {
        self.write("GET", target, accept, None)?;
        let head = self.head()?;
        if head.status != 200 || !head.chunked {
            return Err(io::Error::other(format!("status {}", head.status)));
        }
        Ok(Lines {
            reader: BufReader::new(Chunks::new(self.reader)),
        })
    }

    fn write(
        &mut self,
        method: &str,
        target: &str,
        accept: &str,
        body: Option<&Value>,
    ) -> io::Result<()> {
        let body = body.map_or_else(String::new, Value::to_string);
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nAccept: {accept}\r\n",
            self.addr, self.token
        );
        if method == "POST" {
            let head = format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            );
            request.push_str(&head);
        }
        request.push_str("\r\n");
        request.push_str(&body);
        self.reader.get_mut().write_all(request.as_bytes())
    }

    fn head(&mut self) -> io::Result<Head> {
        let first = line(&mut self.reader)?;
        let status = first
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no status in {first:?}")))?;
        let mut head = Head {
            status,
            length: 0,
            chunked: false,
        };
        for _ in 0..MAX_HEAD {
            let field = line(&mut self.reader)?;
            if field.is_empty() {
                return Ok(head);
            }
            let (name, value) = field.split_once(':').unwrap_or((&field, ""));
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                head.length = value.parse().map_err(io::Error::other)?;
                if head.length > MAX_BODY {
                    return Err(io::Error::other("the answer is too long"));
                }
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.chunked = value.eq_ignore_ascii_case("chunked");
            }
        }
        Err(io::Error::other("the head is too long"))
    }
}

/// The lines of a stream.
pub(crate) struct Lines {
    reader: BufReader<Chunks<BufReader<TcpStream>>>,
}

impl Lines {
    /// The next whole line without its end; `None` when the stream ended. What is cut off in its middle is no line.
    pub(crate) fn next(&mut self) -> io::Result<Option<String>> {
        match line(&mut self.reader) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Reads a line and takes its end away.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    reader.take(MAX_LINE).read_line(&mut text)?;
    if text.pop() != Some('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if text.ends_with('\r') {
        text.pop();
    }
    Ok(text)
}

/// A body in chunks.
struct Chunks<R> {
    reader: R,
    left: u64,
    begun: bool,
    ended: bool,
}

impl<R: BufRead> Chunks<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            left: 0,
            begun: false,
            ended: false,
        }
    }
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            if self.begun {
                line(&mut self.reader)?;
            }
            self.begun = true;
            let size = line(&mut self.reader)?;
            let size = size.split(';').next().unwrap_or_default().trim();
            self.left = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            if self.left == 0 {
                line(&mut self.reader)?;
                self.ended = true;
                return Ok(0);
            }
        }
        let read = (&mut self.reader).take(self.left).read(buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left = self
            .left
            .saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_and_lines_cut_out() {
        let body = b"4\r\none\n\r\n6;x=y\r\ntwo\nth\r\n3\r\nree\r\n0\r\n\r\nrest";
        let mut lines = BufReader::new(Chunks::new(&body[..]));
        assert_eq!(line(&mut lines).unwrap(), "one");
        assert_eq!(line(&mut lines).unwrap(), "two");
        // The third has no end: it was cut off.
        assert!(line(&mut lines).is_err());
    }

    #[test]
    fn a_body_that_is_cut_off_is_an_error() {
        let mut all = Vec::new();
        let body = b"8\r\nfour";
        assert!(Chunks::new(&body[..]).read_to_end(&mut all).is_err());
    }
}
