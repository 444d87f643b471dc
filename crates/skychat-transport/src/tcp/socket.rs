//! What every connection is set to, and what comes from the operating system.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::TcpStream;
use tracing::debug;

use super::Timing;

/// Bytes that the system may hold and has not sent yet. More would only stand in front of what is
/// more urgent: what we hold ourselves is sent in order of priority.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT: u32 = 256 * 1024;

/// Options of every connection: small messages leave at once, and the system gives up on a peer
/// that has gone as early as we do.
pub(super) fn prepare(stream: &TcpStream, addr: SocketAddr, timing: &Timing) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if addr.ip().to_canonical().is_loopback() {
        without_pacing(stream);
    }
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    SockRef::from(stream).set_tcp_user_timeout(Some(timing.stall_after))?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)?;
    #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
    let _elsewhere_our_own_timing_decides = (SockRef::from(stream), timing);
    Ok(())
}

/// Between two programs of one machine there is no bottleneck to find out about. Where the system's
/// congestion control is one that spaces packets out by a timer (BBR), that costs both ends a
/// quarter of their time, so these connections take the plainest one.
fn without_pacing(stream: &TcpStream) {
    #[cfg(any(target_os = "freebsd", target_os = "linux"))]
    if let Err(error) = SockRef::from(stream).set_tcp_congestion(b"reno") {
        // It is only slower.
        debug!(%error, "the congestion control stays as the system has it");
    }
    #[cfg(not(any(target_os = "freebsd", target_os = "linux")))]
    let _stays_as_the_system_has_it = stream;
}

/// 32 bytes of the operating system's, for one handshake.
pub(super) fn seed() -> Result<[u8; 32], getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_stays_on_this_machine_is_not_paced() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(addr), listener.accept());
        let near = near.unwrap();
        let (far, from) = far.unwrap();
        let control = |stream: &TcpStream| SockRef::from(stream).tcp_congestion().unwrap();
        let before = control(&near);

        let elsewhere = ([192, 0, 2, 1], 1).into();
        prepare(&near, elsewhere, &Timing::default()).unwrap();
        assert_eq!(control(&near), before);

        prepare(&near, addr, &Timing::default()).unwrap();
        prepare(&far, from, &Timing::default()).unwrap();
        for stream in [&near, &far] {
            assert!(control(stream).starts_with(b"reno"));
            assert!(stream.nodelay().unwrap());
            let timeout = SockRef::from(stream).tcp_user_timeout().unwrap();
            assert_eq!(timeout, Some(Timing::default().stall_after));
        }
    }
}
