//! Which links are up, and which of two links between the same lives stays (LINK-3).

use std::collections::BTreeMap;
use std::time::Duration;

use skychat_identity::PublicKey;
use skychat_proto::ids::{Incarnation, LinkId, Moment};
use skychat_proto::limits::{MAX_INCARNATIONS_PER_KEY, TIE_BREAK};

/// What decides between two links of one key and incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contender {
    /// Its name, given when the connection was made: a later one is larger.
    pub id: LinkId,
    /// The life at the other end.
    pub incarnation: Incarnation,
    /// The key of the side that dialled.
    pub initiator: PublicKey,
    /// When the peer's hello was there.
    pub completed: Moment,
}

/// Decides between two links of one key and incarnation: returns the name of the one that stays.
///
/// Two with different initiators that were complete within `within` (5 s) of each other are taken
/// for a simultaneous open: the one whose initiator has the lower key stays, which both sides see
/// alike. Otherwise the one stays whose connection was made later: the other may be dead without
/// our knowing. Connections are accepted in the order in which they were made, so both sides see
/// that alike too, which cannot be said of the order in which hellos are read.
pub fn tie_break(one: &Contender, other: &Contender, within: Duration) -> LinkId {
    let (first, second) = (
        one.completed.min(other.completed),
        one.completed.max(other.completed),
    );
    let at_once = second.saturating_since(first) <= within;
    let stays = if at_once && one.initiator != other.initiator {
        one.initiator < other.initiator
    } else {
        one.id > other.id
    };
    if stays { one.id } else { other.id }
}

/// Why a link is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The link that is there stays.
    #[error("another link to the same life of the peer stays")]
    Duplicate,
    /// As many links as this node holds.
    #[error("the node holds as many links as it may")]
    Full,
}

/// The links that are up, by key. `L` is whatever the driver knows a link by.
#[derive(Debug)]
pub struct Registry<L> {
    peers: BTreeMap<PublicKey, Vec<Held<L>>>,
    count: usize,
    limit: usize,
    within: Duration,
}

#[derive(Debug)]
struct Held<L> {
    contender: Contender,
    link: L,
}

impl<L> Registry<L> {
    /// Holds at most `limit` links.
    pub fn new(limit: usize) -> Self {
        Registry {
            peers: BTreeMap::new(),
            count: 0,
            limit,
            within: TIE_BREAK,
        }
    }

    /// Another span in which two links count as opened at once.
    pub fn with_tie_break(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Takes a link that is complete. Returns the links that it replaces and that should drain:
    /// the one to the same life, or, of a fifth life of the same key, the oldest one.
    ///
    /// # Errors
    /// [`NotTaken`]: `link` should end.
    pub fn admit(
        &mut self,
        peer: PublicKey,
        contender: Contender,
        link: L,
    ) -> Result<Vec<L>, NotTaken> {
        let held = self.peers.get(&peer).map_or(&[][..], Vec::as_slice);
        let same = held
            .iter()
            .find(|held| held.contender.incarnation == contender.incarnation);
        let leaves = match same {
            Some(there) => {
                if tie_break(&there.contender, &contender, self.within) != contender.id {
                    return Err(NotTaken::Duplicate);
                }
                Some(there.contender.id)
            }
            None if held.len() >= MAX_INCARNATIONS_PER_KEY => {
                held.iter().map(|held| held.contender.id).min()
            }
            None if self.count >= self.limit => return Err(NotTaken::Full),
            None => None,
        };
        let drained = leaves.and_then(|id| self.remove(&peer, id));
        self.count = self.count.saturating_add(1);
        let held = Held { contender, link };
        self.peers.entry(peer).or_default().push(held);
        Ok(drained.into_iter().collect())
    }

    /// Forgets a link; `None` if it is not there (any more).
    pub fn remove(&mut self, peer: &PublicKey, id: LinkId) -> Option<L> {
        let held = self.peers.get_mut(peer)?;
        let position = held.iter().position(|held| held.contender.id == id)?;
        let removed = held.swap_remove(position);
        if held.is_empty() {
            self.peers.remove(peer);
        }
        self.count = self.count.saturating_sub(1);
        Some(removed.link)
    }

    /// The links to one key, in no order.
    pub fn of<'a>(&'a self, peer: &PublicKey) -> impl Iterator<Item = &'a L> + use<'a, L> {
        let held = self.peers.get(peer).map_or(&[][..], Vec::as_slice);
        held.iter().map(|held| &held.link)
    }

    /// All links, by key.
    pub fn all(&self) -> impl Iterator<Item = &L> {
        self.peers.values().flatten().map(|held| &held.link)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests;
