//! Events that must have a cause.

use std::collections::{BTreeMap, BTreeSet};

use skychat_identity::PublicKey;
use skychat_proto::ids::{FeedId, Position, SpaceId};
use skychat_proto::record::tables::{Event, GapCause};
use skychat_proto::sync::Kept;
use skychat_store::StoreReader;

use super::check::{Seen, Verdict};
use super::{AcceptedMessage, Class, SimNet, SimNode, WriterSpec};

impl SimNet {
    /// What a node was told to be on a disk of somebody is there, unless that disk was put back (ACK-1).
    pub(super) fn acknowledged_is_held(&self, node: usize, seen: &Seen, verdict: &mut Verdict) {
        for event in &seen.events {
            let Event::Acked {
                feed,
                member,
                head,
                kept: Kept::Disk,
                ..
            } = event
            else {
                continue;
            };
            let known = |other: &SimNode| {
                other.reader().is_none_or(|reader| {
                    other.branched || reader.tip(*feed).is_some_and(|tip| tip.head >= *head)
                })
            };
            let mut disks = self
                .nodes
                .iter()
                .filter(|other| other.key() == *member && other.spec() == WriterSpec::Node);
            if !self.is_hostile(member) && !disks.any(known) {
                verdict.problems.push(format!(
                    "{} was told that {head:?} of {feed:?} is stored, and it is not",
                    self.nodes[node].name()
                ));
            }
        }
    }

    /// Of every feed that it holds otherwise than somebody else, a node was told once, by an event that names the
    /// author and a last position at which they agree (RANGE-5).
    pub(super) fn forks_are_told(&self, node: usize, seen: &Seen, verdict: &mut Verdict) {
        let Some(reader) = self.nodes[node].reader() else {
            return;
        };
        let mut told: BTreeMap<FeedId, Vec<Position>> = BTreeMap::new();
        for event in &seen.events {
            if let Event::Fork { feed, common } = event {
                told.entry(*feed).or_default().push(*common);
            }
        }
        let name = self.nodes[node].name();
        let mut held: BTreeSet<FeedId> = seen.entries.keys().map(|(feed, _)| *feed).collect();
        held.extend(told.keys());
        for feed in held {
            let speaking = self.nodes.iter().filter(|other| !other.mute);
            let theirs = speaking.filter_map(SimNode::reader);
            let agreed: BTreeSet<Position> = theirs
                .filter_map(|other| agreed(reader, other, feed))
                .collect();
            match told.get(&feed).map(Vec::as_slice) {
                None if agreed.is_empty() => {}
                // One of the other sides may be gone: what was written before a machine was set back.
                Some([common]) if agreed.is_empty() || agreed.contains(common) => {}
                told => verdict.problems.push(format!(
                    "{name}: {feed:?} agrees up to {agreed:?}, told {told:?}"
                )),
            }
        }
    }

    /// What is refused for good is nowhere taken, and its author knows it.
    pub(super) fn refused_for_good(
        &self,
        message: &AcceptedMessage,
        space: SpaceId,
        seen: &[Seen],
        verdict: &mut Verdict,
    ) {
        for (node, seen) in self.nodes.iter().zip(seen) {
            let Some(reader) = node.reader().filter(|_| node.spec() == WriterSpec::Node) else {
                continue;
            };
            let found = reader.find(message.from, space, message.message);
            let found = found.ok().flatten().is_some();
            let (name, text) = (node.name(), &message.text);
            if node.key() == message.to && found {
                let problem = format!("{name} took `{text}`, which is no content");
                verdict.problems.push(problem);
            }
            let told = seen.refusals.contains_key(&message.message);
            if node.key() == message.from && found && !told && !node.branched {
                let problem = format!("{name} was not told that `{text}` is refused");
                verdict.problems.push(problem);
            }
        }
    }

    /// At rest, of each conversation no more is open than the newest feed of each side (INC-9).
    pub(super) fn few_are_open(&self, class: Class, node: usize, verdict: &mut Verdict) {
        let at = &self.nodes[node];
        let Some(engine) = at.engine().filter(|_| class.is_plain()) else {
            return;
        };
        let ((.., open), most) = (engine.feed_counts(), 2 * engine.peers().len());
        if open > most {
            let problem = format!(
                "{}: {open} feeds are open, at most {most} may be",
                at.name()
            );
            verdict.problems.push(problem);
        }
    }

    pub(super) fn no_false_alarm(
        &self,
        class: Class,
        node: usize,
        seen: &Seen,
        verdict: &mut Verdict,
    ) {
        for event in &seen.events {
            if self.is_hostile(&about(event).unwrap_or(self.nodes[node].key())) {
                continue;
            }
            let hash = matches!(
                event,
                Event::Gap {
                    cause: GapCause::Hash,
                    ..
                }
            );
            let dropped = matches!(
                event,
                Event::Gap {
                    cause: GapCause::Dropped,
                    ..
                } | Event::Reissued { .. }
            );
            let may = match class {
                _ if matches!(event, Event::Acked { .. }) => true,
                // What was written before the machine was set back may be named, or be there, in another form.
                Class::Snapshot | Class::All if matches!(event, Event::Fork { .. }) || hash => {
                    about(event).is_some_and(|author| self.is_resumed(&author))
                }
                _ if matches!(event, Event::Fork { .. }) || hash => false,
                Class::Steady
                | Class::Restart
                | Class::Partition
                | Class::Hold
                | Class::Refused
                | Class::Retry
                | Class::Hostile => false,
                Class::Dropped => dropped,
                Class::Restore | Class::RestoreDropped | Class::Snapshot => {
                    !matches!(event, Event::Clone { .. })
                }
                Class::Clone | Class::All => true,
                Class::OneShot => matches!(event, Event::Recovered { .. }),
                Class::Memory => !matches!(event, Event::Clone { .. } | Event::Incarnation { .. }),
            };
            if !may {
                verdict.problems.push(format!(
                    "{}: false alarm {event:?}",
                    self.nodes[node].name()
                ));
            }
        }
    }
}

/// Up to where two nodes hold the same of a feed, if what they hold behind that differs.
fn agreed(one: &StoreReader, other: &StoreReader, feed: FeedId) -> Option<Position> {
    let (mine, theirs) = (one.tip(feed)?, other.tip(feed)?);
    let id = |reader: &StoreReader, at: Position| {
        let found = reader.header_at(feed, at).ok().flatten();
        found.map(|(_, id, _)| id)
    };
    let mut at = mine.head.min(theirs.head);
    if id(one, at) == id(other, at) {
        return None;
    }
    while !at.is_start() && id(one, at) != id(other, at) {
        at = at.saturating_sub(1);
    }
    Some(at)
}

/// Whose doing an event would be; `None`: that of whoever kept it.
fn about(event: &Event) -> Option<PublicKey> {
    match event {
        Event::Incarnation { peer, .. } | Event::Clone { peer, .. } => Some(*peer),
        Event::Gap { feed, .. } | Event::Fork { feed, .. } => Some(feed.author),
        Event::Acked { member, .. } => Some(*member),
        _ => None,
    }
}
