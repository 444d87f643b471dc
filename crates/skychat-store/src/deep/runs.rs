//! Message ids in the index: sorted runs that are written once, each a file. Ids are random, so a
//! tree with a key for each would be written all over for every message.

use super::{DeepError, DeepIndex, Tag};
use crate::index::RecordId;

/// Items that are read at once, under one checksum.
pub(crate) const CHUNK: usize = 64;
/// Chunks that are guessed before the search halves what is left.
const GUESSES: u32 = 4;

/// What leads from a message id to a record. Ordered as in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) tag: Tag,
    pub(crate) record: RecordId,
}

/// The ids in some groups, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The group before the first one.
    pub(crate) from: u64,
    /// The last group.
    pub(crate) to: u64,
    pub(crate) items: u64,
}

impl Run {
    /// How many chunks it has.
    pub(crate) const fn chunks(self) -> u64 {
        self.items.div_ceil(CHUNK as u64)
    }

    /// Whether all groups of another one are in this one.
    #[cfg(feature = "sled")]
    pub(crate) const fn covers(self, other: Run) -> bool {
        self.from <= other.from && other.to <= self.to
    }

    fn find(self, index: &dyn DeepIndex, tag: &Tag) -> Result<Found, DeepError> {
        let key = number(tag);
        let (mut low, mut high) = ((0, 0), (self.chunks(), u64::MAX));
        let mut guesses = 0;
        while low.0 < high.0 {
            let at = if guesses < GUESSES {
                guess(key, low, high)
            } else {
                low.0.midpoint(high.0)
            };
            guesses = guesses.saturating_add(1);
            let Some(items) = index.chunk(self, at)? else {
                return Ok(Found::Gone);
            };
            let (Some(first), Some(last)) = (items.first(), items.last()) else {
                return Err(DeepError("a run with an empty chunk".to_owned()));
            };
            if *tag < first.tag {
                high = (at, number(&first.tag));
            } else if *tag > last.tag {
                low = (at.saturating_add(1), number(&last.tag));
            } else {
                let found = items.binary_search_by(|item| item.tag.cmp(tag));
                let item = found.ok().and_then(|at| items.get(at));
                return Ok(item.map_or(Found::Not, |item| Found::At(item.record)));
            }
        }
        Ok(Found::Not)
    }
}

enum Found {
    At(RecordId),
    Not,
    /// The run is not there any more.
    Gone,
}

fn number(tag: &Tag) -> u64 {
    tag.first_chunk()
        .map_or(0, |half| u64::from_be_bytes(*half))
}

/// Which chunk to look at, from `low` on and before `high`: tags are spread evenly.
fn guess(key: u64, low: (u64, u64), high: (u64, u64)) -> u64 {
    let ((first, from), (end, to)) = (low, high);
    let chunks = u128::from(end.saturating_sub(first));
    let span = u128::from(to.saturating_sub(from)).saturating_add(1);
    let part = u128::from(key.saturating_sub(from));
    let ahead = chunks.saturating_mul(part).checked_div(span).unwrap_or(0);
    let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
    first.saturating_add(ahead).min(end.saturating_sub(1))
}

/// The record of the content that was taken under an id: one of them, if there are several.
pub(crate) fn find(index: &dyn DeepIndex, tag: &Tag) -> Result<Option<RecordId>, DeepError> {
    loop {
        let mut gone = false;
        for run in index.runs().into_iter().rev() {
            match run.find(index, tag)? {
                Found::At(record) => return Ok(Some(record)),
                Found::Not => {}
                Found::Gone => gone = true,
            }
        }
        // It was merged into another one, and taken away, while it was looked at.
        if !gone {
            return Ok(None);
        }
    }
}
