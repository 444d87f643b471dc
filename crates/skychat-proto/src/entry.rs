//! The header of an entry: 206 signed bytes, whose hash is the entry's id.
//!
//! Spec: `docs/protocol/feed.md`, section 3 (FEED-1 to FEED-4, ID-2).

use std::fmt;

use skychat_identity::{BadSignature, Domain, KeyCache, KeyError, SecretKey, Signature, Tagged};

use crate::ids::{BodyHash, EntryId, FeedId, MessageId, Seq, Timestamp};
use crate::layout::{Reader, put};
use crate::limits::{FEED_ID_LEN, HEADER_LEN, MAX_BODY, MAX_SEQ};

/// The version in a header and in a range.
pub const ENTRY_VERSION: u8 = 1;

/// What an entry is for the feed. What a content says stands inside its sealed body (FEED-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Opens a feed, or names further predecessors; its body is [`Open`](crate::open::Open), in
    /// clear.
    Open,
    /// Something said; its body is sealed, and may be dropped.
    Content,
    /// States the context of what follows, or carries an operation; its body is in clear.
    Control,
}

impl Kind {
    /// Its number in the layout.
    pub const fn number(self) -> u8 {
        match self {
            Kind::Open => 0,
            Kind::Content => 1,
            Kind::Control => 2,
        }
    }

    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Kind::Open),
            1 => Some(Kind::Content),
            2 => Some(Kind::Control),
            _ => None,
        }
    }
}

/// How the body is sealed. Any number can stand in a header: the body of an entry whose suite is
/// not known is refused as `unsupported`, its header is stored (FEED-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suite(u8);

impl Suite {
    /// Not sealed: `open` and `control` entries, and public spaces (SEAL-5).
    pub const CLEAR: Suite = Suite(0);
    /// HPKE to the X25519 form of the recipient's identity (SEAL-2).
    pub const HPKE_X25519: Suite = Suite(1);

    /// From its number.
    pub const fn new(number: u8) -> Self {
        Suite(number)
    }

    /// Its number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether this version has it.
    pub const fn is_known(self) -> bool {
        matches!(self, Suite::CLEAR | Suite::HPKE_X25519)
    }
}

/// Marks of an entry. Any bits can stand in a header: the body of an entry with a bit that is not
/// known is refused as `unsupported`, its header is stored (FEED-3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Flags(u8);

impl Flags {
    /// No mark.
    pub const NONE: Flags = Flags(0);
    /// The message id may have been used before: issued again, or brought by a client.
    pub const AGAIN: Flags = Flags(1);

    /// From its bits.
    pub const fn new(bits: u8) -> Self {
        Flags(bits)
    }

    /// Its bits.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether all the bits of `other` are set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits and those of `other`.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether [`Flags::AGAIN`] is set.
    pub const fn is_again(self) -> bool {
        self.contains(Flags::AGAIN)
    }

    /// Whether only bits are set that this version has.
    pub const fn is_known(self) -> bool {
        self.0 & !Flags::AGAIN.0 == 0
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#04x})", self.0)
    }
}

/// All that is said and signed about one entry.
///
/// [`encode`](Self::encode) gives the 206 bytes that are signed; their SHA-256 is
/// [`id`](Self::id). A value made by hand encodes whatever it holds; [`decode`](Self::decode)
/// accepts only what the layout allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The feed it stands in.
    pub feed: FeedId,
    /// Its index there.
    pub seq: Seq,
    /// The entry before it; zeros exactly in entry 0.
    pub prev: EntryId,
    /// When its author says it was written. A label; it orders nothing (FEED-5).
    pub time: Timestamp,
    /// What it is for the feed.
    pub kind: Kind,
    /// How the body is sealed.
    pub suite: Suite,
    /// Marks.
    pub flags: Flags,
    /// The entry of this feed that states the heads and the epoch it was written under (FEED-4).
    pub context: Seq,
    /// The message it carries; zeros if `kind` is not [`Kind::Content`].
    pub message: MessageId,
    /// Length of the body in bytes, at most [`MAX_BODY`].
    pub body_len: u32,
    /// The SHA-256 of the body.
    pub body_hash: BodyHash,
}

impl Header {
    /// Length of the encoding in bytes: 206.
    pub const LEN: usize = HEADER_LEN;

    /// The signed bytes. Allocates nothing.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let mut out = &mut bytes[..];
        put(&mut out, Domain::FeedEntry.tag());
        put(&mut out, &[ENTRY_VERSION]);
        self.feed.put(&mut out);
        put(&mut out, &self.seq.get().to_be_bytes());
        put(&mut out, self.prev.as_bytes());
        put(&mut out, &self.time.as_millis().to_be_bytes());
        put(
            &mut out,
            &[self.kind.number(), self.suite.get(), self.flags.get()],
        );
        put(&mut out, &self.context.get().to_be_bytes());
        put(&mut out, self.message.as_bytes());
        put(&mut out, &self.body_len.to_be_bytes());
        put(&mut out, self.body_hash.as_bytes());
        bytes
    }

    /// Reads the signed bytes: exactly [`LEN`](Self::LEN) of them.
    ///
    /// # Errors
    /// [`HeaderError`]; each is a violation by whoever sent it.
    pub fn decode(bytes: &[u8], keys: &mut KeyCache) -> Result<Self, HeaderError> {
        let bytes: &[u8; HEADER_LEN] = bytes
            .try_into()
            .map_err(|_| HeaderError::Length { found: bytes.len() })?;
        let mut reader = Reader::new(bytes);
        let tag = Domain::FeedEntry.tag();
        if reader.bytes(tag.len()) != Some(tag) {
            return Err(HeaderError::Tag);
        }
        // The length is right, so none of the fields below can be missing.
        let short = HeaderError::Length { found: bytes.len() };
        let version = reader.u8().ok_or(short)?;
        if version != ENTRY_VERSION {
            return Err(HeaderError::Version { found: version });
        }
        let feed: [u8; FEED_ID_LEN] = reader.array().ok_or(short)?;
        let seq = reader.u64().ok_or(short)?;
        let prev = EntryId::from_bytes(reader.array().ok_or(short)?);
        let time = Timestamp::from_millis(reader.u64().ok_or(short)?);
        let kind = reader.u8().ok_or(short)?;
        let suite = Suite::new(reader.u8().ok_or(short)?);
        let flags = Flags::new(reader.u8().ok_or(short)?);
        let context = reader.u64().ok_or(short)?;
        let message = MessageId::from_bytes(reader.array().ok_or(short)?);
        let body_len = reader.u32().ok_or(short)?;
        let body_hash = BodyHash::from_bytes(reader.array().ok_or(short)?);

        check_place(seq, &prev)?;
        let (kind, context) = check_row(kind, context, body_len)?;
        Ok(Header {
            feed: FeedId::from_bytes(&feed, keys)?,
            seq: Seq::new(seq),
            prev,
            time,
            kind,
            suite,
            flags,
            context,
            message,
            body_len,
            body_hash,
        })
    }

    /// The entry's id: one SHA-256 over the signed bytes (ID-2).
    pub fn id(&self) -> EntryId {
        EntryId::of(&self.encode())
    }

    /// Signs it. Deterministic.
    #[expect(
        clippy::expect_used,
        reason = "every encoding begins with the tag; no bytes of a peer are involved"
    )]
    pub fn sign(&self, author: &SecretKey) -> Signature {
        let bytes = self.encode();
        let message = Tagged::new(Domain::FeedEntry, &bytes).expect("it begins with the tag");
        author.sign(message)
    }

    /// Checks a signature of its author over it: the anchor rule (RANGE-3).
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, signature: &Signature) -> Result<(), BadSignature> {
        let bytes = self.encode();
        let message = Tagged::new(Domain::FeedEntry, &bytes).map_err(|_| BadSignature)?;
        self.feed.author.verify(message, signature)
    }
}

/// Whether an entry can stand there: the first one, and no other, has a `prev` of zeros.
pub(crate) fn check_place(seq: u64, prev: &EntryId) -> Result<(), HeaderError> {
    if seq > MAX_SEQ {
        return Err(HeaderError::Seq { found: seq });
    }
    if (seq == 0) != prev.is_zero() {
        return Err(HeaderError::Prev { seq });
    }
    Ok(())
}

/// What header and row of a range have in common.
pub(crate) fn check_row(kind: u8, context: u64, body_len: u32) -> Result<(Kind, Seq), HeaderError> {
    let kind = Kind::from_number(kind).ok_or(HeaderError::Kind { found: kind })?;
    if context > MAX_SEQ {
        return Err(HeaderError::Context { found: context });
    }
    if body_len as usize > MAX_BODY {
        return Err(HeaderError::BodyLength { found: body_len });
    }
    Ok((kind, Seq::new(context)))
}

/// Why bytes are no header, or a row of a range states none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not 206 bytes.
    #[error("entry header: found {found} bytes, expected {HEADER_LEN}")]
    Length {
        /// How many there are.
        found: usize,
    },
    /// They begin otherwise.
    #[error("entry header: found another tag, expected `{}`", Domain::FeedEntry)]
    Tag,
    /// A version that this node does not speak.
    #[error("entry header: found version {found}, expected {ENTRY_VERSION}")]
    Version {
        /// The version.
        found: u8,
    },
    /// The author is no key.
    #[error("entry header: the author is not valid")]
    Author(#[from] KeyError),
    /// The index is past the last possible one.
    #[error("entry header: found seq {found}, expected at most {MAX_SEQ}")]
    Seq {
        /// The index.
        found: u64,
    },
    /// Zeros where a hash has to stand, or the other way round.
    #[error(
        "entry header: found the `prev` of another place at seq {seq}, expected zeros at seq 0 only"
    )]
    Prev {
        /// The index.
        seq: u64,
    },
    /// A kind that is none of the three.
    #[error("entry header: found kind {found}, expected 0, 1 or 2")]
    Kind {
        /// The number.
        found: u8,
    },
    /// The context is past the last possible index.
    #[error("entry header: found context {found}, expected at most {MAX_SEQ}")]
    Context {
        /// The index.
        found: u64,
    },
    /// A body larger than any.
    #[error("entry header: found a body of {found} bytes, expected at most {MAX_BODY}")]
    BodyLength {
        /// Its length in bytes.
        found: u32,
    },
}

#[cfg(test)]
mod tests;
