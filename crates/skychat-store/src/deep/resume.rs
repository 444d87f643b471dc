//! Looking at an index that was there: what is behind its mark is taken away, the rest counted.

use super::follow::{DeepIndexMut, item_sum};
use super::merge::{RunReader, RunWriter, read};
use super::runs::Run;
use super::{
    BLOCK_BYTES, BLOCKS, DeepError, MESSAGES, PAGES, RECORD_BYTES, key, record_bytes, record_of,
};

/// The runs of message ids up to a group. What is left of a merge that was cut short goes, and
/// what is behind that group.
pub(super) fn runs_up_to(index: &dyn DeepIndexMut, group: u64) -> Result<Vec<Run>, DeepError> {
    let found = index.runs();
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
    for run in gone {
        index.remove_run(run)?;
    }
    let mut kept = Vec::new();
    for run in there {
        if run.to <= group {
            kept.push(run);
            continue;
        }
        // None of these was merged: they are small.
        let items = read(index, run)?;
        let mut writer = RunWriter::new(run.from, group);
        for item in items {
            if item.record.group <= group {
                writer.push(index, item)?;
            }
        }
        kept.extend(writer.finish(index)?);
        index.remove_run(run)?;
    }
    Ok(kept)
}

/// What was counted.
#[derive(Debug, Default)]
struct Count {
    items: u64,
    sum: u128,
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

    /// A run, in order and of its own groups.
    fn run(&mut self, index: &dyn DeepIndexMut, run: Run) -> Result<(), DeepError> {
        let mut reader = RunReader::new(run);
        let (mut last, mut items) = (None, 0_u64);
        while let Some(item) = reader.next(index)? {
            let of_it = run.from < item.record.group && item.record.group <= run.to;
            if !of_it || last.is_some_and(|last| last >= item) {
                return Err(DeepError("a run is not in order".to_owned()));
            }
            last = Some(item);
            items = items.saturating_add(1);
            self.one(&key(MESSAGES, &item.tag, &[]), &record_bytes(item.record));
        }
        if items != run.items {
            return Err(DeepError("a run is not whole".to_owned()));
        }
        Ok(())
    }
}

/// Counts the items up to a group, and takes those behind it away.
pub(super) fn count(index: &dyn DeepIndexMut, group: u64) -> Result<(u64, u128), DeepError> {
    let mut count = Count::default();
    let mut is_sound = true;
    index.scan(&[0], &[0xFF; 64], false, &mut |key, value| {
        let sound = match key.first() {
            Some(&BLOCKS) => count.records(key, value, BLOCK_BYTES, group),
            Some(&PAGES) => count.records(key, value, RECORD_BYTES, group),
            _ => None,
        };
        is_sound = sound.is_some();
        is_sound
    })?;
    if !is_sound {
        return Err(DeepError("there is something else in it".to_owned()));
    }
    for run in index.runs() {
        count.run(index, run)?;
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
