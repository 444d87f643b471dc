//! What must hold when everything is at rest.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use skychat_identity::{KeyCache, PublicKey};
use skychat_proto::content::Content;
use skychat_proto::ids::{EntryId, EventSeq, FeedId, MessageId, Position, Seq, SpaceId};
use skychat_proto::limits::MAX_REISSUES;
use skychat_proto::record::tables::{self, Event, GapCause};
use skychat_store::{EventView, StoreReader};

use super::{Class, SimNet, SimNode, WriterSpec};

/// What was found wrong; empty if nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Each with what and where.
    pub problems: Vec<String>,
    /// Messages that were shown somewhere.
    pub shown: usize,
    /// Messages that were accepted.
    pub accepted: usize,
    /// See [`SimNet::fingerprint`].
    pub fingerprint: [u8; 32],
    /// Events that are no messages, by kind.
    pub events: BTreeMap<&'static str, usize>,
}

/// What one node shows.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) shown: Vec<(PublicKey, MessageId, String)>,
    pub(super) events: Vec<Event>,
    pub(super) entries: BTreeMap<(FeedId, Seq), EntryId>,
    /// How often each message of its own was refused by acknowledgements that it kept.
    pub(super) refusals: BTreeMap<MessageId, u32>,
    /// Messages of others that it knows it has lost.
    pub(super) reported: BTreeSet<MessageId>,
}

impl Seen {
    /// What an event says of single messages.
    fn count(&mut self, event: &Event, reader: &StoreReader) {
        let message = |feed: FeedId, at: Position| {
            let found = reader.header_at(feed, at).ok().flatten();
            found.map(|(header, _, _)| header.message)
        };
        match event {
            Event::Acked { feed, refused, .. } => {
                for (seq, _) in refused {
                    if let Some(message) = message(*feed, seq.after()) {
                        *self.refusals.entry(message).or_default() += 1;
                    }
                }
            }
            Event::Gap {
                cause: GapCause::Dropped,
                feed,
                from,
                to,
            } => {
                let places = from.get()..to.get();
                let places = places.map(|at| Position::new(at).saturating_add(1));
                self.reported
                    .extend(places.filter_map(|at| message(*feed, at)));
            }
            _ => {}
        }
    }
}

impl SimNet {
    /// Judges the network at rest.
    pub fn check(&mut self, class: Class) -> Verdict {
        let mut verdict = Verdict {
            problems: std::mem::take(&mut self.problems),
            accepted: self.accepted.len(),
            fingerprint: self.fingerprint(),
            ..Verdict::default()
        };
        let seen = self.all_seen(&mut verdict);
        self.everything_arrived(&seen, &mut verdict);
        self.one_entry_a_position(&seen, &mut verdict);
        for (node, seen) in seen.iter().enumerate() {
            if self.nodes[node].hostile {
                continue;
            }
            self.nothing_twice(node, seen, &mut verdict);
            if self.keeps_order(class) {
                self.in_order(node, seen, &mut verdict);
            }
            self.acknowledged_is_held(node, seen, &mut verdict);
            self.no_false_alarm(class, node, seen, &mut verdict);
            self.nothing_owed(node, &mut verdict);
            self.forks_are_told(node, seen, &mut verdict);
            self.few_are_open(class, node, &mut verdict);
        }
        verdict
    }

    /// What must hold at any time, faults or not.
    pub(super) fn look(&mut self, class: Class) {
        let mut verdict = Verdict::default();
        let seen = self.all_seen(&mut verdict);
        self.one_entry_a_position(&seen, &mut verdict);
        for (node, seen) in seen.iter().enumerate() {
            if self.nodes[node].hostile {
                continue;
            }
            self.nothing_twice(node, seen, &mut verdict);
            if self.keeps_order(class) {
                self.in_order(node, seen, &mut verdict);
            }
            self.acknowledged_is_held(node, seen, &mut verdict);
            self.no_false_alarm(class, node, seen, &mut verdict);
        }
        let problems = verdict.problems.into_iter();
        self.problems
            .extend(problems.map(|problem| format!("on the way: {problem}")));
    }

    /// A minute after the end of all faults everything is where it belongs.
    pub(super) fn converged(&mut self) {
        let mut verdict = Verdict::default();
        let seen = self.all_seen(&mut verdict);
        self.everything_arrived(&seen, &mut verdict);
        for node in 0..self.nodes.len() {
            self.nothing_owed(node, &mut verdict);
        }
        let problems = verdict.problems.into_iter();
        self.problems
            .extend(problems.map(|problem| format!("60 s after healing: {problem}")));
    }

    /// A hash over every disk and the number of inputs: the same seed gives the same.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.steps.to_be_bytes());
        for node in &self.nodes {
            for (path, bytes) in node.files() {
                hash.update(path.as_bytes());
                hash.update(bytes);
            }
        }
        hash.finalize().into()
    }

    fn all_seen(&self, verdict: &mut Verdict) -> Vec<Seen> {
        let mut keys = KeyCache::new();
        (0..self.nodes.len())
            .map(|node| self.seen(node, &mut keys, verdict))
            .collect()
    }

    /// Order per author is that of one line of lives: not where disks branched, and not where messages were issued
    /// again behind later ones.
    fn keeps_order(&self, class: Class) -> bool {
        matches!(
            class,
            Class::Steady
                | Class::Restart
                | Class::Partition
                | Class::Hold
                | Class::Refused
                | Class::Restore
                | Class::Hostile
        ) && !self.nodes.iter().any(|node| node.branched)
    }

    pub(super) fn is_hostile(&self, key: &PublicKey) -> bool {
        self.nodes
            .iter()
            .any(|node| node.hostile && node.key() == *key)
    }

    fn seen(&self, node: usize, keys: &mut KeyCache, verdict: &mut Verdict) -> Seen {
        let mut seen = Seen::default();
        let node = &self.nodes[node];
        let Some(reader) = node.reader() else {
            return seen;
        };
        let mut from = EventSeq::new(1);
        loop {
            let events = match reader.events(from, 256) {
                Ok(events) if events.is_empty() => return seen,
                Ok(events) => events,
                Err(error) => {
                    verdict
                        .problems
                        .push(format!("{}: events: {error}", node.name()));
                    return seen;
                }
            };
            for event in events {
                from = event.seq.next();
                if let EventView::Message { header, .. } = &event.view {
                    let at = (header.feed, header.seq);
                    seen.entries.insert(at, header.id());
                }
                match event.view {
                    EventView::Message {
                        header, plaintext, ..
                    } if header.feed.author != node.key() => {
                        let text = plaintext
                            .as_ref()
                            .and_then(|plain| tables::split_stored(plain))
                            .and_then(|(_, content)| Content::decode(content).ok());
                        if let Some(Content::Text(text)) = text {
                            seen.shown.push((
                                header.feed.author,
                                header.message,
                                text.as_str().to_owned(),
                            ));
                            verdict.shown += 1;
                        }
                    }
                    EventView::Row {
                        value: Some(value), ..
                    } => {
                        if let Ok(Some(event)) = Event::decode(&value, keys) {
                            *verdict.events.entry(kind(&event)).or_default() += 1;
                            seen.count(&event, reader);
                            seen.events.push(event);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Every message that was accepted is on the disk of the author, unless that was put back, and on every disk of
    /// the recipient, unless the author was told that it was refused for good.
    fn everything_arrived(&self, seen: &[Seen], verdict: &mut Verdict) {
        for message in &self.accepted {
            let Ok(space) = SpaceId::direct(&message.from, &message.to) else {
                continue;
            };
            if self.is_hostile(&message.from) || self.is_hostile(&message.to) {
                continue;
            }
            let knows = |node: &SimNode| {
                node.key() == message.from
                    && node.spec() == WriterSpec::Node
                    && node.reader().is_some_and(|reader| {
                        let found = reader.find(message.from, space, message.message);
                        found.ok().flatten().is_some()
                    })
            };
            if !self.nodes.iter().any(knows) {
                let by = &self.nodes[message.by];
                if by.spec() == WriterSpec::Node && !by.branched {
                    verdict.problems.push(format!(
                        "{} accepted `{}` and lost it",
                        by.name(),
                        message.text
                    ));
                }
                continue;
            }
            if message.nonsense {
                self.refused_for_good(message, space, seen, verdict);
                continue;
            }
            let failed = self.nodes.iter().zip(seen).any(|(node, seen)| {
                let refusals = seen.refusals.get(&message.message).copied();
                node.key() == message.from && refusals.unwrap_or_default() > MAX_REISSUES
            });
            for (node, seen) in self.nodes.iter().zip(seen) {
                if node.key() != message.to || node.spec() != WriterSpec::Node || failed {
                    continue;
                }
                let there = seen
                    .shown
                    .iter()
                    .any(|(from, id, _)| *from == message.from && *id == message.message);
                // Of two disks of one key either acknowledges for both, and a disk that was put back for what it was:
                // what one of them lost is not issued again, it knows of the gap.
                let branched = |other: &SimNode| other.branched && other.key() == message.to;
                let reported =
                    seen.reported.contains(&message.message) && self.nodes.iter().any(branched);
                if !there && !reported {
                    verdict
                        .problems
                        .push(format!("{} never saw `{}`", node.name(), message.text));
                }
            }
        }
    }

    /// Nobody who keeps the rules ever has two entries at one position, whoever looks.
    fn one_entry_a_position(&self, seen: &[Seen], verdict: &mut Verdict) {
        let mut known: BTreeMap<&(FeedId, Seq), &EntryId> = BTreeMap::new();
        for (at, id) in seen.iter().flat_map(|seen| &seen.entries) {
            let excused = self.is_hostile(&at.0.author) || self.is_resumed(&at.0.author);
            if *known.entry(at).or_insert(id) != id && !excused {
                verdict.problems.push(format!("two entries at {at:?}"));
            }
        }
    }

    fn nothing_twice(&self, node: usize, seen: &Seen, verdict: &mut Verdict) {
        let mut once = BTreeSet::new();
        for (from, id, text) in &seen.shown {
            if !once.insert((*from, *id)) {
                verdict
                    .problems
                    .push(format!("{} saw `{text}` twice", self.nodes[node].name()));
            }
        }
    }

    fn in_order(&self, node: usize, seen: &Seen, verdict: &mut Verdict) {
        let mut last: BTreeMap<PublicKey, &str> = BTreeMap::new();
        for (from, _, text) in &seen.shown {
            if let Some(before) = last.insert(*from, text)
                && before > text.as_str()
                && !self.is_hostile(from)
            {
                verdict.problems.push(format!(
                    "{}: `{text}` came after `{before}`",
                    self.nodes[node].name()
                ));
            }
        }
    }

    /// At rest, with everybody linked, nothing of a node is unacknowledged.
    fn nothing_owed(&self, node: usize, verdict: &mut Verdict) {
        let at = &self.nodes[node];
        let Some(engine) = at.engine() else { return };
        if at.spec() != WriterSpec::Node {
            return;
        }
        for peer in engine.peers() {
            if peer.owed > 0 && !self.is_hostile(&peer.peer) {
                verdict.problems.push(format!(
                    "{} still owes {} entries to {}",
                    at.name(),
                    peer.owed,
                    peer.peer.short()
                ));
            }
        }
    }
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Acked { .. } => "acked",
        Event::Reissued { .. } => "reissued",
        Event::Incarnation { .. } => "incarnation",
        Event::Clone { .. } => "clone",
        Event::Gap { .. } => "gap",
        Event::Fork { .. } => "fork",
        Event::Recovered { .. } => "recovered",
        _ => "other",
    }
}
