//! The player of a test: plays one of several paths at the same place of a loop, or of the sound that comes in, and dips at each
//! press.
//!
//! All paths are read for every frame, in the same order, and all but one are multiplied by 0; in a mix of two, all but two. So a block takes the same time and
//! touches the same memory whichever path plays, also in silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::ladder::MOST_MEASURED_RUNGS;
use super::live::LivePaths;
use crate::audio::Audio;
use crate::dsp::Block;
use crate::graph::{Dip, SUB_BLOCK};

/// Most paths of a player: side A, side B, the positive control, and the other rungs of a measured ladder.
pub const MAX_PATHS: usize = 2 + MOST_MEASURED_RUNGS;
/// The number by which the first rung of a ladder is asked for, in the place of a path; the others follow.
pub const FIRST_RUNG: usize = MAX_PATHS;
/// Bits of [`Shared::wanted`] that hold the path; those above count the presses.
const PATH_BITS: u32 = 8;

/// The sounds of a test that is played from a loop: matched, equally long, and faded at their ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stimuli {
    /// Path 0 is side A, path 1 is side B, then the positive control (if there is one), then other rungs of a measured ladder. All have the same sample rate, channels
    /// and frames, and are finite.
    pub paths: Vec<Audio>,
    /// The gain of each path in each rung of a ladder, from the smallest error to the largest.
    pub rungs: Vec<[f32; MAX_PATHS]>,
}

impl Stimuli {
    /// The gains of all paths for a path alone, or from [`FIRST_RUNG`] on for the mix of a rung. [audio thread]
    pub(super) fn gains(&self, number: usize) -> [f32; MAX_PATHS] {
        let mix = number.checked_sub(FIRST_RUNG).and_then(|rung| self.rungs.get(rung));
        mix.copied().unwrap_or_else(|| std::array::from_fn(|path| if number == path { 1.0 } else { 0.0 }))
    }
}

/// The part of a player that the control thread and the audio thread share.
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
    source: Source,
    dip: Dip,
    /// The path or rung that plays; `None` for silence.
    playing: Option<usize>,
    /// Value of [`Shared::wanted`] at the last bottom of a dip.
    done: u64,
}

/// The origin of a player's paths.
enum Source {
    Loop(LoopPaths),
    Live(Box<LivePaths>),
}

/// The paths of a loop.
struct LoopPaths {
    stimuli: Arc<Stimuli>,
    /// Width of the blocks.
    channels: usize,
    /// Frames of the loop; 0 if there is no path.
    frames: usize,
    /// The next frame of the loop.
    position: usize,
}

impl Player {
    /// A player of a loop, which is silent until a path is asked for. `channels` is the width of the blocks that it will get: a
    /// mono loop plays in all channels, a wider loop is mixed down for mono blocks; otherwise channels go to those of the same
    /// number. [control thread: allocates]
    #[must_use]
    pub fn of_loop(stimuli: Arc<Stimuli>, channels: usize) -> (PlayerControl, Self) {
        let frames = stimuli.paths.iter().map(Audio::frames).min().unwrap_or(0);
        let rate = stimuli.paths.first().map_or(1, Audio::sample_rate);
        Self::new(Source::Loop(LoopPaths { stimuli, channels, frames, position: 0 }), rate as f32)
    }

    /// A player of the sound that comes in. [control thread: allocates]
    pub(super) fn of_live(paths: Box<LivePaths>, sample_rate: f32) -> (PlayerControl, Self) {
        Self::new(Source::Live(paths), sample_rate)
    }

    fn new(source: Source, sample_rate: f32) -> (PlayerControl, Self) {
        let shared: Arc<Shared> = Arc::default();
        let player = Self { shared: shared.clone(), source, dip: Dip::new(sample_rate), playing: None, done: 0 };
        (PlayerControl { shared }, player)
    }

    /// Frames by which the paths lag what comes in, the same for all and constant; 0 for a loop. [any thread]
    #[must_use]
    pub fn latency(&self) -> usize {
        match &self.source {
            Source::Loop(_) => 0,
            Source::Live(paths) => paths.latency(),
        }
    }

    /// Replaces a block by what plays. A live player reads the block's sound first. [audio thread]
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
            let gains = self.source.gains(self.playing);
            match &mut self.source {
                Source::Loop(paths) => paths.read(block, at, n, &gains, self.playing.is_some()),
                Source::Live(paths) => paths.process(block, at, n, &gains),
            }
            for channel in block.iter_mut() {
                self.dip.apply(&mut channel[at..at + n]);
            }
            if self.dip.advance(n) {
                self.done = wanted;
                self.playing = ((wanted & ((1 << PATH_BITS) - 1)) as usize).checked_sub(1);
                if let (None, Source::Loop(paths)) = (self.playing, &mut self.source) {
                    paths.position = 0;
                }
            }
            at += n;
        }
        if let Source::Loop(paths) = &self.source {
            self.shared.position.store(paths.position, Ordering::Relaxed);
        }
    }
}

impl Source {
    /// The gains of all paths for what plays: one path alone, or the mix of a rung. [audio thread]
    fn gains(&self, playing: Option<usize>) -> [f32; MAX_PATHS] {
        match (self, playing) {
            (Self::Loop(paths), Some(number)) => paths.stimuli.gains(number),
            _ => std::array::from_fn(|path| if playing == Some(path) { 1.0 } else { 0.0 }),
        }
    }
}

impl LoopPaths {
    /// Writes the next `n` frames of all paths with their gains to a block from frame `at` on. Unless something `plays`, the place
    /// in the loop stays.
    fn read(&mut self, block: &mut Block<'_>, at: usize, n: usize, gains: &[f32; MAX_PATHS], plays: bool) {
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
                        1 => (0..1, *gain),
                        several if self.channels == 1 => (0..several, gain / several as f32),
                        several => (index.min(several)..(index + 1).min(several), *gain),
                    };
                    for source in sources {
                        add(&path.channel(source)[self.position..self.position + part], gain, to);
                    }
                }
            }
            done += part;
            if plays {
                self.position = if self.position + part == self.frames { 0 } else { self.position + part };
            }
        }
    }
}

/// Adds a sound with a gain.
pub(super) fn add(from: &[f32], gain: f32, to: &mut [f32]) {
    for (y, x) in to.iter_mut().zip(from) {
        *y += gain * x;
    }
}

impl PlayerControl {
    /// Plays a path, or the rung of a ladder by its number from [`FIRST_RUNG`] on, through a dip of 5 ms down and 5 ms up, also if it
    /// plays already; None for silence, as for a path that is not there. From silence, the loop plays from its beginning. A press during a fade-out takes the place of the one before; a
    /// press during a fade-in takes effect when that ends. [any thread]
    pub fn play(&self, path: Option<usize>) {
        let path = path.map(|path| path as u64 + 1).filter(|path| *path < 1 << PATH_BITS).unwrap_or(0);
        let press = |wanted: u64| Some((((wanted >> PATH_BITS) + 1) << PATH_BITS) | path);
        // The closure gives a value always, so the update cannot fail.
        let _ = self.shared.wanted.fetch_update(Ordering::AcqRel, Ordering::Acquire, press);
    }

    /// The next frame of the loop; 0 in silence and on live sound. [any thread]
    #[must_use]
    pub fn position(&self) -> usize {
        self.shared.position.load(Ordering::Relaxed)
    }
}
