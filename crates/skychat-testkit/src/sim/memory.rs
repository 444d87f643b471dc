//! Machines that are saved with their memory, and go on from there.
//!
//! An engine is a function of what it was given. So a saved machine is its disk, and a tape of that; it is resumed by
//! playing the tape to another engine.

use std::collections::{BTreeMap, VecDeque};

use skychat_engine::{Config, Engine, Input, Recovered};
use skychat_proto::ids::{Incarnation, Moment, Timestamp};
use skychat_store::{MemoryDisk, Store};

use super::node::{SimNode, Up, secret_of};
use super::{SimNet, WriterSpec};

/// What was done with an engine.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Handle(Moment, Timestamp, Box<Input>),
    Mix([u8; 32]),
    Take,
}

/// How an engine came to be as it is.
#[derive(Clone, Debug)]
pub(super) struct Tape {
    config: Config,
    seed: [u8; 32],
    recovered: Recovered,
    now: Moment,
    wall: Timestamp,
    steps: Vec<Step>,
}

/// A machine as it was.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    tape: Tape,
    files: BTreeMap<String, Vec<u8>>,
    incarnation: Incarnation,
}

impl Tape {
    pub(super) fn new(
        config: &Config,
        seed: [u8; 32],
        recovered: &Recovered,
        now: Moment,
        wall: Timestamp,
    ) -> Self {
        let (config, recovered) = (config.clone(), recovered.clone());
        Tape {
            config,
            seed,
            recovered,
            now,
            wall,
            steps: Vec::new(),
        }
    }

    /// Another engine that was given the same.
    fn play(&self, person: usize) -> Result<Engine, String> {
        let (config, recovered) = (self.config.clone(), self.recovered.clone());
        let secret = secret_of(person);
        let mut engine = Engine::new(config, secret, self.seed, recovered, self.now, self.wall)
            .map_err(|error| error.to_string())?;
        let drain = |engine: &mut Engine| while engine.poll_output().is_some() {};
        drain(&mut engine);
        for step in &self.steps {
            match step {
                Step::Handle(now, wall, input) => {
                    engine.handle(*now, *wall, Input::clone(input));
                }
                Step::Mix(fresh) => engine.mix(fresh),
                Step::Take => drop(engine.take_batch()),
            }
            drain(&mut engine);
        }
        Ok(engine)
    }
}

impl Up {
    pub(super) fn tape(&mut self, step: impl FnOnce() -> Step) {
        if let Some(tape) = &mut self.tape {
            tape.steps.push(step());
        }
    }
}

impl SimNode {
    /// It can be suspended from its next start on.
    #[must_use]
    pub fn with_tape(mut self) -> Self {
        self.taping = true;
        self
    }

    /// Saves the machine, if it runs and writes nothing at the moment.
    pub(super) fn suspend(&mut self) {
        let Some(up) = self
            .up
            .as_ref()
            .filter(|up| up.committing.is_none() && up.lookups.is_empty() && up.answers.is_empty())
        else {
            return;
        };
        let tape = up.tape.clone().filter(|_| self.spec == WriterSpec::Node);
        let incarnation = up.incarnation;
        self.machine = tape.map(|tape| Machine {
            tape,
            files: self.disk.files(),
            incarnation,
        });
    }

    /// Goes on from where it was saved, with other links than then: `life` is its name in the schedule.
    fn go_back(&mut self, life: u64, store_seed: [u8; 32]) -> Result<(), String> {
        let Some(machine) = self.machine.clone() else {
            return Ok(());
        };
        self.up = None;
        self.requests.clear();
        self.disk = MemoryDisk::with_files(machine.files);
        let options = self.options(machine.incarnation, store_seed);
        let (writer, reader, _) =
            Store::open(self.disk.clone(), options).map_err(|error| error.to_string())?;
        let engine = machine.tape.play(self.person)?;
        (self.branched, self.resumed) = (true, true);
        self.up = Some(Up {
            life,
            incarnation: machine.incarnation,
            engine,
            writer,
            reader,
            committing: None,
            verifiers: BTreeMap::new(),
            answers: VecDeque::new(),
            lookups: Vec::new(),
            timer: None,
            tape: Some(machine.tape),
        });
        Ok(())
    }
}

impl SimNet {
    /// Saves a machine with its memory. It has to be a node [`with_tape`](SimNode::with_tape), at rest.
    pub fn suspend(&mut self, node: usize) {
        self.nodes[node].suspend();
    }

    /// Resumes a machine that was saved: its memory and its disk are as they were then, its links are gone.
    pub fn resume(&mut self, node: usize) {
        if self.nodes[node].machine.is_none() {
            return;
        }
        self.crash(node, false);
        let (life, store_seed) = (rand_core::Rng::next_u64(&mut self.rng), self.bytes32());
        if let Err(problem) = self.nodes[node].go_back(life, store_seed) {
            let name = self.nodes[node].name();
            self.problems.push(format!("resume of {name}: {problem}"));
            return;
        }
        let links = self.nodes[node].engine().map(Engine::linked);
        for link in links.unwrap_or_default().into_keys() {
            self.hand(node, Input::LinkDown { link });
        }
        self.settle(node);
    }

    pub(super) fn is_resumed(&self, key: &skychat_identity::PublicKey) -> bool {
        let of = |node: &SimNode| node.resumed && node.key() == *key;
        self.nodes.iter().any(of)
    }
}
