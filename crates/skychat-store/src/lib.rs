//! Skychat: the journal and its index.
//!
//! A store is a *journal* of records that are committed in groups, and an *index* that is made from
//! it. Feeds, texts and the state of machines are all in the one journal, so a batch of them is on
//! disk together or not at all. What is small of the index is in memory (how far feeds go, rows),
//! and of what grows with every message the newest part ([`MAX_TAIL`]); what is older is looked up
//! in an index on disk (feature `sled`), which follows the commits on a thread of its own, is made
//! again whenever it is not what it should be, and says [`ReadError::Indexing`] meanwhile. A store
//! in memory keeps it all there.
//!
//! - [`Store::open`] reads the journal and gives a [`StoreWriter`], a [`StoreReader`] and what
//!   machines go on from, [`Recovered`].
//! - [`StoreWriter::commit`] writes batches as one group, with one sync. There is one writer.
//! - [`StoreReader`] reads what is committed, from any thread.
//! - [`check`] looks at a store, damaged or not, without opening it; [`gather`] gives what is left
//!   of it, and a [`Rewriter`] makes a new store of that.
//! - A [`Sweeper`] overwrites what is dead, a [`SegmentRewriter`] leaves it out, both beside the writer.
//! - A [`Disk`] is where the files are: [`MemoryDisk`], or `FileDisk` with the feature `driver`,
//!   which also has the thread that writes, one that readies segments and one for the index.
//!
//! What people said, and what machines keep, is sealed under the store key (JRN-3). Format and
//! rules: `docs/protocol/journal.md`.
//!
//! ```
//! use rand_core::SeedableRng;
//! use skychat_identity::SecretKey;
//! use skychat_proto::ids::{BatchId, Incarnation, TableId};
//! use skychat_proto::record::{Batch, Record};
//! use skychat_seal::StoreKey;
//! use skychat_store::{MemoryDisk, OpenOptions, Store};
//!
//! # let mut rng = chacha20::ChaCha20Rng::from_seed([3; 32]);   // seeded by the system in earnest
//! let owner = SecretKey::from_seed([1; 32]).public();
//! let key = StoreKey::generate(&mut rng);
//! let again = StoreKey::from_file_bytes(&key.to_file_bytes())?;
//! let life = Incarnation::from_bytes([7; 8]);
//! let disk = MemoryDisk::new();
//!
//! let options = OpenOptions::new(owner, key, life, [5; 32]);
//! let (mut writer, reader, _) = Store::open(disk.clone(), options)?;
//! let row = Record::Put { table: TableId::new(6), key: b"bob".to_vec(), value: b"known".to_vec(), event: false };
//! let (receipts, _) = writer.commit(vec![Batch { id: BatchId::new(1), records: vec![row] }])?;
//! assert_eq!(receipts[0].batch, BatchId::new(1));
//! assert_eq!(reader.row(TableId::new(6), b"bob")?, Some(b"known".to_vec()));
//!
//! // All of it is on the disk.
//! let (_, _, recovered) = Store::open(disk, OpenOptions::new(owner, again, life, [6; 32]))?;
//! assert_eq!(recovered.tables[&(TableId::new(6), b"bob".to_vec())], b"known");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ahead;
mod archive;
mod ballast;
mod check;
mod checkpoint;
mod deep;
mod disk;
mod doubts;
#[cfg(feature = "driver")]
mod driver;
mod error;
mod event;
mod gather;
mod index;
#[cfg(feature = "sled")]
mod indexer;
mod layout;
mod loss;
mod open;
mod reader;
mod rebuild;
mod record;
mod replay;
mod rewrite;
mod seek;
mod shared;
mod stage;
mod survey;
mod sweep;
mod walk;
mod writer;

pub use ahead::SegmentFiller;
pub use archive::{
    ArchiveError, ArchiveItem, ArchiveReader, ArchiveWriter, HistoryItem, HistoryReader,
    HistoryWriter, MAX_ARCHIVE_ITEM,
};
pub use ballast::BALLAST;
pub use check::{CheckOptions, CheckReport, IndexState, check, gather};
pub use checkpoint::CheckpointMaker;
pub use disk::{Disk, DiskFault, MemoryDisk};
#[cfg(feature = "sled")]
pub use driver::spawn_indexed_writer;
#[cfg(feature = "driver")]
pub use driver::{Done, FileDisk, QueueError, WriterHandle, spawn_writer};
pub use error::{Damage, OpenError, ReadError, Refused, Warning, WriteError};
pub use event::{
    Committed, EventView, Receipt, StoredContent, StoredConversation, StoredEvent, StoredMessage,
};
pub use gather::{KeptGroup, KeptRecord};
pub use index::{MAX_TAIL, MessageRef, RecordId, Tip};
pub use loss::{Loss, MAX_LOSSES};
pub use open::{OpenOptions, Recovered, Store};
pub use reader::{StoreReader, StoreSize, Usage};
pub use rebuild::{ReadOnly, Rewriter};
pub use rewrite::SegmentRewriter;
pub use survey::Progress;
pub use sweep::{Sweeper, Sweeps};
pub use writer::{
    GROUP_BYTES, MAX_GROUP_BYTES, MAX_GROUP_RECORDS, SegmentSizes, StoreWriter, batch_size,
};
