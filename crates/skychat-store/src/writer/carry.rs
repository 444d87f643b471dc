//! What goes into the journal beside the batches: secret rows at the head of a new segment, and
//! the names of checkpoints (JRN-8).

use std::io;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{At, Current, StoreWriter};
use crate::checkpoint::State;
use crate::index::Index;
use crate::layout::SEGMENT_LEN;
use crate::record::is_secret;
use crate::stage::Stage;

/// Secret rows that are put again in one group.
const ROWS: usize = 4096;
/// Their bytes, unless one has more.
const BYTES: usize = 1024 * 1024;
/// Names that one group takes away: there is one more than needed, unless somebody put others.
const NAMES: usize = 8;

/// Checkpoints that are not needed any more beside the one of this segment.
pub(super) fn stale(index: &Index, segment: u32) -> Vec<u32> {
    let others = index.checkpoints.keys().rev();
    let others = others.filter(|of| **of != segment);
    // Two are kept.
    others.skip(1).take(NAMES).copied().collect()
}

fn needed(stage: &Stage, before: &[Stage]) -> u64 {
    let all = before.iter().chain([stage]).map(Stage::len);
    all.fold(SEGMENT_LEN, usize::saturating_add) as u64
}

impl StoreWriter {
    /// Writes a group: in this segment or in the next, behind the secret rows that have to be put
    /// again there.
    pub(super) fn put_down(&mut self, stage: &mut Stage) -> io::Result<At> {
        let mut carried = Vec::new();
        if self.carry {
            carried = self.secret_rows()?;
        }
        if let Current::Open(at) = self.current
            && at.offset.saturating_add(needed(stage, &carried)) > at.capacity
        {
            self.close(at)?;
        }
        if let Current::Next { segment, .. } = self.current {
            if self.shared.checkpoints.are_wanted() && !self.carry {
                carried = self.secret_rows()?;
            }
            let at = self.create(segment, needed(stage, &carried))?;
            self.current = Current::Open(at);
            self.carry = !carried.is_empty();
            self.write_head();
            self.sync_head()?;
        }
        let is_later = !carried.is_empty();
        for mut group in carried {
            let at = self.write(&mut group)?;
            self.enter(group, at);
        }
        self.carry = false;
        if is_later {
            stage.rebase(self.counts);
        }
        self.write(stage)
    }

    /// Groups that put all secret rows again.
    fn secret_rows(&mut self) -> io::Result<Vec<Stage>> {
        let index = self.shared.read();
        let mut groups = Vec::new();
        let mut group = Stage::new(self.counts, 0, 0, Vec::new());
        let tables = index.rows.iter().filter(|(table, _)| is_secret(**table));
        for (table, rows) in tables {
            for (key, row) in rows {
                if group.records() >= ROWS || group.len() >= BYTES {
                    let next = Stage::new(group.counts(), 0, 0, Vec::new());
                    groups.push(std::mem::replace(&mut group, next));
                }
                let (key, value) = (key.clone(), row.value.clone());
                group
                    .put(&self.shared.key, &mut self.rng, *table, key, value, 0)
                    .map_err(|_| io::ErrorKind::InvalidData)?;
            }
        }
        if !group.is_empty() {
            groups.push(group);
        }
        Ok(groups)
    }

    /// Has a checkpoint made.
    pub(crate) fn order(&mut self, state: State) {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let rng = ChaCha20Rng::from_seed(seed);
        self.shared.checkpoints.order(state, rng);
    }

    /// Whether a checkpoint waits for its name to be journalled.
    pub fn has_checkpoint(&self) -> bool {
        self.shared.checkpoints.written().is_some()
    }

    /// If the name of a checkpoint is on disk now, those before it are let go of.
    pub(super) fn named(&mut self) {
        let Some(name) = self.shared.checkpoints.written() else {
            return;
        };
        let (segment, hash) = name;
        // It may have been written after the group was put together.
        let is_named = self.shared.read().checkpoints.get(&segment) == Some(&hash);
        if is_named {
            let stale = std::mem::take(&mut self.stale);
            self.shared.checkpoints.named(name, stale);
        }
    }
}
