//! Opening rows.

use std::collections::BTreeMap;

use skychat_proto::ids::{EventSeq, Incarnation};
use skychat_seal::StoreKey;

use super::damaged;
use crate::checkpoint::{FileHash, State};
use crate::error::{Damage, OpenError};
use crate::index::{Index, RecordId, Row, Tables};
use crate::record::{CHECKPOINTS, LIVES, checkpoint_row, is_own, is_secret, open_row};
use crate::replay::{Rows, Sources};
use crate::sweep::is_swept;

/// Rows, opened.
#[derive(Default)]
struct Live {
    rows: Tables,
    lives: Vec<(RecordId, EventSeq, Incarnation)>,
    checkpoints: BTreeMap<u32, FileHash>,
    /// Those that do not open.
    unopened: Vec<RecordId>,
}

impl Live {
    /// Opens rows; with `all`, each of them has to.
    fn take(&mut self, key: &StoreKey, rows: Rows, all: bool) -> Result<(), OpenError> {
        for ((table, row), (place, sealed)) in rows {
            let bad = || damaged(place.segment, place.offset, Damage::Row);
            let Some(value) = open_row(key, table, &row, &sealed) else {
                if all {
                    return Err(bad());
                }
                // Not all of it may be overwritten.
                if is_swept(table) {
                    self.unopened.push(place.record);
                }
                continue;
            };
            if table == LIVES {
                let life = Incarnation::from_slice(&row).ok_or_else(bad)?;
                let first = value.first_chunk().ok_or_else(bad)?;
                let first = EventSeq::new(u64::from_be_bytes(*first));
                self.lives.push((place.record, first, life));
            } else if table == CHECKPOINTS {
                let (segment, hash) = checkpoint_row(&row, &value).ok_or_else(bad)?;
                self.checkpoints.insert(segment, hash);
            } else if !is_own(table) {
                let record = place.record;
                let rows = self.rows.entry(table).or_default();
                rows.insert(row, Row { value, record });
            }
        }
        // In the order in which they began.
        self.lives.sort_by_key(|(record, ..)| *record);
        Ok(())
    }

    fn lives(&self, before: &mut Vec<(EventSeq, Incarnation)>) {
        before.retain(|(_, life)| !self.lives.iter().any(|(.., again)| again == life));
        before.extend(self.lives.iter().map(|(_, first, life)| (*first, *life)));
    }
}

/// Opens all live rows, and enters them.
pub(super) fn enter(key: &StoreKey, sources: Sources, index: &mut Index) -> Result<(), OpenError> {
    let mut live = Live {
        rows: sources.kept,
        ..Live::default()
    };
    live.take(key, sources.read, true)?;
    live.lives(&mut index.lives);
    index.checkpoints.extend(live.checkpoints);
    index.rows = live.rows;
    Ok(())
}

/// The state at the header of a segment that was come by, for a checkpoint. Rows that do not open
/// were overwritten because later ones took their place: nobody misses them.
pub(super) fn complete(key: &StoreKey, mut state: State, read: Rows) -> Result<State, OpenError> {
    let mut live = Live {
        rows: state.rows,
        ..Live::default()
    };
    live.take(key, read, false)?;
    live.lives(&mut state.lives);
    state.checkpoints.extend(live.checkpoints);
    let groups = state.mark.counts.groups;
    for row in live.unopened {
        state.unswept.add_row(row, groups);
    }
    state.unswept.add_secret(&live.rows, groups);
    live.rows.retain(|table, _| !is_secret(*table));
    state.rows = live.rows;
    Ok(state)
}
