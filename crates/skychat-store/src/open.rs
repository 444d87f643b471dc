//! Opening: the newest checkpoint and the segments from it on are read, or all of them, and the
//! index is built from that.

mod rewritten;
mod rows;
mod scan;
mod segment;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use skychat_identity::PublicKey;
use skychat_proto::ids::{EventSeq, FeedId, Incarnation, TableId};
use skychat_seal::StoreKey;
use tracing::{info, warn};

use crate::ballast::Ballast;
use crate::checkpoint::Checkpoints;
use crate::disk::Disk;
use crate::error::{Damage, OpenError, Warning};
use crate::index::{Index, Tip};
use crate::layout::{
    HEAD_FILE, HEAD_LEN, HeadFile, JOURNAL, STORE_LEN, checkpoint_number, segment_number,
    segment_path,
};
use crate::reader::StoreReader;
use crate::shared::Shared;
use crate::writer::{Current, SegmentSizes, StoreWriter};

/// What is needed to open a store.
#[derive(Debug)]
pub struct OpenOptions {
    /// Whose store it is.
    pub owner: PublicKey,
    /// What content and rows are sealed under.
    pub store_key: StoreKey,
    /// The life that writes from now on. Used by one life only.
    pub incarnation: Incarnation,
    /// Random bytes for nonces and, in a new store, its name.
    pub seed: [u8; 32],
    /// How large segments are made.
    pub segments: SegmentSizes,
    /// How many ranges and messages are kept in memory, if there is an index on disk for what is
    /// older ([`crate::MAX_TAIL`] is the usual number): such a store has checkpoints, and a start
    /// reads what is behind the newest one. `None`: all, for a store in memory.
    pub tail: Option<usize>,
}

impl OpenOptions {
    /// With segments of the usual sizes, and all in memory.
    pub fn new(
        owner: PublicKey,
        store_key: StoreKey,
        incarnation: Incarnation,
        seed: [u8; 32],
    ) -> Self {
        OpenOptions {
            owner,
            store_key,
            incarnation,
            seed,
            segments: SegmentSizes::default(),
            tail: None,
        }
    }
}

/// What machines go on from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// All live rows, opened, without those of [`EVENT`](skychat_proto::record::tables::EVENT).
    pub tables: BTreeMap<(TableId, Vec<u8>), Vec<u8>>,
    /// How far each feed goes.
    pub tips: BTreeMap<FeedId, Tip>,
    /// The number of the last event.
    pub events: EventSeq,
    /// What was not as expected.
    pub warnings: Vec<Warning>,
}

/// A store: a journal and its index.
#[derive(Debug)]
pub struct Store;

impl Store {
    /// Opens the store on this disk, or makes one if there is nothing yet.
    ///
    /// The newest checkpoint is read and the segments from it on; without one, or without a bound
    /// for what is kept in memory, all of the journal. What was being written when the store went down is cut, and
    /// overwritten by the next group; nothing else is ever taken away here (JRN-5).
    ///
    /// # Errors
    /// [`OpenError`]; nothing was altered.
    pub fn open(
        disk: impl Disk + 'static,
        options: OpenOptions,
    ) -> Result<(StoreWriter, StoreReader, Recovered), OpenError> {
        open(Box::new(disk), options)
    }
}

fn disk_error(path: &str) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Disk { path, source }
}

fn damaged(segment: u32, offset: u64, what: Damage) -> OpenError {
    OpenError::Damaged {
        segment,
        offset,
        what,
    }
}

fn open(
    disk: Box<dyn Disk>,
    options: OpenOptions,
) -> Result<(StoreWriter, StoreReader, Recovered), OpenError> {
    let mut rng = ChaCha20Rng::from_seed(options.seed);
    let (head, head_made) = read_head(&*disk)?;
    let names = disk.list(JOURNAL).map_err(disk_error(JOURNAL))?;
    let segments: Vec<u32> = names
        .iter()
        .filter_map(|name| segment_number(name))
        .collect();
    let scanned = scan::journal(&*disk, &options, head, &segments)?;
    let fresh = scanned.store.is_none();
    let scan::Scanned {
        mut index,
        counts,
        current,
        store,
        mut warnings,
        due,
        carry,
        ..
    } = scanned;
    let known = index.lives.last().map(|(_, life)| *life) == Some(options.incarnation);
    index.groups = counts.groups;
    index.records = counts.records;
    if !fresh && head.is_none() {
        warnings.push(Warning::NoHead);
    }
    for warning in &warnings {
        warn!(%warning, "store");
    }
    let recovered = recovered(&index, warnings);
    let store = store.unwrap_or_else(|| {
        let mut store = [0; STORE_LEN];
        rng.fill_bytes(&mut store);
        store
    });
    let checkpoints = Checkpoints::new(options.tail.is_some());
    if checkpoints.are_wanted() {
        let due = due.as_ref().map(|state| state.mark.segment);
        let needed: BTreeSet<u32> = index.checkpoints.keys().copied().chain(due).collect();
        let names = disk.list("").map_err(disk_error("."))?;
        let found = names.iter().filter_map(|name| checkpoint_number(name));
        checkpoints.discard(found.filter(|segment| !needed.contains(segment)));
    }
    let OpenOptions {
        owner,
        store_key,
        incarnation,
        segments: sizes,
        ..
    } = options;
    let shared = Arc::new(Shared::new(disk, store_key, store, checkpoints, index));
    let mut writer = StoreWriter {
        shared: Arc::clone(&shared),
        owner: *owner.as_bytes(),
        sizes,
        rng,
        counts,
        current,
        life: (!known).then_some(incarnation),
        head_made,
        head_dirty: false,
        poisoned: false,
        carry,
        stale: Vec::new(),
        waiting: None,
        ballast: Ballast::default(),
        buffer: Vec::new(),
    };
    writer.settle(fresh)?;
    if let Some(state) = due {
        writer.order(*state);
    }
    info!(
        groups = counts.groups,
        records = counts.records,
        events = counts.events,
        read_from = scanned.from,
        "store open"
    );
    Ok((writer, StoreReader::new(shared), recovered))
}

fn recovered(index: &Index, warnings: Vec<Warning>) -> Recovered {
    let rows = index.rows.iter().flat_map(|(table, rows)| {
        rows.iter()
            .map(|(key, row)| ((*table, key.clone()), row.value.to_vec()))
    });
    let tips = index
        .feeds
        .iter()
        .filter(|(_, feed)| feed.tip != Tip::START);
    Recovered {
        tables: rows.collect(),
        tips: tips.map(|(id, feed)| (*id, feed.tip)).collect(),
        events: index.last_event(),
        warnings,
    }
}

impl StoreWriter {
    /// What was read may be in the cache of the system only: it is told to nobody before it is on
    /// disk.
    fn settle(&mut self, fresh: bool) -> Result<(), OpenError> {
        match self.current {
            Current::Next { segment, .. } if fresh => {
                let path = segment_path(segment);
                self.create(segment, 0).map_err(disk_error(&path))?;
            }
            Current::Next { segment, length } => {
                let path = segment_path(segment.saturating_sub(1));
                self.end_segment(&path, length).map_err(disk_error(&path))?;
            }
            Current::Open(at) => {
                let path = segment_path(at.segment);
                let synced = self.shared.disk.sync(&path);
                synced.map_err(disk_error(&path))?;
            }
        }
        let synced = self.shared.disk.sync_dir(JOURNAL);
        synced.map_err(disk_error(JOURNAL))?;
        self.write_head();
        self.sync_head().map_err(disk_error(HEAD_FILE))
    }
}

impl StoreWriter {
    /// A segment with a footer ends there: it may have been cut to its length, or not yet.
    fn end_segment(&self, path: &str, length: u64) -> io::Result<()> {
        let disk = &self.shared.disk;
        if disk.len(path)? > length {
            disk.truncate(path, length)?;
        }
        disk.sync(path)
    }
}

/// `HEAD`, if it is valid, and whether there is a file of that length; else it is made anew.
fn read_head(disk: &dyn Disk) -> Result<(Option<HeadFile>, bool), OpenError> {
    let length = match disk.len(HEAD_FILE) {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, false)),
        Err(error) => return Err(disk_error(HEAD_FILE)(error)),
    };
    if length != HEAD_LEN as u64 {
        return Ok((None, false));
    }
    let mut bytes = [0; HEAD_LEN];
    disk.read_at(HEAD_FILE, 0, &mut bytes)
        .map_err(disk_error(HEAD_FILE))?;
    Ok((HeadFile::decode(&bytes).ok(), true))
}
