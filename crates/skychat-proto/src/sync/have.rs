//! Have-lists: what the sender holds of a space.

use sha2::{Digest, Sha256};
use skychat_identity::{PublicKey, Signature};

use crate::entry::Header;
use crate::ids::{EntryId, FeedId, Incarnation, Position, SpaceId, Stream};

/// A hash over the rows of the sender's have-list of one space (SYNC-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HaveHash {
    /// Which space.
    pub space: SpaceId,
    /// See [`Have::hash`].
    pub hash: [u8; 32],
    /// How many rows there are.
    pub rows: u32,
}

/// A page of a have-list, or the announcement of new tips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Have {
    /// Which space.
    pub space: SpaceId,
    /// At most [`MAX_HAVE_ROWS`](crate::limits::MAX_HAVE_ROWS).
    pub rows: Vec<HaveRow>,
    /// Whether further pages follow.
    pub more: bool,
}

impl Have {
    /// The hash of a whole have-list: SHA-256 over author, stream, incarnation, head and hash of
    /// each row (81 bytes), in the order of the feeds. Proofs do not count. The
    /// order of `rows` does not matter.
    pub fn hash(rows: &[HaveRow]) -> [u8; 32] {
        let mut sorted: Vec<&HaveRow> = rows.iter().collect();
        sorted.sort_unstable_by_key(|row| (row.author, row.stream, row.incarnation));
        let mut hash = Sha256::new();
        for row in sorted {
            hash.update(row.author.as_bytes());
            hash.update([row.stream.get()]);
            hash.update(row.incarnation.as_bytes());
            hash.update(row.head.get().to_be_bytes());
            hash.update(row.hash.as_bytes());
        }
        hash.finalize().into()
    }
}

/// How far the sender holds one feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaveRow {
    /// Whose feed.
    pub author: PublicKey,
    /// Which of the author's feeds in the space.
    pub stream: Stream,
    /// Which life.
    pub incarnation: Incarnation,
    /// How many entries the sender holds.
    pub head: Position,
    /// The id of entry `head - 1`; zeros exactly if `head` is 0.
    pub hash: EntryId,
    /// Header and signature of that entry; in rows about feeds of the receiver's own key. Checked
    /// to be the header of that feed, position and hash; the signature is not checked.
    pub proof: Option<Box<(Header, Signature)>>,
}

impl HaveRow {
    /// A row without proof.
    pub const fn new(feed: &FeedId, head: Position, hash: EntryId) -> Self {
        HaveRow {
            author: feed.author,
            stream: feed.stream,
            incarnation: feed.incarnation,
            head,
            hash,
            proof: None,
        }
    }

    /// The same with a proof.
    #[must_use]
    pub fn with_proof(mut self, header: Header, signature: Signature) -> Self {
        self.proof = Some(Box::new((header, signature)));
        self
    }

    /// The feed, given the space of the list.
    pub const fn feed(&self, space: SpaceId) -> FeedId {
        FeedId {
            author: self.author,
            space,
            stream: self.stream,
            incarnation: self.incarnation,
        }
    }
}
