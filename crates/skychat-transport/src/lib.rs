//! Links: authenticated, encrypted connections between two identities, and what runs over them.
mod assemble;
pub mod backend;
mod frame;
mod handshake;
mod identity;
mod inbound;
mod key;
mod lobby;
mod outbound;
mod record;
mod registry;
mod resolver;
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
    MESSAGE_2, MESSAGE_3, NOISE_NAME, PROLOGUE, Role, SUITE, respond,
};
pub use identity::LinkIdentity;
pub use inbound::{Handler, InBuffer, READ_BUFFER, Received, Receiver};
pub use key::{OpeningKey, RekeyLimits, SealError, SealingKey};
pub use lobby::{Lobby, LobbyLimits, Network};
pub use outbound::{
    CONTROL_RESERVE, LOW_WATER, Outbound, OutboundBudget, QUEUE_LIMIT, SendError, TURN_BYTES,
    TURN_RECORDS,
};
pub use record::{LENGTH, MAX_BODY, MAX_PLAINTEXT, MAX_WIRE, TAG};
pub use registry::{Contender, NotTaken, Registry, TieBreak, tie_break};
#[cfg(feature = "tcp")]
pub use tcp::{
    Admission, Anyone, BindError, CloseReason, DialError, Factory, Link, LinkConfig, LinkStats,
    Links, Listener, ListenerLimits, ListenerStats, Nobody, Service, Stage, Timing, dial,
};
pub use violation::Violation;
