//! Events that must have a cause.

use skychat_identity::PublicKey;
use skychat_proto::record::tables::{Event, GapCause};
use skychat_proto::sync::Kept;

use super::check::{Seen, Verdict};
use super::{Class, SimNet, SimNode, WriterSpec};

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
                _ if matches!(event, Event::Fork { .. }) || hash => false,
                Class::Steady
                | Class::Restart
                | Class::Partition
                | Class::Hold
                | Class::Retry
                | Class::Hostile => false,
                Class::Dropped => dropped,
                Class::Restore | Class::RestoreDropped => !matches!(event, Event::Clone { .. }),
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

/// Whose doing an event would be; `None`: that of whoever kept it.
fn about(event: &Event) -> Option<PublicKey> {
    match event {
        Event::Incarnation { peer, .. } | Event::Clone { peer, .. } => Some(*peer),
        Event::Gap { feed, .. } | Event::Fork { feed, .. } => Some(feed.author),
        Event::Acked { member, .. } => Some(*member),
        _ => None,
    }
}
