//! A TCP proxy between two daemons that cuts, stalls, swallows, delays and limits.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{clock, daemon::lock};

/// Bytes taken at a time.
const PIECE: usize = 16 * 1024;
/// How often a thread looks whether its mode has changed.
const LOOK: Duration = Duration::from_millis(10);

/// What is done to the bytes of the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They pass.
    Pass,
    /// They wait; none is lost.
    Stall,
    /// They wait in one direction, from the daemon that was dialled.
    StallBack,
    /// They vanish and the connections stay open, as when the other host is gone. New connections pass.
    Vanish,
    /// Each piece is held back this long.
    Delay(Duration),
    /// At most this many bytes a second.
    Limit(u64),
    /// This many more pass, then the connection is cut: mostly in the middle of a record.
    CutAfter(u64),
    /// Connections are closed as soon as they come; the ones there are cut.
    Refuse,
}

/// A proxy: the address to dial, and the mode.
#[derive(Clone)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    target: Mutex<Option<SocketAddr>>,
    /// The mode, and how often it was set.
    mode: Mutex<(Mode, u64)>,
    /// Connections of an older age are cut.
    age: AtomicU64,
    over: AtomicBool,
}

impl Proxy {
    /// Listens on a free port of this machine.
    pub(crate) fn listen() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("the proxy cannot listen")?;
        listener.set_nonblocking(true)?;
        let proxy = Self {
            address: listener.local_addr()?,
            shared: Arc::new(Shared {
                target: Mutex::new(None),
                mode: Mutex::new((Mode::Pass, 0)),
                age: AtomicU64::new(0),
                over: AtomicBool::new(false),
            }),
        };
        let shared = Arc::clone(&proxy.shared);
        thread::spawn(move || {
            while !shared.over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let shared = Arc::clone(&shared);
                        thread::spawn(move || shared.serve(stream));
                    }
                    Err(_) => clock::pause(LOOK),
                }
            }
        });
        Ok(proxy)
    }

    /// Where to dial it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it leads from now on.
    pub(crate) fn lead_to(&self, target: Option<SocketAddr>) {
        *lock(&self.shared.target) = target;
    }

    /// From now on does this to all bytes.
    pub(crate) fn set(&self, mode: Mode) {
        let mut held = lock(&self.shared.mode);
        *held = (mode, held.1.saturating_add(1));
        if mode == Mode::Refuse {
            self.shared.age.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Everything passes again; connections whose bytes vanished are cut.
    pub(crate) fn heal(&self) {
        let mut held = lock(&self.shared.mode);
        let before = held.0;
        *held = (Mode::Pass, held.1.saturating_add(1));
        if matches!(before, Mode::Vanish) {
            self.shared.age.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Everything passes again, but what vanished is not made known: its connections stay open and silent.
    pub(crate) fn heal_silently(&self) {
        let mut held = lock(&self.shared.mode);
        *held = (Mode::Pass, held.1.saturating_add(1));
    }

    /// Everything passes again, over new connections.
    pub(crate) fn renew(&self) {
        self.heal_silently();
        self.shared.age.fetch_add(1, Ordering::Relaxed);
    }

    /// Cuts what is there and takes nothing more.
    pub(crate) fn close(&self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.age.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn serve(self: Arc<Self>, from: TcpStream) {
        if self.mode().0 == Mode::Refuse {
            return;
        }
        let age = self.age.load(Ordering::Relaxed);
        // What vanishes does so for connections that were there before.
        let since = self.mode().1;
        let Some(target) = *lock(&self.target) else {
            return;
        };
        let Ok(to) = TcpStream::connect_timeout(&target, Duration::from_secs(1)) else {
            return;
        };
        let (Ok(from_too), Ok(to_too)) = (from.try_clone(), to.try_clone()) else {
            return;
        };
        let shared = Arc::clone(&self);
        let back = thread::spawn(move || shared.pump(to_too, from_too, true, age, since));
        self.pump(from, to, false, age, since);
        let _ = back.join();
    }

    fn mode(&self) -> (Mode, u64) {
        *lock(&self.mode)
    }

    /// Whether the bytes of a connection of this time vanish now.
    fn vanishes(&self, since: u64) -> bool {
        let (mode, set) = self.mode();
        mode == Mode::Vanish && set > since
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, back: bool, age: u64, since: u64) {
        let _ = self.copy(&mut from, &mut to, back, age, since);
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Copies until an end, an error or a cut.
    fn copy(
        &self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        back: bool,
        age: u64,
        since: u64,
    ) -> io::Result<()> {
        from.set_nonblocking(false)?;
        from.set_nodelay(true)?;
        from.set_read_timeout(Some(LOOK))?;
        to.set_write_timeout(Some(LOOK))?;
        let mut buffer = vec![0; PIECE];
        let mut vanished = false;
        let mut budget: Option<(u64, u64)> = None;
        loop {
            if self.age.load(Ordering::Relaxed) != age {
                return Ok(());
            }
            let mode = self.mode().0;
            if mode == Mode::Stall || (mode == Mode::StallBack && back) {
                clock::pause(LOOK);
                continue;
            }
            // A slow wire is a small one: little is taken, and the rest waits at the sender.
            let piece = match mode {
                Mode::Limit(rate) => usize::try_from(rate / 20).unwrap_or(PIECE).clamp(1, PIECE),
                _ => PIECE,
            };
            let room = buffer.get_mut(..piece).unwrap_or_default();
            let read = match from.read(room) {
                Ok(0) if vanished || self.vanishes(since) => {
                    // The other side does not get to know; only a cut ends this.
                    clock::pause(LOOK);
                    continue;
                }
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if is_timeout(&error) => continue,
                Err(error) => return Err(error),
            };
            let (mode, set) = self.mode();
            vanished |= self.vanishes(since);
            if vanished {
                continue;
            }
            let mut keep = read;
            match mode {
                Mode::Delay(time) => clock::pause(time),
                Mode::Limit(rate) => {
                    let bytes = u64::try_from(read).unwrap_or(u64::MAX);
                    let millis = bytes.saturating_mul(1_000).checked_div(rate);
                    clock::pause(Duration::from_millis(millis.unwrap_or(1).min(1_000)));
                }
                Mode::CutAfter(bytes) => {
                    let left = match budget {
                        Some((held, left)) if held == set => left,
                        _ => bytes,
                    };
                    keep = read.min(usize::try_from(left).unwrap_or(usize::MAX));
                    let used = u64::try_from(keep).unwrap_or(u64::MAX);
                    budget = Some((set, left.saturating_sub(used)));
                }
                _ => {}
            }
            self.write(to, buffer.get(..keep).unwrap_or_default(), age)?;
            if keep < read {
                return Ok(());
            }
        }
    }

    /// Writes it all, looking now and then whether the connection is to be cut.
    fn write(&self, to: &mut TcpStream, mut bytes: &[u8], age: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
            if self.age.load(Ordering::Relaxed) != age {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection through the proxy, and its other end.
    fn through(proxy: &Proxy, server: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(proxy.address()).unwrap();
        let (other, _) = server.accept().unwrap();
        for stream in [&client, &other] {
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
        }
        (client, other)
    }

    fn proxy() -> (Proxy, TcpListener) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::listen().unwrap();
        proxy.lead_to(Some(server.local_addr().unwrap()));
        (proxy, server)
    }

    #[test]
    fn bytes_pass_and_ends_pass() {
        let (proxy, server) = proxy();
        let (mut client, mut other) = through(&proxy, &server);
        client.write_all(b"there").unwrap();
        let mut got = [0; 5];
        other.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"there");
        drop(other);
        assert_eq!(client.read(&mut got).unwrap(), 0);
        proxy.close();
    }

    #[test]
    fn a_cut_comes_after_so_many_bytes() {
        let (proxy, server) = proxy();
        let (mut client, mut other) = through(&proxy, &server);
        proxy.set(Mode::CutAfter(3));
        client.write_all(b"abcdef").unwrap();
        let mut got = Vec::new();
        let _ = other.read_to_end(&mut got);
        assert_eq!(got, b"abc");
        proxy.close();
    }

    #[test]
    fn what_vanishes_leaves_the_connection_open_until_it_is_healed() {
        let (proxy, server) = proxy();
        let (mut client, mut other) = through(&proxy, &server);
        proxy.set(Mode::Vanish);
        client.write_all(b"lost").unwrap();
        other
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mut got = [0; 4];
        assert!(is_timeout(&other.read(&mut got).unwrap_err()));
        let (mut fresh, mut end) = through(&proxy, &server);
        fresh.write_all(b"new!").unwrap();
        end.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"new!");
        proxy.heal();
        other
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        assert_eq!(other.read(&mut got).unwrap(), 0);
        proxy.close();
    }

    #[test]
    fn refusing_cuts_what_is_there_and_takes_nothing_new() {
        let (proxy, server) = proxy();
        let (mut client, _other) = through(&proxy, &server);
        proxy.set(Mode::Refuse);
        let mut got = [0; 1];
        assert!(matches!(client.read(&mut got), Ok(0) | Err(_)));
        let mut fresh = TcpStream::connect(proxy.address()).unwrap();
        fresh
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        assert!(matches!(fresh.read(&mut got), Ok(0) | Err(_)));
        proxy.close();
    }
}
