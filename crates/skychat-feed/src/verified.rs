//! Ranges whose chain and signature hold.

use skychat_identity::SecretKey;
use skychat_proto::entry::{Header, Kind};
use skychat_proto::ids::{BodyHash, EntryId, FeedId, MessageId, Position, Seq};
use skychat_proto::open::Open;
use skychat_proto::range::{BuildError, RangeBuilder, RawRange};

use crate::Violation;

/// A range that was decoded, whose bodies have the hashes that its headers name, whose headers chain, and whose last
/// header carries a signature of the author. Made only by [`verify`](Self::verify) and, for our own entries, by
/// [`sign`](Self::sign).
///
/// Spec: `docs/protocol/feed.md`, RANGE-1 to RANGE-3.
#[derive(Clone, Debug)]
pub struct VerifiedRange {
    /// With its headers at hand.
    raw: RawRange,
}

impl VerifiedRange {
    /// Checks hashes, chain and signature: one SHA-256 per entry and per body, one signature in all.
    ///
    /// # Errors
    /// [`Violation`] by whoever sent it: FEED-1 (a body without its hash, a place that cannot be), FEED-2 (an `open`
    /// entry that is none), FEED-5 (its body is missing), RANGE-3 (the signature).
    pub fn verify(raw: RawRange) -> Result<Self, Violation> {
        let range = VerifiedRange { raw: raw.hashed() };
        for (header, _, body) in range.entries() {
            check_entry(header, body)?;
        }
        let last = range.anchor();
        last.ok_or_else(|| Violation::new("RANGE-1", "a range without entries"))?
            .verify(&range.raw.signature())
            .map_err(|_| Violation::new("RANGE-3", "the signature of a range does not hold"))?;
        Ok(range)
    }

    /// Signs what we wrote ourselves.
    ///
    /// # Errors
    /// [`BuildError`]: it has no entries.
    pub fn sign(builder: RangeBuilder, author: &SecretKey) -> Result<Self, BuildError> {
        let (raw, _) = builder.sign(author)?;
        Ok(VerifiedRange { raw: raw.hashed() })
    }

    /// The feed.
    pub const fn feed(&self) -> FeedId {
        self.raw.feed()
    }

    /// The position at which it begins.
    pub const fn start(&self) -> Position {
        self.raw.start()
    }

    /// The position after its last entry.
    pub const fn end(&self) -> Position {
        self.raw.end()
    }

    /// The id of the entry before its first.
    pub const fn first_prev(&self) -> EntryId {
        self.raw.first_prev()
    }

    /// The id of its last entry.
    pub fn tip(&self) -> EntryId {
        self.raw.tip()
    }

    /// Its headers with their ids, in order.
    pub fn headers(&self) -> &[(Header, EntryId)] {
        self.raw.hashed_headers().unwrap_or_default()
    }

    /// The last header.
    pub fn anchor(&self) -> Option<&Header> {
        self.headers().last().map(|(header, _)| header)
    }

    /// Headers, ids and bodies, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&Header, &EntryId, Option<&[u8]>)> {
        let headers = self.headers().iter();
        headers
            .zip(self.raw.entries())
            .map(|((header, id), (_, body))| (header, id, body))
    }

    /// The encoding, with headers and ids at hand ([`RawRange::hashed`]).
    pub const fn raw(&self) -> &RawRange {
        &self.raw
    }

    /// The same without the bodies of these entries: whether a body is there is not signed.
    #[must_use]
    pub fn without_bodies(mut self, drop: impl Fn(Seq) -> bool) -> Self {
        self.raw = self.raw.without_bodies(|seq, _| drop(seq));
        self
    }
}

/// The rules that concern one entry by itself.
fn check_entry(header: &Header, body: Option<&[u8]>) -> Result<(), Violation> {
    if let Some(body) = body
        && BodyHash::of(body) != header.body_hash
    {
        return Err(Violation::new(
            "FEED-1",
            "a body has another hash than its header names",
        ));
    }
    if header.seq == Seq::FIRST && header.kind != Kind::Open {
        return Err(Violation::new(
            "INC-2",
            "the first entry of a feed is not an `open` entry",
        ));
    }
    if header.context >= header.seq && header.seq != Seq::FIRST {
        return Err(Violation::new(
            "FEED-4",
            "an entry names a context that is not before it",
        ));
    }
    if header.kind == Kind::Content {
        return Ok(());
    }
    if header.message != MessageId::ZERO {
        return Err(Violation::new(
            "ID-3",
            "an `open` or `control` entry carries a message id",
        ));
    }
    let body = body
        .ok_or_else(|| Violation::new("FEED-5", "an `open` or `control` entry without its body"))?;
    if header.kind == Kind::Open {
        Open::decode(body).map_err(|error| Violation::new("FEED-4", error.to_string()))?;
    }
    Ok(())
}
