//! Putting a range together.

use bytes::{BufMut, BytesMut};
use skychat_identity::{SecretKey, Signature};

use super::chain::Chain;
use super::known::Known;
use super::raw::{RawRange, head_len, put_prefix};
use super::row::Row;
use crate::entry::{Header, HeaderError, check_place, check_row};
use crate::ids::{EntryId, FeedId, Position, Seq};
use crate::limits::{
    MAX_BODY, MAX_POSITION, MAX_RANGE_BYTES, MAX_RANGE_ENTRIES, RANGE_PREFIX_LEN, ROW_LEN,
    SIGNATURE_LEN,
};

/// Puts a range together, in one allocation if its size was foreseen.
///
/// ```
/// # use skychat_identity::SecretKey;
/// # use skychat_proto::entry::{Flags, Kind, Suite};
/// # use skychat_proto::ids::{EntryId, FeedId, Incarnation, MessageId, Seq, SpaceId, Stream, Timestamp};
/// # use skychat_proto::range::{RangeBuilder, Row, RowLabel};
/// # let ann = SecretKey::from_seed([1; 32]);
/// # let bob = SecretKey::from_seed([2; 32]);
/// let feed = FeedId {
///     author: ann.public(),
///     space: SpaceId::direct(&ann.public(), &bob.public())?,
///     stream: Stream::MESSAGES,
///     incarnation: Incarnation::from_bytes([7; 8]),
/// };
/// let label = RowLabel {
///     time: Timestamp::from_millis(1_800_000_000_000),
///     kind: Kind::Content,
///     suite: Suite::HPKE_X25519,
///     flags: Flags::NONE,
///     context: Seq::FIRST,
///     message: MessageId::from_bytes([3; 16]),
/// };
/// let mut builder = RangeBuilder::new(feed, Seq::FIRST, EntryId::ZERO)?;
/// builder.push(&Row::of_body(label, b"sealed")?, Some(b"sealed"))?;
/// let (range, tip) = builder.sign(&ann)?;
/// assert_eq!(range.tip(), tip);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RangeBuilder {
    feed: FeedId,
    first: Seq,
    first_prev: EntryId,
    count: u16,
    /// Room for the prefix, then the rows.
    head: BytesMut,
    /// The same allocation, behind the room for the head.
    bodies: BytesMut,
}

impl RangeBuilder {
    /// Empty; the first entry has index `first` and follows the entry `first_prev`. With room for
    /// one entry; more is made when it is needed.
    ///
    /// # Errors
    /// [`BuildError::Entry`]: no entry can stand there.
    pub fn new(feed: FeedId, first: Seq, first_prev: EntryId) -> Result<Self, BuildError> {
        Self::with_capacity(feed, first, first_prev, 1, 0)
    }

    /// The same, with room for so many entries and bytes of bodies in one allocation.
    ///
    /// # Errors
    /// [`BuildError::Entry`]: no entry can stand there.
    pub fn with_capacity(
        feed: FeedId,
        first: Seq,
        first_prev: EntryId,
        entries: usize,
        body_bytes: usize,
    ) -> Result<Self, BuildError> {
        check_place(first.get(), &first_prev)?;
        let head_room = RANGE_PREFIX_LEN + entries.min(MAX_RANGE_ENTRIES) * ROW_LEN + SIGNATURE_LEN;
        let body_room = body_bytes.min(MAX_BODY);
        let mut head = BytesMut::with_capacity(head_room + body_room);
        let bodies = head.split_off(head_room);
        head.put_bytes(0, RANGE_PREFIX_LEN);
        Ok(RangeBuilder {
            feed,
            first,
            first_prev,
            count: 0,
            head,
            bodies,
        })
    }

    /// How many entries it has.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it has none yet.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The position after its last entry.
    pub const fn end(&self) -> Position {
        Position::new(self.first.get().saturating_add(self.count as u64))
    }

    /// Rows and bodies so far, in bytes.
    pub fn size(&self) -> usize {
        self.len()
            .saturating_mul(ROW_LEN)
            .saturating_add(self.bodies.len())
    }

    /// Whether one more entry with so many bytes of body fits. The first always does.
    pub fn fits(&self, body_len: usize) -> bool {
        let size = self.size().saturating_add(ROW_LEN).saturating_add(body_len);
        let room = self.len() < MAX_RANGE_ENTRIES && self.end().get() < MAX_POSITION;
        room && (self.is_empty() || size <= MAX_RANGE_BYTES)
    }

    /// Adds an entry. Whether it counts as present is said by `body`, not by the row. That the
    /// body has the hash of the row is not checked.
    ///
    /// # Errors
    /// [`BuildError`]; nothing was added.
    pub fn push(&mut self, row: &Row, body: Option<&[u8]>) -> Result<(), BuildError> {
        let row = Row {
            present: body.is_some(),
            ..*row
        };
        check_row(row.kind.number(), row.context.get(), row.body_len)?;
        let body = body.unwrap_or_default();
        if body.len() != row.present_len() {
            return Err(BuildError::BodyLength {
                found: body.len(),
                expected: row.present_len(),
            });
        }
        if !self.fits(body.len()) {
            return Err(BuildError::Full);
        }
        self.head.put_slice(&row.encode());
        self.bodies.put_slice(body);
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Adds all entries of a range that begins where this one ends. That it joins by its
    /// `first_prev` is not checked; nothing is hashed.
    ///
    /// # Errors
    /// [`BuildError`]; nothing was added.
    pub fn append(&mut self, range: &RawRange) -> Result<(), BuildError> {
        if range.feed() != self.feed || range.start() != self.end() {
            return Err(BuildError::NotNext {
                found: range.start(),
                expected: self.end(),
            });
        }
        let count = self.len().saturating_add(range.len());
        let size = self.size().saturating_add(range.size());
        if count > MAX_RANGE_ENTRIES || (count > 1 && size > MAX_RANGE_BYTES) {
            return Err(BuildError::Full);
        }
        let head = range.head_block();
        let end = head.len().saturating_sub(SIGNATURE_LEN);
        self.head
            .put_slice(head.get(RANGE_PREFIX_LEN..end).unwrap_or_default());
        self.bodies.put_slice(range.bodies());
        self.count = u16::try_from(count).unwrap_or(self.count);
        Ok(())
    }

    /// The header of the last entry, which is to be signed, and its id. Costs one SHA-256 per
    /// entry. `None` if there is no entry.
    pub fn last_header(&self) -> Option<(Header, EntryId)> {
        self.headers().last().copied()
    }

    fn headers(&self) -> Vec<(Header, EntryId)> {
        let mut chain = Chain::new(self.feed, self.first, self.first_prev);
        let mut seq = self.first;
        let mut prev = self.first_prev;
        let mut headers = Vec::with_capacity(self.len());
        let rows = self.head.get(RANGE_PREFIX_LEN..).unwrap_or_default();
        for bytes in rows.as_chunks::<ROW_LEN>().0 {
            let id = chain.step(bytes);
            // What was pushed decodes.
            if let Ok(row) = Row::decode(bytes) {
                headers.push((row.header(self.feed, seq, prev), id));
            }
            seq = seq.next().unwrap_or(seq);
            prev = id;
        }
        headers
    }

    /// The range, under the signature of its last entry.
    ///
    /// # Errors
    /// [`BuildError::Empty`].
    pub fn finish(mut self, signature: Signature) -> Result<RawRange, BuildError> {
        if self.is_empty() {
            return Err(BuildError::Empty);
        }
        if let Some(mut front) = self.head.get_mut(..RANGE_PREFIX_LEN) {
            put_prefix(
                &mut front,
                &self.feed,
                self.first,
                &self.first_prev,
                self.count,
            );
        }
        self.head.put_slice(signature.as_bytes());
        debug_assert_eq!(self.head.len(), head_len(self.count));
        Ok(RawRange {
            feed: self.feed,
            first: self.first,
            first_prev: self.first_prev,
            count: self.count,
            head: self.head.freeze(),
            bodies: self.bodies.freeze(),
            known: Known::default(),
        })
    }

    /// The range, signed by its author and with its headers [at hand](RawRange::hashed), and the
    /// id of its last entry.
    ///
    /// # Errors
    /// [`BuildError::Empty`].
    pub fn sign(self, author: &SecretKey) -> Result<(RawRange, EntryId), BuildError> {
        let headers = self.headers();
        let &(header, id) = headers.last().ok_or(BuildError::Empty)?;
        let mut range = self.finish(header.sign(author))?;
        range.known = Known::of(headers);
        Ok((range, id))
    }
}

/// Why an entry was not added, or a range not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no entry in it.
    #[error("range to be made: found no entry, expected at least one")]
    Empty,
    /// It would have more entries or bytes than a range may have; ask `fits` first.
    #[error("range to be made: no room for more")]
    Full,
    /// The body has another length than its row states.
    #[error("range to be made: found a body of {found} bytes, expected {expected}")]
    BodyLength {
        /// Its length.
        found: usize,
        /// What the row states.
        expected: usize,
    },
    /// A range that does not begin where this one ends, or belongs to another feed.
    #[error(
        "range to be made: found a range of another feed or from {found} on, expected {expected}"
    )]
    NotNext {
        /// Where it begins.
        found: Position,
        /// Where it should.
        expected: Position,
    },
    /// No such entry can be.
    #[error("range to be made: the entry is not valid")]
    Entry(#[from] HeaderError),
}
