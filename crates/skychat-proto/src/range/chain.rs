//! From rows to headers and their ids.

use std::iter::FusedIterator;

use sha2::{Digest, Sha256};

use super::raw::RawRange;
use super::row::{PRESENT_AT, Row};
use crate::entry::Header;
use crate::ids::{EntryId, FeedId, Seq};
use crate::limits::{HEADER_LEN, ROW_LEN};

/// Length of what all headers of a feed begin with: tag, version, feed.
const SEQ_AT: usize = 95;
const PREV_AT: usize = SEQ_AT + 8;
const ROW_AT: usize = PREV_AT + 32;
/// Behind time, kind, suite and flags.
const CONTEXT_AT: usize = ROW_AT + PRESENT_AT;
/// The first block of SHA-256, the same for all headers of a feed.
const BLOCK: usize = 64;

/// Computes the ids of consecutive entries: the header is put together in one buffer, in which
/// only what differs is written, and the hash starts behind the block that never changes.
#[derive(Clone)]
pub(crate) struct Chain {
    header: [u8; HEADER_LEN],
    after_first_block: Sha256,
    next: u64,
}

impl Chain {
    pub(crate) fn new(feed: FeedId, first: Seq, prev: EntryId) -> Self {
        let blank = Row::decode(&[0; ROW_LEN]).ok();
        let mut header = blank.map_or([0; HEADER_LEN], |row| {
            row.header(feed, first, prev).encode()
        });
        header[PREV_AT..ROW_AT].copy_from_slice(prev.as_bytes());
        let after_first_block = Sha256::new_with_prefix(&header[..BLOCK]);
        Chain {
            header,
            after_first_block,
            next: first.get(),
        }
    }

    /// The id of the next entry, given its encoded row.
    pub(crate) fn step(&mut self, row: &[u8; ROW_LEN]) -> EntryId {
        self.header[SEQ_AT..PREV_AT].copy_from_slice(&self.next.to_be_bytes());
        self.header[ROW_AT..CONTEXT_AT].copy_from_slice(&row[..PRESENT_AT]);
        self.header[CONTEXT_AT..].copy_from_slice(&row[PRESENT_AT + 1..]);
        let mut hash = self.after_first_block.clone();
        hash.update(&self.header[BLOCK..]);
        let id: [u8; 32] = hash.finalize().into();
        self.header[PREV_AT..ROW_AT].copy_from_slice(&id);
        self.next = self.next.saturating_add(1);
        EntryId::from_bytes(id)
    }
}

/// The headers of a range with their ids, in order. Each step costs one SHA-256, unless they are
/// [at hand](RawRange::hashed).
#[derive(Clone)]
pub struct Headers<'a> {
    range: &'a RawRange,
    /// `None`: they are at hand.
    chain: Option<Chain>,
    prev: EntryId,
    at: usize,
}

impl<'a> Headers<'a> {
    pub(super) fn new(range: &'a RawRange) -> Self {
        let prev = range.first_prev();
        Headers {
            range,
            chain: match range.hashed_headers() {
                Some(_) => None,
                None => Some(Chain::new(range.feed(), range.first(), prev)),
            },
            prev,
            at: 0,
        }
    }
}

impl Iterator for Headers<'_> {
    type Item = (Header, EntryId);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        self.at = at.saturating_add(1);
        let Some(chain) = &mut self.chain else {
            return self.range.hashed_headers()?.get(at).copied();
        };
        let bytes = self.range.row_bytes(at)?;
        let header = self.range.header(at, self.prev)?;
        self.prev = chain.step(bytes);
        Some((header, self.prev))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.range.len().saturating_sub(self.at);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Headers<'_> {}
impl FusedIterator for Headers<'_> {}
