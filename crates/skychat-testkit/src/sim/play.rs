//! Playing a history: what people, machines and networks do.

use skychat_engine::Input;
use skychat_identity::PublicKey;
use skychat_proto::content::{Content, TEXT};
use skychat_proto::ids::MessageId;

use super::{Action, Class, Plan, Planted, SECOND, SimNet, SimNode, Verdict, What, WriterSpec};

/// At most so many messages a history.
const MESSAGES: u64 = 30;

/// A day, in milliseconds: how far a clock may be off.
const DAY_MS: i64 = 86_400_000;

/// Actions between two looks at what must hold at any time.
const LOOK: usize = 25;

/// Copies and twins of one history.
const MAX_COPIES: usize = 2;

/// Inputs of a minute in which nobody says anything and nothing is broken, per node: more is a storm.
const QUIET: u64 = 8;

/// A message with an id of its client: who, to whom, the id, the text.
type Client = (usize, usize, MessageId, String);

/// Plays a history, and judges it.
pub fn play(plan: &Plan) -> (SimNet, Verdict) {
    play_with(plan, None)
}

impl Plan {
    /// Plays it with nodes that make a mistake.
    pub fn play_planted(&self, bug: Planted) -> Verdict {
        play_with(self, Some(bug)).1
    }
}

fn play_with(plan: &Plan, planted: Option<Planted>) -> (SimNet, Verdict) {
    let mut net = SimNet::new(plan.seed);
    net.planted = planted;
    for person in 0..plan.people {
        let node = net.add(SimNode::new(person, WriterSpec::Node));
        net.nodes[node].skew_ms = net.skew();
        net.nodes[node].hostile = plan.class.is_hostile() && person == 0;
        net.nodes[node].taping = plan.class.resumes() && person != 0;
        net.start(node);
    }
    net.dropping = plan.class.drops();
    let mut player = Player {
        people: plan.people,
        class: plan.class,
        said: 0,
        clients: Vec::new(),
    };
    for (at, action) in plan.actions.iter().enumerate() {
        player.act(&mut net, action);
        if at % LOOK == LOOK - 1 {
            net.look(plan.class);
        }
    }
    net.heal();
    if plan.class.is_hostile() {
        // What was changed on its way before is forgotten with the links it came by: from here on everybody says what
        // it holds, and two histories of one feed have to come out.
        net.rest(SECOND);
        net.cut_hostile();
        net.heal();
    }
    if plan.class.is_plain() {
        net.rest(60 * SECOND);
        net.converged();
    }
    net.rest(130 * SECOND);
    let (before, nodes) = (net.steps(), net.nodes.len() as u64);
    net.rest(60 * SECOND);
    let busy = net.steps() - before;
    if busy > nodes * QUIET {
        net.problems
            .push(format!("no rest: {busy} inputs in a quiet minute"));
    }
    let verdict = net.check(plan.class);
    (net, verdict)
}

struct Player {
    people: usize,
    class: Class,
    said: u64,
    clients: Vec<Client>,
}

fn index(roll: u64, length: usize) -> usize {
    usize::try_from(roll % (length as u64).max(1)).unwrap_or(0)
}

fn running(net: &SimNet) -> Vec<usize> {
    (0..net.nodes.len())
        .filter(|node| net.nodes[*node].is_up() && !net.nodes[*node].is_one_shot())
        .collect()
}

fn pick(from: &[usize], roll: u64) -> Option<usize> {
    from.get(index(roll, from.len())).copied()
}

impl Player {
    fn act(&mut self, net: &mut SimNet, action: &Action) {
        let [a, b, c] = action.rolls;
        let links: Vec<u64> = net.links.keys().copied().collect();
        let link = links.get(index(a, links.len())).copied();
        let node = index(a, self.people);
        match action.what {
            What::Say => self.say(net, action, false),
            What::Nonsense => self.say(net, action, true),
            What::Link => {
                let up = running(net);
                let (Some(a), Some(b)) = (pick(&up, a), pick(&up, b)) else {
                    return;
                };
                if net.nodes[a].key() != net.nodes[b].key() && !net.linked(a, b) {
                    net.link(a, b);
                }
            }
            What::Wait => {
                let most = [500, 5_000, 60_000, 3_000_000][index(a, 4)];
                net.run_for(b % most);
            }
            What::Cut => {
                if let Some(link) = link {
                    net.cut(link);
                }
            }
            What::Crash => {
                if let Some(node) = pick(&running(net), a) {
                    net.crash(node, b % 2 == 0);
                }
            }
            What::Start => {
                let down: Vec<usize> = (0..net.nodes.len())
                    .filter(|node| !net.nodes[*node].is_up() && !net.nodes[*node].is_one_shot())
                    .collect();
                if let Some(node) = pick(&down, a) {
                    net.start(node);
                }
            }
            What::Clock => net.nodes[node].skew_ms = net.skew(),
            What::Block => {
                if let Some(link) = link {
                    net.block(link, b % 2 == 0, c % 2 == 0);
                }
            }
            What::Release => {
                if let Some(link) = link {
                    net.release(link);
                }
            }
            What::Hold => {
                if let Some(link) = link {
                    net.hold(link, b % 2 == 0);
                }
            }
            What::Snapshot => net.nodes[node].snapshot(),
            What::Restore => {
                if net.nodes[node].has_snapshot() {
                    net.crash(node, false);
                    net.nodes[node].restore();
                }
            }
            What::Copy => {
                if net.nodes.len() < self.people + MAX_COPIES {
                    let copy = net.nodes[node].copy_of();
                    let copy = net.add(copy);
                    net.start(copy);
                }
            }
            What::Suspend => net.nodes[node].suspend(),
            What::Resume => net.resume(node),
            What::OneShot => self.one_shot(net, action),
            What::Retry => {
                let known = index(a, self.clients.len());
                let Some((person, other, message, text)) = self.clients.get(known).cloned() else {
                    return;
                };
                let up: Vec<usize> = running(net)
                    .into_iter()
                    .filter(|node| net.nodes[*node].person() == person)
                    .collect();
                if let Some(node) = pick(&up, b) {
                    net.say(node, other, Some(message), &text);
                }
            }
            What::Memory => {
                let there = net
                    .nodes
                    .iter()
                    .position(|other| other.person() == node && other.spec() == WriterSpec::Memory);
                let memory = match there {
                    Some(memory) => memory,
                    None => net.add(SimNode::new(node, WriterSpec::Memory)),
                };
                net.start(memory);
            }
            What::Twin => {
                if net.nodes[0].is_up() && net.nodes.len() < self.people + MAX_COPIES {
                    let mut twin = SimNode::new(0, WriterSpec::Node);
                    twin.hostile = true;
                    twin.twin_of = Some(0);
                    let twin = net.add(twin);
                    net.start(twin);
                }
            }
        }
    }

    fn say(&mut self, net: &mut SimNet, action: &Action, nonsense: bool) {
        let [a, b, c] = action.rolls;
        let Some(node) = pick(&running(net), a) else {
            return;
        };
        if self.said >= MESSAGES {
            return;
        }
        self.said += 1;
        let person = net.nodes[node].person();
        let other = (person + 1 + index(b, self.people - 1)) % self.people;
        let text = format!("{:04} {person}>{other}", self.said);
        if nonsense {
            net.say_nonsense(node, other, &text);
            return;
        }
        let client = matches!(self.class, Class::Retry | Class::All) && c % 3 == 0;
        let message = client.then(|| {
            let bytes = net.bytes32();
            MessageId::from_slice(&bytes[..16]).unwrap_or(MessageId::ZERO)
        });
        if let Some(message) = message {
            self.clients.push((person, other, message, text.clone()));
        }
        net.say(node, other, message, &text);
    }

    fn one_shot(&mut self, net: &mut SimNet, action: &Action) {
        let Some(at) = pick(&running(net), action.rolls[0]) else {
            return;
        };
        if self.said >= MESSAGES {
            return;
        }
        self.said += 1;
        let to = net.nodes[at].person();
        let person = (to + 1) % self.people;
        let text = format!("{:04} {person}>{to} one-shot", self.said);
        let node = net.add(SimNode::new(person, WriterSpec::OneShot));
        net.start(node);
        net.say(node, to, None, &text);
        net.link(node, at);
    }
}

impl SimNet {
    /// Adds a node, which is down.
    pub fn add(&mut self, mut node: SimNode) -> usize {
        node.planted = self.planted;
        let same = |other: &SimNode| other.hostile && other.person() == node.person();
        node.hostile |= self.nodes.iter().any(same);
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// How far a clock is off: up to a day, either way.
    fn skew(&mut self) -> i64 {
        i64::try_from(self.below(2 * DAY_MS.unsigned_abs())).unwrap_or(0) - DAY_MS
    }

    fn key_of(&self, person: usize) -> PublicKey {
        let known = self.nodes.iter().find(|node| node.person() == person);
        known.map_or_else(|| SimNode::key_of(person), SimNode::key)
    }

    /// A node says something to a person, as its host would: an id that its store knows is not sent again (ID-4).
    pub fn say(&mut self, node: usize, person: usize, message: Option<MessageId>, text: &str) {
        let to = self.key_of(person);
        if let Some(message) = message
            && self.nodes[node].knows(&to, message)
        {
            return;
        }
        if let Ok(content) = Content::text(text) {
            self.send(node, (to, message, text), content);
        }
    }

    /// A node says something that is no content: the other side refuses it for good. `name` is what reports call it.
    pub fn say_nonsense(&mut self, node: usize, person: usize, name: &str) {
        let content = Content::Unsupported {
            kind: TEXT,
            // A text of five bytes, of which one is there.
            bytes: vec![0x0a, 5, b'x'],
        };
        self.send(node, (self.key_of(person), None, name), content);
    }

    fn send(
        &mut self,
        node: usize,
        (to, message, text): (PublicKey, Option<MessageId>, &str),
        content: Content,
    ) {
        let nonsense = !matches!(content, Content::Text(_));
        let request = self.nodes[node].request(to, message, text, nonsense);
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
