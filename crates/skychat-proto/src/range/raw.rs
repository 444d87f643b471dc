//! A range as bytes, checked.

use std::fmt;
use std::iter::FusedIterator;

use bytes::{BufMut, Bytes, BytesMut};
use skychat_identity::{KeyCache, Signature};

use super::chain::{Chain, Headers};
use super::error::RangeError;
use super::known::Known;
use super::row::{Row, RowError};
use crate::entry::{ENTRY_VERSION, Header, check_place};
use crate::ids::{EntryId, FeedId, Position, Seq};
use crate::layout::Reader;
use crate::limits::{
    FEED_ID_LEN, MAX_POSITION, MAX_RANGE_BYTES, MAX_RANGE_ENTRIES, RANGE_PREFIX_LEN, ROW_LEN,
    SIGNATURE_LEN,
};

/// An encoded range whose layout was checked: the lengths fit each other and the limits, the
/// author is a key, the kinds are known, the places exist. **Nothing more**: no hash and no
/// signature was looked at.
///
/// It is a view of shared bytes; a clone costs two reference counts. A small range that was cut
/// from a large buffer keeps all of it alive: [`compact`](Self::compact) one that is kept long.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRange {
    pub(super) feed: FeedId,
    pub(super) first: Seq,
    pub(super) first_prev: EntryId,
    pub(super) count: u16,
    pub(super) head: Bytes,
    pub(super) bodies: Bytes,
    pub(super) known: Known,
}

impl RawRange {
    /// Reads a range: all of `bytes`, without a copy.
    ///
    /// # Errors
    /// [`RangeError`]; each is a violation by whoever sent it.
    pub fn decode(bytes: Bytes, keys: &mut KeyCache) -> Result<Self, RangeError> {
        let count = read_count(&bytes)?;
        let head_len = head_len(count);
        if bytes.len() < head_len {
            return Err(RangeError::Length {
                found: bytes.len(),
                expected: head_len,
            });
        }
        let mut head = bytes;
        let bodies = head.split_off(head_len);
        Self::from_parts(head, bodies, keys)
    }

    /// The same from its two parts, as the journal keeps them.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn from_parts(head: Bytes, bodies: Bytes, keys: &mut KeyCache) -> Result<Self, RangeError> {
        let count = read_count(&head)?;
        let expected = head_len(count);
        if head.len() != expected {
            let found = head.len();
            return Err(RangeError::Length { found, expected });
        }

        let mut reader = Reader::new(&head);
        // There are as many bytes as `count` asks for, so no field below is missing.
        let short = RangeError::Length {
            found: head.len(),
            expected,
        };
        reader.u8().ok_or(short)?;
        let feed: [u8; FEED_ID_LEN] = reader.array().ok_or(short)?;
        let first = reader.u64().ok_or(short)?;
        let first_prev = EntryId::from_bytes(reader.array().ok_or(short)?);
        reader.u16().ok_or(short)?;

        check_place(first, &first_prev).map_err(|source| RangeError::Entry { index: 0, source })?;
        // `first` is at most 2^63 - 2 by now.
        if first.saturating_add(count.into()) > MAX_POSITION {
            return Err(RangeError::End { first, count });
        }
        let mut present = 0_usize;
        for index in 0..count {
            let row = reader.array().ok_or(short)?;
            let row = Row::decode(&row).map_err(|error| match error {
                RowError::Header(source) => RangeError::Entry { index, source },
                RowError::Present(found) => RangeError::Present { index, found },
            })?;
            present = present.saturating_add(row.present_len());
        }
        if present != bodies.len() {
            return Err(RangeError::Bodies {
                found: bodies.len(),
                expected: present,
            });
        }
        let size = usize::from(count)
            .saturating_mul(ROW_LEN)
            .saturating_add(present);
        if count > 1 && size > MAX_RANGE_BYTES {
            return Err(RangeError::Size { found: size });
        }
        Ok(RawRange {
            feed: FeedId::from_bytes(&feed, keys)?,
            first: Seq::new(first),
            first_prev,
            count,
            head,
            bodies,
            known: Known::default(),
        })
    }

    /// The feed.
    pub const fn feed(&self) -> FeedId {
        self.feed
    }

    /// The index of its first entry.
    pub const fn first(&self) -> Seq {
        self.first
    }

    /// The position at which it begins.
    pub const fn start(&self) -> Position {
        self.first.position()
    }

    /// The position after its last entry.
    pub const fn end(&self) -> Position {
        // Checked when it was made: at most `MAX_POSITION`.
        Position::new(self.first.get().saturating_add(self.count as u64))
    }

    /// The index of its last entry.
    pub const fn last(&self) -> Seq {
        Seq::new(self.first.get().saturating_add(self.count as u64 - 1))
    }

    /// The id of the entry before its first; zeros if that is entry 0.
    pub const fn first_prev(&self) -> EntryId {
        self.first_prev
    }

    /// How many entries: 1 to 256.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// What counts against [`MAX_RANGE_BYTES`]: rows and present bodies, in bytes.
    pub const fn size(&self) -> usize {
        self.len()
            .saturating_mul(ROW_LEN)
            .saturating_add(self.bodies.len())
    }

    /// Length of the encoding in bytes.
    pub const fn encoded_len(&self) -> usize {
        self.head.len().saturating_add(self.bodies.len())
    }

    /// The signature of the last entry; not checked here.
    pub fn signature(&self) -> Signature {
        let bytes = self
            .head
            .last_chunk()
            .copied()
            .unwrap_or([0; SIGNATURE_LEN]);
        Signature::from_bytes(bytes)
    }

    /// Prefix, rows and signature: the first part of the encoding.
    pub const fn head_block(&self) -> &Bytes {
        &self.head
    }

    /// The present bodies, one after the other: the second part of the encoding.
    pub const fn bodies(&self) -> &Bytes {
        &self.bodies
    }

    /// The encoding in one piece; copies. To send one, hand over its two parts instead.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.encoded_len());
        bytes.put_slice(&self.head);
        bytes.put_slice(&self.bodies);
        bytes.freeze()
    }

    /// The encoded row of entry `index` of this range, counted from 0.
    pub(super) fn row_bytes(&self, index: usize) -> Option<&[u8; ROW_LEN]> {
        if index >= self.len() {
            return None;
        }
        let at = index.checked_mul(ROW_LEN)?.checked_add(RANGE_PREFIX_LEN)?;
        self.head.get(at..)?.first_chunk()
    }

    /// The row of entry `index` of this range, counted from 0; `None` past the last.
    pub fn row(&self, index: usize) -> Option<Row> {
        Row::decode(self.row_bytes(index)?).ok()
    }

    /// Its header, given the id of the entry before it. Hashes nothing.
    pub fn header(&self, index: usize, prev: EntryId) -> Option<Header> {
        let seq = self.first.checked_add(index.try_into().ok()?)?;
        Some(self.row(index)?.header(self.feed, seq, prev))
    }

    /// The body of entry `index`; `None` if it is not present. Shares the bytes. The place is
    /// found by adding up the rows before it: for all of them use [`entries`](Self::entries).
    pub fn body(&self, index: usize) -> Option<Bytes> {
        let row = self.row(index)?;
        if !row.present {
            return None;
        }
        let start = self.bodies_before(index)?;
        let end = start.checked_add(row.present_len())?;
        (end <= self.bodies.len()).then(|| self.bodies.slice(start..end))
    }

    /// How many bytes of bodies stand before those of entry `index`; `None` past the end.
    pub(super) fn bodies_before(&self, index: usize) -> Option<usize> {
        if index > self.len() {
            return None;
        }
        (0..index).try_fold(0_usize, |sum, earlier| {
            sum.checked_add(self.row(earlier)?.present_len())
        })
    }

    /// All entries in order: row, and body if it is present. Allocates nothing.
    pub fn entries(&self) -> Entries<'_> {
        Entries {
            range: self,
            at: 0,
            bodies: &self.bodies,
        }
    }

    /// The same range with its headers and ids at hand: whoever asks for them, of it or of a clone,
    /// hashes nothing. Costs one SHA-256 an entry, unless they are at hand already, and 280 bytes
    /// an entry as long as it or a clone lives.
    #[must_use]
    pub fn hashed(mut self) -> Self {
        if self.known.headers().is_none() {
            self.known = Known::of(self.headers().collect());
        }
        self
    }

    /// The same range without what [`hashed`](Self::hashed) keeps at hand.
    #[must_use]
    pub fn unhashed(&self) -> Self {
        RawRange {
            known: Known::default(),
            ..self.clone()
        }
    }

    /// Its headers with their ids, in order, if they are at hand.
    pub fn hashed_headers(&self) -> Option<&[(Header, EntryId)]> {
        self.known.headers()
    }

    /// All headers in order with their ids, computed from `first_prev` on unless they are
    /// [at hand](Self::hashed).
    pub fn headers(&self) -> Headers<'_> {
        Headers::new(self)
    }

    /// The id of the entry before position `at`, computed from `first_prev` on; `None` unless the
    /// position is that of an entry of this range or its end. Costs one SHA-256 per entry passed,
    /// or nothing if the ids are [at hand](Self::hashed).
    pub fn id_before(&self, at: Position) -> Option<EntryId> {
        if at < self.start() || at > self.end() {
            return None;
        }
        let passed = usize::try_from(at.entries_since(self.start())).ok()?;
        if let (Some(last), Some(headers)) = (passed.checked_sub(1), self.hashed_headers()) {
            return headers.get(last).map(|(_, id)| *id);
        }
        let mut chain = Chain::new(self.feed, self.first, self.first_prev);
        let mut id = self.first_prev;
        for index in 0..passed {
            id = chain.step(self.row_bytes(index)?);
        }
        Some(id)
    }

    /// The id of its last entry. Costs what [`id_before`](Self::id_before) does.
    pub fn tip(&self) -> EntryId {
        self.id_before(self.end()).unwrap_or(EntryId::ZERO)
    }

    /// The header of its last entry, which the signature is over. Costs what
    /// [`id_before`](Self::id_before) does.
    pub fn last_header(&self) -> Option<Header> {
        let prev = self.id_before(self.last().position())?;
        self.header(self.len().checked_sub(1)?, prev)
    }
}

impl fmt::Debug for RawRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRange")
            .field("feed", &self.feed)
            .field("start", &self.start().get())
            .field("end", &self.end().get())
            .field("bodies", &self.bodies.len())
            .finish_non_exhaustive()
    }
}

/// The entries of a range, in order.
#[derive(Clone)]
pub struct Entries<'a> {
    range: &'a RawRange,
    at: usize,
    bodies: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Row, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.range.row(self.at)?;
        let (body, rest) = self.bodies.split_at_checked(row.present_len())?;
        self.bodies = rest;
        self.at = self.at.saturating_add(1);
        Some((row, row.present.then_some(body)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.range.len().saturating_sub(self.at);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Entries<'_> {}
impl FusedIterator for Entries<'_> {}

/// Length of a head block of so many entries.
pub(super) fn head_len(count: u16) -> usize {
    RANGE_PREFIX_LEN + usize::from(count) * ROW_LEN + SIGNATURE_LEN
}

pub(super) fn put_prefix(
    out: &mut impl BufMut,
    feed: &FeedId,
    first: Seq,
    first_prev: &EntryId,
    count: u16,
) {
    out.put_u8(ENTRY_VERSION);
    out.put_slice(&feed.to_bytes());
    out.put_u64(first.get());
    out.put_slice(first_prev.as_bytes());
    out.put_u16(count);
}

/// Version and count: what has to be known before anything else is read.
fn read_count(bytes: &[u8]) -> Result<u16, RangeError> {
    let version = bytes.first().copied();
    if let Some(found) = version.filter(|version| *version != ENTRY_VERSION) {
        return Err(RangeError::Version { found });
    }
    let prefix: Option<&[u8; RANGE_PREFIX_LEN]> = bytes.first_chunk();
    let count = prefix
        .and_then(|prefix| prefix.last_chunk())
        .map(|count| u16::from_be_bytes(*count))
        .ok_or(RangeError::Length {
            found: bytes.len(),
            expected: head_len(1),
        })?;
    if count == 0 || usize::from(count) > MAX_RANGE_ENTRIES {
        return Err(RangeError::Count { found: count });
    }
    Ok(count)
}
