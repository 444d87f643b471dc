//! What stands in the meta and the body of a record.

use bytes::Bytes;
use rand_core::CryptoRng;
use skychat_identity::{KeyCache, PublicKey};
use skychat_proto::ids::{EntryId, FeedId, MessageId, Position, Seq, SpaceId, TableId};
use skychat_proto::limits::FEED_ID_LEN;
use skychat_proto::record::{Parts, Record};
use skychat_seal::{STORE_OVERHEAD, StoreKey};
use zeroize::Zeroizing;

use crate::layout::Fields;

/// The store's own table: the first event number of each life. Key: incarnation. Row: u64.
pub(crate) const LIVES: TableId = TableId::new(200);

/// The store's own table: which checkpoints there are. Key: segment u32. Row: SHA-256 of the file.
pub(crate) const CHECKPOINTS: TableId = TableId::new(201);

/// Whether the rows of a table are secret: they are in no checkpoint, and are put again in each
/// segment.
pub(crate) fn is_secret(table: TableId) -> bool {
    (128..LIVES.get()).contains(&table.get())
}

/// The key of a checkpoint's row.
pub(crate) const fn checkpoint_key(segment: u32) -> [u8; 4] {
    segment.to_be_bytes()
}

/// The segment and the SHA-256 in a checkpoint's row.
pub(crate) fn checkpoint_row(key: &[u8], value: &[u8]) -> Option<(u32, [u8; 32])> {
    let segment = u32::from_be_bytes(key.try_into().ok()?);
    Some((segment, value.try_into().ok()?))
}

/// Whether a table is the store's own: nobody else writes it, and it is given to nobody.
pub(crate) fn is_own(table: TableId) -> bool {
    table >= LIVES
}

const ENTRY_FORM: u8 = 1;
const DRAFT_FORM: u8 = 2;

/// The meta of a content record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentMeta {
    Entry {
        back: u16,
        row: u16,
    },
    Draft {
        author: PublicKey,
        space: SpaceId,
        message: MessageId,
    },
}

impl ContentMeta {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ContentMeta::Entry { back, row } => {
                out.push(ENTRY_FORM);
                out.extend_from_slice(&back.to_be_bytes());
                out.extend_from_slice(&row.to_be_bytes());
            }
            ContentMeta::Draft {
                author,
                space,
                message,
            } => {
                out.push(DRAFT_FORM);
                out.extend_from_slice(author.as_bytes());
                out.extend_from_slice(space.as_bytes());
                out.extend_from_slice(message.as_bytes());
            }
        }
    }

    pub(crate) fn decode(meta: &[u8], keys: &mut KeyCache) -> Option<Self> {
        let mut fields = Fields::new(meta);
        let found = match fields.u8()? {
            ENTRY_FORM => ContentMeta::Entry {
                back: fields.u16()?,
                row: fields.u16()?,
            },
            DRAFT_FORM => ContentMeta::Draft {
                author: keys.get(&fields.array()?).ok()?,
                space: SpaceId::from_bytes(fields.array()?),
                message: MessageId::from_bytes(fields.array()?),
            },
            _ => return None,
        };
        fields.end()?;
        Some(found)
    }
}

/// The meta of a row's record: table and key.
pub(crate) fn put_row_meta(table: TableId, key: &[u8], out: &mut Vec<u8>) {
    out.push(table.get());
    out.extend_from_slice(key);
}

pub(crate) fn row_meta(meta: &[u8]) -> Option<(TableId, &[u8])> {
    let mut fields = Fields::new(meta);
    let table = TableId::new(fields.u8()?);
    Some((table, fields.rest()))
}

/// What a drop drops: its meta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) feed: FeedId,
    pub(crate) from: Position,
    /// Exclusive.
    pub(crate) to: Position,
    pub(crate) parts: Parts,
}

impl Span {
    /// Bytes of the meta.
    pub(crate) const LEN: usize = FEED_ID_LEN + 17;

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.feed.to_bytes());
        out.extend_from_slice(&self.from.get().to_be_bytes());
        out.extend_from_slice(&self.to.get().to_be_bytes());
        out.push(self.parts.bits());
    }

    pub(crate) fn decode(meta: &[u8], keys: &mut KeyCache) -> Option<Self> {
        let mut fields = Fields::new(meta);
        let span = Span::read(&mut fields, keys)?;
        fields.end()?;
        Some(span)
    }

    pub(crate) fn read(fields: &mut Fields<'_>, keys: &mut KeyCache) -> Option<Self> {
        let span = Span {
            feed: FeedId::from_bytes(&fields.array::<FEED_ID_LEN>()?, keys).ok()?,
            from: Position::new(fields.u64()?),
            to: Position::new(fields.u64()?),
            parts: Parts::from_bits(fields.u8()?)?,
        };
        (span.from <= span.to).then_some(span)
    }

    /// Whether an entry of its feed lies in it.
    pub(crate) fn has(&self, seq: Seq) -> bool {
        !self.from.covers(seq) && self.to.covers(seq)
    }
}

impl From<Span> for Record {
    fn from(span: Span) -> Self {
        Record::Drop {
            feed: span.feed,
            from: span.from,
            to: span.to,
            parts: span.parts,
        }
    }
}

/// What a content is sealed for.
#[derive(Clone, Copy)]
pub(crate) struct ContentSeal<'a> {
    pub(crate) author: &'a PublicKey,
    pub(crate) space: &'a SpaceId,
    pub(crate) message: &'a MessageId,
    /// Zeros while it is a draft.
    pub(crate) entry: &'a EntryId,
}

impl<'a> ContentSeal<'a> {
    fn place(&self) -> [&'a [u8]; 5] {
        [
            b"skychat/v1/journal-content",
            self.author.as_bytes(),
            self.space.as_bytes(),
            self.message.as_bytes(),
            self.entry.as_bytes(),
        ]
    }

    /// Appends the sealed plaintext; `None`: too long.
    pub(crate) fn seal(
        &self,
        key: &StoreKey,
        rng: &mut impl CryptoRng,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        key.seal(rng, &self.place(), plaintext, out).ok()
    }

    pub(crate) fn open(&self, key: &StoreKey, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        key.open(&self.place(), sealed).ok()
    }
}

/// Appends a sealed row; `None`: too long.
pub(crate) fn seal_row(
    key: &StoreKey,
    rng: &mut impl CryptoRng,
    table: TableId,
    row: &[u8],
    value: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    let place: [&[u8]; 3] = [b"skychat/v1/journal-value", &[table.get()], row];
    key.seal(rng, &place, value, out).ok()
}

pub(crate) fn open_row(
    key: &StoreKey,
    table: TableId,
    row: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let place: [&[u8]; 3] = [b"skychat/v1/journal-value", &[table.get()], row];
    key.open(&place, sealed).ok()
}

/// Length of something sealed.
pub(crate) const fn sealed_len(plaintext: usize) -> usize {
    plaintext.saturating_add(STORE_OVERHEAD)
}

/// The head block of a range with all bodies marked as absent: enough for its headers.
pub(crate) fn without_bodies(head: &[u8]) -> Bytes {
    use skychat_proto::limits::{RANGE_PREFIX_LEN, ROW_LEN, SIGNATURE_LEN};
    /// Where a row says whether its body is present.
    const PRESENT_AT: usize = 11;

    let mut head = head.to_vec();
    let end = head.len().saturating_sub(SIGNATURE_LEN);
    let rows = head.get_mut(RANGE_PREFIX_LEN..end).unwrap_or_default();
    for row in rows.chunks_exact_mut(ROW_LEN) {
        if let Some(present) = row.get_mut(PRESENT_AT) {
            *present = 0;
        }
    }
    head.into()
}
