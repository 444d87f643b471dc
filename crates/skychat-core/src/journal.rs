//! The store of a node: where it is, the thread that writes it, and how much of what is on its
//! way to it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use skychat_api::Code;
use skychat_engine::Recovered;
use skychat_identity::PublicKey;
use skychat_proto::ids::{BatchId, EventSeq, Incarnation, MessageId, SpaceId};
use skychat_proto::limits::{STORE_BATCHES, STORE_BYTES, STORE_RECEIPTS};
use skychat_proto::record::{Batch, Taken};
use skychat_seal::StoreKey;
use skychat_store::{
    Done, FileDisk, MAX_TAIL, MemoryDisk, OpenError, OpenOptions, QueueError, ReadError, Receipt,
    SegmentSizes, Store, StoreReader, StoreWriter, WriteError, WriterHandle, batch_size,
    spawn_indexed_writer, spawn_writer,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::StartError;
use crate::builder::Place;
use crate::datadir::DataDir;
use crate::stop::StopError;
use crate::upkeep::INDEX;

/// Batches that are with the thread at once: one that is being synced, and two behind it, so that
/// the disk never waits. More would only be smaller ones, with a signature, a range and an
/// acknowledgement each: with three, a node under load takes an eighth more messages than with 64.
const AHEAD: usize = 3;
const _: () = assert!(AHEAD <= STORE_BATCHES);

/// What the store says to the driver of the engine.
pub(crate) enum StoreReply {
    /// These batches are on disk.
    Committed(Vec<Receipt>),
    /// The answer to a lookup.
    Found {
        lookup: u64,
        found: Vec<Option<Taken>>,
    },
    /// The disk is full, or there is room again.
    Full(bool),
    /// Nothing more will be written.
    Failed(StopError),
}

/// A store that was opened.
pub(crate) struct Opened {
    pub(crate) writer: StoreWriter,
    pub(crate) reader: StoreReader,
    pub(crate) recovered: Recovered,
    pub(crate) facts: Arc<StoreFacts>,
    pub(crate) last_event: EventSeq,
    /// Held until the last byte is written.
    pub(crate) dir: Option<Arc<DataDir>>,
}

/// What `status` says of the store.
pub(crate) struct StoreFacts {
    pub(crate) path: Option<PathBuf>,
    pub(crate) warnings: Vec<String>,
    reader: StoreReader,
    groups_before: u64,
}

impl StoreFacts {
    /// Whether some of what is older is not found yet.
    pub(crate) fn is_indexing(&self) -> bool {
        self.reader.is_indexing()
    }

    /// How much of the journal is of use.
    pub(crate) fn usage(&self) -> skychat_store::Usage {
        self.reader.usage()
    }

    /// Bytes of the journal.
    pub(crate) fn bytes(&self) -> u64 {
        self.reader.size().bytes
    }

    /// Groups committed in this life.
    pub(crate) fn commits(&self) -> u64 {
        self.reader.size().groups.saturating_sub(self.groups_before)
    }
}

/// Opens the store at `place` for a new life.
///
/// # Cancel safety
/// Dropped early, the store is opened and closed again.
pub(crate) async fn open(
    place: Place,
    owner: PublicKey,
    life: Incarnation,
    seed: [u8; 32],
    segments: SegmentSizes,
) -> Result<Opened, StartError> {
    let opening =
        tokio::task::spawn_blocking(move || open_blocking(place, owner, life, seed, segments));
    opening.await.map_err(|error| StartError::System {
        what: "a thread to open the store on",
        source: std::io::Error::other(error),
    })?
}

fn open_blocking(
    place: Place,
    owner: PublicKey,
    life: Incarnation,
    seed: [u8; 32],
    segments: SegmentSizes,
) -> Result<Opened, StartError> {
    let (dir, memory) = match place {
        Place::Memory => (None, MemoryDisk::new()),
        #[cfg(test)]
        Place::Disk(disk) => (None, disk),
        Place::Path(path) => {
            let dir = DataDir::open(path).map_err(StartError::DataDir)?;
            (Some(Arc::new(dir)), MemoryDisk::new())
        }
        Place::Opened(dir) => (Some(dir), MemoryDisk::new()),
    };
    let opened = match &dir {
        None => {
            let key = StoreKey::generate(&mut UnwrapErr(SysRng));
            let options = OpenOptions {
                segments,
                ..OpenOptions::new(owner, key, life, seed)
            };
            Store::open(memory, options)
        }
        Some(dir) => {
            let key = dir.store_key().map_err(StartError::StoreKey)?;
            let options = OpenOptions {
                tail: Some(MAX_TAIL),
                segments,
                ..OpenOptions::new(owner, key, life, seed)
            };
            Store::open(FileDisk::new(dir.path()), options)
        }
    };
    let (writer, reader, recovered) = opened.map_err(|error| StartError::Store {
        code: open_code(&error),
        source: Box::new(error),
    })?;
    let facts = StoreFacts {
        path: dir.as_ref().map(|dir| dir.path().to_owned()),
        warnings: recovered.warnings.iter().map(ToString::to_string).collect(),
        groups_before: reader.size().groups,
        reader: reader.clone(),
    };
    let tips = recovered.tips.into_iter().map(|(feed, tip)| {
        let (head, hash) = (tip.head, tip.hash);
        (feed, skychat_engine::Tip { head, hash })
    });
    let recovered = Recovered {
        tables: recovered.tables,
        tips: tips.collect(),
        ..Recovered::default()
    };
    Ok(Opened {
        last_event: reader.last_event(),
        writer,
        reader,
        recovered: recovered.without_closed(&owner),
        facts: Arc::new(facts),
        dir,
    })
}

pub(crate) fn open_code(error: &OpenError) -> Code {
    match error {
        OpenError::Owner { .. } => Code::StoreOwner,
        OpenError::Damaged { .. } | OpenError::StoreKey => Code::StoreDamaged,
        OpenError::Disk { source, .. } if is_full(source) => Code::StoreFull,
        _ => Code::StoreFailed,
    }
}

pub(crate) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// What the engine could not go on from.
pub(crate) fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> StartError {
    StartError::Store {
        source: Box::new(error),
        code: Code::StoreDamaged,
    }
}

/// Starts the thread that writes.
pub(crate) fn spawn(
    mut writer: StoreWriter,
    dir: Option<Arc<DataDir>>,
) -> Result<(StoreLink, mpsc::Receiver<StoreReply>, StoreThread), StartError> {
    let (replies, receiver) = mpsc::channel(STORE_RECEIPTS);
    let ended = CancellationToken::new();
    // Dropped in this order when the thread ends, however it ends: the directory is free, then
    // it is said so.
    let index = dir.as_ref().map(|dir| dir.path().join(INDEX));
    if dir.is_some() {
        writer.keep_ballast();
    }
    let end = (dir, ended.clone().drop_guard());
    let on_event = move |done| {
        let _held_until_the_end = &end;
        if let Some(reply) = reply(done) {
            // The driver always takes what comes; if it is gone, nobody waits.
            let _ = replies.blocking_send(reply);
        }
    };
    let handle = match index {
        Some(index) => spawn_indexed_writer(writer, index, on_event),
        None => spawn_writer(writer, on_event),
    };
    let handle = handle.map_err(|source| StartError::System {
        what: "the thread of the store",
        source,
    })?;
    let handle = Arc::new(handle);
    let link = StoreLink {
        handle: Arc::clone(&handle),
        on_their_way: VecDeque::new(),
        bytes: 0,
        lookups: VecDeque::new(),
    };
    Ok((link, receiver, StoreThread { handle, ended }))
}

fn reply(done: Done) -> Option<StoreReply> {
    match done {
        Done::Committed { receipts, .. } => Some(StoreReply::Committed(receipts)),
        Done::Found { lookup, found } => Some(StoreReply::Found { lookup, found }),
        Done::Full => Some(StoreReply::Full(true)),
        Done::Room => Some(StoreReply::Full(false)),
        Done::Failed(error) => Some(StoreReply::Failed(write_failed(error))),
        Done::Unreadable(error) => Some(StoreReply::Failed(read_failed(error))),
        Done::Stopped => None,
    }
}

fn write_failed(error: WriteError) -> StopError {
    let code = match &error {
        WriteError::Full(_) => Code::StoreFull,
        _ => Code::StoreFailed,
    };
    StopError::Store {
        source: Arc::new(error),
        code,
    }
}

fn read_failed(error: ReadError) -> StopError {
    let code = match &error {
        ReadError::Damaged { .. } => Code::StoreDamaged,
        _ => Code::StoreFailed,
    };
    StopError::Store {
        source: Arc::new(error),
        code,
    }
}

/// The thread that writes, as the one who ends it sees it.
pub(crate) struct StoreThread {
    handle: Arc<WriterHandle>,
    ended: CancellationToken,
}

/// Says to the thread that segments of which little is of use are to be rewritten at once.
#[derive(Clone)]
pub(crate) struct Pressure(Arc<WriterHandle>);

impl Pressure {
    pub(crate) fn above(&self, above: bool) {
        self.0.above_cap(above);
    }
}

impl StoreThread {
    pub(crate) fn pressure(&self) -> Pressure {
        Pressure(Arc::clone(&self.handle))
    }

    /// Has everything written that was handed in, and waits for the end of the thread. The data
    /// directory is free then.
    pub(crate) async fn end(&mut self) {
        self.handle.stop();
        self.ended.cancelled().await;
    }
}

/// The way to the thread that writes.
pub(crate) struct StoreLink {
    handle: Arc<WriterHandle>,
    /// Batches without a receipt, with their bytes.
    on_their_way: VecDeque<(BatchId, usize)>,
    bytes: usize,
    /// What the thread did not take.
    lookups: VecDeque<Lookup>,
}

struct Lookup {
    number: u64,
    author: PublicKey,
    space: SpaceId,
    messages: Vec<MessageId>,
}

impl StoreLink {
    /// Whether another batch may be handed in. An empty queue takes any.
    pub(crate) fn has_room(&self) -> bool {
        self.on_their_way.is_empty()
            || (self.on_their_way.len() < AHEAD && self.bytes < STORE_BYTES)
    }

    /// Whether every batch has its receipt.
    pub(crate) fn is_idle(&self) -> bool {
        self.on_their_way.is_empty()
    }

    /// Hands in a batch.
    pub(crate) fn commit(&mut self, batch: Batch) -> Result<(), StopError> {
        let (id, bytes) = (batch.id, batch_size(&batch));
        // It is never full: batches without a receipt are counted here.
        self.handle.commit(batch).map_err(|_| STOPPED)?;
        self.on_their_way.push_back((id, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// A batch has its receipt.
    pub(crate) fn committed(&mut self, receipt: &Receipt) {
        while let Some((id, bytes)) = self.on_their_way.front().copied()
            && id <= receipt.batch
        {
            self.on_their_way.pop_front();
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// Asks for messages, behind the batches that were handed in.
    pub(crate) fn lookup(
        &mut self,
        number: u64,
        author: PublicKey,
        space: SpaceId,
        messages: Vec<MessageId>,
    ) -> Result<(), StopError> {
        self.lookups.push_back(Lookup {
            number,
            author,
            space,
            messages,
        });
        self.ask()
    }

    /// Hands in lookups, as many as the thread takes.
    pub(crate) fn ask(&mut self) -> Result<(), StopError> {
        while let Some(next) = self.lookups.front() {
            let messages = next.messages.clone();
            match self
                .handle
                .lookup(next.number, next.author, next.space, messages)
            {
                Ok(()) => self.lookups.pop_front(),
                Err(QueueError::Full) => break,
                Err(QueueError::Stopped) => return Err(STOPPED),
            };
        }
        Ok(())
    }
}

/// The thread takes nothing more though nobody stopped it; if it could still say why, that came
/// first.
pub(crate) const STOPPED: StopError = StopError::Panicked { part: "store" };
