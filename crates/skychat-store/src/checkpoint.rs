//! Checkpoints (JRN-8): the state at the header of a segment in a file of its own, so that a start
//! need not read what is before it.

mod file;
mod items;
mod make;

use std::collections::BTreeMap;

use skychat_proto::ids::{EventSeq, FeedId, Incarnation, SpaceId};

pub(crate) use file::read;
pub use make::CheckpointMaker;
pub(crate) use make::Checkpoints;

use crate::index::{Conversation, Feed, Index, Tables};
use crate::layout::SegmentMark;
use crate::record::is_secret;
use crate::sweep::Unswept;

/// What a checkpoint is journalled as: the SHA-256 of its file.
pub(crate) type FileHash = [u8; 32];

/// The state at the header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// That header.
    pub(crate) mark: SegmentMark,
    pub(crate) feeds: BTreeMap<FeedId, Feed>,
    /// Without those of the store's own tables, and without secret ones.
    pub(crate) rows: Tables,
    pub(crate) spaces: BTreeMap<SpaceId, Conversation>,
    /// In order.
    pub(crate) lives: Vec<(EventSeq, Incarnation)>,
    /// Earlier checkpoints that are journalled.
    pub(crate) checkpoints: BTreeMap<u32, FileHash>,
    /// What is before it, dead, and not overwritten yet.
    pub(crate) unswept: Unswept,
}

impl State {
    /// What an index says now.
    pub(crate) fn of(mark: SegmentMark, index: &Index) -> Self {
        let rows = index.rows.iter().filter(|(table, _)| !is_secret(**table));
        let mut unswept = index.unswept.clone();
        unswept.add_secret(&index.rows, mark.counts.groups);
        State {
            mark,
            feeds: index.feeds.clone(),
            rows: rows.map(|(table, rows)| (*table, rows.clone())).collect(),
            spaces: index.spaces.clone(),
            lives: index.lives.clone(),
            checkpoints: index.checkpoints.clone(),
            unswept,
        }
    }
}
