//! One node of the network: an engine, a journal on a disk of its own, verifiers for its links.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use rand_core::SeedableRng;
use skychat_engine::verify::{Checked, Verifier, Violation};
use skychat_engine::{Config, Engine, Input, Limits, Recovered, Tip};
use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::{Incarnation, LinkId, MessageId, Moment, SpaceId, Timestamp};
use skychat_proto::link::Hello;
use skychat_proto::open::WriterKind;
use skychat_proto::record::Batch;
use skychat_seal::StoreKey;
use skychat_store::{MemoryDisk, OpenOptions, SegmentSizes, Store, StoreReader, StoreWriter};

use super::memory::{Machine, Tape};
use super::{AcceptedMessage, Planted};

/// What kind of writer a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterSpec {
    /// With a store on its disk.
    Node,
    /// With a store that is gone when it stops.
    Memory,
    /// For one message.
    OneShot,
}

/// A node, up or down.
pub struct SimNode {
    pub(super) person: usize,
    key: PublicKey,
    pub(super) spec: WriterSpec,
    pub(super) name: String,
    pub(super) disk: MemoryDisk,
    pub(super) snapshot: Option<BTreeMap<String, Vec<u8>>>,
    /// It may be suspended with its memory.
    pub(crate) taping: bool,
    /// Its machine as it was once, with its memory.
    pub(super) machine: Option<Machine>,
    /// It was resumed with an older memory.
    pub(crate) resumed: bool,
    /// Its disk went back in time, or is a copy.
    pub(crate) branched: bool,
    /// It breaks the rules on purpose.
    pub(crate) hostile: bool,
    /// Its store broke: nothing it says leaves it any more.
    pub(crate) mute: bool,
    /// It writes under the incarnation of that one, which is running: a fork.
    pub(crate) twin_of: Option<usize>,
    /// How far its wall clock is off.
    pub(crate) skew_ms: i64,
    pub(crate) planted: Option<Planted>,
    /// How much it takes, and how fast.
    pub limits: Limits,
    pub(super) last_life: Option<u64>,
    pub(super) up: Option<Up>,
    pub(super) next_request: u64,
    pub(super) requests: BTreeMap<u64, AcceptedMessage>,
    pub(super) accepted: Vec<AcceptedMessage>,
}

pub(super) struct Up {
    pub(super) life: u64,
    pub(super) incarnation: Incarnation,
    pub(super) engine: Engine,
    pub(super) writer: StoreWriter,
    pub(super) reader: StoreReader,
    pub(super) committing: Option<Batch>,
    pub(super) verifiers: BTreeMap<LinkId, Verifier>,
    pub(super) answers: VecDeque<Input>,
    pub(super) lookups: Vec<(u64, PublicKey, SpaceId, Vec<MessageId>)>,
    pub(super) timer: Option<Moment>,
    /// What the engine was given, if it may be resumed.
    pub(super) tape: Option<Tape>,
}

impl SimNode {
    /// A node of a person, down.
    pub fn new(person: usize, spec: WriterSpec) -> Self {
        SimNode {
            person,
            key: Self::key_of(person),
            spec,
            name: format!("{person}{spec:?}"),
            disk: MemoryDisk::new(),
            snapshot: None,
            taping: false,
            machine: None,
            resumed: false,
            branched: false,
            hostile: false,
            mute: false,
            twin_of: None,
            skew_ms: 0,
            planted: None,
            limits: Limits::default(),
            last_life: None,
            up: None,
            next_request: 0,
            requests: BTreeMap::new(),
            accepted: Vec::new(),
        }
    }

    /// The key of a person.
    pub fn key_of(person: usize) -> PublicKey {
        secret_of(person).public()
    }

    /// Its key.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Whose it is.
    pub fn person(&self) -> usize {
        self.person
    }

    /// What kind of writer it is.
    pub fn spec(&self) -> WriterSpec {
        self.spec
    }

    /// For reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.up.is_some()
    }

    /// Whether it is there for one message.
    pub fn is_one_shot(&self) -> bool {
        self.spec == WriterSpec::OneShot
    }

    /// Keeps a copy of its directory as it is on disk now.
    pub fn snapshot(&mut self) {
        self.snapshot = Some(self.disk.files());
    }

    /// Whether there is a copy.
    pub fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Puts the copy in place. It has to be down.
    pub fn restore(&mut self) {
        if let Some(files) = &self.snapshot {
            self.disk = MemoryDisk::with_files(files.clone());
            self.branched = true;
        }
    }

    /// What is on its disk.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.disk.files()
    }

    /// Another node with a copy of its directory.
    pub fn copy_of(&self) -> SimNode {
        let mut copy = SimNode::new(self.person, self.spec);
        copy.name.push_str("copy");
        copy.disk = MemoryDisk::with_files(self.disk.files());
        copy.branched = true;
        copy
    }

    /// Reads its store.
    pub fn reader(&self) -> Option<&StoreReader> {
        self.up.as_ref().map(|up| &up.reader)
    }

    /// Its engine.
    pub fn engine(&self) -> Option<&Engine> {
        self.up.as_ref().map(|up| &up.engine)
    }

    pub(crate) fn life(&self) -> Option<u64> {
        self.up.as_ref().map(|up| up.life)
    }

    pub(crate) fn incarnation(&self) -> Option<Incarnation> {
        self.up.as_ref().map(|up| up.engine.hello().incarnation)
    }

    pub(crate) fn hello(&self) -> Option<Hello> {
        self.up.as_ref().map(|up| up.engine.hello())
    }

    pub(crate) fn link_added(&mut self, link: LinkId) {
        if let Some(up) = &mut self.up {
            up.verifiers.insert(link, Verifier::new());
        }
    }

    pub(crate) fn link_removed(&mut self, link: LinkId) -> bool {
        self.up
            .as_mut()
            .is_some_and(|up| up.verifiers.remove(&link).is_some())
    }

    pub(crate) fn check(
        &mut self,
        link: LinkId,
        bytes: Bytes,
    ) -> Option<Result<Checked, Violation>> {
        Some(self.up.as_mut()?.verifiers.get_mut(&link)?.check(bytes))
    }

    pub(crate) fn start(
        &mut self,
        now: Moment,
        wall: Timestamp,
        seed: [u8; 32],
        store_seed: [u8; 32],
        (life, twin): (u64, Option<Incarnation>),
    ) -> Result<(), String> {
        let resumed = self
            .last_life
            .filter(|_| self.planted == Some(Planted::ResumedFeed));
        let drawn = Incarnation::from_bytes(resumed.unwrap_or(life).to_be_bytes());
        let incarnation = twin.unwrap_or(drawn);
        self.last_life = Some(resumed.unwrap_or(life));
        let options = self.options(incarnation, store_seed);
        let (writer, reader, recovered) =
            Store::open(self.disk.clone(), options).map_err(|error| error.to_string())?;
        let recovered = Recovered {
            tables: recovered.tables,
            tips: recovered
                .tips
                .into_iter()
                .map(|(feed, tip)| {
                    (
                        feed,
                        Tip {
                            head: tip.head,
                            hash: tip.hash,
                        },
                    )
                })
                .collect(),
            closed: BTreeSet::new(),
        };
        let recovered = recovered.without_closed(&self.key);
        let config = Config {
            kind: match self.spec {
                WriterSpec::Node => WriterKind::Node,
                WriterSpec::Memory => WriterKind::Memory,
                WriterSpec::OneShot => WriterKind::OneShot,
            },
            incarnation,
            agent: "sim".into(),
            consented: BTreeSet::new(),
            limits: self.limits,
        };
        let tape = self
            .taping
            .then(|| Tape::new(&config, seed, &recovered, now, wall));
        let engine = Engine::new(config, secret_of(self.person), seed, recovered, now, wall)
            .map_err(|error| error.to_string())?;
        self.up = Some(Up {
            life,
            incarnation,
            engine,
            writer,
            reader,
            committing: None,
            verifiers: BTreeMap::new(),
            answers: VecDeque::new(),
            lookups: Vec::new(),
            timer: None,
            tape,
        });
        Ok(())
    }

    /// How its store is opened.
    pub(super) fn options(&self, incarnation: Incarnation, seed: [u8; 32]) -> OpenOptions {
        OpenOptions {
            owner: self.key(),
            store_key: store_key(self.person),
            incarnation,
            seed,
            segments: SegmentSizes {
                first: 4 * 1024,
                largest: 64 * 1024,
            },
            tail: None,
        }
    }

    pub(crate) fn request(
        &mut self,
        to: PublicKey,
        message: Option<MessageId>,
        text: &str,
        nonsense: bool,
    ) -> u64 {
        self.next_request += 1;
        let accepted = AcceptedMessage {
            by: usize::MAX,
            from: self.key(),
            to,
            message: message.unwrap_or(MessageId::ZERO),
            text: text.to_owned(),
            nonsense,
        };
        self.requests.insert(self.next_request, accepted);
        self.next_request
    }

    /// Whether a message of ours with this id stands in the store, or is on its way there.
    pub(crate) fn knows(&self, to: &PublicKey, message: MessageId) -> bool {
        let under_way = self
            .requests
            .values()
            .any(|request| request.message == message);
        let space = SpaceId::direct(&self.key(), to).ok();
        let stored = self.reader().zip(space).is_some_and(|(reader, space)| {
            reader
                .find(self.key(), space, message)
                .ok()
                .flatten()
                .is_some()
        });
        under_way || stored
    }

    pub(crate) fn take_accepted(&mut self) -> Vec<AcceptedMessage> {
        std::mem::take(&mut self.accepted)
    }
}

pub(super) fn secret_of(person: usize) -> SecretKey {
    SecretKey::from_seed([u8::try_from(person + 1).unwrap_or(u8::MAX); 32])
}

fn store_key(person: usize) -> StoreKey {
    let mut rng =
        chacha20::ChaCha20Rng::from_seed([u8::try_from(person + 101).unwrap_or(u8::MAX); 32]);
    StoreKey::generate(&mut rng)
}
