//! What a link task does with the bytes of a range: solicited? joins the tip? hashes, chain, one signature.

use std::collections::BTreeMap;

use bytes::Bytes;
use skychat_identity::KeyCache;
use skychat_proto::ids::{EntryId, FeedId, Position};
use skychat_proto::range::RawRange;

use crate::{VerifiedRange, Violation};

/// How many feeds may be asked for on one link.
pub const MAX_EXPECTED: usize = 8192;

/// What a link's verifier found.
#[derive(Clone, Debug)]
pub enum Checked {
    /// Asked for, joins what came before it on this link, and holds.
    Range(VerifiedRange),
    /// Does not join; nothing of it was verified (RANGE-4).
    Misfit {
        /// Which feed.
        feed: FeedId,
        /// Where it begins.
        start: Position,
        /// Where it ends.
        end: Position,
        /// The id it names as the one before its first.
        prev: EntryId,
    },
}

/// Looks at ranges in a link's own task, in parallel with everything else. One per link.
///
/// The engine says by [`expect`](Self::expect) what it asks for; a range of a feed that was never asked for on this
/// link is a violation before anything of it is hashed, and one that does not join is put aside before its signature
/// is checked.
///
/// Spec: `docs/protocol/feed.md`, SYNC-2, RANGE-3, RANGE-4.
#[derive(Debug, Default)]
pub struct Verifier {
    expected: BTreeMap<FeedId, (Position, EntryId)>,
    keys: KeyCache,
}

impl Verifier {
    /// Nothing was asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on ranges of `feed` are solicited; the next one joins at `position`, after the entry `tip`.
    pub fn expect(&mut self, feed: FeedId, position: Position, tip: EntryId) {
        if self.expected.len() < MAX_EXPECTED || self.expected.contains_key(&feed) {
            self.expected.insert(feed, (position, tip));
        }
    }

    /// Looks at one message of the range service.
    ///
    /// # Errors
    /// [`Violation`]: RANGE-1 (no range), SYNC-2 (not asked for), and those of [`VerifiedRange::verify`].
    pub fn check(&mut self, bytes: Bytes) -> Result<Checked, Violation> {
        let raw = RawRange::decode(bytes, &mut self.keys)
            .map_err(|error| Violation::new("RANGE-1", error.to_string()))?;
        let feed = raw.feed();
        let (position, tip) = self
            .expected
            .get_mut(&feed)
            .ok_or_else(|| Violation::new("SYNC-2", "a range that nobody asked for"))?;
        if raw.start() != *position || raw.first_prev() != *tip {
            return Ok(Checked::Misfit {
                feed,
                start: raw.start(),
                end: raw.end(),
                prev: raw.first_prev(),
            });
        }
        let range = VerifiedRange::verify(raw)?;
        *position = range.end();
        *tip = range.tip();
        Ok(Checked::Range(range))
    }
}
