//! One end of a link: a replicator, a journal, and the loop between them.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use skychat_feed::replicator::{Config, FeedFacts, Output, Replicator};
use skychat_feed::{Checked, Offer, Verifier};
use skychat_identity::{KeyCache, PublicKey, SecretKey};
use skychat_proto::ids::{BatchId, FeedId, Incarnation, Moment, Position, ServiceId, SpaceId};
use skychat_proto::open::WriterKind;
use skychat_proto::range::RawRange;
use skychat_proto::record::{Batch, Record, tables};
use skychat_proto::sync::SyncMessage;
use skychat_store::{Done, FileDisk, StoreReader, WriterHandle};
use skychat_transport::{CloseReason, Link, SendError, Service, Violation};
use tokio::sync::mpsc;

use crate::journal;

/// Messages of a link that wait for the loop; a link that has more is not read.
const WAITING: usize = 64;
/// Batches that the journal has at once.
const UNDER_WAY: usize = 2;

/// What comes to a side.
enum Input {
    Up(Link),
    Sync(SyncMessage),
    Checked(Checked),
    Loaded(u64, Option<RawRange>),
    Committed(BatchId),
}

/// Reads a link: checks what comes in the task of the link, as a node does.
pub(crate) struct Reading {
    inputs: mpsc::Sender<Input>,
    verifier: Arc<Mutex<Verifier>>,
    keys: KeyCache,
    read: Vec<Input>,
}

impl Reading {
    /// Of a link that is up, which is told first.
    pub(crate) fn new(ends: &Ends, link: &Link) -> Self {
        let up = ends.inputs.try_send(Input::Up(link.clone()));
        assert!(up.is_ok(), "a side that has just begun has room");
        Reading {
            inputs: ends.inputs.clone(),
            verifier: Arc::clone(&ends.verifier),
            keys: KeyCache::new(),
            read: Vec::new(),
        }
    }
}

impl Service for Reading {
    fn message(&mut self, service: ServiceId, message: &[u8]) -> Result<(), Violation> {
        let input = match service {
            ServiceId::SYNC => Input::Sync(SyncMessage::decode(message, &mut self.keys).unwrap()),
            ServiceId::RANGE => {
                let bytes = Bytes::copy_from_slice(message);
                Input::Checked(self.verifier.lock().unwrap().check(bytes).unwrap())
            }
            _ => return Ok(()),
        };
        self.read.push(input);
        Ok(())
    }

    async fn flush(&mut self) {
        for input in self.read.drain(..) {
            // The side is gone when all is measured.
            let _ = self.inputs.send(input).await;
        }
    }

    fn closed(&mut self, _: &CloseReason) {}
}

/// What others need of a side.
#[derive(Clone)]
pub(crate) struct Ends {
    inputs: mpsc::Sender<Input>,
    verifier: Arc<Mutex<Verifier>>,
    /// How many entries are on disk.
    pub(crate) durable: Arc<AtomicU64>,
}

/// A batch that the journal has: which heads it moves, and what is said then.
type UnderWay = (BatchId, Vec<(FeedId, Position)>, Vec<Output>);

/// One end.
pub(crate) struct Side {
    me: SecretKey,
    peer: PublicKey,
    space: SpaceId,
    replicator: Replicator,
    pub(crate) store: WriterHandle,
    pub(crate) reader: StoreReader,
    /// Entries of a range that is read for the peer.
    range: u32,
    link: Option<Link>,
    inputs: mpsc::Receiver<Input>,
    pub(crate) ends: Ends,
    began: Instant,
    batches: u64,
    events: u64,
    open: Vec<Record>,
    heads: Vec<(FeedId, Position)>,
    /// What waits for the batch that is filled.
    after: Vec<Output>,
    under_way: VecDeque<UnderWay>,
}

/// Who a side is.
pub(crate) struct Who {
    pub(crate) me: SecretKey,
    pub(crate) peer: PublicKey,
    pub(crate) space: SpaceId,
    pub(crate) live: Incarnation,
    pub(crate) held: Option<(FeedId, FeedFacts)>,
    pub(crate) range: u32,
}

impl Side {
    pub(crate) fn new(dir: &Path, who: Who) -> Self {
        let (inputs, receiver) = mpsc::channel(WAITING);
        let tell = inputs.clone();
        let done = move |done| match done {
            Done::Committed { receipts, .. } => {
                for receipt in receipts {
                    let _ = tell.blocking_send(Input::Committed(receipt.batch));
                }
            }
            Done::Stopped => {}
            other => panic!("{other:?}"),
        };
        let (store, reader) = journal(FileDisk::new(dir), &dir.join("index"), done);
        let config = Config {
            me: who.me.public(),
            kind: WriterKind::Node,
            live: who.live,
        };
        Side {
            me: who.me,
            peer: who.peer,
            space: who.space,
            replicator: Replicator::new(
                config,
                who.held,
                [(who.space, who.peer)],
                [],
                BTreeSet::new(),
            ),
            store,
            reader,
            range: who.range,
            link: None,
            inputs: receiver,
            ends: Ends {
                inputs,
                verifier: Arc::default(),
                durable: Arc::default(),
            },
            began: Instant::now(),
            batches: 0,
            events: 0,
            open: Vec::new(),
            heads: Vec::new(),
            after: Vec::new(),
            under_way: VecDeque::new(),
        }
    }

    /// Goes on until `all` entries are on disk here or, for `None`, until it is dropped.
    pub(crate) async fn run(mut self, all: Option<u64>) -> Self {
        while all.is_none_or(|all| self.ends.durable.load(Ordering::Relaxed) < all) {
            let Some(input) = self.inputs.recv().await else {
                return self;
            };
            self.take(input).await;
            while let Ok(input) = self.inputs.try_recv() {
                self.take(input).await;
            }
            self.submit();
        }
        self
    }

    async fn take(&mut self, input: Input) {
        let now = Moment::since_start(self.began.elapsed());
        match input {
            Input::Up(link) => {
                let peer_life = Incarnation::from_bytes([1; 8]);
                let (id, kind) = (link.id(), WriterKind::Node);
                self.link = Some(link);
                self.replicator
                    .link_up(now, id, self.peer, kind, peer_life, self.space);
            }
            Input::Sync(message) => {
                let link = self.link.as_ref().unwrap().id();
                self.replicator.handle(now, link, message).unwrap();
            }
            Input::Checked(Checked::Range(range)) => {
                let link = self.link.as_ref().unwrap().id();
                if self.replicator.offer(link, &range) == Offer::Take {
                    let raw = range.raw().clone();
                    self.open.push(Record::Range { range: raw });
                    self.heads.push((range.feed(), range.end()));
                    self.replicator.taken(now, link, &range, &[]);
                }
            }
            Input::Checked(Checked::Misfit {
                feed,
                start,
                end,
                prev,
            }) => {
                let link = self.link.as_ref().unwrap().id();
                self.replicator.misfit(link, feed, (start, end), prev);
            }
            Input::Loaded(load, range) => self.replicator.loaded(now, load, range),
            Input::Committed(batch) => {
                let (id, heads, after) = self.under_way.pop_front().unwrap();
                assert_eq!(id, batch);
                self.replicator.committed(now, &heads);
                for (_, head) in heads {
                    self.ends.durable.store(head.get(), Ordering::Relaxed);
                }
                for output in after {
                    self.act(output).await;
                }
            }
        }
        self.drain().await;
    }

    async fn drain(&mut self) {
        while let Some(output) = self.replicator.poll_output() {
            match output {
                Output::Put { table, key, value } => self.open.push(Record::Put {
                    table,
                    key,
                    value,
                    event: false,
                }),
                Output::Event(event) => {
                    self.events += 1;
                    let key = self.events.to_be_bytes().to_vec();
                    self.open.push(Record::Put {
                        table: tables::EVENT,
                        key,
                        value: event.encode(),
                        event: true,
                    });
                }
                output @ Output::Load { .. } => self.act(output).await,
                // What is in it is on disk: it waits for what was said before.
                output @ Output::Push { .. } if !self.waits() => self.act(output).await,
                // It waits for the batch that is filled, or for the last one under way.
                output if !self.open.is_empty() => self.after.push(output),
                output => match self.under_way.back_mut() {
                    Some((_, _, after)) => after.push(output),
                    None => self.act(output).await,
                },
            }
        }
    }

    /// Whether something is to be said when a batch is on disk.
    fn waits(&self) -> bool {
        let mut after = self.under_way.iter().map(|(_, _, after)| after);
        !self.after.is_empty() || after.any(|after| !after.is_empty())
    }

    /// Hands what is to be written to the journal, as far as it takes it.
    fn submit(&mut self) {
        if self.open.is_empty() || self.under_way.len() >= UNDER_WAY {
            return;
        }
        self.replicator.flush_acks();
        while let Some(output) = self.replicator.poll_output() {
            self.after.push(output);
        }
        self.batches += 1;
        let id = BatchId::new(self.batches);
        let records = std::mem::take(&mut self.open);
        self.store.commit(Batch { id, records }).unwrap();
        let (heads, after) = (&mut self.heads, &mut self.after);
        let under_way = (id, std::mem::take(heads), std::mem::take(after));
        self.under_way.push_back(under_way);
    }

    /// Where the peer has a range end, there is not always a signature yet (RANGE-2).
    fn signed(&self, range: RawRange) -> RawRange {
        if range.signature().as_bytes() != &[0; 64] {
            return range;
        }
        let signature = range.last_header().unwrap().sign(&self.me);
        range.with_signature(signature)
    }

    async fn act(&mut self, output: Output) {
        let link = self.link.clone().unwrap();
        match output {
            Output::Send { message, .. } => {
                send(&link, ServiceId::SYNC, &[&message.encode()]).await;
            }
            Output::Push { range, .. } => {
                let range = self.signed(range);
                let parts: [&[u8]; 2] = [range.head_block(), range.bodies()];
                send(&link, ServiceId::RANGE, &parts).await;
            }
            Output::Expect {
                feed,
                position,
                tip,
                ..
            } => self
                .ends
                .verifier
                .lock()
                .unwrap()
                .expect(feed, position, tip),
            Output::Load {
                load,
                feed,
                from,
                max_entries,
                max_bytes,
                any_end,
            } => {
                let (reader, tell) = (self.reader.clone(), self.ends.inputs.clone());
                let most = max_entries.min(self.range);
                tokio::task::spawn_blocking(move || {
                    let range = reader.range(feed, from, most, max_bytes, any_end).unwrap();
                    let _ = tell.blocking_send(Input::Loaded(load, range));
                });
            }
            Output::Progress { .. } | Output::Acked { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn send(link: &Link, service: ServiceId, parts: &[&[u8]]) {
    while let Err(error) = link.try_send(service, parts) {
        assert_eq!(error, SendError::Full);
        link.ready().await;
    }
}
