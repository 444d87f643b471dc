//! Links and the lives behind them; who is a stranger.

use std::collections::{BTreeMap, BTreeSet};

use skychat_feed::{Allowance, Learned};
use skychat_identity::PublicKey;
use skychat_proto::ids::{Incarnation, LinkId, SpaceId};
use skychat_proto::limits::{MAX_STRANGERS, STRANGER_BYTES, STRANGER_ENTRIES};
use skychat_proto::link::{Goodbye, Hello, LinkMessage};
use skychat_proto::open::WriterKind;
use skychat_proto::record::tables::{self, Event, PeerLifeRow, PeerRow};
use skychat_proto::sync::HoldCause;

use crate::engine::Engine;
use crate::port::{Notice, Output, Payload};

/// When a stranger may ask again; consent opens the window at once.
const STRANGER_RETRY_MS: u32 = 60_000;

/// A link that is up.
#[derive(Debug)]
pub(crate) struct LinkSide {
    pub(crate) peer: PublicKey,
    pub(crate) incarnation: Incarnation,
    pub(crate) kind: WriterKind,
    pub(crate) space: SpaceId,
    /// What it says of its life, until that is remembered.
    hello: Option<Hello>,
    /// The rows about our own feeds are all here (for a one-shot).
    pub(crate) have_seen: bool,
}

/// Two lives of a peer that may be there at once: certain when a word came from each after both hellos.
#[derive(Debug)]
pub(crate) struct Suspicion {
    peer: PublicKey,
    links: [(LinkId, Incarnation, bool); 2],
}

impl Engine {
    pub(crate) fn link_up(&mut self, link: LinkId, peer: PublicKey, hello: Hello) {
        let Ok(space) = SpaceId::direct(&self.me, &peer) else {
            self.goodbye(link, Goodbye::Other);
            return;
        };
        let side = LinkSide {
            peer,
            incarnation: hello.incarnation,
            kind: hello.writer,
            space,
            hello: None,
            have_seen: false,
        };
        self.links.insert(link, side);
        self.allow(&peer);
        let (writer, incarnation) = (hello.writer, hello.incarnation);
        self.learn_hello(link, hello);
        self.replicator
            .link_up(self.now, link, peer, writer, incarnation, space);
        self.batches.now(Output::Notice(Notice::LinkUp {
            link,
            peer,
            incarnation,
        }));
    }

    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.suspicions
            .retain(|suspicion| suspicion.links.iter().all(|(held, _, _)| *held != link));
        self.replicator.link_down(self.now, link);
        if let Some(side) = self.links.remove(&link) {
            if !self.links.values().any(|other| other.peer == side.peer) {
                // When it comes back it is looked at anew.
                self.rates.told(&side.peer);
            }
            self.batches.now(Output::Notice(Notice::LinkDown {
                link,
                peer: side.peer,
            }));
        }
    }

    pub(crate) fn link_message(&mut self, link: LinkId, message: LinkMessage) {
        match message {
            LinkMessage::Hello(hello) => {
                if let Some(side) = self.links.get_mut(&link) {
                    side.incarnation = hello.incarnation;
                    side.kind = hello.writer;
                    let (writer, incarnation) = (hello.writer, hello.incarnation);
                    self.learn_hello(link, hello);
                    self.replicator
                        .new_life(self.now, link, writer, incarnation);
                }
            }
            LinkMessage::LineRequest { incarnation } => {
                let (ancestors, complete) =
                    self.line.line_of(incarnation).unwrap_or((Vec::new(), true));
                let line = LinkMessage::Line {
                    incarnation,
                    ancestors,
                    complete,
                };
                self.batches.after(Output::Send {
                    link,
                    payload: Payload::Link(line),
                });
            }
            LinkMessage::Line {
                incarnation,
                ancestors,
                ..
            } => {
                let matches = self.links.get(&link).is_some_and(|side| {
                    side.incarnation == incarnation && side.kind == WriterKind::Node
                });
                if matches {
                    self.learn_line(link, incarnation, &ancestors);
                }
            }
            _ => {}
        }
    }

    fn learn_hello(&mut self, link: LinkId, hello: Hello) {
        let Some(peer) = self.links.get(&link).map(|side| side.peer) else {
            return;
        };
        if hello.writer != WriterKind::Node || self.config.kind == WriterKind::OneShot {
            return;
        }
        let remembered = self.is_remembered(&peer);
        if let Some(side) = self.links.get_mut(&link) {
            side.hello = (!remembered).then(|| hello.clone());
        }
        if !remembered {
            return;
        }
        let mut rows = Vec::new();
        let learned = self.lives.entry(peer).or_default().hello(&hello, &mut rows);
        if learned == Learned::AskOlder {
            self.ask_line(link, hello.incarnation);
            return;
        }
        self.learned(peer, hello.incarnation, learned, &rows);
        self.suspect(link);
    }

    fn learn_line(&mut self, link: LinkId, incarnation: Incarnation, ancestors: &[Incarnation]) {
        let Some(peer) = self.links.get(&link).map(|side| side.peer) else {
            return;
        };
        if !self.is_remembered(&peer) {
            return;
        }
        let mut rows = Vec::new();
        let learned = self
            .lives
            .entry(peer)
            .or_default()
            .line(incarnation, ancestors, &mut rows);
        self.learned(peer, incarnation, learned, &rows);
        self.suspect(link);
    }

    /// Lives are remembered of who is no stranger, or has entries here: a knock leaves nothing behind.
    fn is_remembered(&self, peer: &PublicKey) -> bool {
        self.consented.contains(peer)
            || self.lives.contains_key(peer)
            || self
                .peers
                .get(peer)
                .is_some_and(|row| row.stranger_entries > 0)
    }

    /// Learns what the links of a peer said of its lives while it was nobody to be remembered.
    pub(crate) fn remember(&mut self, peer: &PublicKey) {
        let untold: Vec<(LinkId, Hello)> = self
            .links
            .iter_mut()
            .filter(|(_, side)| side.peer == *peer)
            .filter_map(|(link, side)| Some((*link, side.hello.take()?)))
            .collect();
        for (link, hello) in untold {
            self.learn_hello(link, hello);
        }
    }

    fn learned(
        &mut self,
        peer: PublicKey,
        incarnation: Incarnation,
        learned: Learned,
        rows: &[(Incarnation, Option<Incarnation>)],
    ) {
        self.store_lives(&peer, rows);
        if let Learned::Branch { newest } = learned {
            self.event(&Event::Incarnation {
                peer,
                incarnation,
                newest,
            });
        }
        self.store_peer(&peer);
    }

    pub(crate) fn store_lives(
        &mut self,
        peer: &PublicKey,
        rows: &[(Incarnation, Option<Incarnation>)],
    ) {
        for (life, parent) in rows {
            let row = PeerLifeRow {
                parent: parent
                    .map(|life| life.as_bytes().to_vec())
                    .unwrap_or_default(),
            };
            self.batches.put(
                tables::PEER_LIFE,
                tables::peer_life_key(peer, life),
                tables::encode_row(&row),
                false,
            );
        }
    }

    fn ask_line(&mut self, link: LinkId, incarnation: Incarnation) {
        let request = LinkMessage::LineRequest { incarnation };
        self.batches.after(Output::Send {
            link,
            payload: Payload::Link(request),
        });
    }

    /// Looks for another link of the same peer whose life is apart from this one's. Both are asked for a word.
    fn suspect(&mut self, link: LinkId) {
        let Some(side) = self.links.get(&link) else {
            return;
        };
        let (peer, life) = (side.peer, side.incarnation);
        let others: Vec<(LinkId, Incarnation)> = self
            .links
            .iter()
            .filter(|(other, side)| {
                **other != link && side.peer == peer && side.kind == WriterKind::Node
            })
            .map(|(other, side)| (*other, side.incarnation))
            .collect();
        for (other, other_life) in others {
            let apart = self.lives.get(&peer).is_some_and(|lives| {
                lives.apart(life, other_life) && !lives.is_known_clone(life, other_life)
            });
            if apart {
                self.suspicions.push(Suspicion {
                    peer,
                    links: [(link, life, false), (other, other_life, false)],
                });
                self.ask_line(link, life);
                self.ask_line(other, other_life);
            }
        }
    }

    /// A word came on this link.
    pub(crate) fn heard(&mut self, link: LinkId) {
        if self.suspicions.is_empty() {
            return;
        }
        let mut certain = Vec::new();
        self.suspicions.retain_mut(|suspicion| {
            for (held, _, heard) in &mut suspicion.links {
                *heard |= *held == link;
            }
            let both = suspicion.links.iter().all(|(_, _, heard)| *heard);
            if both {
                certain.push((suspicion.peer, suspicion.links.map(|(_, life, _)| life)));
            }
            !both
        });
        for (peer, lives) in certain {
            let [one, other] = lives;
            if self.lives.entry(peer).or_default().clone_seen(one, other) {
                self.event(&Event::Clone { peer, lives });
                self.store_peer(&peer);
            }
        }
    }

    /// Lifts the quota of strangers.
    pub(crate) fn consent(&mut self, peer: PublicKey) {
        let row = self.peers.entry(peer).or_default();
        // It holds on when the peer is configured no more.
        let is_new = !std::mem::replace(&mut row.consented, true);
        if is_new {
            self.store_peer(&peer);
        }
        if self.consented.insert(peer) {
            self.allow(&peer);
            self.remember(&peer);
        }
    }

    /// Says how much more of a peer may be stored for now.
    pub(crate) fn allow(&mut self, peer: &PublicKey) {
        let allowance = match (self.quota(peer), self.rates.left(self.now, peer)) {
            (None, None) => Allowance::Unlimited,
            (quota, Some((left, wait))) if quota.is_none_or(|quota| left < quota) => {
                Allowance::Entries {
                    left,
                    cause: HoldCause::Rate,
                    retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
                }
            }
            (quota, _) => Allowance::Entries {
                left: quota.unwrap_or_default(),
                cause: HoldCause::Consent,
                retry_after_ms: STRANGER_RETRY_MS,
            },
        };
        self.replicator.allow(*peer, allowance);
    }

    /// How many further entries of a stranger may be stored; `None`: it is none.
    fn quota(&self, peer: &PublicKey) -> Option<u64> {
        if self.consented.contains(peer) {
            return None;
        }
        let stored = |row: &PeerRow| row.stranger_entries > 0 && !row.consented;
        let mine = self.peers.get(peer);
        if !mine.is_some_and(stored)
            && self.peers.values().filter(|row| stored(row)).count() >= MAX_STRANGERS
        {
            return Some(0);
        }
        let (entries, bytes) =
            mine.map_or((0, 0), |row| (row.stranger_entries, row.stranger_bytes));
        if bytes >= STRANGER_BYTES {
            return Some(0);
        }
        Some(STRANGER_ENTRIES.saturating_sub(entries))
    }

    /// Counts what a stranger had stored.
    pub(crate) fn count_stranger(&mut self, peer: &PublicKey, entries: u64, bytes: u64) {
        let row = self.peers.entry(*peer).or_default();
        let first = row.stranger_entries == 0 && entries > 0;
        row.stranger_entries = row.stranger_entries.saturating_add(entries);
        row.stranger_bytes = row.stranger_bytes.saturating_add(bytes);
        self.store_peer(peer);
        self.allow(peer);
        if first {
            // One more of those that may be: the others that are linked may have lost their place.
            let others: BTreeSet<PublicKey> = self.links.values().map(|side| side.peer).collect();
            for other in others {
                self.allow(&other);
            }
        }
    }

    pub(crate) fn store_peer(&mut self, peer: &PublicKey) {
        let lives = self.lives.get(peer);
        let row = self.peers.entry(*peer).or_default();
        let newest = lives.and_then(|lives| lives.newest());
        let next = PeerRow {
            newest: newest
                .map(|life| life.as_bytes().to_vec())
                .unwrap_or_default(),
            clones: lives
                .map(|lives| {
                    lives
                        .clones()
                        .map(|(one, other)| [*one.as_bytes(), *other.as_bytes()].concat())
                        .collect()
                })
                .unwrap_or_default(),
            ..row.clone()
        };
        let known = std::mem::replace(row, next.clone());
        if known != next || next.consented || next.stranger_entries > 0 {
            self.batches.put(
                tables::PEER,
                peer.as_bytes().to_vec(),
                tables::encode_row(&next),
                false,
            );
        }
    }

    /// Links by peer, for tests and drivers.
    pub fn linked(&self) -> BTreeMap<LinkId, PublicKey> {
        self.links
            .iter()
            .map(|(link, side)| (*link, side.peer))
            .collect()
    }
}
