//! What a link does with each message: decode it, check it, hand it to the engine.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use skychat_engine::Input;
use skychat_feed::Verifier;
use skychat_identity::{KeyCache, PublicKey};
use skychat_proto::ids::{LinkId, ServiceId};
use skychat_proto::link::LinkMessage;
use skychat_proto::sync::SyncMessage;
use skychat_transport::{CloseReason, Factory, Link, Service, Violation};
use tokio_util::task::TaskTracker;
use tracing::{Span, debug, info_span, warn};

use super::inlet::{Inlet, LinkInlet, SharedVerifier};
use super::presence::Presence;

/// Makes the service of each link that comes up.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) inlet: Inlet,
    pub(crate) presence: Arc<Presence>,
    pub(crate) tracker: TaskTracker,
}

impl Factory for Services {
    type Service = LinkService;

    fn service(&self, link: &Link) -> LinkService {
        let span = info_span!(parent: None, "link", peer = %link.peer().short());
        let direction = if link.inbound() { "in" } else { "out" };
        span.in_scope(|| debug!(id = link.id().get(), direction, "up"));
        if link.inbound() {
            self.presence.contact(&link.peer());
        }
        let verifier: SharedVerifier = Arc::new(Mutex::new(Verifier::new()));
        LinkService {
            inlet: self.inlet.of_link(link.clone(), Arc::clone(&verifier)),
            verifier,
            link: link.id(),
            peer: link.peer(),
            services: self.clone(),
            keys: KeyCache::new(),
            span,
        }
    }
}

/// The service of one link. It runs in the task that reads the socket, so this is where messages
/// are verified: in parallel for all links.
pub(crate) struct LinkService {
    inlet: LinkInlet,
    verifier: SharedVerifier,
    link: LinkId,
    peer: PublicKey,
    services: Services,
    /// Keys that this link names, checked once.
    keys: KeyCache,
    span: Span,
}

impl LinkService {
    fn read(&mut self, service: ServiceId, message: &[u8]) -> Result<Option<Input>, Violation> {
        let link = self.link;
        match service {
            ServiceId::LINK => {
                let message = LinkMessage::decode(message)
                    .map_err(|_| Violation::new("LINK-2", "malformed message of service 0"))?;
                Ok(Some(Input::Link { link, message }))
            }
            ServiceId::SYNC => match SyncMessage::decode(message, &mut self.keys) {
                // Of a later version.
                Ok(SyncMessage::Unknown { .. }) => Ok(None),
                Ok(message) => Ok(Some(Input::Sync { link, message })),
                Err(error) => {
                    self.span.in_scope(|| debug!(%error, "malformed"));
                    Err(Violation::new("SYNC-2", "malformed message of service 1"))
                }
            },
            ServiceId::RANGE => {
                let bytes = Bytes::copy_from_slice(message);
                let mut verifier = self.verifier.lock().unwrap_or_else(PoisonError::into_inner);
                let checked = verifier.check(bytes).map_err(|violation| {
                    // What was found is text; what the link keeps of it is fixed words.
                    self.span.in_scope(|| warn!(%violation, "refused a range"));
                    Violation::new(violation.rule(), "a range that does not hold")
                })?;
                Ok(Some(Input::Checked { link, checked }))
            }
            // Reserved: not in our hello.
            _ => Ok(None),
        }
    }
}

impl Service for LinkService {
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        if let Some(input) = self.read(service, message)? {
            self.inlet.push(input, message.len());
        }
        Ok(())
    }

    async fn flush(&mut self) {
        self.inlet.flush().await;
    }

    fn closed(&mut self, reason: &CloseReason) {
        self.span.in_scope(|| match reason {
            CloseReason::Violation(violation) => {
                warn!(
                    rule = violation.rule(),
                    "closed: the peer broke a rule: {}",
                    violation.what()
                );
            }
            reason => debug!(%reason, "down"),
        });
        self.inlet.close(*reason, &self.services.tracker);
        self.services.presence.gone(&self.peer, *reason);
    }
}
