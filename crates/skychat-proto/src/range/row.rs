//! What a range states of one entry.

use crate::entry::{Flags, Header, HeaderError, Kind, Suite, check_row};
use crate::ids::{BodyHash, EntryId, FeedId, MessageId, Seq, Timestamp};
use crate::layout::{Reader, put};
use crate::limits::{MAX_BODY, ROW_LEN};

/// Where the mark of presence stands in a row. It is no part of the header, and not signed.
pub(super) const PRESENT_AT: usize = 11;

/// What a range states of one entry: its header without what the range states once, and whether
/// its body is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// See [`Header::time`].
    pub time: Timestamp,
    /// See [`Header::kind`].
    pub kind: Kind,
    /// See [`Header::suite`].
    pub suite: Suite,
    /// See [`Header::flags`].
    pub flags: Flags,
    /// Whether the range holds the body.
    pub present: bool,
    /// See [`Header::context`].
    pub context: Seq,
    /// See [`Header::message`].
    pub message: MessageId,
    /// See [`Header::body_len`]; the length stands here whether or not the body is present.
    pub body_len: u32,
    /// See [`Header::body_hash`].
    pub body_hash: BodyHash,
}

impl Row {
    /// Length of the encoding in bytes: 72.
    pub const LEN: usize = ROW_LEN;

    /// A row for an entry with this body, present.
    ///
    /// # Errors
    /// [`HeaderError::BodyLength`]: longer than [`MAX_BODY`].
    pub fn of_body(label: RowLabel, body: &[u8]) -> Result<Row, HeaderError> {
        let found = u32::try_from(body.len()).unwrap_or(u32::MAX);
        if body.len() > MAX_BODY {
            return Err(HeaderError::BodyLength { found });
        }
        Ok(Row {
            time: label.time,
            kind: label.kind,
            suite: label.suite,
            flags: label.flags,
            present: true,
            context: label.context,
            message: label.message,
            body_len: found,
            body_hash: BodyHash::of(body),
        })
    }

    /// The row of an entry, given its header.
    pub const fn of_header(header: &Header, present: bool) -> Row {
        Row {
            time: header.time,
            kind: header.kind,
            suite: header.suite,
            flags: header.flags,
            present,
            context: header.context,
            message: header.message,
            body_len: header.body_len,
            body_hash: header.body_hash,
        }
    }

    /// The header of the entry, at its place. Only copies.
    pub const fn header(&self, feed: FeedId, seq: Seq, prev: EntryId) -> Header {
        Header {
            feed,
            seq,
            prev,
            time: self.time,
            kind: self.kind,
            suite: self.suite,
            flags: self.flags,
            context: self.context,
            message: self.message,
            body_len: self.body_len,
            body_hash: self.body_hash,
        }
    }

    /// How many bytes of bodies the range holds for this entry: 0 unless it is present.
    pub const fn present_len(&self) -> usize {
        if self.present {
            self.body_len as usize
        } else {
            0
        }
    }

    /// The row, encoded.
    pub fn encode(&self) -> [u8; ROW_LEN] {
        let mut bytes = [0; ROW_LEN];
        let mut out = &mut bytes[..];
        put(&mut out, &self.time.as_millis().to_be_bytes());
        put(
            &mut out,
            &[
                self.kind.number(),
                self.suite.get(),
                self.flags.get(),
                self.present.into(),
            ],
        );
        put(&mut out, &self.context.get().to_be_bytes());
        put(&mut out, self.message.as_bytes());
        put(&mut out, &self.body_len.to_be_bytes());
        put(&mut out, self.body_hash.as_bytes());
        bytes
    }

    /// Reads a row.
    pub(crate) fn decode(bytes: &[u8; ROW_LEN]) -> Result<Row, RowError> {
        let mut reader = Reader::new(bytes);
        // There are 72 bytes, so no field is missing and no default is ever taken.
        let time = reader.u64().unwrap_or_default();
        let kind = reader.u8().unwrap_or_default();
        let suite = reader.u8().unwrap_or_default();
        let flags = reader.u8().unwrap_or_default();
        let present = reader.u8().unwrap_or_default();
        let context = reader.u64().unwrap_or_default();
        let message = reader.array().unwrap_or_default();
        let body_len = reader.u32().unwrap_or_default();
        let body_hash = reader.array().unwrap_or_default();

        let (kind, context) = check_row(kind, context, body_len).map_err(RowError::Header)?;
        Ok(Row {
            time: Timestamp::from_millis(time),
            kind,
            suite: Suite::new(suite),
            flags: Flags::new(flags),
            present: match present {
                0 => false,
                1 => true,
                found => return Err(RowError::Present(found)),
            },
            context,
            message: MessageId::from_bytes(message),
            body_len,
            body_hash: BodyHash::from_bytes(body_hash),
        })
    }
}

/// What an author decides of an entry, apart from its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLabel {
    /// See [`Header::time`].
    pub time: Timestamp,
    /// See [`Header::kind`].
    pub kind: Kind,
    /// See [`Header::suite`].
    pub suite: Suite,
    /// See [`Header::flags`].
    pub flags: Flags,
    /// See [`Header::context`].
    pub context: Seq,
    /// See [`Header::message`].
    pub message: MessageId,
}

/// Why 72 bytes are no row.
pub(crate) enum RowError {
    Header(HeaderError),
    Present(u8),
}
