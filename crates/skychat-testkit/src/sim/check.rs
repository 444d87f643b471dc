//! What must hold when everything is at rest.

use std::collections::{BTreeMap, BTreeSet};

use skychat_identity::{KeyCache, PublicKey};
use skychat_proto::content::Content;
use skychat_proto::ids::{EventSeq, MessageId, SpaceId};
use skychat_proto::record::tables::{self, Event, GapCause};
use skychat_store::EventView;

use super::{Class, SimNet, WriterSpec};

/// What was found wrong; empty if nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Each with what and where.
    pub problems: Vec<String>,
    /// Messages that were shown somewhere.
    pub shown: usize,
    /// Messages that were accepted.
    pub accepted: usize,
    /// Events that are no messages, by kind.
    pub events: BTreeMap<&'static str, usize>,
}

/// What one node shows.
#[derive(Default)]
struct Seen {
    shown: Vec<(PublicKey, MessageId, String)>,
    events: Vec<Event>,
}

impl SimNet {
    /// Judges the network at rest.
    pub fn check(&mut self, class: Class) -> Verdict {
        let mut verdict = Verdict {
            problems: std::mem::take(&mut self.problems),
            accepted: self.accepted.len(),
            ..Verdict::default()
        };
        let seen: Vec<Seen> = (0..self.nodes.len())
            .map(|node| self.seen(node, &mut verdict))
            .collect();
        self.everything_arrived(&seen, &mut verdict);
        for (node, seen) in seen.iter().enumerate() {
            self.nothing_twice(node, seen, &mut verdict);
            if matches!(class, Class::Steady | Class::Restart | Class::Restore)
                && !self.any_branched()
            {
                self.in_order(node, seen, &mut verdict);
            }
            self.no_false_alarm(class, node, seen, &mut verdict);
            self.nothing_owed(node, &mut verdict);
        }
        verdict
    }

    fn any_branched(&self) -> bool {
        self.nodes.iter().any(|node| node.branched)
    }

    fn seen(&self, node: usize, verdict: &mut Verdict) -> Seen {
        let mut seen = Seen::default();
        let node = &self.nodes[node];
        let Some(reader) = node.reader() else {
            return seen;
        };
        let mut keys = KeyCache::new();
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
                        if let Ok(Some(event)) = Event::decode(&value, &mut keys) {
                            *verdict.events.entry(kind(&event)).or_default() += 1;
                            seen.events.push(event);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Every message of an author whose disk still knows it is on every disk of the recipient.
    fn everything_arrived(&self, seen: &[Seen], verdict: &mut Verdict) {
        for message in &self.accepted {
            let Ok(space) = SpaceId::direct(&message.from, &message.to) else {
                continue;
            };
            let known = self.nodes.iter().any(|node| {
                node.key() == message.from
                    && node.spec() == WriterSpec::Node
                    && node.reader().is_some_and(|reader| {
                        reader
                            .find(message.from, space, message.message)
                            .ok()
                            .flatten()
                            .is_some()
                    })
            });
            if !known {
                continue;
            }
            for (node, seen) in self.nodes.iter().zip(seen) {
                if node.key() != message.to || node.spec() != WriterSpec::Node {
                    continue;
                }
                let there = seen
                    .shown
                    .iter()
                    .any(|(from, id, _)| *from == message.from && *id == message.message);
                if !there {
                    verdict
                        .problems
                        .push(format!("{} never saw `{}`", node.name(), message.text));
                }
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
            {
                verdict.problems.push(format!(
                    "{}: `{text}` came after `{before}`",
                    self.nodes[node].name()
                ));
            }
        }
    }

    fn no_false_alarm(&self, class: Class, node: usize, seen: &Seen, verdict: &mut Verdict) {
        for event in &seen.events {
            let may = match class {
                Class::Steady | Class::Restart | Class::Retry => {
                    matches!(event, Event::Acked { .. })
                }
                Class::Restore => !matches!(event, Event::Clone { .. } | Event::Fork { .. }),
                Class::Clone => !matches!(event, Event::Fork { .. }),
                Class::OneShot => matches!(event, Event::Acked { .. } | Event::Recovered { .. }),
                Class::Memory => !matches!(
                    event,
                    Event::Fork { .. }
                        | Event::Clone { .. }
                        | Event::Incarnation { .. }
                        | Event::Gap {
                            cause: GapCause::Hash,
                            ..
                        }
                ),
            };
            if !may {
                verdict.problems.push(format!(
                    "{}: false alarm {event:?}",
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
            if peer.owed > 0 {
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
