//! The player of a test: plays one of several paths at the same place of a loop, and dips at each press.
//!
//! All paths are read for every frame, in the same order, and all but one are multiplied by 0. So a block takes the same time and
//! touches the same memory whichever path plays, also in silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::audio::Audio;
use crate::dsp::Block;
use crate::graph::{Dip, SUB_BLOCK};

/// Most paths of a player: side A, side B and the positive control.
pub const MAX_PATHS: usize = 3;
/// Bits of [`Shared::wanted`] that hold the path; those above count the presses.
const PATH_BITS: u32 = 8;

/// The sounds of a test that is played from a loop: matched, equally long, and faded at their ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Stimuli {
    /// Path 0 is side A, path 1 is side B, path 2 the positive control (if there is one). All have the same sample rate, channels
    /// and frames, and are finite.
    pub paths: Vec<Audio>,
}

/// What the control thread and the audio thread share of a player.
#[derive(Debug, Default)]
struct Shared {
    /// The path that is asked for plus 1, or 0 for silence, in the low [`PATH_BITS`] bits; above them the count of presses.
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
    /// Width of the blocks.
    channels: usize,
    /// Frames of the loop; 0 if there is no path.
    frames: usize,
    dip: Dip,
    /// The path that plays; `None` for silence.
    playing: Option<usize>,
    /// Value of [`Shared::wanted`] at the last bottom of a dip.
    done: u64,
    /// The next frame of the loop.
    position: usize,
}

impl Player {
    /// A player of a loop, which is silent until a path is asked for. `channels` is the width of the blocks that it will get: a
    /// mono loop plays in all channels, a wider loop is mixed down for mono blocks; otherwise channels go to those of the same
    /// number. [control thread: allocates]
    #[must_use]
    pub fn of_loop(stimuli: Arc<Stimuli>, channels: usize) -> (PlayerControl, Self) {
        let shared: Arc<Shared> = Arc::default();
        let frames = stimuli.paths.iter().map(Audio::frames).min().unwrap_or(0);
        let rate = stimuli.paths.first().map_or(1, Audio::sample_rate);
        let player = Self {
            shared: shared.clone(),
            stimuli,
            channels,
            frames,
            dip: Dip::new(rate as f32),
            playing: None,
            done: 0,
            position: 0,
        };
        (PlayerControl { shared }, player)
    }

    /// Replaces a block by what plays. [audio thread]
    pub fn process(&mut self, block: &mut Block<'_>) {
        let frames = block.first().map_or(0, |channel| channel.len());
        let wanted = self.shared.wanted.load(Ordering::Acquire);
        let mut at = 0;
        while at < frames {
            // A press during a fade-in waits for its end, so that each fade has its full shape.
            if wanted != self.done && !self.dip.is_under_way() {
                self.dip.begin();
            }
            let n = self.dip.span((frames - at).min(SUB_BLOCK));
            self.read(block, at, n);
            for channel in block.iter_mut() {
                self.dip.apply(&mut channel[at..at + n]);
            }
            if self.dip.advance(n) {
                self.done = wanted;
                self.playing = ((wanted & ((1 << PATH_BITS) - 1)) as usize).checked_sub(1);
                if self.playing.is_none() {
                    self.position = 0;
                }
            }
            at += n;
        }
        self.shared.position.store(self.position, Ordering::Relaxed);
    }

    /// Writes the next `n` frames of the path that plays, at most a sub-block, to a block from frame `at` on.
    fn read(&mut self, block: &mut Block<'_>, at: usize, n: usize) {
        let gains: [f32; MAX_PATHS] = std::array::from_fn(|path| if self.playing == Some(path) { 1.0 } else { 0.0 });
        let mut done = 0;
        while done < n {
            let part = (n - done).min(self.frames.saturating_sub(self.position));
            if part == 0 {
                // There is no path.
                block.iter_mut().for_each(|channel| channel[at + done..at + n].fill(0.0));
                return;
            }
            for (index, channel) in block.iter_mut().enumerate() {
                let to = &mut channel[at + done..at + done + part];
                to.fill(0.0);
                for (path, gain) in self.stimuli.paths.iter().zip(gains) {
                    let (sources, gain) = match path.channels() {
                        1 => (0..1, gain),
                        several if self.channels == 1 => (0..several, gain / several as f32),
                        several => (index.min(several)..(index + 1).min(several), gain),
                    };
                    for source in sources {
                        add(&path.channel(source)[self.position..self.position + part], gain, to);
                    }
                }
            }
            done += part;
            // In silence the place stays: a test begins at the loop's beginning.
            if self.playing.is_some() {
                self.position = if self.position + part == self.frames { 0 } else { self.position + part };
            }
        }
    }
}

/// Adds a sound with a gain.
fn add(from: &[f32], gain: f32, to: &mut [f32]) {
    for (y, x) in to.iter_mut().zip(from) {
        *y += gain * x;
    }
}

impl PlayerControl {
    /// Plays a path, through a dip of 5 ms down and 5 ms up, also if it plays already; None for silence, as for a path that is not
    /// there. From silence, the loop plays from its beginning. A press during a fade-out takes the place of the one before; a
    /// press during a fade-in takes effect when that ends. [any thread]
    pub fn play(&self, path: Option<usize>) {
        let path = path.filter(|path| *path < MAX_PATHS).map_or(0, |path| path as u64 + 1);
        let press = |wanted: u64| Some((((wanted >> PATH_BITS) + 1) << PATH_BITS) | path);
        // The closure gives a value always, so the update cannot fail.
        let _ = self.shared.wanted.fetch_update(Ordering::AcqRel, Ordering::Acquire, press);
    }

    /// The next frame of the loop; 0 in silence. [any thread]
    #[must_use]
    pub fn position(&self) -> usize {
        self.shared.position.load(Ordering::Relaxed)
    }
}
