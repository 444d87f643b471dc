//! What the replicator is told and says.

use skychat_identity::PublicKey;
use skychat_proto::ids::{EntryId, FeedId, Incarnation, LinkId, Position, Seq};
use skychat_proto::open::WriterKind;
use skychat_proto::range::RawRange;
use skychat_proto::record::tables::Event;
use skychat_proto::sync::{Branch, HoldCause, Kept, Refusal, SyncMessage};

#[cfg(doc)]
use super::Replicator;

/// What the replicator says.
#[derive(Debug)]
pub enum Output {
    /// A frame of service 1.
    Send {
        /// To which link.
        link: LinkId,
        /// What.
        message: SyncMessage,
    },
    /// A range for service 2, of entries that are on disk here: what was said on that link before is all it waits
    /// for. One of our own feeds may still need its signature (zeros).
    Push {
        /// To which link.
        link: LinkId,
        /// What.
        range: RawRange,
    },
    /// What the link's verifier is to expect.
    Expect {
        /// Which link.
        link: LinkId,
        /// Which feed.
        feed: FeedId,
        /// What we have of it.
        position: Position,
        /// Its last entry.
        tip: EntryId,
    },
    /// Read what is committed.
    Load {
        /// Comes back in [`Replicator::loaded`].
        load: u64,
        /// Which feed.
        feed: FeedId,
        /// Where it is to begin.
        from: Position,
        /// At most so many entries.
        max_entries: u32,
        /// At most so many bytes, but one entry.
        max_bytes: u32,
        /// It need not end at an anchor.
        any_end: bool,
    },
    /// A row of machine state changed.
    Put {
        /// Which table.
        table: skychat_proto::ids::TableId,
        /// Which row.
        key: Vec<u8>,
        /// What.
        value: Vec<u8>,
    },
    /// Something happened that is kept.
    Event(Event),
    /// An acknowledgement moved what is known to be stored.
    Acked {
        /// The link it came by.
        link: LinkId,
        /// A feed of ours.
        feed: FeedId,
        /// Who acknowledged.
        member: PublicKey,
        /// From here …
        from: Position,
        /// … to here, exclusive.
        head: Position,
        /// Where they are kept.
        kept: Kept,
        /// What was refused of them.
        refused: Vec<(Seq, Refusal)>,
    },
    /// A peer holds our own signature over something of the feed of this life that we did not write in it, or no
    /// longer know of (INC-8).
    LiveElsewhere {
        /// The life.
        life: Incarnation,
    },
    /// A feed of ours was written twice. The proof lacks our side: this header, signed. It goes to
    /// [`Replicator::forked`].
    SignFork {
        /// The first of our entries that is other than theirs.
        header: skychat_proto::entry::Header,
        /// What the peer holds instead.
        theirs: Branch,
    },
    /// A feed of ours is frozen: what was accepted behind this is to be issued again.
    Forked {
        /// Which.
        feed: FeedId,
        /// The last position that both sides have.
        common: Position,
    },
    /// The peer asked us to wait.
    Held {
        /// Which link.
        link: LinkId,
        /// Why.
        cause: HoldCause,
    },
    /// A feed of a peer that was far behind moves on: about a hundred times on its way, the last
    /// time when all is here that the peer has.
    Progress {
        /// Which.
        feed: FeedId,
        /// What we have.
        done: Position,
        /// What the peer has.
        total: Position,
    },
}

/// What to do with a range that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is next: judge its entries.
    Take,
    /// Nothing is to be done with it.
    Ignore,
}

/// How much more of an author may be stored for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// As much as there is.
    Unlimited,
    /// So many further entries; when there are none left, the peer is told to wait.
    Entries {
        /// How many.
        left: u64,
        /// What it is told: a stranger's quota (D12), or a rate.
        cause: HoldCause,
        /// When it may expect more, in milliseconds.
        retry_after_ms: u32,
    },
}

impl Allowance {
    pub(super) const fn is_some(&self) -> bool {
        !matches!(self, Allowance::Entries { left: 0, .. })
    }
}

/// Who we are.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our key.
    pub me: PublicKey,
    /// What kind of writer we are.
    pub kind: WriterKind,
    /// The life that writes now.
    pub live: Incarnation,
}
