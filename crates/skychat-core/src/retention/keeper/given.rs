//! What was given away and is not overwritten yet.

use std::collections::VecDeque;

use skychat_store::Usage;

/// Bytes that the store will count as overwritten, and does not yet. A sweep takes what was dead when it began, so
/// bytes go from here when one ended that began later.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Since the last tick.
    fresh: u64,
    /// Before it: behind how many sweeps that had begun, and the bytes; at most [`MOST`].
    older: VecDeque<(u64, u64)>,
}

/// If sweeps fail again and again, so many are told apart; more of them go together.
const MOST: usize = 4;

impl Given {
    pub(super) fn add(&mut self, bytes: u64) {
        self.fresh = self.fresh.saturating_add(bytes);
    }

    /// All of them together.
    pub(super) fn bytes(&self) -> u64 {
        let older = self.older.iter().map(|(_, bytes)| *bytes);
        older.fold(self.fresh, u64::saturating_add)
    }

    /// At a tick: everything that was added is written. Forgets what was overwritten.
    pub(super) fn forget(&mut self, usage: Usage) {
        let fresh = std::mem::take(&mut self.fresh);
        if usage.is_swept {
            self.older.clear();
            return;
        }
        let sweeps = usage.sweeps;
        self.older.retain(|(begun, _)| *begun >= sweeps.ended);
        let is_full = self.older.len() >= MOST;
        match self.older.back_mut() {
            _ if fresh == 0 => {}
            Some((begun, bytes)) if is_full || *begun == sweeps.begun => {
                (*begun, *bytes) = (sweeps.begun, bytes.saturating_add(fresh));
            }
            _ => self.older.push_back((sweeps.begun, fresh)),
        }
    }
}

#[cfg(test)]
mod tests {
    use skychat_store::Sweeps;

    use super::*;

    fn usage(begun: u64, ended: u64) -> Usage {
        Usage {
            sweeps: Sweeps { begun, ended },
            ..Usage::default()
        }
    }

    #[test]
    fn what_was_given_away_goes_with_the_sweep_that_began_behind_it() {
        let mut given = Given::default();
        given.add(100);
        // The first sweep is under way, and may have begun before.
        given.forget(usage(1, 0));
        given.add(10);
        assert_eq!(given.bytes(), 110);
        given.forget(usage(1, 1));
        assert_eq!(given.bytes(), 110);
        given.forget(usage(2, 1));
        given.add(1);
        given.forget(usage(2, 2));
        assert_eq!(given.bytes(), 1);
        given.forget(usage(3, 3));
        assert_eq!(given.bytes(), 0);
    }

    #[test]
    fn where_nothing_is_left_to_overwrite_nothing_waits_for_it() {
        let mut given = Given::default();
        given.add(100);
        given.forget(usage(0, 0));
        assert_eq!(given.bytes(), 100);
        given.forget(Usage {
            is_swept: true,
            ..usage(0, 0)
        });
        assert_eq!(given.bytes(), 0);
    }

    #[test]
    fn sweeps_that_fail_leave_it() {
        let mut given = Given::default();
        for begun in 0..100 {
            given.add(1);
            given.forget(usage(begun, 0));
        }
        assert_eq!((given.bytes(), given.older.len()), (100, MOST));
        given.forget(usage(100, 100));
        assert_eq!(given.bytes(), 0);
    }
}
