//! What happens to links, and the end of it.

use skychat_engine::Input;
use skychat_proto::ids::{LinkId, SpaceId};
use skychat_proto::sync::{Hold, HoldCause, Scope, SyncMessage};

use super::{Frame, SimNet};

impl SimNet {
    /// Nothing arrives in one direction of a link until it is released; `full`: and its sender is told.
    pub fn block(&mut self, id: u64, to_b: bool, full: bool) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.stuck[usize::from(to_b)] = true;
        let sender = if to_b { link.a } else { link.b };
        if full {
            let link = LinkId::new(id);
            self.hand(sender, Input::LinkFull { link });
        }
    }

    /// Ends what [`block`](Self::block) began: what waited goes on its way.
    pub fn release(&mut self, id: u64) {
        for to_b in [false, true] {
            let Some(link) = self.links.get_mut(&id) else {
                return;
            };
            if !std::mem::replace(&mut link.stuck[usize::from(to_b)], false) {
                continue;
            }
            let sender = if to_b { link.a } else { link.b };
            for frame in std::mem::take(&mut link.backlog[usize::from(to_b)]) {
                // In order, before what is still in flight.
                self.arrive(id, to_b, frame);
            }
            if self.links.contains_key(&id) {
                let link = LinkId::new(id);
                self.hand(sender, Input::LinkReady { link });
            }
        }
    }

    /// One side of a link asks the other to wait (SYNC-4), and does not ask again on this link.
    pub fn hold(&mut self, id: u64, to_b: bool) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.held = true;
        let (a, b) = (self.nodes[link.a].key(), self.nodes[link.b].key());
        let Ok(space) = SpaceId::direct(&a, &b) else {
            return;
        };
        let hold = SyncMessage::Hold(Hold {
            scope: Scope::Space(space),
            cause: HoldCause::Rate,
            retry_after_ms: 1_000,
        });
        self.transmit(id, to_b, Frame::Sync(hold.encode()));
    }

    /// Ends every fault: links flow or are made again, everybody is up and linked.
    pub fn heal(&mut self) {
        self.dropping = false;
        self.garbling = false;
        for (id, held) in self
            .links
            .iter()
            .map(|(id, link)| (*id, link.held))
            .collect::<Vec<_>>()
        {
            if held {
                self.cut(id);
            } else {
                self.release(id);
            }
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].is_one_shot() {
                self.crash(node, false);
            } else if !self.nodes[node].is_up() {
                self.start(node);
            }
        }
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                let others = self.nodes[a].key() != self.nodes[b].key();
                if others && self.nodes[a].is_up() && self.nodes[b].is_up() && !self.linked(a, b) {
                    self.link(a, b);
                }
            }
        }
    }
}
