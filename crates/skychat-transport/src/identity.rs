//! Our side of every handshake, prepared once.

use std::sync::Arc;

use skychat_identity::{PublicKey, SecretKey};

use crate::backend::{Backend, ExchangeKey, Primitives};
use crate::known::Known;

/// An identity as the handshake needs it: the signing key, and its X25519 form with the public
/// half at hand, so that no handshake computes it again. It remembers the last 256 peers that
/// proved their keys to it. Cheap to clone; clones share all of it.
#[derive(Clone)]
pub struct LinkIdentity {
    secret: Arc<SecretKey>,
    exchange: Arc<dyn ExchangeKey>,
    primitives: &'static dyn Primitives,
    /// Peers that proved their keys to us before.
    known: Arc<Known>,
}

impl LinkIdentity {
    /// Prepares `secret` for links that use `backend`.
    pub fn new(secret: Arc<SecretKey>, backend: Backend) -> Self {
        let primitives = backend.primitives();
        let exchange = primitives.exchange_key(secret.x25519().expose_bytes());
        LinkIdentity {
            secret,
            exchange: Arc::from(exchange),
            primitives,
            known: Arc::default(),
        }
    }

    /// An identity whose X25519 key is not that of its Ed25519 key: for published vectors.
    #[cfg(test)]
    pub(crate) fn with_exchange(backend: Backend, secret: &[u8; 32]) -> Self {
        let primitives = backend.primitives();
        LinkIdentity {
            secret: Arc::new(SecretKey::from_seed([0; 32])),
            exchange: Arc::from(primitives.exchange_key(secret)),
            primitives,
            known: Arc::default(),
        }
    }

    /// Whose it is.
    pub fn public(&self) -> PublicKey {
        self.secret.public()
    }

    pub(crate) fn secret_handle(&self) -> Arc<SecretKey> {
        Arc::clone(&self.secret)
    }

    pub(crate) fn known(&self) -> &Arc<Known> {
        &self.known
    }

    pub(crate) fn exchange(&self) -> &Arc<dyn ExchangeKey> {
        &self.exchange
    }

    pub(crate) fn primitives(&self) -> &'static dyn Primitives {
        self.primitives
    }
}

impl std::fmt::Debug for LinkIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkIdentity")
            .field("public", &self.public())
            .field("backend", &self.primitives.name())
            .finish()
    }
}
