//! Frames on their way: what a link does to them, what a node does with them.

use skychat_engine::{CloseLink, Input, Payload};
use skychat_proto::entry::Kind;
use skychat_proto::ids::LinkId;
use skychat_proto::link::LinkMessage;
use skychat_proto::range::RawRange;
use skychat_proto::sync::SyncMessage;

use super::{Due, Frame, Micros, Planted, SimNet};

impl SimNet {
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

    pub(super) fn arrive(&mut self, id: u64, at_b: bool, frame: Frame) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.stuck[usize::from(at_b)] {
            link.backlog[usize::from(at_b)].push(frame);
            return;
        }
        let (node, from) = if at_b {
            (link.b, link.a)
        } else {
            (link.a, link.b)
        };
        let peer = self.nodes[from].key();
        let link = LinkId::new(id);
        let input = match frame {
            Frame::Up(hello) => Ok(Input::LinkUp { link, peer, hello }),
            Frame::Link(bytes) => LinkMessage::decode(&bytes)
                .map(|message| Input::Link { link, message })
                .map_err(|error| format!("link frame: {error}")),
            Frame::Sync(bytes) => SyncMessage::decode(&bytes, &mut self.keys)
                .map(|message| Input::Sync { link, message })
                .map_err(|error| format!("sync frame: {error}")),
            Frame::Range(bytes) => {
                let bytes = self.lose_bodies(node, bytes);
                match self.nodes[node].check(link, bytes) {
                    Some(checked) => checked
                        .map(|checked| Input::Checked { link, checked })
                        .map_err(|violation| violation.to_string()),
                    None => return,
                }
            }
        };
        match input {
            Ok(input) => {
                if let Input::Sync { message, .. } = &input
                    && self.planted == Some(Planted::OneShotAcks)
                    && self.nodes[node].is_one_shot()
                {
                    for ack in super::planted::acks_of(message, &peer) {
                        self.transmit(id, !at_b, Frame::Sync(SyncMessage::Ack(ack).encode()));
                    }
                }
                self.hand(node, input);
            }
            Err(violation) => self.closed(node, from, id, &violation),
        }
    }

    /// The node at one end closes a link because of what came: right if the other is hostile.
    fn closed(&mut self, node: usize, from: usize, id: u64, why: &str) {
        if !self.nodes[from].hostile && !self.nodes[node].hostile {
            let name = self.nodes[node].name();
            self.problems
                .push(format!("{name} sees a violation by an honest peer: {why}"));
        }
        self.cut(id);
    }

    /// What is still held of a feed may lack bodies: whether one is there is not signed (FEED-5).
    fn lose_bodies(&mut self, node: usize, bytes: bytes::Bytes) -> bytes::Bytes {
        if !self.dropping || self.below(4) != 0 {
            return bytes;
        }
        match RawRange::decode(bytes.clone(), &mut self.keys) {
            Ok(range) if range.feed().author != self.nodes[node].key() => range
                .without_bodies(|_, row| row.kind == Kind::Content)
                .to_bytes(),
            _ => bytes,
        }
    }

    /// Does what a node says until it says nothing more.
    pub(crate) fn settle(&mut self, node: usize) {
        loop {
            let (done, sends, closes, problems) = self.nodes[node].work();
            if !self.nodes[node].hostile {
                self.problems.extend(problems);
            }
            for (link, payload) in sends {
                let id = link.get();
                let Some(at) = self.links.get(&id) else {
                    continue;
                };
                let to_b = at.a == node;
                let payload = match self.planted {
                    Some(bug) => bug.spoil(payload),
                    None => payload,
                };
                let frame = match payload {
                    Payload::Link(message) => Frame::Link(message.encode()),
                    Payload::Sync(message) => Frame::Sync(message.encode()),
                    Payload::Range(range) => Frame::Range(range.to_bytes()),
                };
                if self.nodes[node].hostile && self.garbling {
                    self.transmit_hostile(node, id, to_b, frame);
                } else {
                    self.transmit(id, to_b, frame);
                }
            }
            for (link, reason) in closes {
                let id = link.get();
                let Some(at) = self.links.get(&id) else {
                    continue;
                };
                let peer = if at.a == node { at.b } else { at.a };
                match reason {
                    CloseLink::Violation(violation) => {
                        self.closed(node, peer, id, &violation.to_string());
                    }
                    CloseLink::Goodbye(_) => self.cut(id),
                }
            }
            if done {
                break;
            }
            let (now, wall) = (self.moment(), self.wall(node));
            let fresh = self.bytes32();
            self.nodes[node].answer(now, wall, fresh);
        }
        let accepted = self.nodes[node].take_accepted();
        self.accepted
            .extend(accepted.into_iter().map(|mut accepted| {
                accepted.by = node;
                accepted
            }));
        self.go_on(node);
    }

    /// Begins the next write of a node, and sets its timer.
    fn go_on(&mut self, node: usize) {
        let Some(life) = self.nodes[node].life() else {
            return;
        };
        let sync = 50 + self.below(4_000);
        let fresh = self.bytes32();
        if let Some(batch) = self.nodes[node].begin_commit(&fresh) {
            self.schedule(self.now + sync, Due::Synced { node, life });
            if self.planted == Some(Planted::AckBeforeSync) {
                self.hand(node, Input::Committed { batch });
            }
        }
        if let Some(at) = self.nodes[node].timer() {
            let at = Micros::try_from(at.elapsed().as_micros()).unwrap_or(Micros::MAX);
            self.schedule(at, Due::Timer { node, life });
        }
    }
}
