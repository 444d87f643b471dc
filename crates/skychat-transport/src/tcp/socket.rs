//! What every connection is set to, and what comes from the operating system.

use std::io;

use socket2::SockRef;
use tokio::net::TcpStream;

use super::Timing;

/// Bytes that the system may hold and has not sent yet. More would only stand in front of what is
/// more urgent: what we hold ourselves is sent in order of priority.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT: u32 = 256 * 1024;

/// Options of every connection: small messages leave at once, and the system gives up on a peer
/// that has gone as early as we do.
pub(super) fn prepare(stream: &TcpStream, timing: &Timing) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    SockRef::from(stream).set_tcp_user_timeout(Some(timing.stall_after))?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)?;
    #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
    let _elsewhere_our_own_timing_decides = (SockRef::from(stream), timing);
    Ok(())
}

/// 32 bytes of the operating system's, for one handshake.
pub(super) fn seed() -> Result<[u8; 32], getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}
