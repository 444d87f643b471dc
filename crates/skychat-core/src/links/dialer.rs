//! Keeping a link to a peer: one task for each peer dials it until a link is up, whoever dialled,
//! and again when it is gone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skychat_identity::{Address, Host, HostPort, PublicKey};
use skychat_transport::{DialError, Link, LinkConfig, dial};
use tokio::net::lookup_host;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::{Instrument, debug, info_span};

use super::backoff::{Backoff, GOOD_LINK};
use super::service::Services;

/// Addresses that are tried of one name.
const MAX_RESOLVED: usize = 8;

/// A peer to which a link is kept.
#[derive(Debug)]
pub(crate) struct KeptPeer {
    /// Who.
    pub(crate) peer: PublicKey,
    /// Where it is dialled, in this order.
    pub(crate) hints: Vec<HostPort>,
    state: Mutex<DialState>,
}

/// How the last attempt went.
#[derive(Clone, Debug, Default)]
pub(crate) struct DialState {
    /// What it ended with, for people; `None`: a link came up.
    pub(crate) error: Option<String>,
    /// The peer closed once it knew our key.
    pub(crate) refused: bool,
}

impl KeptPeer {
    pub(crate) fn new(peer: PublicKey, hints: Vec<HostPort>) -> Self {
        KeptPeer {
            peer,
            hints,
            state: Mutex::default(),
        }
    }

    /// How the last attempt went.
    pub(crate) fn state(&self) -> DialState {
        self.lock().clone()
    }

    fn reached(&self) {
        *self.lock() = DialState::default();
    }

    fn failed(&self, error: &NotReached) {
        *self.lock() = DialState {
            error: Some(error.to_string()),
            refused: matches!(error, NotReached::Dial(DialError::ClosedAfterMessage3)),
        };
    }

    fn lock(&self) -> MutexGuard<'_, DialState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why no address of a peer led to a link: what the last one ended with.
#[derive(Debug, thiserror::Error)]
enum NotReached {
    #[error("{host} has no address: {source}")]
    Lookup {
        host: String,
        source: std::io::Error,
    },
    #[error("{}", Causes(.0))]
    Dial(DialError),
}

/// An error with what caused it, in one line.
struct Causes<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(source) = next {
            write!(f, ": {source}")?;
            next = source.source();
        }
        Ok(())
    }
}

/// Dials every place of `address` once, in order; the error is that of the last one.
pub(crate) async fn dial_once(
    address: &Address,
    config: &LinkConfig,
    services: &Arc<Services>,
) -> Result<Link, DialError> {
    let mut last = DialError::Failed;
    for hint in address.hints() {
        match reach(address.key(), hint, config, services).await {
            Ok(link) => return Ok(link),
            Err(NotReached::Dial(error)) => last = error,
            // A name that is not known is a place that does not answer.
            Err(NotReached::Lookup { source, .. }) => {
                let addr = SocketAddr::from(([0, 0, 0, 0], hint.port()));
                last = DialError::Unreachable { addr, source };
            }
        }
    }
    Err(last)
}

/// Keeps a link to `kept` for as long as it is polled.
pub(crate) async fn keep(kept: Arc<KeptPeer>, config: LinkConfig, services: Arc<Services>) {
    let span = info_span!(parent: None, "link", peer = %kept.peer.short());
    let contact = services.presence.contact_of(kept.peer);
    let mut backoff = Backoff::default();
    async {
        loop {
            let link = match config.links.of_peer(&kept.peer).into_iter().next() {
                Some(link) => Some(link),
                None => attempt(&kept, &config, &services).await,
            };
            if let Some(link) = link {
                kept.reached();
                if stay(&link).await {
                    backoff.reset();
                }
            }
            pause(&mut backoff, &contact).await;
        }
    }
    .instrument(span)
    .await;
}

/// Waits until the link is over; whether it was a good one.
async fn stay(link: &Link) -> bool {
    link.closed().await;
    // The peer that dialled came by itself: it is worth a try soon.
    link.inbound() || link.age() >= GOOD_LINK
}

/// Waits before the next attempt; a link that comes up meanwhile ends it.
async fn pause(backoff: &mut Backoff, contact: &Notify) {
    let mut chance = [0; 4];
    // Without random bytes the pause is not spread.
    let _ = getrandom::fill(&mut chance);
    let pause = backoff.next(u32::from_le_bytes(chance));
    if timeout(pause, contact.notified()).await.is_ok() {
        backoff.reset();
    }
}

/// Tries every address of the peer once.
async fn attempt(kept: &KeptPeer, config: &LinkConfig, services: &Arc<Services>) -> Option<Link> {
    for hint in &kept.hints {
        let error = match reach(kept.peer, hint, config, services).await {
            Ok(link) => return Some(link),
            Err(error) => error,
        };
        // The other one's link is up, or about to be.
        if matches!(error, NotReached::Dial(DialError::Duplicate)) {
            sleep(std::time::Duration::from_millis(50)).await;
            return config.links.of_peer(&kept.peer).into_iter().next();
        }
        debug!(at = %hint, %error, "not reached");
        kept.failed(&error);
    }
    None
}

async fn reach(
    peer: PublicKey,
    hint: &HostPort,
    config: &LinkConfig,
    services: &Arc<Services>,
) -> Result<Link, NotReached> {
    let mut last = NotReached::Dial(DialError::Failed);
    for addr in resolve(hint).await? {
        match dial(addr, peer, config, Arc::clone(services)).await {
            Ok(link) => return Ok(link),
            Err(error @ DialError::Duplicate) => return Err(NotReached::Dial(error)),
            Err(error) => last = NotReached::Dial(error),
        }
    }
    Err(last)
}

async fn resolve(hint: &HostPort) -> Result<Vec<SocketAddr>, NotReached> {
    match hint.host() {
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, hint.port())]),
        Host::Name(name) => {
            let failed = |source| NotReached::Lookup {
                host: name.to_string(),
                source,
            };
            let found = lookup_host((name.as_str(), hint.port()))
                .await
                .map_err(failed)?;
            let found: Vec<_> = found.take(MAX_RESOLVED).collect();
            if found.is_empty() {
                return Err(failed(std::io::ErrorKind::NotFound.into()));
            }
            Ok(found)
        }
    }
}
