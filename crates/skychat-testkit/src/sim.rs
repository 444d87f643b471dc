//! A network of whole nodes in virtual time: engines over real journals, links with latency that are cut, crashes that
//! lose what was not synced.
//!
//! Everything follows from one seed. Links are ordered and reliable until cut; a cut loses what is in flight
//! (`docs/ARCHITECTURE.md`). Frames travel encoded, so every codec is on the way.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes are named by their index in the network's own list"
)]

mod alarm;
mod check;
mod drive;
mod faults;
mod hostile;
mod memory;
mod node;
mod plan;
mod planted;
mod play;
mod tear;
mod wire;

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use skychat_engine::Input;
use skychat_identity::{KeyCache, PublicKey};
use skychat_proto::ids::{LinkId, MessageId, Moment, Timestamp};
use skychat_proto::link::Hello;

pub use check::Verdict;
pub use node::{SimNode, WriterSpec};
pub use plan::{Action, Class, Plan, What};
pub use planted::Planted;
pub use play::play;

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
#[derive(Clone, Debug)]
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
    /// Directions in which nothing arrives for now: to `a`, to `b`.
    stuck: [bool; 2],
    backlog: [Vec<Frame>; 2],
    /// One side asked the other to wait; only a new link ends it.
    pub(crate) held: bool,
}

/// A message that a node said it accepted.
#[derive(Clone, Debug)]
pub struct AcceptedMessage {
    /// Which node of the network accepted it.
    pub by: usize,
    /// Who says it.
    pub from: PublicKey,
    /// To whom.
    pub to: PublicKey,
    /// Its id.
    pub message: MessageId,
    /// What it says.
    pub text: String,
    /// It is no content: whoever gets it refuses it.
    pub nonsense: bool,
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
    /// Content bodies may be lost on the way: one range in four goes without.
    pub(crate) dropping: bool,
    pub(crate) planted: Option<Planted>,
    /// Hostile nodes change what they send; it ends with all other faults.
    pub(crate) garbling: bool,
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
            dropping: false,
            planted: None,
            garbling: true,
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

    /// The wall clock of a node: its own, which may be a day off and jump.
    pub fn wall(&self, node: usize) -> Timestamp {
        let millis = EPOCH_MS + self.now / 1000;
        Timestamp::from_millis(millis.saturating_add_signed(self.nodes[node].skew_ms))
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

    fn schedule(&mut self, at: Micros, due: Due) {
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
                stuck: [false, false],
                backlog: [Vec::new(), Vec::new()],
                held: false,
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
        let (now, wall) = (self.moment(), self.wall(node));
        let (seed, store_seed, life) = (self.bytes32(), self.bytes32(), self.rng.next_u64());
        let twin = self.nodes[node].twin_of;
        let incarnation = twin.and_then(|twin| self.nodes[twin].incarnation());
        if let Err(problem) =
            self.nodes[node].start(now, wall, seed, store_seed, (life, incarnation))
        {
            self.problems
                .push(format!("start of {}: {problem}", self.nodes[node].name()));
            return;
        }
        self.settle(node);
    }

    /// Keeps a copy of a node's directory.
    pub fn snapshot(&mut self, node: usize) {
        self.nodes[node].snapshot();
    }

    /// Puts the copy in place. The node has to be down.
    pub fn restore(&mut self, node: usize) {
        self.nodes[node].restore();
    }

    /// Hands an input to a node, and does what comes out.
    pub fn hand(&mut self, node: usize, input: Input) {
        self.steps += 1;
        let (now, wall) = (self.moment(), self.wall(node));
        if input.draws() {
            let fresh = self.bytes32();
            self.nodes[node].mix(fresh);
        }
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
                    Err(_) if self.nodes[node].hostile => self.nodes[node].mute = true,
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

    /// Heals, and waits until there is nothing more to do.
    pub fn quiesce(&mut self) {
        self.heal();
        self.rest(130 * SECOND);
    }

    /// Lets virtual time pass, and reports it if there is no end of inputs.
    pub(crate) fn rest(&mut self, micros: Micros) {
        let (limit, until) = (self.steps + MAX_STEPS, self.now + micros);
        while self.step(until) {
            if self.steps > limit {
                self.problems
                    .push(format!("livelock: {MAX_STEPS} inputs and no rest"));
                return;
            }
        }
        self.now = until;
    }
}

/// A second of virtual time.
pub const SECOND: Micros = 1_000_000;

/// Inputs after which a network that should come to rest is taken for one that never does.
const MAX_STEPS: u64 = 200_000;
