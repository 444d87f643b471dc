//! One node of the network: an engine, a journal on a disk of its own, verifiers for its links.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use skychat_engine::verify::{Checked, Verifier, Violation};
use skychat_engine::{Config, Engine, Input, Output, Payload, Recovered, Tip};
use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::{Incarnation, LinkId, MessageId, Moment, SpaceId, Timestamp};
use skychat_proto::link::Hello;
use skychat_proto::open::WriterKind;
use skychat_proto::record::Batch;
use skychat_proto::record::tables;
use skychat_seal::StoreKey;
use skychat_store::{MemoryDisk, OpenOptions, SegmentSizes, Store, StoreReader, StoreWriter};

use super::AcceptedMessage;

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
    person: usize,
    spec: WriterSpec,
    name: String,
    disk: MemoryDisk,
    snapshot: Option<BTreeMap<String, Vec<u8>>>,
    /// Its disk went back in time, or is a copy.
    pub(crate) branched: bool,
    up: Option<Up>,
    next_request: u64,
    requests: BTreeMap<u64, AcceptedMessage>,
    accepted: Vec<AcceptedMessage>,
    /// Messages of which the recipient's acknowledgement was told, and those refused.
    pub(crate) told: BTreeSet<(skychat_proto::ids::FeedId, u64)>,
}

struct Up {
    life: u64,
    engine: Engine,
    writer: StoreWriter,
    reader: StoreReader,
    committing: Option<Batch>,
    verifiers: BTreeMap<LinkId, Verifier>,
    answers: VecDeque<Input>,
    lookups: Vec<(u64, PublicKey, SpaceId, Vec<MessageId>)>,
    timer: Option<Moment>,
}

/// What came out: whether that is all, frames, links to close, problems.
type Work = (bool, Vec<(LinkId, Payload)>, Vec<LinkId>, Vec<String>);

impl SimNode {
    /// A node of a person, down.
    pub fn new(person: usize, spec: WriterSpec) -> Self {
        SimNode {
            person,
            spec,
            name: format!("{person}{spec:?}"),
            disk: MemoryDisk::new(),
            snapshot: None,
            branched: false,
            up: None,
            next_request: 0,
            requests: BTreeMap::new(),
            accepted: Vec::new(),
            told: BTreeSet::new(),
        }
    }

    /// The key of a person.
    pub fn key_of(person: usize) -> PublicKey {
        secret_of(person).public()
    }

    /// Its key.
    pub fn key(&self) -> PublicKey {
        Self::key_of(self.person)
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
        life: u64,
    ) -> Result<(), String> {
        let incarnation = Incarnation::from_bytes(life.to_be_bytes());
        let options = OpenOptions {
            owner: self.key(),
            store_key: store_key(self.person),
            incarnation,
            seed: store_seed,
            segments: SegmentSizes {
                first: 4 * 1024,
                largest: 64 * 1024,
            },
            tail: None,
        };
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
        };
        let config = Config {
            kind: match self.spec {
                WriterSpec::Node => WriterKind::Node,
                WriterSpec::Memory => WriterKind::Memory,
                WriterSpec::OneShot => WriterKind::OneShot,
            },
            incarnation,
            agent: "sim".into(),
            consented: BTreeSet::new(),
        };
        let engine = Engine::new(config, secret_of(self.person), seed, recovered, now, wall)
            .map_err(|error| error.to_string())?;
        self.up = Some(Up {
            life,
            engine,
            writer,
            reader,
            committing: None,
            verifiers: BTreeMap::new(),
            answers: VecDeque::new(),
            lookups: Vec::new(),
            timer: None,
        });
        Ok(())
    }

    /// Stops it at once. Of the write under way all, a part, or nothing reaches the disk.
    pub(crate) fn crash(&mut self, written: bool, torn: bool) {
        let Some(mut up) = self.up.take() else { return };
        self.requests.clear();
        if self.spec != WriterSpec::Node {
            self.disk = MemoryDisk::new();
            return;
        }
        let Some(batch) = up.committing.take() else {
            return;
        };
        let before = self.disk.files();
        // Whether it goes well does not matter: nobody is told.
        let _ = up.writer.commit(vec![batch]);
        let after = self.disk.files();
        let files = match (written, torn) {
            (true, _) => after,
            (false, true) => tear(before, &after, up.life),
            (false, false) => before,
        };
        self.disk = MemoryDisk::with_files(files);
    }

    pub(crate) fn handle(&mut self, now: Moment, wall: Timestamp, input: Input) {
        if let Some(up) = &mut self.up {
            up.engine.handle(now, wall, input);
        }
    }

    /// Drains the engine once.
    pub(crate) fn work(&mut self) -> Work {
        let (mut sends, mut closes, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let Some(up) = &mut self.up else {
            return (true, sends, closes, problems);
        };
        while let Some(output) = up.engine.poll_output() {
            match output {
                Output::Send { link, payload } => sends.push((link, payload)),
                Output::Expect {
                    link,
                    feed,
                    position,
                    tip,
                } => {
                    if let Some(verifier) = up.verifiers.get_mut(&link) {
                        verifier.expect(feed, position, tip);
                    }
                }
                Output::Close { link, reason } => {
                    problems.push(format!("{} closes a link: {reason:?}", self.name));
                    closes.push(link);
                }
                Output::Lookup {
                    lookup,
                    author,
                    space,
                    messages,
                } => {
                    up.lookups.push((lookup, author, space, messages));
                }
                Output::Load {
                    load,
                    feed,
                    from,
                    max_entries,
                    max_bytes,
                    any_end,
                } => {
                    let range = up.reader.range(feed, from, max_entries, max_bytes, any_end);
                    let range = range.unwrap_or_else(|error| {
                        problems.push(format!("{}: {error}", self.name));
                        None
                    });
                    up.answers.push_back(Input::Loaded { load, range });
                }
                Output::LoadContent { load, feed, seq } => {
                    let content = up.reader.content(feed, seq).ok().flatten();
                    up.answers.push_back(Input::LoadedContent { load, content });
                }
                Output::Accepted {
                    request, message, ..
                } => {
                    if let Some(mut accepted) = self.requests.remove(&request) {
                        accepted.message = message;
                        self.accepted.push(accepted);
                    }
                }
                Output::Rejected { error, .. } => problems.push(format!("{}: {error}", self.name)),
                Output::Told(told) => {
                    for seq in told.from.get()..told.head.get() {
                        self.told.insert((told.feed, seq));
                    }
                }
                Output::Notice(_) => {}
            }
        }
        if up.committing.is_none() {
            for (lookup, author, space, messages) in std::mem::take(&mut up.lookups) {
                // No batch is under way: the answer is behind every earlier one. What the engine has not handed over
                // yet it answers for itself.
                let found = messages
                    .iter()
                    .map(|message| taken(&up.reader, author, space, *message))
                    .collect();
                up.answers.push_back(Input::Found { lookup, found });
            }
        }
        let done = up.answers.is_empty();
        (done, sends, closes, problems)
    }

    /// Hands the answers that are ready to the engine.
    pub(crate) fn answer(&mut self, now: Moment, wall: Timestamp) {
        if let Some(up) = &mut self.up {
            while let Some(answer) = up.answers.pop_front() {
                up.engine.handle(now, wall, answer);
            }
        }
    }

    pub(crate) fn begin_commit(&mut self) -> bool {
        let Some(up) = &mut self.up else { return false };
        if up.committing.is_some() || !up.engine.has_batch() {
            return false;
        }
        up.committing = Some(up.engine.take_batch());
        true
    }

    pub(crate) fn synced(&mut self) -> Result<Vec<Input>, String> {
        let Some(up) = &mut self.up else {
            return Ok(Vec::new());
        };
        let Some(batch) = up.committing.take() else {
            return Ok(Vec::new());
        };
        let (receipts, _) = up
            .writer
            .commit(vec![batch])
            .map_err(|error| format!("{}: commit: {error}", self.name))?;
        Ok(receipts
            .into_iter()
            .map(|receipt| Input::Committed {
                batch: receipt.batch,
            })
            .collect())
    }

    pub(crate) fn timer(&mut self) -> Option<Moment> {
        let up = self.up.as_mut()?;
        let at = up.engine.poll_timeout();
        if at == up.timer {
            return None;
        }
        up.timer = at;
        at
    }

    pub(crate) fn timer_due(&mut self, now: Moment) -> bool {
        let Some(up) = &mut self.up else { return false };
        let due = up.engine.poll_timeout().is_some_and(|at| at <= now);
        if due {
            up.timer = None;
        }
        due
    }

    pub(crate) fn request(&mut self, to: PublicKey, message: Option<MessageId>, text: &str) -> u64 {
        self.next_request += 1;
        let accepted = AcceptedMessage {
            from: self.key(),
            to,
            message: message.unwrap_or(MessageId::ZERO),
            text: text.to_owned(),
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

/// The hash of the content that was taken under an id.
fn taken(
    reader: &StoreReader,
    author: PublicKey,
    space: SpaceId,
    message: MessageId,
) -> Option<[u8; 32]> {
    let at = reader.find(author, space, message).ok()??;
    let (_, stored) = reader.content(at.feed, at.seq).ok()??;
    let (_, content) = tables::split_stored(&stored)?;
    Some(Sha256::digest(content).into())
}

/// Files change in the order of their names, each after the sync of the one before: of one of them a prefix of what
/// changed is there, those before it are whole, those after it are as they were. `HEAD`, written last, is old.
fn tear(
    before: BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
    seed: u64,
) -> BTreeMap<String, Vec<u8>> {
    let changed: Vec<&String> = after
        .iter()
        .filter(|(path, new)| path.ends_with(".seg") && before.get(*path) != Some(*new))
        .map(|(path, _)| path)
        .collect();
    let mut files = before;
    let Some(torn) = usize::try_from(seed >> 32)
        .ok()
        .and_then(|n| n.checked_rem(changed.len()))
    else {
        return files;
    };
    for path in changed.iter().take(torn) {
        if let Some(new) = after.get(*path) {
            files.insert((*path).clone(), new.clone());
        }
    }
    let Some((path, new)) = changed
        .get(torn)
        .and_then(|path| Some((*path, after.get(*path)?)))
    else {
        return files;
    };
    let old = files.entry(path.clone()).or_default();
    let common = old.len().min(new.len());
    let first = old
        .iter()
        .zip(new)
        .position(|(a, b)| a != b)
        .unwrap_or(common);
    let length = new.len().saturating_sub(first).max(1);
    let keep = usize::try_from(seed & 0xffff_ffff).unwrap_or(0) % length;
    let end = first.saturating_add(keep).min(new.len());
    old.resize(old.len().max(end), 0);
    if let (Some(old), Some(new)) = (old.get_mut(first..end), new.get(first..end)) {
        old.copy_from_slice(new);
    }
    files
}

fn secret_of(person: usize) -> SecretKey {
    SecretKey::from_seed([u8::try_from(person + 1).unwrap_or(u8::MAX); 32])
}

fn store_key(person: usize) -> StoreKey {
    let mut rng =
        chacha20::ChaCha20Rng::from_seed([u8::try_from(person + 101).unwrap_or(u8::MAX); 32]);
    StoreKey::generate(&mut rng)
}
