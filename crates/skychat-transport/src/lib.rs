//! Links: authenticated, encrypted connections between two identities, and what runs over them.
//!
//! A link is made by a Noise XK handshake in which both sides prove their Ed25519 keys. Then it
//! carries messages of numbered services, whole and in order: small ones share records, large ones
//! are cut, and what is urgent overtakes what is bulky.
//!
//! The protocol is pure: it takes bytes and gives bytes, and needs neither sockets nor a clock.
//!
//! - [`Initiator`] and [`respond`] run the handshake, step by step, each step a type;
//! - [`SealingKey`] and [`OpeningKey`] own their nonces and renew themselves;
//! - [`Outbound`] lays messages out as records, [`InBuffer`] and [`Receiver`] take them apart, in
//!   the buffers they travel in;
//! - [`Registry`] decides which of two links stays, [`Lobby`] who has to leave unheard.
//!
//! The feature `tcp` (on by default) drives it over TCP: [`Listener`], [`dial`], [`Link`]. The
//! feature `aws-lc` adds the faster [`Backend`]; which one runs is chosen at run time. It also has
//! the second [`Suite`], for two nodes that both have AES instructions.
//!
//! Byte tables, rules and what has to be refused: `docs/protocol/link.md`.
//!
//! ```
//! # #[cfg(feature = "tcp")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use skychat_identity::SecretKey;
//! use skychat_proto::{ids::{Incarnation, ServiceId}, link::{Goodbye, Hello}, open::WriterKind};
//! use skychat_transport::{
//!     Anyone, Backend, CloseReason, Link, LinkConfig, LinkIdentity, Listener, ListenerLimits,
//!     Service, Violation, dial,
//! };
//!
//! /// Sends back what arrives, and says goodbye to who answers.
//! struct Echo(Link);
//!
//! impl Service for Echo {
//!     fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
//!         if self.0.inbound() {
//!             self.0.try_send(service, &[b"you said ", message]).ok();
//!         } else {
//!             assert_eq!(message, b"you said hello");
//!             self.0.close(Goodbye::Done);
//!         }
//!         Ok(())
//!     }
//!     async fn flush(&mut self) {}
//!     fn closed(&mut self, _: &CloseReason) {}
//! }
//!
//! fn config(seed: [u8; 32]) -> LinkConfig {
//!     let identity = LinkIdentity::new(Arc::new(SecretKey::from_seed(seed)), Backend::default());
//!     let hello = move || Hello {
//!         incarnation: Incarnation::from_bytes([1; 8]),
//!         line: vec![],
//!         line_complete: true,
//!         writer: WriterKind::Memory,
//!         services: vec![ServiceId::RANGE],
//!         agent: "example/1".to_owned(),
//!         statements: vec![],
//!     };
//!     LinkConfig::new(identity, hello, Anyone)
//! }
//!
//! let (ann, bob) = (config([1; 32]), config([2; 32]));
//! let echo = Arc::new(|link: &Link| Echo(link.clone()));
//! let limits = ListenerLimits::default();
//! let listener = Listener::bind("127.0.0.1:0".parse()?, &bob, Arc::clone(&echo), limits)?;
//!
//! let link = dial(listener.local_addr(), bob.identity.public(), &ann, echo).await?;
//! link.try_send(ServiceId::RANGE, &[b"hello"])?;
//! assert_eq!(link.closed().await, CloseReason::Local(Goodbye::Done));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tcp"))]
//! # fn main() {}
//! ```

mod assemble;
pub mod backend;
mod frame;
mod handshake;
mod identity;
mod inbound;
mod key;
mod known;
mod lobby;
mod outbound;
mod record;
mod registry;
mod resolver;
mod suite;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;
mod violation;

pub use assemble::{Assembled, Assembler, MAX_KNOWN_SERVICES};
pub use backend::Backend;
pub use frame::{Frame, Frames, HEADER, MORE};
pub use handshake::{
    AwaitClaim, AwaitProof, AwaitReply, Claimed, HandshakeError, Initiator, LinkKeys, MESSAGE_1,
    MESSAGE_2, MESSAGE_3, Role, respond,
};
pub use identity::LinkIdentity;
pub use inbound::{Handler, InBuffer, READ_BUFFER, Received, Receiver};
pub use key::{OpeningKey, RekeyLimits, SealError, SealingKey};
pub use lobby::{Lobby, LobbyLimits, Network};
pub use outbound::{
    CONTROL_RESERVE, LOW_WATER, Outbound, OutboundBudget, QUEUE_LIMIT, SLOW_TURN_BYTES, SendError,
    TURN_BYTES, TURN_RECORDS,
};
pub use record::{LENGTH, MAX_BODY, MAX_PLAINTEXT, MAX_WIRE, TAG};
pub use registry::{Contender, NotTaken, Registry, tie_break};
pub use suite::Suite;
#[cfg(feature = "tcp")]
pub use tcp::{
    Admission, Anyone, BindError, CloseReason, DialError, Factory, Link, LinkConfig, LinkStats,
    Links, Listener, ListenerLimits, ListenerStats, Nobody, Service, Stage, Timing, dial,
};
pub use violation::Violation;
