//! Looking at an index that was there: what is behind its mark is taken away, the rest counted.

use super::follow::{KeyValuesMut, item_sum};
use super::merge::{RunWriter, read, remove};
use super::runs::{self, ITEM_BYTES, Item, MESSAGES, RUNS, Run, groups_of};
use super::{BLOCK_BYTES, BLOCKS, DeepError, PAGES, RECORD_BYTES, key, record_bytes, record_of};

/// The runs of message ids up to a group. What is left of a merge that was cut short goes, and
/// what is behind that group.
pub(super) fn runs_up_to(index: &dyn KeyValuesMut, group: u64) -> Result<Vec<Run>, DeepError> {
    let found = runs::runs(index)?;
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for run in found.iter().copied() {
        let is_source = found.iter().any(|other| *other != run && other.covers(run));
        if is_source { &mut gone } else { &mut there }.push(run);
    }
    let side_by_side = there
        .iter()
        .zip(there.iter().skip(1))
        .all(|(one, next)| one.to <= next.from);
    if !side_by_side || there.iter().any(|run| run.from >= run.to) {
        return Err(DeepError("its runs do not fit together".to_owned()));
    }
    gone.into_iter().try_for_each(|run| remove(index, run))?;
    remove_unfinished(index, &there)?;
    let mut kept = Vec::new();
    for run in there {
        if run.to <= group {
            kept.push(run);
        } else {
            // None of these was merged: they are small.
            let items = read(index, run)?;
            remove(index, run)?;
            let mut writer = RunWriter::new(run.from, group);
            let mut some = false;
            for item in items {
                if item.record.group <= group {
                    writer.push(index, item)?;
                    some = true;
                }
            }
            if some {
                kept.push(writer.finish(index)?);
            }
        }
    }
    Ok(kept)
}

/// Takes away chunks of runs that are not there.
fn remove_unfinished(index: &dyn KeyValuesMut, runs: &[Run]) -> Result<(), DeepError> {
    let mut keys = Vec::new();
    index.scan(&[MESSAGES], &[MESSAGES + 1], false, &mut |key, _| {
        let groups = groups_of(key);
        if !runs.iter().any(|run| groups == Some((run.to, run.from))) {
            keys.push(key.to_vec());
        }
        true
    })?;
    keys.iter().try_for_each(|key| index.remove(key))
}

/// What was counted.
#[derive(Debug, Default)]
struct Count {
    items: u64,
    sum: u128,
    /// Of the run that was come by last: its groups and the last item.
    last: Option<((u64, u64), Item)>,
    /// Items of runs, as they are there and as the runs say.
    in_runs: (u64, u64),
    /// What is to be set in place of what is behind the mark.
    changes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Count {
    fn one(&mut self, key: &[u8], item: &[u8]) {
        self.items = self.items.wrapping_add(1);
        self.sum = self.sum.wrapping_add(item_sum(key, item));
    }

    /// Records under a key, in order.
    fn records(&mut self, key: &[u8], value: &[u8], size: usize, group: u64) -> Option<()> {
        let mut kept = 0_usize;
        for item in value.chunks(size) {
            let record_at = size.checked_sub(RECORD_BYTES)?;
            let record = record_of(item.get(record_at..)?)?;
            if item.len() != size {
                return None;
            }
            if record.group > group {
                break;
            }
            kept = kept.saturating_add(size);
            self.one(key, item);
        }
        if kept < value.len() {
            let value = value.get(..kept).unwrap_or_default();
            self.changes.push((key.to_vec(), value.to_vec()));
        }
        Some(())
    }

    /// A chunk of a run: in order, and under the key of its first item.
    fn chunk(&mut self, chunk_key: &[u8], value: &[u8]) -> Option<()> {
        let groups = groups_of(chunk_key)?;
        let first = Item::from_bytes(value.get(..ITEM_BYTES)?)?;
        let run = Run {
            from: groups.1,
            to: groups.0,
            items: 0,
        };
        if chunk_key != run.chunk_key(first) {
            return None;
        }
        for bytes in value.chunks(ITEM_BYTES) {
            let item = Item::from_bytes(bytes)?;
            let in_order = self
                .last
                .is_none_or(|(of, last)| of != groups || last < item);
            if !in_order || item.record.group > run.to || item.record.group <= run.from {
                return None;
            }
            self.last = Some((groups, item));
            self.in_runs.0 = self.in_runs.0.wrapping_add(1);
            self.one(&key(MESSAGES, &item.tag, &[]), &record_bytes(item.record));
        }
        Some(())
    }

    fn run(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let run = Run::decode(key, value)?;
        self.in_runs.1 = self.in_runs.1.wrapping_add(run.items);
        Some(())
    }
}

/// Counts the items up to a group, and takes those behind it away.
pub(super) fn count(index: &dyn KeyValuesMut, group: u64) -> Result<(u64, u128), DeepError> {
    let mut count = Count::default();
    let mut is_sound = true;
    index.scan(&[0], &[0xFF; 64], false, &mut |key, value| {
        let sound = match key.first() {
            Some(&BLOCKS) => count.records(key, value, BLOCK_BYTES, group),
            Some(&PAGES) => count.records(key, value, RECORD_BYTES, group),
            Some(&MESSAGES) => count.chunk(key, value),
            Some(&RUNS) => count.run(key, value),
            _ => None,
        };
        is_sound = sound.is_some();
        is_sound
    })?;
    if !is_sound || count.in_runs.0 != count.in_runs.1 {
        return Err(DeepError("there is something else in it".to_owned()));
    }
    for (key, value) in count.changes {
        if value.is_empty() {
            index.remove(&key)?;
        } else {
            index.put(&key, &value)?;
        }
    }
    Ok((count.items, count.sum))
}
