//! A thousand links at once: each has one message under way all the time.

use std::time::Instant;

use rustix::process::{Resource, getrlimit};
use skychat_benches::{Asked, Better, Report, Row, all_in_turn};

use crate::game::Game;
use crate::link::runtime;
use crate::ours::Ours;
use crate::peer::Peer;

const LINKS: usize = 1000;
/// Of each link in one sample.
const TRIPS: usize = 20;

pub(crate) fn compare(ask: &Asked, report: &mut Report) {
    let runtime = runtime(2);
    // Two sockets each, of all candidates at once but quinn, which needs two in all; and some files
    // besides.
    let tcp = Peer::ALL
        .into_iter()
        .filter(|peer| !matches!(peer, Peer::Quinn(_)));
    let candidates = Ours::all().len() + tcp.count();
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    let most = files.saturating_sub(200) / (2 * candidates);
    let links = ask.amount(LINKS, 8).min(most);
    let trips = ask.amount(TRIPS, 2);
    let mut games = Game::all(&runtime, links, trips);
    let rates = all_in_turn(games.len(), ask.amount(5, 1), |n| {
        let start = Instant::now();
        let played = games[n].play(&runtime);
        let taken = start.elapsed().as_secs_f64();
        // Every link made all its trips; of each the first is not among the times.
        assert_eq!(played.len(), links * (trips - 1));
        // There and back.
        (2 * links * trips) as f64 / taken
    });
    let title = format!("{links} links at once, 64 bytes sent and answered on each, 2 workers");
    report.section(title, "ours / it");
    for (n, game) in games.iter().enumerate() {
        let row = Row::shown(
            format!("many/{}", game.id),
            game.name,
            rates[n],
            "messages/s",
        );
        report.row(match n {
            n if n < Ours::all().len() => row,
            _ => row.ratio(rates[0] / rates[n], Better::Higher),
        });
    }
    Game::close_all(games, &runtime);
}
