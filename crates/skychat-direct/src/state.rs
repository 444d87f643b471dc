//! How far a message of ours got, and what may be said of it.

use std::fmt;

use skychat_identity::PublicKey;
use skychat_proto::limits::MAX_REISSUES;
use skychat_proto::sync::{Kept, Refusal};

/// How far a message of ours got. Each state was proved, none is guessed; absence proves nothing.
///
/// States move forward only: [`after`](Self::after) never lowers [`rank`](Self::rank).
///
/// Spec: `docs/protocol/direct.md`, DIRECT-7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Durable here, not sealed yet: no key of the recipient is known. Does not occur with
    /// suite 1, where the key is the identity.
    Queued,
    /// In our feed, durable here.
    Accepted,
    /// A relay signed for it.
    Relayed {
        /// The relay.
        by: PublicKey,
    },
    /// The recipient acknowledged a head that covers it, and did not refuse it.
    Stored {
        /// Where the recipient keeps it.
        kept: Kept,
    },
    /// The recipient says that a person read it. It need not say so.
    Read {
        /// Where the recipient keeps it.
        kept: Kept,
    },
    /// It will not arrive, or no longer.
    Failed {
        /// Why.
        cause: Cause,
    },
}

/// Why a message failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The recipient refused it for good.
    Refused(Refusal),
    /// Its own time to live was over before it was stored.
    Expired,
    /// A person, or a program, took it back.
    Cancelled,
    /// The space ended.
    SpaceEnded,
}

impl Cause {
    /// Its name on the control surface. A refusal has the name it has in an acknowledgement.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::Refused(refusal) => refusal.as_str(),
            Cause::Expired => "expired",
            Cause::Cancelled => "cancelled",
            Cause::SpaceEnded => "space_ended",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that was proved about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The store has committed the entry in our feed.
    Appended,
    /// A relay's receipt was verified.
    Relayed {
        /// The relay.
        by: PublicKey,
    },
    /// An acknowledgement from the recipient's proven key covers it, with our hash at its head,
    /// and does not refuse it.
    Stored {
        /// What the acknowledgement says of it.
        kept: Kept,
    },
    /// `read_up_to` of such an acknowledgement covers it.
    Read,
    /// It ended otherwise. A refusal comes by way of [`after_refusal`].
    Failed(Cause),
}

impl Delivery {
    /// The state after `fact`; the same one if the fact adds nothing to it.
    #[must_use]
    pub const fn after(self, fact: Fact) -> Delivery {
        use Delivery::{Accepted, Failed, Queued, Read, Relayed, Stored};
        match (self, fact) {
            (Queued, Fact::Appended) => Accepted,
            // What is in no feed was never offered, so nobody can have refused it.
            (Queued, Fact::Failed(Cause::Refused(_))) => self,
            (Queued | Accepted | Relayed { .. }, Fact::Failed(cause)) => Failed { cause },
            (Accepted, Fact::Relayed { by }) => Relayed { by },
            (Accepted | Relayed { .. }, Fact::Stored { kept }) => Stored { kept },
            // What was kept in memory only is owed still: it comes to rest on disk, or is refused
            // there. Nothing else ends it: it was stored.
            (Stored { kept: Kept::Memory }, Fact::Stored { kept: Kept::Disk }) => {
                Stored { kept: Kept::Disk }
            }
            (Stored { kept: Kept::Memory }, Fact::Failed(Cause::Refused(refusal))) => Failed {
                cause: Cause::Refused(refusal),
            },
            (Stored { kept }, Fact::Read) => Read { kept },
            (Read { kept: Kept::Memory }, Fact::Stored { kept: Kept::Disk }) => {
                Read { kept: Kept::Disk }
            }
            _ => self,
        }
    }

    /// A number that grows with every change of state.
    pub const fn rank(self) -> u8 {
        match self {
            Delivery::Queued => 0,
            Delivery::Accepted => 1,
            Delivery::Relayed { .. } => 2,
            Delivery::Stored { kept: Kept::Memory } => 3,
            Delivery::Stored { kept: Kept::Disk } => 4,
            Delivery::Read { kept: Kept::Memory } => 5,
            Delivery::Read { kept: Kept::Disk } => 6,
            Delivery::Failed { .. } => 7,
        }
    }

    /// Its name on the control surface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Delivery::Queued => "queued",
            Delivery::Accepted => "accepted",
            Delivery::Relayed { .. } => "relayed",
            Delivery::Stored { .. } => "stored",
            Delivery::Read { .. } => "read",
            Delivery::Failed { .. } => "failed",
        }
    }

    /// Where the recipient keeps it; `None` if it is not proved that it does.
    pub const fn kept(self) -> Option<Kept> {
        match self {
            Delivery::Stored { kept } | Delivery::Read { kept } => Some(kept),
            _ => None,
        }
    }

    /// Whether it is still on its way: neither stored nor failed.
    pub const fn is_pending(self) -> bool {
        matches!(
            self,
            Delivery::Queued | Delivery::Accepted | Delivery::Relayed { .. }
        )
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a refusal means for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRefusal {
    /// It is final: [`Fact::Failed`] with this cause.
    Failed(Cause),
    /// Seal it again, to the other key, in our live feed, with the flag `again`.
    SealAgain,
    /// Issue it again as it is, in our live feed, with the flag `again`.
    IssueAgain,
    /// Final for that life of the recipient only, which kept nothing on disk: the state stays,
    /// and the next life is offered the entry.
    Wait,
}

/// What to do about a refusal of the newest entry of a message that is [pending] or stored in
/// memory. `issued_again` counts how often it was sealed or issued again already; `another_key`
/// says that a sealing key of the recipient is known other than the refused one (never so with
/// suite 1).
///
/// [pending]: Delivery::is_pending
///
/// Spec: `docs/protocol/direct.md`, DIRECT-8 (rule ACK-2).
pub const fn after_refusal(
    refusal: Refusal,
    kept: Kept,
    issued_again: u32,
    another_key: bool,
) -> AfterRefusal {
    let more = issued_again < MAX_REISSUES;
    match (refusal, kept) {
        // That is about the key, which is the same in every life.
        (Refusal::Unopenable, _) if more && another_key => AfterRefusal::SealAgain,
        (Refusal::Unopenable, _) => AfterRefusal::Failed(Cause::Refused(refusal)),
        (_, Kept::Memory) => AfterRefusal::Wait,
        (Refusal::Absent, Kept::Disk) if more => AfterRefusal::IssueAgain,
        (_, Kept::Disk) => AfterRefusal::Failed(Cause::Refused(refusal)),
    }
}

#[cfg(test)]
mod tests;
