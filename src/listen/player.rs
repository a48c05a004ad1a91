//! The player of a test: plays one of several paths at the same place of a loop, and dips at each press.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::audio::Audio;
use crate::dsp::Block;

/// The sounds of a test that is played from a loop: matched, equally long, and faded at their ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Stimuli {
    /// Path 0 is side A, path 1 is side B, path 2 the positive control (if there is one). All have the same sample rate, channels
    /// and frames.
    pub paths: Vec<Audio>,
}

/// What the control thread and the audio thread share of a player.
#[derive(Debug, Default)]
struct Shared {
    /// The path that is asked for plus 1, or 0 for silence, in the low 8 bits; above them the count of presses.
    wanted: AtomicU64,
    /// The next frame of the loop.
    position: AtomicUsize,
}

/// The control thread's end of a player. [any thread]
#[derive(Clone, Debug)]
pub struct PlayerControl {
    shared: Arc<Shared>,
}

/// The audio thread's end of a player.
pub struct Player {
    shared: Arc<Shared>,
    stimuli: Arc<Stimuli>,
}

impl Player {
    /// A player of a loop, which is silent until a path is asked for. `channels` is the width of the blocks that it will get.
    /// [control thread: allocates]
    #[must_use]
    pub fn of_loop(stimuli: Arc<Stimuli>, _channels: usize) -> (PlayerControl, Self) {
        let shared: Arc<Shared> = Arc::default();
        (PlayerControl { shared: shared.clone() }, Self { shared, stimuli })
    }

    /// Replaces a block by what plays. A live player reads the block's sound first. [audio thread]
    pub fn process(&mut self, block: &mut Block<'_>) {
        let _ = (&self.stimuli, block);
        todo!("the sound of the player")
    }
}

impl PlayerControl {
    /// Plays a path, through a dip of 5 ms down and 5 ms up, also if it plays already; None for silence. [any thread]
    pub fn play(&self, path: Option<usize>) {
        let _ = (path, self.shared.wanted.load(Ordering::Relaxed));
        todo!("the press")
    }

    /// The next frame of the loop. [any thread]
    #[must_use]
    pub fn position(&self) -> usize {
        self.shared.position.load(Ordering::Relaxed)
    }
}
