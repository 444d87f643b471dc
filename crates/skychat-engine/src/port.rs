//! What goes into the engine and what comes out of it: the whole contract with its driver.
//!
//! The driver has no opinions. It hands every fact to [`Engine::handle`](crate::Engine::handle) as an [`Input`], then
//! drains [`Engine::poll_output`](crate::Engine::poll_output) to `None` and does what each [`Output`] says, in that
//! order. An output that depends on something not yet on disk is held back inside the engine until the batch that
//! holds it was reported by [`Input::Committed`]: whatever comes out may be done at once.

use skychat_feed::{Checked, Violation};
use skychat_identity::PublicKey;
use skychat_proto::content::Content;
use skychat_proto::ids::{
    BatchId, EntryId, FeedId, Incarnation, LinkId, MessageId, Position, Seq, SpaceId,
};
use skychat_proto::link::{Goodbye, Hello, LinkMessage};
use skychat_proto::range::RawRange;
use skychat_proto::record::Taken;
use skychat_proto::sync::{HoldCause, Kept, Refusal, SyncMessage};
use zeroize::Zeroizing;

use crate::recovered::Recovered;

/// A fact handed to the engine.
#[derive(Clone, Debug)]
pub enum Input {
    /// A link is up: the peer's key is proven and its first hello has arrived.
    LinkUp {
        /// The driver's name of the link, never used twice.
        link: LinkId,
        /// The key proven by the handshake.
        peer: PublicKey,
        /// What the peer said of itself.
        hello: Hello,
    },
    /// The link is gone, with whatever was in flight.
    LinkDown {
        /// Which link.
        link: LinkId,
    },
    /// A frame of service 0 that the transport does not answer by itself: a further hello, a request for older
    /// ancestors, or the answer to one.
    Link {
        /// Where it arrived.
        link: LinkId,
        /// The frame, decoded and checked.
        message: LinkMessage,
    },
    /// A frame of service 1.
    Sync {
        /// Where it arrived.
        link: LinkId,
        /// The frame, decoded and checked.
        message: SyncMessage,
    },
    /// A range of service 2, after the link's [`Verifier`](skychat_feed::Verifier) has looked at it.
    Checked {
        /// Where it arrived.
        link: LinkId,
        /// What the verifier found.
        checked: Checked,
    },
    /// The application wants something said to `to`.
    Send {
        /// Comes back in [`Output::Accepted`] or [`Output::Rejected`].
        request: u64,
        /// The recipient.
        to: PublicKey,
        /// The idempotency key. `None`: the engine draws one and the flag `again` stays clear. The driver has
        /// already looked for a message of ours with this id, and keeps two sends of one id from running at once.
        message: Option<MessageId>,
        /// What to say.
        content: Content,
    },
    /// Consent was given to a key (aliased or configured); lifts the quota of strangers.
    Consent {
        /// Whose entries may now be stored without that quota.
        peer: PublicKey,
    },
    /// The answer to [`Output::Lookup`], one item per message asked for: what is known of the content that was taken
    /// under that id (any one of them, if several), or `None`.
    Found {
        /// The number of the question.
        lookup: u64,
        /// One per message asked for, in order.
        found: Vec<Option<Taken>>,
    },
    /// The answer to [`Output::Load`]. `None`: not held, or it could not be read.
    Loaded {
        /// The number of the question.
        load: u64,
        /// Begins at the position asked for. If the question had `any_end`, the signature may be zeros and its last
        /// entry need not be an anchor.
        range: Option<RawRange>,
    },
    /// The answer to [`Output::LoadContent`].
    LoadedContent {
        /// The number of the question.
        load: u64,
        /// The message id of that entry and its content as stored; `None`: gone.
        content: Option<(MessageId, Zeroizing<Vec<u8>>)>,
    },
    /// The answer to [`Output::LoadFeed`].
    LoadedFeed {
        /// The number of the question.
        load: u64,
        /// What the store holds of that feed, nothing if it holds none: its end, and its rows of the tables `FEED`,
        /// `ACKED` and `REFUSED`. `None`: it cannot be read.
        found: Option<Recovered>,
    },
    /// That batch is on disk. Batches commit in the order they were taken.
    Committed {
        /// Which one.
        batch: BatchId,
    },
    /// The disk is full, or there is room again. Meanwhile sends are rejected and ranges are not
    /// taken; what has been handed to the store is kept by it.
    StoreFull {
        /// Which of both.
        full: bool,
    },
    /// The link takes nothing more for now; the driver keeps what it could not hand over.
    LinkFull {
        /// Which link.
        link: LinkId,
    },
    /// The link has room again, and what the driver had kept is handed over.
    LinkReady {
        /// Which link.
        link: LinkId,
    },
    /// The instant from [`Engine::poll_timeout`](crate::Engine::poll_timeout) has come.
    Timeout,
}

impl Input {
    /// Whether the engine may draw random numbers because of it: the driver hands it fresh ones just before
    /// ([`Engine::mix`](crate::Engine::mix)), so that a machine resumed with its memory never draws the same twice.
    pub const fn draws(&self) -> bool {
        match self {
            Input::Send { .. }
            | Input::LinkUp { .. }
            | Input::LoadedContent { .. }
            | Input::LoadedFeed { .. }
            | Input::Loaded { .. } => true,
            // They may end this life.
            Input::Sync { message, .. } => {
                matches!(message, SyncMessage::Have(_) | SyncMessage::ForkProof(_))
            }
            _ => false,
        }
    }
}

/// What the driver is to do.
#[derive(Debug)]
pub enum Output {
    /// Hand this to the link.
    Send {
        /// Which link.
        link: LinkId,
        /// What.
        payload: Payload,
    },
    /// Tell the link's verifier what to expect, before anything that follows is sent.
    Expect {
        /// Which link.
        link: LinkId,
        /// The feed that is being asked for on that link.
        feed: FeedId,
        /// How many entries of it we have.
        position: Position,
        /// The id of the last of them, zeros if none.
        tip: EntryId,
    },
    /// Close the link.
    Close {
        /// Which link.
        link: LinkId,
        /// Why. A violation counts as a strike against the peer.
        reason: CloseLink,
    },
    /// Ask the store, in order with the batches handed to it, whether content of these messages was taken.
    Lookup {
        /// Comes back in [`Input::Found`].
        lookup: u64,
        /// Who wrote them.
        author: PublicKey,
        /// Where.
        space: SpaceId,
        /// Which.
        messages: Vec<MessageId>,
    },
    /// Read a range of what is committed.
    Load {
        /// Comes back in [`Input::Loaded`].
        load: u64,
        /// Which feed.
        feed: FeedId,
        /// Where the answer begins.
        from: Position,
        /// At most so many entries.
        max_entries: u32,
        /// At most so many bytes, but at least one entry.
        max_bytes: u32,
        /// The answer need not end at an anchor: the feed is ours and the engine signs its end.
        any_end: bool,
    },
    /// Read the content of one entry of our own.
    LoadContent {
        /// Comes back in [`Input::LoadedContent`].
        load: u64,
        /// Which feed.
        feed: FeedId,
        /// Which entry.
        seq: Seq,
    },
    /// Read what is known of a feed that was left out at the start (INC-9).
    LoadFeed {
        /// Comes back in [`Input::LoadedFeed`].
        load: u64,
        /// Which feed.
        feed: FeedId,
    },
    /// A send is durable: it will arrive, or the application is told why not.
    Accepted {
        /// From [`Input::Send`].
        request: u64,
        /// Its id.
        message: MessageId,
        /// The feed it stands in.
        feed: FeedId,
        /// Its position there.
        seq: Seq,
    },
    /// A send was not taken; nothing was written.
    Rejected {
        /// From [`Input::Send`].
        request: u64,
        /// Why.
        error: SendRejected,
    },
    /// A verified acknowledgement moved what is known to be stored. For waiters; the durable event follows by itself.
    Told(Told),
    /// Passing news without a number.
    Notice(Notice),
}

/// One frame to send.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Service 0.
    Link(LinkMessage),
    /// Service 1.
    Sync(SyncMessage),
    /// Service 2: sent as `head_block` followed by `bodies`, without copying.
    Range(RawRange),
}

/// Why a link is closed by the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseLink {
    /// The peer broke a rule.
    Violation(Violation),
    /// We end it in order.
    Goodbye(Goodbye),
}

/// Why a send was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendRejected {
    /// There is no direct conversation with oneself.
    #[error("the recipient is this node's own key")]
    OwnKey,
    /// The content does not fit.
    #[error("the content is {found} bytes, the limit is {limit}")]
    TooLarge {
        /// Encoded bytes of the content.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Sealing failed.
    #[error("the content could not be sealed")]
    Seal,
    /// There is no room on the disk.
    #[error("the disk is full")]
    StoreFull,
}

/// What a verified acknowledgement says of our own entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// A feed of ours.
    pub feed: FeedId,
    /// Who acknowledged.
    pub member: PublicKey,
    /// Entries from here …
    pub from: Position,
    /// … to here (a count) are acknowledged, but for those refused.
    pub head: Position,
    /// Whether they are on the recipient's disk or in its memory only.
    pub kept: Kept,
    /// Refused for good, with the cause.
    pub refused: Vec<(Seq, Refusal)>,
    /// Issued again under another position: what waits for the first now waits for the second.
    pub reissued: Vec<(Seq, FeedId, Seq)>,
    /// The link the acknowledgement came by.
    pub link: LinkId,
}

/// Passing news without a number (EVENT-5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A peer's link is up and its hello is known.
    LinkUp {
        /// Which link.
        link: LinkId,
        /// Whose.
        peer: PublicKey,
        /// The life at the other end.
        incarnation: Incarnation,
    },
    /// A link went down.
    LinkDown {
        /// Which link.
        link: LinkId,
        /// Whose.
        peer: PublicKey,
    },
    /// Catch-up of one feed moves on.
    Progress {
        /// Which feed.
        feed: FeedId,
        /// What we have.
        done: Position,
        /// What the peer has.
        total: Position,
    },
    /// The peer limits us.
    Held {
        /// Who.
        peer: PublicKey,
        /// Why.
        cause: HoldCause,
    },
}

/// How one peer stands, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub peer: PublicKey,
    /// The direct space with it.
    pub space: SpaceId,
    /// Links that are up.
    pub links: u32,
    /// Entries of ours its disk has not acknowledged (`open` entries included).
    pub owed: u64,
    /// The peer asked us to wait, and why.
    pub held: Option<HoldCause>,
    /// Whether its entries count against the quota of strangers.
    pub consented: bool,
}
