//! A network of whole nodes in virtual time: engines over real journals, links with latency that are cut, crashes that
//! lose what was not synced.
//!
//! Everything follows from one seed. Links are ordered and reliable until cut; a cut loses what is in flight
//! (`docs/ARCHITECTURE.md`). Frames travel encoded, so every codec is on the way.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes are named by their index in the network's own list"
)]

mod check;
mod node;
mod play;

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use skychat_engine::{Input, Payload};
use skychat_identity::{KeyCache, PublicKey};
use skychat_proto::ids::{LinkId, MessageId, Moment, Timestamp};
use skychat_proto::link::{Hello, LinkMessage};
use skychat_proto::sync::SyncMessage;

pub use check::Verdict;
pub use node::{SimNode, WriterSpec};
pub use play::{Class, play};

/// One step of virtual time: a microsecond.
pub type Micros = u64;

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Due {
    /// A frame arrives at the end of a link.
    Arrive { link: u64, at_b: bool, frame: Frame },
    /// The sync of what a node is writing returns.
    Synced { node: usize, life: u64 },
    /// A node's timer may have come.
    Timer { node: usize, life: u64 },
}

/// What travels.
#[derive(Debug)]
pub(crate) enum Frame {
    Up(Hello),
    Link(Vec<u8>),
    Sync(Vec<u8>),
    Range(bytes::Bytes),
}

/// A link between two running nodes.
#[derive(Debug)]
pub(crate) struct SimLink {
    pub(crate) a: usize,
    pub(crate) b: usize,
    latency: Micros,
    last: [Micros; 2],
}

/// A message that a node said it accepted.
#[derive(Clone, Debug)]
pub struct AcceptedMessage {
    /// Who says it.
    pub from: PublicKey,
    /// To whom.
    pub to: PublicKey,
    /// Its id.
    pub message: MessageId,
    /// What it says.
    pub text: String,
}

/// The network.
pub struct SimNet {
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now: Micros,
    due: BTreeMap<(Micros, u64), Due>,
    next: u64,
    pub(crate) nodes: Vec<SimNode>,
    pub(crate) links: BTreeMap<u64, SimLink>,
    pub(crate) accepted: Vec<AcceptedMessage>,
    pub(crate) problems: Vec<String>,
    pub(crate) keys: KeyCache,
    steps: u64,
}

/// 2026-11-21, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_795_219_200_000;

impl SimNet {
    /// An empty network.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        SimNet {
            rng: ChaCha20Rng::from_seed(bytes),
            now: 0,
            due: BTreeMap::new(),
            next: 0,
            nodes: Vec::new(),
            links: BTreeMap::new(),
            accepted: Vec::new(),
            problems: Vec::new(),
            keys: KeyCache::new(),
            steps: 0,
        }
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n.max(1)
    }

    /// 32 bytes of the network's randomness.
    pub fn bytes32(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// The instant on the monotonic clock.
    pub fn moment(&self) -> Moment {
        Moment::since_start(std::time::Duration::from_micros(self.now))
    }

    /// The wall clock.
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_millis(EPOCH_MS + self.now / 1000)
    }

    /// Nodes, in the order they were added.
    pub fn nodes(&self) -> &[SimNode] {
        &self.nodes
    }

    /// What was accepted so far.
    pub fn accepted(&self) -> &[AcceptedMessage] {
        &self.accepted
    }

    /// Steps taken: inputs handed to engines.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How many links are up.
    pub fn links_up(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn schedule(&mut self, at: Micros, due: Due) {
        self.next += 1;
        self.due.insert((at.max(self.now), self.next), due);
    }

    /// Links two running nodes.
    pub fn link(&mut self, a: usize, b: usize) -> Option<u64> {
        let (hello_a, hello_b) = (self.nodes[a].hello()?, self.nodes[b].hello()?);
        self.next += 1;
        let id = self.next;
        let latency = 100 + self.below(30_000);
        self.links.insert(
            id,
            SimLink {
                a,
                b,
                latency,
                last: [0, 0],
            },
        );
        self.nodes[a].link_added(LinkId::new(id));
        self.nodes[b].link_added(LinkId::new(id));
        self.transmit(id, true, Frame::Up(hello_a));
        self.transmit(id, false, Frame::Up(hello_b));
        Some(id)
    }

    /// Whether two nodes are linked.
    pub fn linked(&self, a: usize, b: usize) -> bool {
        self.links
            .values()
            .any(|link| (link.a, link.b) == (a, b) || (link.a, link.b) == (b, a))
    }

    /// Cuts a link: what is in flight is gone.
    pub fn cut(&mut self, id: u64) {
        let Some(link) = self.links.remove(&id) else {
            return;
        };
        for node in [link.a, link.b] {
            if self.nodes[node].link_removed(LinkId::new(id)) {
                self.hand(
                    node,
                    Input::LinkDown {
                        link: LinkId::new(id),
                    },
                );
            }
        }
    }

    /// Stops a node as `kill -9` and a power cut do. `written`: the write under way reached the disk although nobody
    /// was told; otherwise it is lost, or torn.
    pub fn crash(&mut self, node: usize, written: bool) {
        let torn = self.below(2) == 0;
        let links: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| link.a == node || link.b == node)
            .map(|(id, _)| *id)
            .collect();
        self.nodes[node].crash(written, torn);
        for link in links {
            self.cut(link);
        }
    }

    /// Starts a node that is down.
    pub fn start(&mut self, node: usize) {
        if self.nodes[node].is_up() {
            return;
        }
        let (now, wall) = (self.moment(), self.wall());
        let (seed, store_seed, life) = (self.bytes32(), self.bytes32(), self.rng.next_u64());
        if let Err(problem) = self.nodes[node].start(now, wall, seed, store_seed, life) {
            self.problems
                .push(format!("start of {}: {problem}", self.nodes[node].name()));
            return;
        }
        self.settle(node);
    }

    pub(crate) fn transmit(&mut self, id: u64, to_b: bool, frame: Frame) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let last = &mut link.last[usize::from(to_b)];
        *last = (self.now + link.latency).max(*last + 1);
        let at = *last;
        self.schedule(
            at,
            Due::Arrive {
                link: id,
                at_b: to_b,
                frame,
            },
        );
    }

    /// Hands an input to a node, and does what comes out.
    pub fn hand(&mut self, node: usize, input: Input) {
        self.steps += 1;
        let (now, wall) = (self.moment(), self.wall());
        self.nodes[node].handle(now, wall, input);
        self.settle(node);
    }

    /// The next thing that is due; `false` if nothing is, or only later than `until`.
    pub fn step(&mut self, until: Micros) -> bool {
        let Some((&(at, order), _)) = self.due.first_key_value() else {
            return false;
        };
        if at > until {
            self.now = self.now.max(until);
            return false;
        }
        self.now = self.now.max(at);
        match self.due.remove(&(at, order)) {
            Some(Due::Arrive { link, at_b, frame }) => self.arrive(link, at_b, frame),
            Some(Due::Synced { node, life }) if self.nodes[node].life() == Some(life) => {
                match self.nodes[node].synced() {
                    Ok(inputs) => {
                        for input in inputs {
                            self.hand(node, input);
                        }
                    }
                    Err(problem) => self.problems.push(problem),
                }
                self.settle(node);
            }
            Some(Due::Timer { node, life }) => {
                let now = self.moment();
                if self.nodes[node].life() == Some(life) && self.nodes[node].timer_due(now) {
                    self.hand(node, Input::Timeout);
                }
            }
            Some(Due::Synced { .. }) | None => {}
        }
        true
    }

    /// Lets so much virtual time pass.
    pub fn run_for(&mut self, micros: Micros) {
        let until = self.now + micros;
        while self.step(until) {}
        self.now = until;
    }

    fn arrive(&mut self, id: u64, at_b: bool, frame: Frame) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let (node, from) = if at_b {
            (link.b, link.a)
        } else {
            (link.a, link.b)
        };
        let peer = self.nodes[from].key();
        let link = LinkId::new(id);
        let input = match frame {
            Frame::Up(hello) => Input::LinkUp { link, peer, hello },
            Frame::Link(bytes) => match LinkMessage::decode(&bytes) {
                Ok(message) => Input::Link { link, message },
                Err(error) => return self.problems.push(format!("link frame: {error}")),
            },
            Frame::Sync(bytes) => match SyncMessage::decode(&bytes, &mut self.keys) {
                Ok(message) => Input::Sync { link, message },
                Err(error) => return self.problems.push(format!("sync frame: {error}")),
            },
            Frame::Range(bytes) => match self.nodes[node].check(link, bytes) {
                Some(Ok(checked)) => Input::Checked { link, checked },
                Some(Err(violation)) => {
                    let name = self.nodes[node].name().to_owned();
                    return self.problems.push(format!(
                        "{name} sees a violation by an honest peer: {violation}"
                    ));
                }
                None => return,
            },
        };
        self.hand(node, input);
    }

    /// Does what a node says until it says nothing more.
    pub(crate) fn settle(&mut self, node: usize) {
        loop {
            let (done, sends, closes, problems) = self.nodes[node].work();
            self.problems.extend(problems);
            for (link, payload) in sends {
                let id = link.get();
                let Some(at) = self.links.get(&id) else {
                    continue;
                };
                let to_b = at.a == node;
                let frame = match payload {
                    Payload::Link(message) => Frame::Link(message.encode()),
                    Payload::Sync(message) => Frame::Sync(message.encode()),
                    Payload::Range(range) => Frame::Range(range.to_bytes()),
                };
                self.transmit(id, to_b, frame);
            }
            for link in closes {
                self.cut(link.get());
            }
            if done {
                break;
            }
            let (now, wall) = (self.moment(), self.wall());
            self.nodes[node].answer(now, wall);
        }
        self.accepted.extend(self.nodes[node].take_accepted());
        if let Some(life) = self.nodes[node].life() {
            let sync = 50 + self.below(4_000);
            if self.nodes[node].begin_commit() {
                self.schedule(self.now + sync, Due::Synced { node, life });
            }
            if let Some(at) = self.nodes[node].timer() {
                let at = u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.schedule(at, Due::Timer { node, life });
            }
        }
    }

    /// Everything up and linked, and nothing more to do.
    pub fn quiesce(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].is_one_shot() {
                self.crash(node, false);
            } else if !self.nodes[node].is_up() {
                self.start(node);
            }
        }
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                let others = self.nodes[a].key() != self.nodes[b].key();
                if others && self.nodes[a].is_up() && self.nodes[b].is_up() && !self.linked(a, b) {
                    self.link(a, b);
                }
            }
        }
        let limit = self.steps + 200_000;
        // Two virtual minutes: longer than any timer.
        let until = self.now + 130_000_000;
        while self.step(until) {
            if self.steps > limit {
                self.problems
                    .push("livelock: 200,000 inputs and no rest".into());
                return;
            }
        }
    }
}
