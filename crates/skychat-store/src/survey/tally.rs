//! How much there was, and how much of it is missing.

use super::Survey;
use crate::error::{Damage, Warning};
use crate::layout::{RewrittenMark, SegmentMark, store_prefix};
use crate::loss::Loss;

impl Survey<'_> {
    /// A header or footer, which says how much there was up to it.
    pub(super) fn mark(&mut self, mark: &SegmentMark, segment: u32, offset: u64) {
        let groups = mark.counts.groups.saturating_sub(self.counts.groups);
        if groups > 0 && mark.generation == 0 {
            self.lose_groups(segment, offset, groups);
        }
        let counted = self.counted();
        let records = mark.counts.records.saturating_sub(counted);
        if records > 0 && mark.generation == 0 {
            self.losses.count_records(records);
            self.missing = self.missing.saturating_add(records);
        }
        let other = self.losses.is_empty()
            && (counted, self.counts.chain) != (mark.counts.records, mark.counts.chain);
        if other || mark.counts.groups < self.counts.groups {
            self.lose(segment, offset, Damage::Header, Some(0), Some(0));
        }
        self.losses.close();
        self.counts = mark.counts;
        self.unbroken = true;
    }

    /// Records of the history so far.
    fn counted(&self) -> u64 {
        let counted = self.records.saturating_add(self.missing);
        counted.saturating_add(self.left_out)
    }

    /// The footer of a segment that was rewritten, which says how much there has to be of it.
    pub(super) fn rewritten(&mut self, footer: &RewrittenMark, segment: u32, offset: u64) {
        let (groups, records, losses, missing) = self.held;
        let known = self.missing.saturating_sub(missing);
        let groups = footer.groups.saturating_sub(groups);
        let lost = footer.records.saturating_sub(records);
        let lost = lost.saturating_sub(known);
        if groups > 0 {
            self.lose_groups(segment, offset, groups);
        }
        if lost > 0 {
            self.losses.count_records(lost);
        }
        let untouched = self.losses.len() == losses;
        if untouched && (lost > 0 || self.counts.chain != footer.held) {
            self.lose(segment, offset, Damage::Chain, Some(0), Some(lost));
        }
        self.missing = self.missing.saturating_add(lost);
        // The others were left out.
        let more = footer.mark.counts.records.saturating_sub(self.counted());
        self.left_out = self.left_out.saturating_add(more);
        self.losses.close();
        self.counts = footer.mark.counts;
        self.unbroken = true;
    }

    /// Whether `HEAD` says that there is more than up to here.
    pub(super) fn promised(&self, segment: u32, offset: u64) -> bool {
        self.head
            .is_some_and(|head| (head.segment, u64::from(head.length)) > (segment, offset))
    }

    /// Looks whether `HEAD` is of this place.
    pub(super) fn meet(&mut self, segment: u32, offset: u64) {
        let Some(head) = self.head else { return };
        if self.head_met || (head.segment, u64::from(head.length)) != (segment, offset) {
            return;
        }
        self.head_met = true;
        let counted = self.counted();
        let fits = head.chain == self.counts.chain
            && self.store.as_ref().map(store_prefix) == Some(head.store)
            && (!self.losses.is_empty() || head.records == counted);
        if !fits {
            self.lose(segment, offset, Damage::Head, Some(0), Some(0));
        } else if head.records > counted {
            let records = head.records.saturating_sub(counted);
            self.losses.count_records(records);
            self.missing = self.missing.saturating_add(records);
        }
    }

    /// All of it was read: `HEAD` has to have been met.
    pub(super) fn end(&mut self, next: u32, empty: bool) {
        match self.head {
            Some(head) if !self.head_met => {
                let counted = self.counted();
                let records = head.records.saturating_sub(counted);
                if head.segment >= next {
                    self.lose(next, 0, Damage::Missing, None, Some(records));
                } else {
                    let at = head.length.into();
                    self.lose(head.segment, at, Damage::Head, None, Some(records));
                }
            }
            None if !empty => self.warnings.push(Warning::NoHead),
            _ => {}
        }
    }

    /// What is not zeros at the end of the journal was being written; nobody was told of it.
    pub(super) fn torn(&mut self, rest: &[u8], segment: u32, offset: u64) {
        if rest.iter().any(|byte| *byte != 0) {
            self.warnings.push(Warning::TornTail { segment, offset });
        }
    }

    /// So many groups are not there: behind a place that was found damaged just before, or here.
    pub(super) fn lose_groups(&mut self, segment: u32, offset: u64, groups: u64) {
        if !self.losses.count_groups(groups) {
            self.lose(segment, offset, Damage::Group, Some(groups), None);
        }
    }

    pub(super) fn lose(
        &mut self,
        segment: u32,
        offset: u64,
        what: Damage,
        groups: Option<u64>,
        records: Option<u64>,
    ) {
        if groups != Some(0) {
            self.unbroken = false;
        }
        self.losses.add(Loss {
            segment,
            offset,
            what,
            groups,
            records,
        });
    }
}
