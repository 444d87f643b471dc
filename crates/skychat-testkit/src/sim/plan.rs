//! Histories as lists of actions: drawn from a seed, played, and cut down when they fail.

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{Verdict, play};

/// What happens besides talking: weights of unusual actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing.
    Steady,
    /// Cuts, crashes that lose or tear the last write, restarts, clocks that jump.
    Restart,
    /// The same, with links that carry one way only, or nothing for a while.
    Partition,
    /// The same, with peers that ask to wait and never ask again.
    Hold,
    /// Restarts, with messages that are no content: refused for good.
    Refused,
    /// Restarts, with bodies that are lost on the way and refused as `absent`.
    Dropped,
    /// Restarts, with directories restored from older copies.
    Restore,
    /// Restores and lost bodies.
    RestoreDropped,
    /// Restarts, with copied directories run beside the originals.
    Clone,
    /// Restarts, with writers that have no store.
    OneShot,
    /// Restarts, with ids of clients sent again.
    Retry,
    /// Restarts, with nodes that keep nothing.
    Memory,
    /// Restarts and partitions, with a node that breaks the rules and forks its feeds.
    Hostile,
    /// Restarts, with machines resumed from a snapshot with their memory.
    Snapshot,
    /// All of it.
    All,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 15] = [
        Class::Steady,
        Class::Restart,
        Class::Partition,
        Class::Hold,
        Class::Refused,
        Class::Dropped,
        Class::Restore,
        Class::RestoreDropped,
        Class::Clone,
        Class::OneShot,
        Class::Retry,
        Class::Memory,
        Class::Hostile,
        Class::Snapshot,
        Class::All,
    ];

    /// Whether nothing in it can leave a hole: everything is there within a minute of the end of all faults.
    pub fn is_plain(self) -> bool {
        matches!(
            self,
            Class::Steady
                | Class::Restart
                | Class::Partition
                | Class::Hold
                | Class::Refused
                | Class::Retry
        )
    }

    /// Whether bodies are lost on the way.
    pub fn drops(self) -> bool {
        matches!(self, Class::Dropped | Class::RestoreDropped | Class::All)
    }

    /// Whether the first person's nodes break the rules.
    pub fn is_hostile(self) -> bool {
        matches!(self, Class::Hostile | Class::All)
    }

    /// Whether machines are resumed with their memory.
    pub fn resumes(self) -> bool {
        matches!(self, Class::Snapshot | Class::All)
    }

    fn trouble(self, roll: u64) -> What {
        let network = [What::Cut, What::Crash, What::Start, What::Start];
        let special: &[What] = match self {
            Class::Steady => return What::Wait,
            Class::Restart => &[What::Clock],
            Class::Partition => &[What::Block, What::Block, What::Release],
            Class::Hold => &[What::Hold],
            Class::Refused => &[What::Nonsense],
            Class::Dropped => &[What::Clock],
            Class::Restore | Class::RestoreDropped => &[What::Snapshot, What::Restore],
            Class::Clone => &[What::Copy],
            Class::OneShot => &[What::OneShot],
            Class::Retry => &[What::Retry],
            Class::Memory => &[What::Memory],
            Class::Hostile => &[What::Block, What::Release, What::Twin],
            Class::Snapshot => &[What::Suspend, What::Resume],
            Class::All => &[
                What::Clock,
                What::Block,
                What::Release,
                What::Hold,
                What::Snapshot,
                What::Restore,
                What::Copy,
                What::OneShot,
                What::Retry,
                What::Memory,
                What::Nonsense,
                What::Twin,
                What::Suspend,
                What::Resume,
            ],
        };
        let of: &[What] = if roll.is_multiple_of(2) {
            special
        } else {
            &network
        };
        let at = usize::try_from(roll / 2).unwrap_or(0) % of.len();
        of.get(at).copied().unwrap_or(What::Wait)
    }
}

/// One step of a history. Which node, link or message it is about follows from the rolls and from what is there when
/// it is played, so a list stays playable when others are taken out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// What is done.
    pub what: What,
    /// Three rolls.
    pub rolls: [u64; 3],
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody says something.
    Say,
    /// Somebody says something that is no content.
    Nonsense,
    /// Two nodes are linked.
    Link,
    /// Time passes.
    Wait,
    /// A link is cut.
    Cut,
    /// A node loses power.
    Crash,
    /// A node that is down starts.
    Start,
    /// A wall clock jumps by up to a day.
    Clock,
    /// A direction of a link carries nothing.
    Block,
    /// A link carries again.
    Release,
    /// One side of a link asks the other to wait.
    Hold,
    /// A directory is copied.
    Snapshot,
    /// A directory is put back.
    Restore,
    /// A copied directory is run beside the original.
    Copy,
    /// A writer without a store says one thing.
    OneShot,
    /// A client sends an id again.
    Retry,
    /// A node without a store starts.
    Memory,
    /// A second writer under one incarnation.
    Twin,
    /// A machine is saved with its memory.
    Suspend,
    /// A machine goes on from where it was saved.
    Resume,
}

/// A history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What kind of history.
    pub class: Class,
    /// What it was drawn from; latencies and losses follow from it too.
    pub seed: u64,
    /// How many persons, with a node each.
    pub people: usize,
    /// What happens, in order.
    pub actions: Vec<Action>,
}

/// Plays of one shrinking; a history that still fails then is short enough.
const MAX_PLAYS: usize = 400;

impl Plan {
    /// The history of a seed: 3 to 7 people, 12 in one of ten.
    pub fn draw(class: Class, seed: u64) -> Self {
        let mut bytes = [1; 32];
        let (number, _) = bytes.split_at_mut(8);
        number.copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha20Rng::from_seed(bytes);
        let people = match rng.next_u64() % 10 {
            0 => 12,
            roll => 3 + usize::try_from(roll % 5).unwrap_or(0),
        };
        let length = 60 + rng.next_u64() % 120;
        let actions = (0..length)
            .map(|_| {
                let what = match rng.next_u64() % 100 {
                    0..30 => What::Say,
                    30..45 => What::Link,
                    45..60 => class.trouble(rng.next_u64()),
                    _ => What::Wait,
                };
                let rolls = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
                Action { what, rolls }
            })
            .collect();
        Plan {
            class,
            seed,
            people,
            actions,
        }
    }

    /// The same with fewer actions, as long as `fails` says that it still fails.
    #[must_use]
    pub fn shrink(&self, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
        let mut best = self.clone();
        let mut size = best.actions.len().div_ceil(2);
        let mut plays = 0;
        while size > 0 {
            let mut at = 0;
            while at < best.actions.len() && plays < MAX_PLAYS {
                let mut less = best.clone();
                let end = at.saturating_add(size).min(less.actions.len());
                less.actions.drain(at..end);
                plays += 1;
                if fails(&less) {
                    best = less;
                } else {
                    at = end;
                }
            }
            size /= 2;
        }
        best
    }

    /// Plays it; what is wrong with it and how to see it again, or nothing.
    ///
    /// # Errors
    /// A report of several lines: the command that plays it, what was found, and the shortest list of actions that
    /// shows something wrong.
    pub fn judge(&self) -> Result<Verdict, String> {
        let (_, verdict) = play(self);
        if verdict.problems.is_empty() {
            return Ok(verdict);
        }
        let first = verdict.problems.first().map(|problem| kind(problem));
        let short = self.shrink(|plan| {
            let problems = play(plan).1.problems;
            problems.iter().any(|problem| first == Some(kind(problem)))
        });
        let (_, after) = play(&short);
        let mut report = format!(
            "{:?}, {} people\n    SKYCHAT_SEED={} cargo test --release -p skychat-testkit --test sim -- {:?}\n",
            self.class,
            self.people,
            self.seed,
            self.class.test(),
        );
        for problem in verdict.problems.iter().take(5) {
            report.push_str(&format!("    {problem}\n"));
        }
        let kinds: Vec<What> = short.actions.iter().map(|action| action.what).collect();
        report.push_str(&format!(
            "  {} of {} actions show it: {kinds:?}\n",
            short.actions.len(),
            self.actions.len()
        ));
        for problem in after.problems.iter().take(3) {
            report.push_str(&format!("    {problem}\n"));
        }
        Err(report)
    }
}

/// A problem without its names and numbers.
fn kind(problem: &str) -> String {
    let known = problem.chars().filter(|sign| sign.is_alphabetic());
    known.take(24).collect()
}

impl Class {
    /// The name of its test.
    pub fn test(self) -> &'static str {
        match self {
            Class::Steady => "steady",
            Class::Restart => "restart",
            Class::Partition => "partition",
            Class::Hold => "hold",
            Class::Refused => "refused",
            Class::Dropped => "dropped",
            Class::Restore => "restore",
            Class::RestoreDropped => "restore_dropped",
            Class::Clone => "clone",
            Class::OneShot => "one_shot",
            Class::Retry => "retry",
            Class::Memory => "memory",
            Class::Hostile => "hostile",
            Class::Snapshot => "snapshot",
            Class::All => "all",
        }
    }
}
