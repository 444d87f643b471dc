//! A look at all of the journal for what is dead, when more than the list holds was.

use std::collections::BTreeSet;
use std::sync::Arc;

use skychat_identity::KeyCache;
use skychat_proto::ids::{FeedId, Seq};

use super::wipe::{wipe_body, wipe_entries};
use super::{Failed, is_swept, told};
use crate::index::{Index, RecordId, is_dropped};
use crate::layout::RecordKind;
use crate::reader;
use crate::record::row_meta;
use crate::shared::Shared;
use crate::walk::{Passed, Walk};

/// Bytes of journal in one step.
const STEP: u64 = 1024 * 1024;

/// How far it came.
#[derive(Debug)]
pub(crate) struct Look {
    next: RecordId,
    /// The last group that is looked at.
    last: u64,
}

impl Look {
    pub(super) fn new(index: &Index, group: u64) -> Self {
        Look {
            next: RecordId { group: 1, index: 0 },
            last: group.min(index.groups),
        }
    }

    /// Looks at some groups; whether there are more.
    pub(super) fn go_on(
        &mut self,
        shared: &Arc<Shared>,
        dirty: &mut BTreeSet<u32>,
    ) -> Result<bool, Failed> {
        let Some(mut walk) = Walk::before(shared, self.next)? else {
            return Ok(false);
        };
        let mut keys = KeyCache::new();
        let mut ranges: Vec<(u16, FeedId, Seq)> = Vec::new();
        let (mut group, mut seen) = (0, 0_u64);
        while let Some(passed) = walk.next()? {
            let record = passed.place.record;
            if record < self.next {
                continue;
            }
            if record.group > self.last {
                return Ok(false);
            }
            if record.group != group {
                if seen >= STEP {
                    self.next = record;
                    return Ok(true);
                }
                group = record.group;
                ranges.clear();
            }
            seen = seen.saturating_add(passed.place.body.into());
            seen = seen.saturating_add(passed.place.meta.into());
            if self.record(shared, &passed, &mut ranges, &mut keys)? {
                dirty.insert(passed.place.segment);
            }
        }
        Ok(false)
    }

    fn record(
        &self,
        shared: &Arc<Shared>,
        passed: &Passed,
        ranges: &mut Vec<(u16, FeedId, Seq)>,
        keys: &mut KeyCache,
    ) -> Result<bool, Failed> {
        let place = &passed.place;
        let disk = &*shared.disk;
        match passed.kind {
            RecordKind::Entry => {
                let range = reader::heads(passed, keys)?;
                let feed = range.feed();
                ranges.push((place.record.index, feed, range.first()));
                let dropped = {
                    let index = shared.read();
                    let held = index.feeds.get(&feed);
                    held.map(|held| held.bodies.clone()).unwrap_or_default()
                };
                if dropped.is_empty() {
                    return Ok(false);
                }
                let is_dropped = |seq| is_dropped(&dropped, seq);
                Ok(wipe_entries(disk, place, &passed.meta, keys, is_dropped)?)
            }
            RecordKind::Content => {
                let of = told(&passed.meta, place.record, ranges, keys);
                let dead = of.is_some_and(|(feed, seq)| shared.read().is_untold(&feed, seq));
                Ok(dead && wipe_body(disk, place)?)
            }
            RecordKind::Put => {
                let dead = row_meta(&passed.meta).is_some_and(|(table, key)| {
                    is_swept(table) && shared.read().live_row(table, key) != Some(place.record)
                });
                Ok(dead && wipe_body(disk, place)?)
            }
            _ => Ok(false),
        }
    }
}
