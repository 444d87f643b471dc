//! Connections whose key is not proven yet: few, few from one network, and the oldest goes first.

use std::collections::BTreeMap;
use std::net::IpAddr;

use skychat_proto::limits::{MAX_UNAUTHENTICATED, MAX_UNAUTHENTICATED_PER_NET};

/// How many connections may wait for their handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LobbyLimits {
    /// In all; at least 1.
    pub total: usize,
    /// From one network: one IPv4 address, or one /64 of IPv6; at least 1.
    pub per_network: usize,
}

impl Default for LobbyLimits {
    fn default() -> Self {
        LobbyLimits {
            total: MAX_UNAUTHENTICATED,
            per_network: MAX_UNAUTHENTICATED_PER_NET,
        }
    }
}

/// A network that counts as one visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// An IPv4 address (also when it came mapped into IPv6).
    V4([u8; 4]),
    /// The first 64 bits of an IPv6 address.
    V6([u8; 8]),
}

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Network::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Network::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// The table of those who wait. `T` is what ends one of them.
#[derive(Debug)]
pub struct Lobby<T> {
    limits: LobbyLimits,
    next: u64,
    waiting: BTreeMap<u64, (Network, T)>,
}

impl<T> Lobby<T> {
    /// An empty one.
    pub fn new(limits: LobbyLimits) -> Self {
        Lobby {
            limits,
            next: 0,
            waiting: BTreeMap::new(),
        }
    }

    /// Takes a newcomer. Returns its number, and whoever has to go for it: the oldest of its
    /// network if that has too many, else the oldest of all if there are too many.
    pub fn enter(&mut self, network: Network, visitor: T) -> (u64, Option<T>) {
        let mut same = self.waiting.iter().filter(|(_, (of, _))| *of == network);
        let oldest = same.next().map(|(&id, _)| id);
        let crowded = same.count().saturating_add(1) >= self.limits.per_network;
        let leaves = match oldest {
            Some(oldest) if crowded => Some(oldest),
            _ if self.waiting.len() >= self.limits.total => self.waiting.keys().next().copied(),
            _ => None,
        };
        let evicted = leaves.and_then(|id| self.leave(id));
        let id = self.next;
        self.next = self.next.saturating_add(1);
        self.waiting.insert(id, (network, visitor));
        (id, evicted)
    }

    /// Forgets one: it has proven its key, or is gone.
    pub fn leave(&mut self, id: u64) -> Option<T> {
        self.waiting.remove(&id).map(|(_, visitor)| visitor)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Network = Network::V4([127, 0, 0, 1]);

    fn limits(total: usize, per_network: usize) -> LobbyLimits {
        LobbyLimits { total, per_network }
    }

    #[test]
    fn the_oldest_of_a_crowded_network_goes_first() {
        let mut lobby = Lobby::new(limits(10, 2));
        let other = Network::V4([10, 0, 0, 1]);
        assert_eq!(lobby.enter(other, "other").1, None);
        assert_eq!(lobby.enter(HERE, "first").1, None);
        assert_eq!(lobby.enter(HERE, "second").1, None);
        assert_eq!(lobby.enter(HERE, "third").1, Some("first"));
        assert_eq!(lobby.len(), 3);
    }

    #[test]
    fn the_oldest_of_all_goes_when_the_lobby_is_full() {
        let mut lobby = Lobby::new(limits(3, 2));
        for n in 0..3 {
            assert_eq!(lobby.enter(Network::V4([10, 0, 0, n]), n).1, None);
        }
        assert_eq!(lobby.enter(HERE, 9).1, Some(0));
        assert_eq!(lobby.len(), 3);
    }

    #[test]
    fn one_place_is_always_there() {
        let mut lobby = Lobby::new(limits(1, 1));
        assert_eq!(lobby.enter(HERE, 1).1, None);
        assert_eq!(lobby.enter(HERE, 2).1, Some(1));
        assert_eq!(lobby.enter(Network::V6([1; 8]), 3).1, Some(2));
        assert_eq!(lobby.len(), 1);
    }

    #[test]
    fn those_who_left_make_room() {
        let mut lobby = Lobby::new(limits(2, 2));
        let (first, _) = lobby.enter(HERE, 1);
        let (_, _) = lobby.enter(HERE, 2);
        assert_eq!(lobby.leave(first), Some(1));
        assert_eq!(lobby.leave(first), None);
        assert_eq!(lobby.enter(HERE, 3).1, None);
    }

    #[test]
    fn a_network_is_an_address_or_a_64() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("127.0.0.1"), HERE);
        assert_eq!(of("::ffff:127.0.0.1"), HERE);
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
    }
}
