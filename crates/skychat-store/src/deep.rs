//! The index on disk: ids and numbers of what is older than the tail, coarsely. Nothing that was
//! said is in it, and nothing in it is needed: it is made from the journal, and made again when it
//! is not what it should be.
//!
//! | key | value |
//! |---|---|
//! | `b` ‖ tag of a feed ‖ position u64 | ranges from there on: up to 64 times end u64 ‖ record |
//! | `t` ‖ tag of a space ‖ record | its messages from there on: up to 64 records |
//!
//! A tag is the first 16 bytes of a SHA-256; what it leads to is compared with the journal. A
//! record is group u64 ‖ number in it u16, so that segments may be rewritten. Message ids stand in
//! runs, which are files of their own.

#[cfg(feature = "sled")]
mod chunk;
#[cfg(feature = "sled")]
mod follow;
#[cfg(feature = "sled")]
mod mark;
#[cfg(feature = "sled")]
mod merge;
#[cfg(feature = "sled")]
mod resume;
mod runs;

use sha2::{Digest, Sha256};
use skychat_identity::PublicKey;
use skychat_proto::ids::{FeedId, MessageId, Position, SpaceId};

#[cfg(feature = "sled")]
pub(crate) use follow::{DeepIndexMut, FollowError, Follower};
#[cfg(feature = "sled")]
pub(crate) use mark::IndexMark;
pub(crate) use runs::{Item, Run};
#[cfg(feature = "sled")]
pub(crate) use {chunk::CHUNK_BYTES, runs::CHUNK};

use crate::index::RecordId;

/// Why the index on disk was of no use. Whatever it is, it is made again.
#[derive(Debug, thiserror::Error)]
#[error("the index on disk: {0}")]
pub(crate) struct DeepError(pub(crate) String);

/// Whether to go on.
pub(crate) type GoOn = bool;

/// Sorted keys and values on disk, and runs of message ids.
pub(crate) trait DeepIndex: Send + Sync + std::fmt::Debug {
    /// Keys from `from` to `to`, both included, in order or the other way round, for as long as
    /// `each` says so.
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        backwards: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> GoOn,
    ) -> Result<(), DeepError>;

    /// The runs that are whole, in the order of their groups.
    fn runs(&self) -> Vec<Run>;

    /// The items of a chunk of a run, in order and not none; `None`: there is no such run any more.
    fn chunk(&self, run: Run, at: u64) -> Result<Option<Vec<Item>>, DeepError>;
}

pub(crate) const RECORD_BYTES: usize = 10;
pub(crate) const BLOCK_BYTES: usize = 18;
pub(crate) const TAG: usize = 16;

/// Of the hashes that are summed up; ids are in no tree.
#[cfg(feature = "sled")]
pub(crate) const MESSAGES: u8 = b'm';
pub(crate) const BLOCKS: u8 = b'b';
pub(crate) const PAGES: u8 = b't';

pub(crate) type Tag = [u8; TAG];

fn tag(parts: &[&[u8]]) -> Tag {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let hash = hash.finalize();
    let mut tag = [0; TAG];
    for (to, from) in tag.iter_mut().zip(hash) {
        *to = from;
    }
    tag
}

pub(crate) fn feed_tag(feed: &FeedId) -> Tag {
    tag(&[&feed.to_bytes()])
}

pub(crate) fn space_tag(space: &SpaceId) -> Tag {
    tag(&[space.as_bytes()])
}

pub(crate) fn message_tag(author: &PublicKey, space: &SpaceId, message: &MessageId) -> Tag {
    tag(&[author.as_bytes(), space.as_bytes(), message.as_bytes()])
}

pub(crate) fn key(kind: u8, tag: &Tag, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + TAG + rest.len());
    key.push(kind);
    key.extend_from_slice(tag);
    key.extend_from_slice(rest);
    key
}

pub(crate) fn record_bytes(record: RecordId) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    let parts = record.group.to_be_bytes().into_iter();
    for (to, from) in bytes
        .iter_mut()
        .zip(parts.chain(record.index.to_be_bytes()))
    {
        *to = from;
    }
    bytes
}

pub(crate) fn record_of(bytes: &[u8]) -> Option<RecordId> {
    let (group, index) = bytes.split_first_chunk::<8>()?;
    Some(RecordId {
        group: u64::from_be_bytes(*group),
        index: u16::from_be_bytes(*index.first_chunk()?),
    })
}

/// A range in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OldBlock {
    pub(crate) end: Position,
    pub(crate) record: RecordId,
}

fn block_of(bytes: &[u8]) -> Option<OldBlock> {
    let (end, record) = bytes.split_first_chunk::<8>()?;
    Some(OldBlock {
        end: Position::new(u64::from_be_bytes(*end)),
        record: record_of(record)?,
    })
}

/// Ranges of a feed that entries from `from` to `to` are in.
pub(crate) fn blocks(
    index: &dyn DeepIndex,
    feed: &FeedId,
    from: Position,
    to: Position,
) -> Result<Vec<OldBlock>, DeepError> {
    let tag = feed_tag(feed);
    let at = key(BLOCKS, &tag, &from.get().to_be_bytes());
    // The chunk that begins at `from` or before.
    let mut first = at.clone();
    index.scan(&key(BLOCKS, &tag, &[0; 8]), &at, true, &mut |key, _| {
        first = key.to_vec();
        false
    })?;
    let mut found = Vec::new();
    let end = key(BLOCKS, &tag, &[0xFF; 8]);
    index.scan(&first, &end, false, &mut |_, value| {
        let blocks = value.chunks_exact(BLOCK_BYTES).filter_map(block_of);
        found.extend(blocks.filter(|block| block.end > from));
        found.last().is_none_or(|last: &OldBlock| last.end < to)
    })?;
    let whole = found.partition_point(|block| block.end < to);
    found.truncate(whole.saturating_add(1));
    Ok(found)
}

/// The newest messages of a space before a record, at most `most`, the newest first.
pub(crate) fn page(
    index: &dyn DeepIndex,
    space: &SpaceId,
    before: Option<RecordId>,
    most: usize,
) -> Result<Vec<RecordId>, DeepError> {
    let tag = space_tag(space);
    let end = match before {
        Some(before) => key(PAGES, &tag, &record_bytes(before)),
        None => key(PAGES, &tag, &[0xFF; RECORD_BYTES]),
    };
    let mut found = Vec::new();
    let start = key(PAGES, &tag, &[0; RECORD_BYTES]);
    index.scan(&start, &end, true, &mut |_, value| {
        let records = value.chunks_exact(RECORD_BYTES).rev().filter_map(record_of);
        found.extend(records.filter(|record| before.is_none_or(|before| *record < before)));
        found.len() < most
    })?;
    found.truncate(most);
    Ok(found)
}

/// The record of the content that was taken under an id.
pub(crate) fn message(
    index: &dyn DeepIndex,
    author: &PublicKey,
    space: &SpaceId,
    message: &MessageId,
) -> Result<Option<RecordId>, DeepError> {
    runs::find(index, &message_tag(author, space, message))
}
