//! Round trips of 64 bytes, both ends in one runtime.

use skychat_benches::{Asked, Better, Report, Row, all_in_turn, median};

use crate::game::Game;
use crate::link::runtime;
use crate::ours::{Cipher, Ours};
use crate::peer::Peer;

const TRIPS: usize = 10_000;
/// Of each candidate; every figure is the median of them.
const RUNS: usize = 7;

pub(crate) fn compare(ask: &Asked, report: &mut Report) {
    // Two workers leave it to the scheduler whether both ends share one; one worker says it, and
    // is the harder comparison: no time goes into waking another core.
    for (workers, id, name) in [(2, "2-workers", "2 workers"), (1, "1-worker", "1 worker")] {
        compare_on(ask, report, workers, id, name);
    }
}

fn compare_on(ask: &Asked, report: &mut Report, workers: usize, id: &str, name: &str) {
    let runtime = runtime(workers);
    let trips = ask.amount(TRIPS, 50);
    let mut games = Game::all(&runtime, 1, trips);
    let mut late = vec![Vec::new(); games.len()];
    let mut first = true;
    let count = games.len();
    let p50 = all_in_turn(count, ask.amount(RUNS, 1), |n| {
        let mut times = games[n].play(&runtime);
        times.sort_by(f64::total_cmp);
        // The first round does not count here either.
        if !first {
            late[n].push(times[times.len() * 99 / 100]);
        }
        first &= n + 1 < count;
        median(times)
    });
    let p99: Vec<f64> = late.into_iter().map(median).collect();
    let at = |peer: Peer| {
        let place = Peer::ALL.iter().position(|other| *other == peer);
        Ours::all().len() + place.unwrap_or_default()
    };
    let raw = at(Peer::Raw);
    let rustls = at(Peer::Rustls(Cipher::ChaCha));

    let title = format!("ping-pong, 64 bytes, one runtime, {name}: median");
    report.section(title, "it / raw TCP");
    for (n, game) in games.iter().enumerate() {
        let row = Row::shown(
            format!("ping/{id}/p50/{}", game.id),
            game.name,
            p50[n] * 1e6,
            "us",
        );
        let ratio = p50[n] / p50[raw];
        report.row(match n {
            0 => row.at_most(ratio, 1.15),
            n if n < Ours::all().len() => row.ratio(ratio, Better::Lower),
            _ => row.ratio(ratio, Better::Neither),
        });
    }
    let title = format!("ping-pong, 64 bytes, one runtime, {name}: 99th percentile");
    report.section(title, "it / tokio-rustls");
    for (n, game) in games.iter().enumerate() {
        let row = Row::shown(
            format!("ping/{id}/p99/{}", game.id),
            game.name,
            p99[n] * 1e6,
            "us",
        );
        let ratio = p99[n] / p99[rustls];
        report.row(match n {
            0 => row.at_most(ratio, 1.2),
            n if n < Ours::all().len() => row.ratio(ratio, Better::Lower),
            _ => row.ratio(ratio, Better::Neither),
        });
    }
    Game::close_all(games, &runtime);
}
