//! Which life of a writer descends from which (INC-6).

use std::collections::{BTreeMap, BTreeSet};

use skychat_proto::ids::Incarnation;
use skychat_proto::limits::{MAX_HELLO_LINE, MAX_LINE};
use skychat_proto::link::Hello;

/// Our own lives: the one that writes now, and those before it.
#[derive(Clone, Debug)]
pub struct OwnLine {
    /// Newest first; the live one is the first.
    lives: Vec<Incarnation>,
}

impl OwnLine {
    /// `lives`: newest first, beginning with the live one.
    pub fn new(live: Incarnation, ancestors: impl IntoIterator<Item = Incarnation>) -> Self {
        let mut lives = vec![live];
        lives.extend(ancestors);
        OwnLine { lives }
    }

    /// A further life begins, which descends from the live one (INC-8).
    pub fn begin(&mut self, life: Incarnation) {
        self.lives.insert(0, life);
    }

    /// The life that writes now.
    pub fn live(&self) -> Incarnation {
        self.lives.first().copied().unwrap_or(Incarnation::ZERO)
    }

    /// The life before it.
    pub fn parent(&self) -> Option<Incarnation> {
        self.lives.get(1).copied()
    }

    /// Whether it is a life of this store.
    pub fn contains(&self, life: &Incarnation) -> bool {
        self.lives.contains(life)
    }

    /// The last ancestors, for a hello, and whether they are all there are.
    pub fn hello_line(&self) -> (Vec<Incarnation>, bool) {
        self.older_than(self.live(), MAX_HELLO_LINE)
            .unwrap_or_default()
    }

    /// Up to [`MAX_LINE`] ancestors of `life`, newest first, and whether they are all there are.
    pub fn line_of(&self, life: Incarnation) -> Option<(Vec<Incarnation>, bool)> {
        self.older_than(life, MAX_LINE)
    }

    fn older_than(&self, life: Incarnation, limit: usize) -> Option<(Vec<Incarnation>, bool)> {
        let at = self.lives.iter().position(|known| *known == life)?;
        let older = self.lives.get(at.saturating_add(1)..)?;
        Some((
            older.iter().take(limit).copied().collect(),
            older.len() <= limit,
        ))
    }
}

/// What is known of the lives of one peer.
#[derive(Clone, Debug, Default)]
pub struct PeerLives {
    /// Each life that was ever named, with the one before it, if that is known.
    parents: BTreeMap<Incarnation, Option<Incarnation>>,
    newest: Option<Incarnation>,
    clones: BTreeSet<(Incarnation, Incarnation)>,
}

/// What a hello or a line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nothing new, or a life that descends from the newest known.
    Fine,
    /// None of its ancestors is known: ask for older ones before judging.
    AskOlder,
    /// It does not descend from the newest `node` life known, which was this one.
    Branch {
        /// The newest known until now.
        newest: Incarnation,
    },
}

/// How many lives of one peer are remembered; beyond it the line is cut, and a branch older than that looks new.
pub const MAX_PEER_LIVES: usize = 2 * MAX_LINE;

impl PeerLives {
    /// As it was stored.
    pub fn restore(
        parents: BTreeMap<Incarnation, Option<Incarnation>>,
        newest: Option<Incarnation>,
        clones: BTreeSet<(Incarnation, Incarnation)>,
    ) -> Self {
        PeerLives {
            parents,
            newest,
            clones,
        }
    }

    /// The newest `node` life.
    pub fn newest(&self) -> Option<Incarnation> {
        self.newest
    }

    /// The pairs a `clone` event was made for.
    pub fn clones(&self) -> impl Iterator<Item = &(Incarnation, Incarnation)> {
        self.clones.iter()
    }

    /// Whether `life` is `ancestor` or comes after it.
    pub fn descends(&self, life: Incarnation, ancestor: Incarnation) -> bool {
        let (mut at, mut steps) = (Some(life), 0_usize);
        while let Some(here) = at {
            if here == ancestor {
                return true;
            }
            steps = steps.saturating_add(1);
            if steps > MAX_PEER_LIVES {
                return false;
            }
            at = self.parents.get(&here).copied().flatten();
        }
        false
    }

    /// A hello of a `node`. Newly learnt lives with their parents are added to `rows`.
    pub fn hello(
        &mut self,
        hello: &Hello,
        rows: &mut Vec<(Incarnation, Option<Incarnation>)>,
    ) -> Learned {
        let known = self.parents.contains_key(&hello.incarnation);
        let strange = self.newest.is_some()
            && !known
            && !hello.line_complete
            && !hello
                .line
                .iter()
                .any(|life| self.parents.contains_key(life));
        if strange {
            return Learned::AskOlder;
        }
        self.line(hello.incarnation, &hello.line, rows)
    }

    /// The ancestors of `life`, newest first, as its node says.
    pub fn line(
        &mut self,
        life: Incarnation,
        ancestors: &[Incarnation],
        rows: &mut Vec<(Incarnation, Option<Incarnation>)>,
    ) -> Learned {
        let new = !self.parents.contains_key(&life);
        let mut older = ancestors.iter().copied();
        let mut at = Some(life);
        while let Some(here) = at {
            let parent = older.next();
            self.note(here, parent, rows);
            at = parent;
        }
        if !new && self.newest.is_some() {
            return Learned::Fine;
        }
        let before = self.newest.replace(life);
        match before {
            Some(newest) if !self.descends(life, newest) => Learned::Branch { newest },
            _ => Learned::Fine,
        }
    }

    /// One life and the one before it, as an `open` entry says.
    pub fn note(
        &mut self,
        life: Incarnation,
        parent: Option<Incarnation>,
        rows: &mut Vec<(Incarnation, Option<Incarnation>)>,
    ) {
        let known = self.parents.get(&life).copied();
        if known == Some(parent) || matches!(known, Some(Some(_))) {
            return;
        }
        if known.is_none() && self.parents.len() >= MAX_PEER_LIVES {
            return;
        }
        if known.is_some() && parent.is_none() {
            return;
        }
        self.parents.insert(life, parent);
        rows.push((life, parent));
    }

    /// Whether these two lives are known and neither comes after the other.
    pub fn apart(&self, one: Incarnation, other: Incarnation) -> bool {
        one != other
            && self.parents.contains_key(&one)
            && self.parents.contains_key(&other)
            && !self.descends(one, other)
            && !self.descends(other, one)
    }

    /// Notes that these two live at once; `false` if that is known.
    pub fn clone_seen(&mut self, one: Incarnation, other: Incarnation) -> bool {
        self.clones.insert((one.min(other), one.max(other)))
    }

    /// Whether a `clone` event was made for these two.
    pub fn is_known_clone(&self, one: Incarnation, other: Incarnation) -> bool {
        self.clones.contains(&(one.min(other), one.max(other)))
    }
}
