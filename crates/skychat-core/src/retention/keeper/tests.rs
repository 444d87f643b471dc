#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::LazyLock;

use proptest::prelude::*;
use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::{Incarnation, Stream};
use skychat_store::Sweeps;

use super::*;

const SECOND: u64 = 1_000;
const DAY: u64 = 24 * 60 * 60 * SECOND;

fn key(n: u8) -> PublicKey {
    static KEYS: LazyLock<Vec<PublicKey>> = LazyLock::new(|| {
        let seeds = (0..=200).map(|n| SecretKey::from_seed([n; 32]));
        seeds.map(|key| key.public()).collect()
    });
    KEYS[usize::from(n)]
}

fn life_of(event: EventSeq) -> Option<Incarnation> {
    (event != EventSeq::ZERO).then_some(Incarnation::from_bytes([7; 8]))
}

/// A message of the log.
#[derive(Clone, Debug)]
struct Line {
    seen: Seen,
    came: u64,
    peer: u8,
    ours: bool,
    dropped: Option<u64>,
}

/// A store in which the policy is played: conversations with peers 1, 2, …
struct Play {
    rules: Retention,
    keeper: Keeper,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    lines: Vec<Line>,
    heads: BTreeMap<(u8, bool), u64>,
    acked: BTreeMap<u8, u64>,
    millis: u64,
    given: u64,
    /// What was given away is overwritten every 30 seconds, and a segment rewritten without it in the round behind that.
    swept: u64,
    swept_at: u64,
    sweeps: u64,
    rewritten: u64,
}

impl Play {
    fn new(rules: Retention) -> Self {
        Play {
            keeper: Keeper::new(rules.clone(), &[], life_of).unwrap(),
            rules,
            rows: BTreeMap::new(),
            lines: Vec::new(),
            heads: BTreeMap::new(),
            acked: BTreeMap::new(),
            millis: 0,
            given: 0,
            swept: 0,
            swept_at: 0,
            sweeps: 0,
            rewritten: 0,
        }
    }

    fn feed(peer: u8, ours: bool) -> FeedId {
        FeedId {
            author: key(if ours { 200 } else { peer }),
            space: SpaceId::direct(&key(200), &key(peer)).unwrap(),
            stream: Stream::MESSAGES,
            incarnation: Incarnation::from_bytes([7; 8]),
        }
    }

    fn say(&mut self, peer: u8, ours: bool) {
        let head = self.heads.entry((peer, ours)).or_insert(1);
        let seq = Seq::new(*head);
        *head += 1;
        let n = self.lines.len() as u64 + 1;
        let seen = Seen {
            record: RecordId { group: n, index: 1 },
            event: EventSeq::new(n),
            feed: Self::feed(peer, ours),
            seq,
            bytes: 1_000,
            there: true,
            free: !ours,
        };
        self.lines.push(Line {
            seen,
            came: self.millis,
            peer,
            ours,
            dropped: None,
        });
    }

    fn ack(&mut self, peer: u8) {
        let head = self.heads.get(&(peer, true)).copied().unwrap_or(0);
        self.acked.insert(peer, head);
    }

    /// A line as it is now.
    fn now(&self, line: &Line) -> Seen {
        let acked = self.acked.get(&line.peer).copied().unwrap_or(0);
        Seen {
            there: line.dropped.is_none(),
            free: !line.ours || line.seen.seq.get() < acked,
            ..line.seen
        }
    }

    fn held(&self) -> u64 {
        self.lines.len() as u64 * 1_040 - self.given
    }

    fn write(&mut self, step: Step) {
        for (feed, from, to) in step.drops {
            for line in &mut self.lines {
                let (seen, covered) = (line.seen, to.covers(line.seen.seq));
                if seen.feed != feed || !covered || from.covers(seen.seq) || line.dropped.is_some()
                {
                    continue;
                }
                let acked = self.acked.get(&line.peer).copied().unwrap_or(0);
                assert!(!line.ours || seen.seq.get() < acked, "owed: {line:?}");
                // Sooner, where there may be too much.
                let parts = match self.rules.total == Retention::default().total {
                    true => 1,
                    false => u64::from(PRESSED),
                };
                assert!(
                    self.millis - line.came >= millis(self.rules.linger) / parts,
                    "too new: {line:?} at {}",
                    self.millis
                );
                assert!(step.newest >= Some(seen.event), "told of: {line:?}");
                line.dropped = Some(self.millis);
                self.given += 1_040;
            }
        }
        for (key, row) in step.rows {
            match row {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }

    /// One round of the sweeper; it is cut off after so many reads.
    fn round(&mut self, mut reads: usize) {
        let mut spaces: BTreeMap<SpaceId, Space> = BTreeMap::new();
        for line in &self.lines {
            let space = line.seen.feed.space;
            let keep = self.rules.keeps_of(Some(&key(line.peer)));
            let messages = spaces.get(&space).map_or(0, |space| space.messages) + 1;
            spaces.insert(
                space,
                Space {
                    space,
                    messages,
                    keep,
                },
            );
        }
        let spaces: Vec<Space> = spaces.into_values().collect();
        let last = EventSeq::new(self.lines.len() as u64);
        let moment = Moment::since_start(Duration::from_millis(self.millis));
        let wall = Timestamp::from_millis(1_000_000 + self.millis);
        self.rewritten = self.swept;
        if self.millis / (30 * SECOND) != self.swept_at {
            (self.swept_at, self.swept) = (self.millis / (30 * SECOND), self.given);
            self.sweeps += 1;
        }
        let total = self.lines.len() as u64 * 1_040 - self.rewritten;
        let live = total - (self.swept - self.rewritten);
        let usage = Usage {
            total,
            live,
            is_swept: self.swept == self.given,
            sweeps: Sweeps {
                begun: self.sweeps,
                ended: self.sweeps,
            },
        };
        self.keeper
            .tick((moment, wall), (last, life_of(last), last), usage, &spaces);
        let step = self.keeper.times();
        self.write(step);
        let left: Vec<FeedId> = self.keeper.left().collect();
        for feed in left {
            let line = self.lines.iter().find(|line| line.seen.feed == feed);
            let acked = self.acked.get(&line.unwrap().peer).copied().unwrap_or(0);
            let step = self.keeper.acked(feed, Position::new(acked));
            self.write(step);
        }
        while let Some(read) = self.keeper.next_read() {
            if reads == 0 {
                return;
            }
            reads -= 1;
            let step = match read {
                Read::Log { from } => {
                    let lines = self.lines.iter();
                    let page = lines.filter(|line| line.seen.event >= from).take(PAGE);
                    let page: Vec<Seen> = page.map(|line| self.now(line)).collect();
                    let last = page.last().map_or(EventSeq::ZERO, |seen| seen.event);
                    self.keeper.log_page(&page, last)
                }
                Read::Conversation { space, before } => {
                    let lines = self.lines.iter().rev();
                    let page = lines
                        .filter(|line| line.seen.feed.space == space)
                        .filter(|line| before.is_none_or(|before| line.seen.record < before))
                        .take(PAGE);
                    let mut page: Vec<Seen> = page.map(|line| self.now(line)).collect();
                    page.reverse();
                    self.keeper.conversation_page(&page)
                }
            };
            self.write(step);
        }
    }

    fn restart(&mut self) {
        let rows: Vec<_> = self.rows.clone().into_iter().collect();
        self.keeper = Keeper::new(self.rules.clone(), &rows, life_of).unwrap();
    }

    fn kept(&self, peer: u8) -> usize {
        let lines = self.lines.iter();
        lines
            .filter(|line| line.peer == peer && line.dropped.is_none())
            .count()
    }

    fn pass(&mut self, millis: u64) {
        self.millis += millis;
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

fn rules() -> Retention {
    Retention {
        linger: Duration::ZERO,
        ..Retention::default()
    }
}

#[test]
fn by_default_nothing_is_given_away() {
    let mut play = Play::new(Retention::default());
    for n in 0..1_000 {
        play.say(1, n % 2 == 0);
    }
    play.ack(1);
    play.pass(400 * DAY);
    play.round(usize::MAX);
    assert_eq!(play.kept(1), 1_000);
}

#[test]
fn of_a_conversation_the_newest_stay() {
    let mut play = Play::new(Retention {
        per_peer_cap: NonZeroU64::new(5),
        ..rules()
    });
    for _ in 0..400 {
        play.say(1, false);
    }
    for _ in 0..5 {
        play.say(2, false);
    }
    play.round(usize::MAX);
    assert_eq!((play.kept(1), play.kept(2)), (5, 5));
    assert!(play.lines[395..].iter().all(|line| line.dropped.is_none()));
    play.say(2, false);
    play.round(usize::MAX);
    assert_eq!((play.kept(1), play.kept(2)), (5, 5));
    assert!(play.lines[400].dropped.is_some());
}

#[test]
fn what_is_owed_stays_until_it_is_acknowledged_over_restarts() {
    let mut play = Play::new(Retention {
        per_peer_cap: NonZeroU64::new(2),
        ..rules()
    });
    for n in 0..10 {
        play.say(1, n < 4);
    }
    play.round(usize::MAX);
    assert_eq!(play.kept(1), 6, "four of ours and the two newest");
    play.restart();
    play.round(usize::MAX);
    assert_eq!(play.kept(1), 6);
    play.acked.insert(1, 3);
    play.round(usize::MAX);
    assert_eq!(play.kept(1), 4, "two of ours are on the peer's disk");
    play.restart();
    play.ack(1);
    play.round(usize::MAX);
    assert_eq!(play.kept(1), 2);
    assert_eq!(play.keeper.left().count(), 0);
}

#[test]
fn text_lives_for_its_time_and_not_much_longer() {
    let ttl = Duration::from_secs(30 * 24 * 60 * 60);
    let mut play = Play::new(Retention {
        ttl: Some(ttl),
        ..rules()
    });
    for day in 0..100 {
        for _ in 0..20 {
            play.say(1, false);
            play.pass(DAY / 20);
            play.round(usize::MAX);
        }
        if day % 7 == 0 {
            play.restart();
        }
    }
    assert!(play.keeper.marks.len() <= MARKS as usize + 2);
    for line in &play.lines {
        let age = line.dropped.unwrap_or(play.millis) - line.came;
        assert!(age <= millis(ttl) + 2 * DAY, "{age}");
        if line.dropped.is_some() {
            assert!(age >= millis(ttl), "{age}");
        }
    }
    assert!(play.kept(1) < 33 * 20);
}

#[test]
fn of_who_is_not_listed_nothing_stays_longer_than_it_lingers() {
    let mut play = Play::new(Retention {
        only: Some([key(1)].into()),
        ..Retention::default()
    });
    for n in 0..300 {
        play.say(1, n % 3 == 0);
        play.say(2, n % 3 == 0);
        play.pass(SECOND);
        play.round(usize::MAX);
    }
    assert_eq!((play.kept(1), play.kept(2)), (300, 300), "ten minutes");
    play.pass(30 * SECOND);
    play.round(usize::MAX);
    play.pass(600 * SECOND);
    play.round(usize::MAX);
    assert_eq!((play.kept(1), play.kept(2)), (300, 100), "ours are owed");
    play.ack(2);
    play.round(usize::MAX);
    assert_eq!((play.kept(1), play.kept(2)), (300, 0));
}

/// A total that is full of what is owed holds everything back, and lets go by itself.
#[test]
fn a_total_that_cannot_shrink_holds_back_until_it_can() {
    let mut play = Play::new(Retention {
        total: Retention::MIN_TOTAL,
        ..rules()
    });
    let room = play.rules.room();
    let mut said = 0_u64;
    while !play.keeper.is_over() {
        for _ in 0..50 {
            play.say(1, true);
            said += 1;
        }
        play.round(usize::MAX);
        assert!(said < 100_000, "it is never over");
    }
    assert!(play.held() >= room && play.held() < room + 60_000);
    assert_eq!(play.kept(1) as u64, said);
    play.round(usize::MAX);
    assert!(play.keeper.is_over(), "nothing has changed");
    play.ack(1);
    play.round(usize::MAX);
    play.round(usize::MAX);
    assert!(!play.keeper.is_over());
    assert!(play.held() < room - room / 16);
}

/// Under a steady load the oldest go, and nobody is held up.
#[test]
fn a_total_is_kept_under_a_steady_load() {
    let mut play = Play::new(Retention {
        total: Retention::MIN_TOTAL,
        ..rules()
    });
    let room = play.rules.room();
    for n in 0..240 {
        for _ in 0..80 {
            play.say(1 + n % 3, n % 2 == 0);
        }
        play.ack(1 + n % 3);
        play.pass(SECOND);
        play.round(usize::MAX);
        assert!(!play.keeper.is_over());
        assert!(play.held() <= room - room / 8 + 60_000, "{}", play.held());
        // No more goes than has to.
        assert!(
            n < 120 || play.held() >= room - room / 4 - 60_000,
            "{}",
            play.held()
        );
    }
    let first = play.lines.iter().position(|line| line.dropped.is_none());
    let first = first.unwrap();
    assert!(
        play.lines[first..]
            .iter()
            .all(|line| line.dropped.is_none())
    );
}

#[derive(Clone, Debug)]
enum Act {
    Say(u8, bool, u8),
    Ack(u8),
    Pass(u64),
    Round(usize),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..4_u8, any::<bool>(), 1..90_u8).prop_map(|(peer, ours, n)| Act::Say(peer, ours, n)),
        2 => (1..4_u8).prop_map(Act::Ack),
        2 => (0..3 * DAY).prop_map(Act::Pass),
        3 => (0..6_usize).prop_map(Act::Round),
        1 => Just(Act::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens in between, rounds that are not cut off bring everything within its caps, and nothing goes that
    /// may not (`Play::write` looks at each).
    #[test]
    fn caps_hold_after_any_history(
        acts in proptest::collection::vec(act(), 1..60),
        cap in prop_oneof![Just(None), (1..40_u64).prop_map(NonZeroU64::new)],
        ttl in prop_oneof![Just(None), (1..5_u64).prop_map(|days| Some(Duration::from_millis(days * DAY)))],
        listed in any::<bool>(),
        linger in prop_oneof![Just(0), Just(600)],
    ) {
        let mut play = Play::new(Retention {
            per_peer_cap: cap,
            ttl,
            only: listed.then(|| [key(1), key(2)].into()),
            linger: Duration::from_secs(linger),
            ..Retention::default()
        });
        for act in acts {
            match act {
                Act::Say(peer, ours, n) => (0..n).for_each(|_| play.say(peer, ours)),
                Act::Ack(peer) => play.ack(peer),
                Act::Pass(millis) => play.pass(millis),
                Act::Round(reads) => play.round(reads),
                Act::Restart => play.restart(),
            }
        }
        (1..4).for_each(|peer| play.ack(peer));
        for _ in 0..3 {
            play.round(usize::MAX);
            play.pass(700 * SECOND);
        }
        play.round(usize::MAX);
            for peer in 1..4_u8 {
            let keep = play.rules.keeps_of(Some(&key(peer)));
            if let Some(keep) = keep {
                prop_assert!(play.kept(peer) as u64 <= keep + keep / 8, "{peer}: {}", play.kept(peer));
                // And the newest are those that stay, unless their time was over.
                let newest = play.lines.iter().rev().filter(|line| line.peer == peer);
                let gone = newest.take(keep as usize).any(|line| line.dropped.is_some());
                prop_assert!(!gone || ttl.is_some());
            }
        }
        if let Some(ttl) = ttl {
            play.pass(millis(ttl) / 32 + 60 * SECOND);
            play.round(usize::MAX);
            play.pass(millis(ttl));
            play.round(usize::MAX);
            prop_assert!(play.lines.iter().all(|line| line.dropped.is_some()));
        }
    }
}
