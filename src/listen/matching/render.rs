//! The rendering of the sides of a test: each twice, on the loop in the sound around it.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{HIGH_PASS_HZ, MatchError};
use crate::audio::{Audio, gain_to_db};
use crate::dsp::filter::DcBlocker;
use crate::dsp::{CHUNK, Chunk};
use crate::effect::Effect;
use crate::listen::gates::noise_floor_db;
use crate::listen::ladder::MOST_MEASURED_RUNGS;
use crate::listen::side::{ResolvedSide, SideSource};
use crate::measure::Alignment;
use crate::render::{RenderError, Renderer};
use crate::view::Change;

/// Names of the sides, and of the rungs of a measured ladder below side B.
pub(super) const SIDE_NAMES: [&str; 1 + MOST_MEASURED_RUNGS] = [
    "A",
    "B",
    "of rung 1",
    "of rung 2",
    "of rung 3",
    "of rung 4",
    "of rung 5",
    "of rung 6",
    "of rung 7",
    "of rung 8",
    "of rung 9",
    "of rung 10",
    "of rung 11",
    "of rung 12",
    "of rung 13",
    "of rung 14",
    "of rung 15",
];
/// Sound that an effect hears before what is used of its output, in seconds: its state is that of the sound, not of a start.
const PRE_ROLL_SECONDS: f64 = 5.0;
/// Sound before and after the loop that is rendered, in seconds: room for delays that matching finds. A delay as a change has its
/// own room.
const MARGIN_SECONDS: f64 = 0.5;
/// Frames that a fractional delay reads on each side, with some to spare.
const INTERPOLATION_FRAMES: usize = 256;

/// A side over the loop, with sound around it.
pub(super) struct Rendered {
    pub audio: Audio,
    /// Frames before the loop.
    pub lead: usize,
    pub noise_floor_db: Option<f64>,
    pub nan_resets: u64,
    pub is_file: bool,
    /// Mean over the loop before the high-pass, of the channel with the larger one, and its level in dB re the side.
    pub dc: (f64, f64),
}

/// Progress and cancelling, by the frames of all renders.
pub(super) struct Work<'a> {
    pub progress: &'a dyn Fn(f32),
    pub cancel: &'a AtomicBool,
    pub done: Cell<u64>,
    pub all: u64,
}

/// Share of the preparation that is rendering.
const RENDER_SHARE: f32 = 0.8;

impl Work<'_> {
    /// Tells the share that is done, `more` frames after the renders that are.
    fn rendered(&self, more: u64) -> bool {
        (self.progress)(RENDER_SHARE * (self.done.get() + more) as f32 / self.all.max(1) as f32);
        !self.cancel.load(Ordering::Relaxed)
    }

    /// Tells the share that is done after the renders.
    pub fn step(&self, share: f32) -> Result<(), MatchError> {
        (self.progress)(RENDER_SHARE + (1.0 - RENDER_SHARE) * share);
        if self.cancel.load(Ordering::Relaxed) { Err(MatchError::Cancelled) } else { Ok(()) }
    }
}

impl Rendered {
    /// `frames` frames of the loop, `delay` frames earlier than they were rendered, turned and with a gain.
    pub fn place(&self, delay: f64, inverted: bool, gain_db: f64, frames: usize) -> Audio {
        let way = Alignment { delay_frames: self.lead as f64 + delay, inverted, gain_db: -gain_db, ..Alignment::NONE };
        way.apply(&self.audio, frames)
    }
}

/// Frames that the effects hear before what is used of their output, and frames around the loop that are used.
pub(super) fn surroundings<'a>(sample_rate: u32, sides: impl Iterator<Item = &'a ResolvedSide>) -> [usize; 2] {
    let rate = f64::from(sample_rate);
    let later = |side: &ResolvedSide| match side.change {
        Some(Change::DelayFrames(frames)) => f64::from(frames).abs().ceil() as usize,
        _ => 0,
    };
    let margin = (MARGIN_SECONDS * rate) as usize + sides.map(later).max().unwrap_or(0) + INTERPOLATION_FRAMES;
    [(PRE_ROLL_SECONDS * rate) as usize, margin]
}

/// Renders all sides, each twice, on the loop in the sound `around` it, whose silence before its first and after its last frame is
/// heard, too.
pub(super) fn render_sides(
    around: &Audio,
    [loop_start, frames]: [usize; 2],
    sides: &[&ResolvedSide],
    progress: &dyn Fn(f32),
    cancel: &AtomicBool,
) -> Result<Vec<Rendered>, MatchError> {
    let [pre_roll, margin] = surroundings(around.sample_rate(), sides.iter().copied());
    let mut input = Audio::silence(around.sample_rate(), around.channels(), pre_roll + margin + frames + margin);
    // Frames of silence before the sound; negative where there is more sound than is heard.
    let before = (pre_roll + margin) as isize - loop_start as isize;
    let [to, from] = [before.max(0) as usize, (-before).max(0) as usize];
    for (to_channel, from_channel) in input.iter_mut().zip(around.iter()) {
        for (y, x) in to_channel[to..].iter_mut().zip(&from_channel[from..]) {
            *y = *x;
        }
    }
    let around = input;
    let effects = sides.iter().filter(|side| matches!(side.source, SideSource::Effect(_))).count() as u64;
    let work = Work { progress, cancel, done: Cell::new(0), all: 2 * effects * around.frames() as u64 };
    let render_side = |index: usize| -> Result<Rendered, MatchError> {
        let side = SIDE_NAMES[index];
        // The sound, and the frame of it at which the loop begins; what is before the `lead` frames before that is not used.
        let (whole, start, lead, noise_floor_db, nan_resets) = match &sides[index].source {
            SideSource::Dry => (around.clone(), pre_roll + margin, margin, None, 0),
            SideSource::File { audio, lead, .. } => (Audio::clone(audio), *lead, *lead, None, 0),
            SideSource::Effect(effect) => {
                let resets = || effect.active_model().map_or(0, |model| model.nan_resets());
                let before = resets();
                let first = render_once(effect, &around, side, &work)?;
                let second = render_once(effect, &around, side, &work)?;
                let floor = noise_floor_db(&first, &second);
                (first, pre_roll + margin, margin, floor, resets() - before)
            }
        };
        whole.check_finite().map_err(|source| MatchError::SideNotFinite { side, source })?;
        let played = whole.slice(start.min(whole.frames())..(start + frames).min(whole.frames())).expect("the ends are limited");
        let dc = played.iter().map(mean).fold(0.0f64, |largest, mean| if mean.abs() > largest.abs() { mean } else { largest });
        let dc = (dc, gain_to_db(dc.abs() / played.rms()));
        let mut whole = whole;
        high_pass(&mut whole);
        let audio = whole.slice(start - lead..).expect("the lead is a part of the sound");
        if audio.peak() == 0.0 {
            return Err(MatchError::SilentSide { side });
        }
        Ok(Rendered { audio, lead, noise_floor_db, nan_resets, is_file: sides[index].is_file(), dc })
    };
    (0..sides.len()).map(render_side).collect()
}

/// One render of a sound through an effect, with its latency taken away.
fn render_once(effect: &Effect, sound: &Audio, side: &'static str, work: &Work<'_>) -> Result<Audio, MatchError> {
    let failed = |source| match source {
        RenderError::Cancelled => MatchError::Cancelled,
        source => MatchError::Render { side, source },
    };
    let out =
        Renderer::for_sound(effect, sound).map_err(failed)?.render(sound, |frames| work.rendered(frames)).map_err(failed)?;
    work.done.set(work.done.get() + sound.frames() as u64);
    Ok(out)
}

/// The mean of a channel.
fn mean(channel: &[f32]) -> f64 {
    channel.iter().map(|x| f64::from(*x)).sum::<f64>() / channel.len().max(1) as f64
}

/// Filters a sound with the high-pass of all paths, as if its first sample had come in for ever.
fn high_pass(sound: &mut Audio) {
    let rate = sound.sample_rate() as f32;
    for channel in sound.iter_mut() {
        let mut filter = DcBlocker::new(rate, 1, HIGH_PASS_HZ, true);
        filter.settle_at(channel.first().copied().unwrap_or(0.0));
        let mut chunk: [Chunk; 1] = [[0.0; CHUNK]];
        for part in channel.chunks_mut(CHUNK) {
            chunk[0][..part.len()].copy_from_slice(part);
            filter.process(&mut chunk, part.len());
            part.copy_from_slice(&chunk[0][..part.len()]);
        }
    }
}
