//! Everybody's connections whose ends answer each other.

use tokio::runtime::Runtime;

use crate::ours::Ours;
use crate::peer::Peer;
use crate::{link, stream};

/// Connections of one kind.
enum Sides {
    Ours(link::Match),
    Peer(stream::Match),
}

pub(crate) struct Game {
    /// In ids.
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    sides: Sides,
}

impl Game {
    /// Ours, then the peers in their order, with so many connections each.
    pub(crate) fn all(runtime: &Runtime, links: usize, trips: usize) -> Vec<Game> {
        let ours = Ours::all().iter().map(|ours| Game {
            id: ours.name,
            name: ours.name,
            sides: Sides::Ours(runtime.block_on(link::Match::new(*ours, links, trips))),
        });
        let peers = Peer::ALL.into_iter().map(|peer| Game {
            id: peer.id(),
            name: peer.name(),
            sides: Sides::Peer(runtime.block_on(stream::Match::new(peer, links, trips))),
        });
        ours.chain(peers).collect()
    }

    /// The seconds of every round trip, but for the first of each connection.
    pub(crate) fn play(&mut self, runtime: &Runtime) -> Vec<f64> {
        match &mut self.sides {
            Sides::Ours(game) => runtime.block_on(game.play()),
            Sides::Peer(game) => runtime.block_on(game.play()),
        }
    }

    pub(crate) fn close_all(games: Vec<Game>, runtime: &Runtime) {
        for game in games {
            if let Sides::Peer(game) = game.sides {
                runtime.block_on(game.close());
            }
        }
    }
}
