//! The tables of machine state in the journal, and the rows in them.
//!
//! The store keeps rows as opaque bytes; the engine writes and reads them, and the host reads them to render events and
//! states. Rows are protobuf messages: fields may be added, numbers are never used again.
//!
//! Spec: `docs/protocol/journal.md` (JRN-2).

use prost::Message;
use skychat_identity::{KeyCache, PublicKey};
use zeroize::Zeroizing;

use crate::error::DecodeError;
use crate::ids::{EntryId, FeedId, Incarnation, MessageId, Position, Seq, TableId};
use crate::limits::FEED_ID_LEN;
use crate::sync::{Kept, Refusal};

/// Lives of this store. Key: incarnation. Row: [`OwnLifeRow`].
pub const OWN_LIFE: TableId = TableId::new(1);
/// What was learnt of a feed beside its entries. Key: feed id. Row: [`FeedRow`].
pub const FEED: TableId = TableId::new(2);
/// What a member acknowledged of a feed of ours. Key: feed id, member. Row: [`AckedRow`].
pub const ACKED: TableId = TableId::new(3);
/// A refused entry, ours or another's. Key: feed id, seq (u64). Row: [`RefusedRow`].
pub const REFUSED: TableId = TableId::new(4);
/// A message of ours that was issued more than once. Key: message id. Row: [`MessageRow`].
pub const MESSAGE: TableId = TableId::new(5);
/// A peer. Key: public key. Row: [`PeerRow`].
pub const PEER: TableId = TableId::new(6);
/// A life of a peer. Key: public key, incarnation. Row: [`PeerLifeRow`].
pub const PEER_LIFE: TableId = TableId::new(7);
/// Durable events that are no message. Key: 16 bytes, never used twice. Row: [`EventRow`]. A log: rows are read as
/// events and are no live state.
pub const EVENT: TableId = TableId::new(8);
/// A direct space. Key: space id. Row: [`SpaceRow`].
pub const SPACE: TableId = TableId::new(9);
/// Cursors of named consumers; reserved.
pub const CURSOR: TableId = TableId::new(10);
/// Proof that a feed was written twice (RANGE-5). Key: feed id. Row: the message of service 1 that carries it, as it is
/// sent.
pub const FORK: TableId = TableId::new(11);
/// How far text was given away by the retention policy. Key: empty: of the log as a whole
/// ([`KeptRow`]); a space id: of a conversation ([`KeptSpaceRow`]); a feed id: what had to be left
/// behind of it ([`LeftRow`]).
pub const RETENTION: TableId = TableId::new(12);

/// One life of this store.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct OwnLifeRow {
    /// 1 for the first life of the store, then one more each.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The life before it, 8 bytes; empty in the first.
    #[prost(bytes = "vec", tag = "2")]
    pub parent: Vec<u8>,
}

/// A predecessor that an `open` entry names.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContinuesRow {
    /// Its incarnation, 8 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub incarnation: Vec<u8>,
    /// How many entries of it were there.
    #[prost(uint64, tag = "2")]
    pub head: u64,
    /// The id of the last of them, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub hash: Vec<u8>,
}

/// What was learnt of a feed beside its entries.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FeedRow {
    /// Writer kind of the first entry, plus 1; 0: not known.
    #[prost(uint32, tag = "1")]
    pub writer: u32,
    /// Its parent, 8 bytes; empty if none.
    #[prost(bytes = "vec", tag = "2")]
    pub parent: Vec<u8>,
    /// What its first entry names.
    #[prost(message, repeated, tag = "3")]
    pub continues: Vec<ContinuesRow>,
    /// What its later `open` entries name.
    #[prost(message, repeated, tag = "4")]
    pub named_later: Vec<ContinuesRow>,
    /// One more than the position it is frozen at; 0: not frozen.
    #[prost(uint64, tag = "5")]
    pub frozen: u64,
    /// A `gap` event was made because it was missing.
    #[prost(bool, tag = "6")]
    pub given_up: bool,
    /// The last entry that both sides of its fork have, 32 bytes; empty unless it is frozen.
    #[prost(bytes = "vec", tag = "7")]
    pub frozen_tip: Vec<u8>,
    /// Ours, and a peer holds something else of it: nothing continues it until that is settled (INC-8).
    #[prost(bool, tag = "8")]
    pub suspect: bool,
}

/// What a member acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct AckedRow {
    /// On its disk, a count.
    #[prost(uint64, tag = "1")]
    pub disk: u64,
    /// In its memory, a count.
    #[prost(uint64, tag = "2")]
    pub memory: u64,
}

/// Why an entry was refused.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct RefusedRow {
    /// Number of the [`Refusal`].
    #[prost(uint32, tag = "1")]
    pub cause: u32,
}

/// A message of ours that was issued again.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MessageRow {
    /// The feed it stands in last, 73 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub feed: Vec<u8>,
    /// Its place there.
    #[prost(uint64, tag = "2")]
    pub seq: u64,
    /// How often it was issued again.
    #[prost(uint32, tag = "3")]
    pub tries: u32,
}

/// What is known of a peer.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PeerRow {
    /// The newest `node` incarnation, 8 bytes; empty: none seen.
    #[prost(bytes = "vec", tag = "1")]
    pub newest: Vec<u8>,
    /// It is no stranger.
    #[prost(bool, tag = "2")]
    pub consented: bool,
    /// Entries stored while it was one.
    #[prost(uint64, tag = "3")]
    pub stranger_entries: u64,
    /// Bytes of them.
    #[prost(uint64, tag = "4")]
    pub stranger_bytes: u64,
    /// Pairs of lives that a `clone` event was made for, 16 bytes each, the lower first.
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub clones: Vec<Vec<u8>>,
}

/// A life of a peer.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PeerLifeRow {
    /// The life before it, 8 bytes; empty: not known, or the first.
    #[prost(bytes = "vec", tag = "1")]
    pub parent: Vec<u8>,
}

/// A direct space.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SpaceRow {
    /// The other one in it, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub peer: Vec<u8>,
}

/// How far text was given away in the order of the log.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeptRow {
    /// The last event that was passed; what had to stay before it stands in rows of its own.
    #[prost(uint64, tag = "1")]
    pub passed: u64,
    /// The newest event when this was written …
    #[prost(uint64, tag = "2")]
    pub last: u64,
    /// … and the life that wrote it, 8 bytes: in a store that was made anew another event may have that number.
    #[prost(bytes = "vec", tag = "5")]
    pub life: Vec<u8>,
    /// Bytes that were given away and were not overwritten yet, about. Tags 6 and 7 meant something else.
    #[prost(uint64, tag = "8")]
    pub pending: u64,
    /// Wall times, in milliseconds since 1970, at which the log ended …
    #[prost(uint64, repeated, tag = "3")]
    pub times: Vec<u64>,
    /// … with these events.
    #[prost(uint64, repeated, tag = "4")]
    pub events: Vec<u64>,
}

/// How far text was given away in one conversation.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct KeptSpaceRow {
    /// How many messages, the oldest ones, were passed.
    #[prost(uint64, tag = "1")]
    pub passed: u64,
    /// The event of the last of them.
    #[prost(uint64, tag = "2")]
    pub event: u64,
}

/// Entries of ours that were passed while they were still owed.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct LeftRow {
    /// From here …
    #[prost(uint64, tag = "1")]
    pub from: u64,
    /// … to here, exclusive.
    #[prost(uint64, tag = "2")]
    pub to: u64,
    /// Bytes that go with them, about.
    #[prost(uint64, tag = "3")]
    pub bytes: u64,
}

/// What is shown beside a message. Stored as the first byte of its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// Nothing beside it.
    pub const NONE: Marks = Marks(0);
    /// It came after a gap was reported for its feed.
    pub const LATE: Marks = Marks(1);
    /// It is our own, and a peer gave it back.
    pub const RECOVERED: Marks = Marks(2);
    /// Its author was a stranger when it came.
    pub const UNCONSENTED: Marks = Marks(4);
    /// Another message with the same id and other content was shown before.
    pub const ALTERED: Marks = Marks(8);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    pub const fn contains(self, other: Marks) -> bool {
        self.0 & other.0 == other.0
    }

    /// From the stored byte; bits that this version does not know are kept.
    pub const fn from_bits(bits: u8) -> Marks {
        Marks(bits)
    }

    /// The stored byte.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// The plaintext of a content record: marks, then the encoded content.
pub fn stored_content(marks: Marks, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(content.len().saturating_add(1)));
    out.push(marks.bits());
    out.extend_from_slice(content);
    out
}

/// The two parts of the plaintext of a content record; `None` if it is empty.
pub fn split_stored(plaintext: &[u8]) -> Option<(Marks, &[u8])> {
    plaintext
        .split_first()
        .map(|(marks, content)| (Marks::from_bits(*marks), content))
}

/// Why there is a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// Nobody linked has a feed that a later one continues.
    Missing,
    /// The named end of a feed is not the one held here.
    Hash,
    /// Bodies were dropped before we had them.
    Dropped,
}

/// A durable event that is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A member acknowledged entries of ours.
    Acked {
        /// A feed of ours.
        feed: FeedId,
        /// Who.
        member: PublicKey,
        /// From here …
        from: Position,
        /// … to here, exclusive; at most 256 entries.
        head: Position,
        /// Where they are kept.
        kept: Kept,
        /// What was refused of them.
        refused: Vec<(Seq, Refusal)>,
    },
    /// A message of ours stands in another place now.
    Reissued {
        /// Its id.
        message: MessageId,
        /// The feed it stands in now.
        feed: FeedId,
        /// Its place there.
        seq: Seq,
        /// Why the place before does not count.
        cause: Refusal,
    },
    /// A life of a peer that does not descend from the newest one known.
    Incarnation {
        /// Whose.
        peer: PublicKey,
        /// The new life.
        incarnation: Incarnation,
        /// The newest known until then.
        newest: Incarnation,
    },
    /// Two lives of a peer at once.
    Clone {
        /// Whose.
        peer: PublicKey,
        /// The two.
        lives: [Incarnation; 2],
    },
    /// A hole in what a peer said.
    Gap {
        /// Why.
        cause: GapCause,
        /// The feed in which it is.
        feed: FeedId,
        /// From here …
        from: Position,
        /// … to here, as far as is known.
        to: Position,
    },
    /// A feed has two entries at one place.
    Fork {
        /// Which feed.
        feed: FeedId,
        /// The last position both sides agree on.
        common: Position,
    },
    /// Entries of ours from another life came back.
    Recovered {
        /// Which feed.
        feed: FeedId,
        /// From here …
        from: Position,
        /// … to here.
        to: Position,
        /// A store of ours wrote them.
        ours: bool,
    },
}

/// The encoding of an [`Event`].
#[derive(Clone, PartialEq, Message)]
pub struct EventRow {
    /// Which of them.
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(bytes = "vec", tag = "2")]
    feed: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    peer: Vec<u8>,
    #[prost(uint64, tag = "4")]
    from: u64,
    #[prost(uint64, tag = "5")]
    to: u64,
    #[prost(uint32, tag = "6")]
    word: u32,
    #[prost(uint64, repeated, tag = "7")]
    seqs: Vec<u64>,
    #[prost(uint32, repeated, tag = "8")]
    causes: Vec<u32>,
    #[prost(bytes = "vec", tag = "9")]
    one: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    other: Vec<u8>,
}

impl Event {
    /// The row.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = EventRow::default();
        match self {
            Event::Acked {
                feed,
                member,
                from,
                head,
                kept,
                refused,
            } => {
                row.kind = 1;
                row.feed = feed.to_bytes().to_vec();
                row.peer = member.as_bytes().to_vec();
                (row.from, row.to) = (from.get(), head.get());
                row.word = kept.number().into();
                row.seqs = refused.iter().map(|(seq, _)| seq.get()).collect();
                row.causes = refused
                    .iter()
                    .map(|(_, cause)| cause.number().into())
                    .collect();
            }
            Event::Reissued {
                message,
                feed,
                seq,
                cause,
            } => {
                row.kind = 2;
                row.feed = feed.to_bytes().to_vec();
                row.from = seq.get();
                row.word = cause.number().into();
                row.one = message.as_bytes().to_vec();
            }
            Event::Incarnation {
                peer,
                incarnation,
                newest,
            } => {
                row.kind = 3;
                row.peer = peer.as_bytes().to_vec();
                row.one = incarnation.as_bytes().to_vec();
                row.other = newest.as_bytes().to_vec();
            }
            Event::Clone {
                peer,
                lives: [one, other],
            } => {
                row.kind = 4;
                row.peer = peer.as_bytes().to_vec();
                row.one = one.as_bytes().to_vec();
                row.other = other.as_bytes().to_vec();
            }
            Event::Gap {
                cause,
                feed,
                from,
                to,
            } => {
                row.kind = 5;
                row.feed = feed.to_bytes().to_vec();
                (row.from, row.to) = (from.get(), to.get());
                row.word = match cause {
                    GapCause::Missing => 1,
                    GapCause::Hash => 2,
                    GapCause::Dropped => 3,
                };
            }
            Event::Fork { feed, common } => {
                row.kind = 6;
                row.feed = feed.to_bytes().to_vec();
                row.to = common.get();
            }
            Event::Recovered {
                feed,
                from,
                to,
                ours,
            } => {
                row.kind = 7;
                row.feed = feed.to_bytes().to_vec();
                (row.from, row.to) = (from.get(), to.get());
                row.word = (*ours).into();
            }
        }
        row.encode_to_vec()
    }

    /// Reads a row; `None`: an event of a later version.
    ///
    /// # Errors
    /// [`DecodeError`]: the row is damaged.
    pub fn decode(bytes: &[u8], keys: &mut KeyCache) -> Result<Option<Self>, DecodeError> {
        let row = EventRow::decode(bytes).map_err(|_| DecodeError::row("event"))?;
        let bad = || DecodeError::row("event");
        let life = |bytes: &[u8]| Incarnation::from_slice(bytes).ok_or_else(bad);
        Ok(Some(match row.kind {
            1 => Event::Acked {
                member: public_key(&row.peer, keys)?,
                feed: feed_id(&row.feed, keys)?,
                from: Position::new(row.from),
                head: Position::new(row.to),
                kept: u8::try_from(row.word)
                    .ok()
                    .and_then(Kept::from_number)
                    .ok_or_else(bad)?,
                refused: row
                    .seqs
                    .iter()
                    .zip(&row.causes)
                    .map(|(seq, cause)| Ok((Seq::new(*seq), refusal(*cause)?)))
                    .collect::<Result<_, DecodeError>>()?,
            },
            2 => Event::Reissued {
                message: MessageId::from_slice(&row.one).ok_or_else(bad)?,
                feed: feed_id(&row.feed, keys)?,
                seq: Seq::new(row.from),
                cause: refusal(row.word)?,
            },
            3 => Event::Incarnation {
                peer: public_key(&row.peer, keys)?,
                incarnation: life(&row.one)?,
                newest: life(&row.other)?,
            },
            4 => Event::Clone {
                peer: public_key(&row.peer, keys)?,
                lives: [life(&row.one)?, life(&row.other)?],
            },
            5 => Event::Gap {
                cause: match row.word {
                    1 => GapCause::Missing,
                    2 => GapCause::Hash,
                    3 => GapCause::Dropped,
                    _ => return Err(bad()),
                },
                feed: feed_id(&row.feed, keys)?,
                from: Position::new(row.from),
                to: Position::new(row.to),
            },
            6 => Event::Fork {
                feed: feed_id(&row.feed, keys)?,
                common: Position::new(row.to),
            },
            7 => Event::Recovered {
                feed: feed_id(&row.feed, keys)?,
                from: Position::new(row.from),
                to: Position::new(row.to),
                ours: row.word != 0,
            },
            _ => return Ok(None),
        }))
    }
}

/// A row as bytes.
pub fn encode_row(row: &impl Message) -> Vec<u8> {
    row.encode_to_vec()
}

/// A row from bytes.
///
/// # Errors
/// [`DecodeError`]: the row is damaged.
pub fn decode_row<R: Message + Default>(bytes: &[u8]) -> Result<R, DecodeError> {
    R::decode(bytes).map_err(|_| DecodeError::row("row"))
}

/// A public key in a key or a row.
///
/// # Errors
/// [`DecodeError`]: it is damaged.
pub fn public_key(bytes: &[u8], keys: &mut KeyCache) -> Result<PublicKey, DecodeError> {
    let bytes: &[u8; 32] = bytes
        .try_into()
        .map_err(|_| DecodeError::row("public key"))?;
    keys.get(bytes).map_err(|_| DecodeError::row("public key"))
}

/// A refusal in a row.
///
/// # Errors
/// [`DecodeError`]: it is damaged.
pub fn refusal(number: u32) -> Result<Refusal, DecodeError> {
    u8::try_from(number)
        .ok()
        .and_then(Refusal::from_number)
        .ok_or(DecodeError::row("refusal"))
}

/// A feed id in a key or a row.
///
/// # Errors
/// [`DecodeError`]: it is damaged.
pub fn feed_id(bytes: &[u8], keys: &mut KeyCache) -> Result<FeedId, DecodeError> {
    let bytes: &[u8; FEED_ID_LEN] = bytes.try_into().map_err(|_| DecodeError::row("feed id"))?;
    FeedId::from_bytes(bytes, keys).map_err(|_| DecodeError::row("feed id"))
}

/// Key of [`ACKED`].
pub fn acked_key(feed: &FeedId, member: &PublicKey) -> Vec<u8> {
    [&feed.to_bytes()[..], &member.as_bytes()[..]].concat()
}

/// Key of [`REFUSED`].
pub fn refused_key(feed: &FeedId, seq: Seq) -> Vec<u8> {
    [&feed.to_bytes()[..], &seq.get().to_be_bytes()[..]].concat()
}

/// Key of [`PEER_LIFE`].
pub fn peer_life_key(peer: &PublicKey, life: &Incarnation) -> Vec<u8> {
    [&peer.as_bytes()[..], &life.as_bytes()[..]].concat()
}

impl ContinuesRow {
    /// The three parts.
    ///
    /// # Errors
    /// [`DecodeError`]: the row is damaged.
    pub fn read(&self) -> Result<(Incarnation, Position, EntryId), DecodeError> {
        let bad = || DecodeError::row("predecessor");
        Ok((
            Incarnation::from_slice(&self.incarnation).ok_or_else(bad)?,
            Position::new(self.head),
            EntryId::from_slice(&self.hash).ok_or_else(bad)?,
        ))
    }

    /// From the three parts.
    pub fn write(incarnation: &Incarnation, head: Position, hash: &EntryId) -> Self {
        ContinuesRow {
            incarnation: incarnation.as_bytes().to_vec(),
            head: head.get(),
            hash: hash.as_bytes().to_vec(),
        }
    }
}
