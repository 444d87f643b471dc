//! Random histories: what people, machines and networks do.

use skychat_engine::Input;
use skychat_proto::content::Content;
use skychat_proto::ids::MessageId;

use super::{SimNet, SimNode, Verdict, WriterSpec};

/// What happens besides talking: weights of unusual actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing.
    Steady,
    /// Cuts, partitions, crashes and restarts.
    Restart,
    /// The same, with directories restored from older copies.
    Restore,
    /// The same, with copied directories run beside the originals.
    Clone,
    /// The same, with writers that have no store.
    OneShot,
    /// The same, with ids of clients sent again.
    Retry,
    /// The same, with nodes that keep nothing.
    Memory,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 7] = [
        Class::Steady,
        Class::Restart,
        Class::Restore,
        Class::Clone,
        Class::OneShot,
        Class::Retry,
        Class::Memory,
    ];
}

/// At most so many messages a history.
const MESSAGES: u64 = 30;

/// Plays the history of one seed with `people` persons, and judges it.
pub fn play(class: Class, seed: u64, people: usize) -> (SimNet, Verdict) {
    let mut net = SimNet::new(seed);
    for person in 0..people {
        net.add(SimNode::new(person, WriterSpec::Node));
    }
    for node in 0..people {
        net.start(node);
    }
    let mut said = 0_u64;
    let mut clients: Vec<(usize, usize, MessageId, String)> = Vec::new();
    let steps = 60 + net.below(120);
    for _ in 0..steps {
        let roll = net.below(100);
        if roll < 30 && said < MESSAGES {
            said += 1;
            say(&mut net, people, said, class == Class::Retry, &mut clients);
        } else if roll < 45 {
            link_somebody(&mut net);
        } else if roll < 60 && class != Class::Steady {
            trouble(&mut net, class, people, &mut said, &mut clients);
        } else {
            let time = [500, 5_000, 60_000, 3_000_000][usize::try_from(net.below(4)).unwrap_or(0)];
            let time = net.below(time);
            net.run_for(time);
        }
    }
    net.quiesce();
    let verdict = net.check(class);
    (net, verdict)
}

fn running(net: &SimNet) -> Vec<usize> {
    (0..net.nodes().len())
        .filter(|node| net.nodes()[*node].is_up() && !net.nodes()[*node].is_one_shot())
        .collect()
}

fn pick(net: &mut SimNet, from: &[usize]) -> Option<usize> {
    let n = net.below(from.len() as u64);
    from.get(usize::try_from(n).ok()?).copied()
}

fn say(
    net: &mut SimNet,
    people: usize,
    said: u64,
    client: bool,
    clients: &mut Vec<(usize, usize, MessageId, String)>,
) {
    let up = running(net);
    let Some(node) = pick(net, &up) else { return };
    let person = net.nodes()[node].person();
    let other = (person + 1 + usize::try_from(net.below(people as u64 - 1)).unwrap_or(0)) % people;
    let text = format!("{said:04} {person}>{other}");
    let message = (client && net.below(3) == 0).then(|| {
        let bytes = net.bytes32();
        MessageId::from_slice(&bytes[..16]).unwrap_or(MessageId::ZERO)
    });
    if let Some(message) = message {
        clients.push((person, other, message, text.clone()));
    }
    net.say(node, other, message, &text);
}

fn link_somebody(net: &mut SimNet) {
    let up = running(net);
    let (Some(a), Some(b)) = (pick(net, &up), pick(net, &up)) else {
        return;
    };
    if net.nodes()[a].key() != net.nodes()[b].key() && !net.linked(a, b) {
        net.link(a, b);
    }
}

fn trouble(
    net: &mut SimNet,
    class: Class,
    people: usize,
    said: &mut u64,
    clients: &mut [(usize, usize, MessageId, String)],
) {
    let special = net.below(3) == 0;
    match class {
        Class::Restore if special => {
            let node = usize::try_from(net.below(people as u64)).unwrap_or(0);
            if net.below(2) == 0 {
                net.nodes_mut()[node].snapshot();
            } else if net.nodes()[node].has_snapshot() {
                net.crash(node, false);
                net.nodes_mut()[node].restore();
            }
        }
        Class::Clone if special => {
            let node = usize::try_from(net.below(people as u64)).unwrap_or(0);
            if net.nodes().len() < people + 2 {
                let copy = net.nodes()[node].copy_of();
                let copy = net.add(copy);
                net.start(copy);
            }
        }
        Class::Memory if special => {
            let person = usize::try_from(net.below(people as u64)).unwrap_or(0);
            let node = (0..net.nodes().len()).find(|node| {
                net.nodes()[*node].person() == person
                    && net.nodes()[*node].spec() == WriterSpec::Memory
            });
            let node = match node {
                Some(node) => node,
                None => net.add(SimNode::new(person, WriterSpec::Memory)),
            };
            net.start(node);
        }
        Class::OneShot if special && *said < MESSAGES => {
            let up = running(net);
            let Some(at) = pick(net, &up) else { return };
            let to = net.nodes()[at].person();
            let person = (to + 1) % people;
            *said += 1;
            let text = format!("{said:04} {person}>{to} one-shot");
            let node = net.add(SimNode::new(person, WriterSpec::OneShot));
            net.start(node);
            net.say(node, to, None, &text);
            net.link(node, at);
        }
        Class::Retry if special && !clients.is_empty() => {
            let n = usize::try_from(net.below(clients.len() as u64)).unwrap_or(0);
            let (person, other, message, text) = clients[n].clone();
            let up: Vec<usize> = running(net)
                .into_iter()
                .filter(|node| net.nodes()[*node].person() == person)
                .collect();
            if let Some(node) = pick(net, &up) {
                net.say(node, other, Some(message), &text);
            }
        }
        _ => match net.below(3) {
            0 => {
                let links: Vec<u64> = net.links.keys().copied().collect();
                let n = usize::try_from(net.below(links.len() as u64)).unwrap_or(0);
                if let Some(link) = links.get(n) {
                    net.cut(*link);
                }
            }
            1 => {
                let up = running(net);
                if let Some(node) = pick(net, &up) {
                    let written = net.below(2) == 0;
                    net.crash(node, written);
                }
            }
            _ => {
                let down: Vec<usize> = (0..net.nodes().len())
                    .filter(|node| !net.nodes()[*node].is_up() && !net.nodes()[*node].is_one_shot())
                    .collect();
                if let Some(node) = pick(net, &down) {
                    net.start(node);
                }
            }
        },
    }
}

impl SimNet {
    /// Adds a node, which is down.
    pub fn add(&mut self, node: SimNode) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(crate) fn nodes_mut(&mut self) -> &mut [SimNode] {
        &mut self.nodes
    }

    /// A node says something to a person, as its host would: an id that its store knows is not sent again (ID-4).
    pub fn say(&mut self, node: usize, person: usize, message: Option<MessageId>, text: &str) {
        let to = SimNode::key_of(person);
        if let Some(message) = message
            && self.nodes[node].knows(&to, message)
        {
            return;
        }
        let Ok(content) = Content::text(text) else {
            return;
        };
        let request = self.nodes[node].request(to, message, text);
        self.hand(
            node,
            Input::Send {
                request,
                to,
                message,
                content,
            },
        );
    }
}
