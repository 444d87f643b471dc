//! What is lost of a journal, place by place.

use std::fmt;

use crate::error::Damage;

/// Places that are named one by one; further ones are only counted.
pub const MAX_LOSSES: usize = 256;

/// A place of a journal where something is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// In which segment.
    pub segment: u32,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What was found there.
    pub what: Damage,
    /// How many groups are not there; `None`: nobody knows.
    pub groups: Option<u64>,
    /// How many records are not there, those of the groups included; `None`: nobody knows.
    pub records: Option<u64>,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loss {
            segment,
            offset,
            what,
            ..
        } = self;
        write!(f, "segment {segment} at {offset}: {what}")?;
        match (self.groups, self.records) {
            (Some(0), Some(0)) => Ok(()),
            (Some(0), Some(records)) => write!(f, " ({records} records)"),
            (Some(groups), Some(records)) => write!(f, " ({groups} groups, {records} records)"),
            (Some(groups), None) => write!(f, " ({groups} groups)"),
            (None, Some(records)) => write!(f, " ({records} records)"),
            (None, None) => f.write_str(" (nobody knows how much)"),
        }
    }
}

/// All of them, in the order in which they are come by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    kept: Vec<Loss>,
    more: u64,
    /// Since when it is not known how many records there were.
    open: usize,
}

impl Losses {
    pub(crate) fn add(&mut self, loss: Loss) {
        if self.kept.len() < MAX_LOSSES {
            self.kept.push(loss);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn len(&self) -> u64 {
        self.more.saturating_add(self.kept.len() as u64)
    }

    /// So many groups are missing where damage was found last; `false`: none was since it was
    /// known.
    pub(crate) fn count_groups(&mut self, groups: u64) -> bool {
        let open = self.kept.get_mut(self.open..).unwrap_or_default();
        match open.last_mut().filter(|loss| loss.groups.is_none()) {
            Some(loss) => {
                loss.groups = Some(groups);
                true
            }
            None => self.more > 0,
        }
    }

    /// So many records are missing between two places that say how many there were: known for
    /// one of the losses, if it is the only one of which nothing is known.
    pub(crate) fn count_records(&mut self, records: u64) {
        let open = self.kept.get_mut(self.open..).unwrap_or_default();
        let mut unknown = open.iter_mut().filter(|loss| loss.records.is_none());
        if let (Some(loss), None) = (unknown.next(), unknown.next()) {
            loss.records = Some(records);
        }
    }

    /// Up to here it is known how many records there were.
    pub(crate) fn close(&mut self) {
        self.open = self.kept.len();
    }

    /// In the order of the journal, and how many more there are.
    pub(crate) fn into_parts(mut self) -> (Vec<Loss>, u64) {
        self.kept.sort_by_key(|loss| (loss.segment, loss.offset));
        (self.kept, self.more)
    }
}
