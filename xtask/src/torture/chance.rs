//! Chance from a seed: the same seed directs a run the same way.

use std::time::Duration;

/// A stream of numbers (splitmix64). It decides when to kill; nothing secret comes from it.
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    /// The stream of this seed for one purpose; streams of different purposes do not depend on each other.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut chance = Self {
            state: seed ^ purpose.wrapping_mul(0xd134_2543_de82_ef95),
        };
        chance.draw();
        chance
    }

    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One below `end`; 0 when there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }

    /// One of `from..=to`.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        let width = to.saturating_sub(from).saturating_add(1);
        from.saturating_add(self.below(width))
    }

    /// A place in a list of this length.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        let end = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or(0)
    }

    /// Whether something happens that happens this often in a hundred.
    pub(crate) fn percent(&mut self, often: u64) -> bool {
        self.below(100) < often
    }

    /// A time between these many milliseconds.
    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.between(from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_directs_and_purposes_differ() {
        let draw = |seed, purpose| {
            let mut chance = Chance::new(seed, purpose);
            [chance.draw(), chance.draw()]
        };
        assert_eq!(draw(1, 1), draw(1, 1));
        assert_ne!(draw(1, 1), draw(1, 2));
        assert_ne!(draw(1, 1), draw(2, 1));
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut chance = Chance::new(3, 0);
        let mut met = [false; 3];
        for _ in 0..200 {
            let drawn = chance.between(5, 7);
            assert!((5..=7).contains(&drawn));
            met[usize::try_from(drawn - 5).unwrap()] = true;
            assert!(chance.place(4) < 4);
        }
        assert_eq!(met, [true; 3]);
        assert_eq!(chance.below(0), 0);
    }
}
