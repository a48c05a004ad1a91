//! Comparing by ear: which slot is heard without knowing.

use std::sync::atomic::{AtomicU8, Ordering};

/// A blind switch: a coin decides which slot hides behind which button. Not scored; shown on request.
#[derive(Debug)]
pub struct Blind {
    state: AtomicU8,
}

const TURNED: u8 = 1;
const REVEALED: u8 = 2;

impl Default for Blind {
    fn default() -> Self {
        Self::new()
    }
}

impl Blind {
    /// With a coin tossed. [control thread]
    #[must_use]
    pub fn new() -> Self {
        let blind = Self { state: AtomicU8::new(0) };
        blind.toss();
        blind
    }

    /// Hides the sides again and tosses the coin anew: a bit from the operating system's random source. [control thread]
    pub fn toss(&self) {
        let mut byte = [0];
        // A system without random numbers gets one from the addresses and the time in a hasher's keys.
        if getrandom::fill(&mut byte).is_err() {
            use std::hash::{BuildHasher, RandomState};
            byte[0] = RandomState::new().hash_one(0) as u8;
        }
        self.state.store(byte[0] & TURNED, Ordering::Relaxed);
    }

    /// The slot behind a side, 0 or 1. [audio thread]
    #[must_use]
    pub fn slot(&self, side: usize) -> usize {
        (side & 1) ^ usize::from(self.state.load(Ordering::Relaxed) & TURNED)
    }

    /// Shows which is which, until the next toss. [any thread]
    pub fn reveal(&self) {
        self.state.fetch_or(REVEALED, Ordering::Relaxed);
    }

    /// [any thread]
    #[must_use]
    pub fn is_revealed(&self) -> bool {
        self.state.load(Ordering::Relaxed) & REVEALED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coin_falls_both_ways_and_hides_what_it_was() {
        let blind = Blind::new();
        let mut turned = 0;
        for _ in 0..400 {
            blind.reveal();
            assert!(blind.is_revealed());
            blind.toss();
            assert!(!blind.is_revealed());
            assert_ne!(blind.slot(0), blind.slot(1));
            turned += blind.slot(0);
        }
        // Six standard deviations around the half.
        assert!((140..=260).contains(&turned), "{turned} of 400");
    }
}
