//! A node that breaks the rules: what it sends instead of what it should.

use skychat_proto::ids::{EntryId, Position};
use skychat_proto::sync::{Kept, SyncMessage};

use super::{Frame, SimNet};

impl SimNet {
    /// Sends a frame of a hostile node, or something else, or both.
    pub(super) fn transmit_hostile(&mut self, node: usize, id: u64, to_b: bool, frame: Frame) {
        let roll = self.below(12);
        match (roll, frame) {
            // Bytes that were changed on the way out: chain, hashes, signature or layout no longer hold.
            (0 | 1, Frame::Range(bytes)) => {
                let mut bytes = bytes.to_vec();
                let at = self.below(bytes.len() as u64);
                if let Some(byte) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at)) {
                    *byte ^= 1 << self.below(8);
                }
                self.transmit(id, to_b, Frame::Range(bytes.into()));
            }
            (2, Frame::Range(bytes)) => {
                let keep = usize::try_from(self.below(bytes.len() as u64)).unwrap_or(0);
                self.transmit(id, to_b, Frame::Range(bytes.slice(..keep)));
            }
            // Once more, and to somebody who did not ask.
            (3 | 4, Frame::Range(bytes)) => {
                self.transmit(id, to_b, Frame::Range(bytes.clone()));
                let other = self.links.iter().find_map(|(other, link)| {
                    let side = link.a == node;
                    (*other != id && (side || link.b == node)).then_some((*other, side))
                });
                let (other, to_b) = other.unwrap_or((id, to_b));
                self.transmit(other, to_b, Frame::Range(bytes));
            }
            (0..=5, Frame::Sync(bytes)) => {
                let bytes = self.forge(roll, bytes);
                self.transmit(id, to_b, Frame::Sync(bytes));
            }
            // Not sent at all.
            (6, Frame::Sync(_)) => {}
            (_, frame) => self.transmit(id, to_b, frame),
        }
    }

    /// Cuts every link of a hostile node.
    pub(super) fn cut_hostile(&mut self) {
        let of = |link: &super::SimLink| self.nodes[link.a].hostile || self.nodes[link.b].hostile;
        let links = self.links.iter().filter(|(_, link)| of(link));
        let links: Vec<u64> = links.map(|(id, _)| *id).collect();
        for link in links {
            self.cut(link);
        }
    }

    /// Another message of the same kind that is not true, or no message at all.
    fn forge(&mut self, roll: u64, bytes: Vec<u8>) -> Vec<u8> {
        let forged = match SyncMessage::decode(&bytes, &mut self.keys) {
            Ok(SyncMessage::Ack(mut ack)) => {
                match roll {
                    0 => ack.head = ack.head.saturating_add(1 + self.below(100)),
                    1 => ack.hash = EntryId::from_bytes(self.bytes32()),
                    2 => ack.from = Position::START,
                    3 => ack.kept = Kept::Disk,
                    _ => ack.feed.author = self.a_key(),
                }
                SyncMessage::Ack(ack)
            }
            Ok(SyncMessage::Have(mut have)) => {
                for row in &mut have.rows {
                    match roll {
                        0 | 1 => row.hash = EntryId::from_bytes(self.bytes32()),
                        2 | 3 => row.head = row.head.saturating_add(1 + self.below(100)),
                        _ => row.author = self.a_key(),
                    }
                    row.proof = None;
                }
                have.rows.sort_by_key(|row| row.feed(have.space));
                SyncMessage::Have(have)
            }
            Ok(SyncMessage::Want(mut want)) => {
                match roll {
                    0 | 1 => want.feed.author = self.a_key(),
                    _ => want.from = Position::new(self.below(50)),
                }
                want.limit = None;
                SyncMessage::Want(want)
            }
            Ok(SyncMessage::Owed { mut feed, acked }) => {
                if roll < 2 {
                    feed.author = self.a_key();
                }
                let acked = acked.saturating_add(self.below(100));
                SyncMessage::Owed { feed, acked }
            }
            _ => {
                let mut bytes = bytes;
                let keep = usize::try_from(self.below(bytes.len() as u64)).unwrap_or(0);
                bytes.truncate(keep);
                return bytes;
            }
        };
        forged.encode()
    }

    fn a_key(&mut self) -> skychat_identity::PublicKey {
        let node = usize::try_from(self.below(self.nodes.len() as u64)).unwrap_or(0);
        self.nodes[node].key()
    }
}
