//! The blind switch: lets one slot through and hides from the listener which one. It keeps no score.

use std::sync::atomic::{AtomicU8, Ordering};

/// A blind switch: two sides, and a coin that decides which slot each of them plays. It keeps no score; it shows the slots on
/// request.
#[derive(Debug)]
pub struct BlindSwitch {
    /// Bits [`SWAPPED`] and [`REVEALED`].
    state: AtomicU8,
}

/// Set if side 0 plays slot 1.
const SWAPPED: u8 = 1;
/// Set if the listener is shown which slot each side plays.
const REVEALED: u8 = 2;

impl Default for BlindSwitch {
    fn default() -> Self {
        Self::new()
    }
}

impl BlindSwitch {
    /// A switch that has tossed its coin. [control thread]
    #[must_use]
    pub fn new() -> Self {
        let blind = Self { state: AtomicU8::new(0) };
        blind.toss();
        blind
    }

    /// Hides the slots again and tosses the coin: a bit from the operating system's random source. [control thread]
    pub fn toss(&self) {
        let mut byte = [0];
        // Without such a source, the random keys of a hasher serve.
        if getrandom::fill(&mut byte).is_err() {
            use std::hash::{BuildHasher, RandomState};
            byte[0] = RandomState::new().hash_one(0) as u8;
        }
        self.state.store(byte[0] & SWAPPED, Ordering::Relaxed);
    }

    /// The slot, 0 or 1, that a side, 0 or 1, plays. [audio thread]
    #[must_use]
    pub fn slot(&self, side: usize) -> usize {
        (side & 1) ^ usize::from(self.state.load(Ordering::Relaxed) & SWAPPED)
    }

    /// Shows which slot each side plays, until the next toss. [any thread]
    pub fn reveal(&self) {
        self.state.fetch_or(REVEALED, Ordering::Relaxed);
    }

    /// True after [`Self::reveal`], until the next toss. [any thread]
    #[must_use]
    pub fn is_revealed(&self) -> bool {
        self.state.load(Ordering::Relaxed) & REVEALED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coin_falls_both_ways_and_a_toss_hides_the_slots() {
        let blind = BlindSwitch::new();
        let mut swapped = 0;
        for _ in 0..400 {
            blind.reveal();
            assert!(blind.is_revealed());
            blind.toss();
            assert!(!blind.is_revealed());
            assert_ne!(blind.slot(0), blind.slot(1));
            swapped += blind.slot(0);
        }
        // Six standard deviations around one half.
        assert!((140..=260).contains(&swapped), "{swapped} of 400");
    }
}
