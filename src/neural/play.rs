//! A model that plays: its state, to its rate and back, aligned, without an offset where that is asked for.

use std::sync::Arc;

use arrayvec::ArrayVec;
use multiversion::multiversion;

use super::alignment::Aligner;
use super::engine::{KNOBS, MIDDLE, Voices};
use super::model::Model;
use super::rate::Rates;
use crate::dsp::blend::{LOUDEST, audible};
use crate::dsp::filter::DcBlocker;
use crate::dsp::{Block, CHUNK, Chunk, MAX_CHANNELS, Ramp};

/// See the module.
pub(super) struct Play {
    pub player: Player,
    /// Nothing at the model's own rate.
    pub rates: Option<Rates>,
    pub aligner: Option<Aligner>,
    pub dc_blocker: DcBlocker,
    /// Frames of the current turn that have passed, at the host's rate.
    turned: usize,
    /// The network's output for silence, before the first frame.
    rest: f32,
}

fn shift(samples: &mut [f32], by: f32) {
    samples.iter_mut().for_each(|x| *x += by);
}

impl Play {
    pub fn new(player: Player, rates: Option<Rates>, aligner: Option<Aligner>, dc_blocker: DcBlocker) -> Self {
        Self { player, rates, aligner, dc_blocker, turned: 0, rest: 0.0 }
    }

    /// Frames that may come before the current turn ends.
    pub fn room(&self) -> usize {
        self.rates.as_ref().map_or(CHUNK, Rates::turn) - self.turned
    }

    /// Before the first frame: everything as silence leaves it that came in for long, with all as it is set.
    pub fn settle(&mut self) {
        self.rest = self.player.settle();
        self.dc_blocker.rest_at(self.rest);
    }

    /// `frames` frames of every channel, within the current turn.
    pub fn run(&mut self, wet: &mut [Chunk], frames: usize) {
        self.turned += frames;
        let done = self.room() == 0;
        let (player, rest) = (&mut self.player, self.rest);
        // Rates and alignment hold zeros at first, so they get the difference from the rest.
        let differs = rest != 0.0 && (self.rates.is_some() || self.aligner.is_some());
        if let Some(rates) = &mut self.rates {
            rates.run(wet, self.turned - frames, frames, |block| {
                player.run_or_rest(block);
                if differs {
                    block.iter_mut().for_each(|c| shift(c, -rest));
                }
                player.end_turn();
            });
        } else {
            let mut block: ArrayVec<&mut [f32], MAX_CHANNELS> = wet.iter_mut().map(|c| &mut c[..frames]).collect();
            player.run(&mut block);
            if differs {
                block.iter_mut().for_each(|c| shift(c, -rest));
            }
            if done {
                player.end_turn();
            }
        }
        if done {
            self.turned = 0;
        }
        if let Some(aligner) = &mut self.aligner {
            aligner.process(wet, frames);
        }
        if differs {
            wet.iter_mut().for_each(|c| shift(&mut c[..frames], rest));
        }
        self.dc_blocker.process(wet, frames);
    }

    pub fn reset(&mut self) {
        self.turned = 0;
        self.player.reset();
        if let Some(rates) = &mut self.rates {
            rates.reset();
        }
        if let Some(aligner) = &mut self.aligner {
            aligner.reset();
        }
        self.dc_blocker.reset();
    }

    /// Whether more frames like the last one would change nothing.
    pub fn rests(&self) -> bool {
        // What a change of rate holds back differs from frame to frame.
        self.rates.is_none()
            && self.player.rests()
            && self.aligner.as_ref().is_none_or(Aligner::rests)
            && self.dc_blocker.can_skip()
    }

    /// The state that `frames` more frames like the last one would leave, where it [`rests`](Self::rests).
    pub fn skip(&mut self, frames: usize) {
        self.turned = (self.turned + frames) % CHUNK;
        self.dc_blocker.skip(frames);
    }

    /// A copy in the same state; nothing where there can be none: a change of rate, a network on another thread.
    pub fn duplicate(&self) -> Option<Self> {
        if self.rates.is_some() {
            return None;
        }
        let (player, dc_blocker) = (self.player.duplicate()?, self.dc_blocker.clone());
        Some(Self { player, rates: None, aligner: self.aligner.clone(), dc_blocker, turned: self.turned, rest: self.rest })
    }

    pub fn bytes(&self) -> usize {
        self.player.bytes()
            + self.dc_blocker.bytes()
            + self.rates.as_ref().map_or(0, Rates::bytes)
            + self.aligner.as_ref().map_or(0, Aligner::bytes)
    }
}

/// No frame that can come in.
const NOTHING_YET: [f32; 2] = [f32::NAN, 0.0];

/// The voices of a model with its knobs, kept within numbers. Runs at the model's rate in turns that are counted from `reset`, so
/// that a network that must begin anew does so at the same frame however the stream is cut.
pub(super) struct Player {
    /// Kept for as long as it plays.
    model: Arc<Model>,
    pub voices: Box<dyn Voices>,
    pub knobs: ArrayVec<Ramp, KNOBS>,
    /// The knobs' values of a block.
    values: Vec<Vec<f32>>,
    /// Channels whose output was no number in this turn.
    broken: Vec<bool>,
    /// Of the voices, as far as the model counts them already.
    misses: u64,
    /// The last frame that went in and that came out, where [`Self::run_or_rest`] looks after that.
    last: Vec<[f32; 2]>,
}

impl Player {
    /// `longest` is a turn's largest number of frames.
    pub fn new(
        model: Arc<Model>,
        voices: Box<dyn Voices>,
        knobs: usize,
        sample_rate: f32,
        channels: usize,
        longest: usize,
    ) -> Self {
        Self {
            model,
            voices,
            knobs: (0..knobs).map(|_| Ramp::new(MIDDLE, sample_rate)).collect(),
            values: vec![vec![0.0; longest]; knobs],
            broken: vec![false; channels],
            misses: 0,
            last: vec![NOTHING_YET; channels],
        }
    }

    /// [`Self::run`], or, where nothing would change, what came out last.
    fn run_or_rest(&mut self, block: &mut Block<'_>) {
        let same = block.iter().zip(&self.last).all(|(samples, [x, _])| samples.iter().all(|s| s.to_bits() == x.to_bits()));
        if same && self.rests() {
            for (samples, [_, y]) in block.iter_mut().zip(&self.last) {
                samples.fill(*y);
            }
            return;
        }
        let newest = |samples: &[f32]| samples.last().copied();
        for (samples, last) in block.iter().zip(&mut self.last) {
            last[0] = newest(samples).unwrap_or(last[0]);
        }
        self.run(block);
        for (samples, last) in block.iter().zip(&mut self.last) {
            last[1] = newest(samples).unwrap_or(last[1]);
        }
    }

    fn run(&mut self, block: &mut Block<'_>) {
        let frames = block.first().map_or(0, |c| c.len());
        for (knob, values) in self.knobs.iter_mut().zip(&mut self.values) {
            knob.fill(&mut values[..frames]);
        }
        let knobs: ArrayVec<&[f32], KNOBS> = self.values.iter().map(|v| &v[..frames]).collect();
        self.voices.process(block, &knobs);
        let was_broken = self.broken.contains(&true);
        for (samples, broken) in block.iter_mut().zip(&mut self.broken) {
            if *broken || largest(samples) > LOUDEST.to_bits() {
                *broken = tame(samples, *broken);
            }
        }
        if !was_broken && self.broken.contains(&true) {
            self.model.count_explosion();
        }
    }

    fn end_turn(&mut self) {
        if self.broken.contains(&true) {
            self.broken.fill(false);
            self.last.fill(NOTHING_YET);
            self.voices.reset();
        }
        let misses = self.voices.misses();
        if misses > self.misses {
            self.model.count_misses(misses - self.misses);
            self.misses = misses;
        }
    }

    fn reset(&mut self) {
        self.knobs.iter_mut().for_each(Ramp::finish);
        self.broken.fill(false);
        self.last.fill(NOTHING_YET);
    }

    /// Prewarms the voices at the knobs as they are set. Returns what they give for silence.
    fn settle(&mut self) -> f32 {
        let knobs: ArrayVec<f32, KNOBS> = self.knobs.iter().map(Ramp::target).collect();
        let rest = self.voices.settle(&knobs);
        // Within the same bounds as `tame`.
        if rest.is_finite() { audible(rest.clamp(-LOUDEST, LOUDEST)) } else { 0.0 }
    }

    fn rests(&self) -> bool {
        self.knobs.iter().all(|k| k.resting().is_some()) && !self.broken.contains(&true) && self.voices.rests()
    }

    fn duplicate(&self) -> Option<Self> {
        Some(Self {
            model: self.model.clone(),
            voices: self.voices.duplicate()?,
            knobs: self.knobs.clone(),
            values: self.values.clone(),
            broken: self.broken.clone(),
            misses: self.misses,
            last: self.last.clone(),
        })
    }

    fn bytes(&self) -> usize {
        self.voices.bytes()
            + self.values.iter().map(|v| size_of_val(v.as_slice()) + size_of::<Vec<f32>>()).sum::<usize>()
            + size_of_val(self.broken.as_slice())
            + size_of_val(self.last.as_slice())
    }
}

/// The bits of the largest magnitude, which order as the numbers do; above those of infinity if there is one that is no number.
#[multiversion(targets("x86_64+avx2"))]
fn largest(samples: &[f32]) -> u32 {
    samples.iter().fold(0, |most, x| most.max(x.to_bits() & 0x7fff_ffff))
}

/// Silence from the first sample on that is no finite number (from the start if `broken`), and nothing beyond [`LOUDEST`]. Returns
/// whether one was none.
fn tame(samples: &mut [f32], broken: bool) -> bool {
    let sound = if broken { 0 } else { samples.iter().position(|x| !x.is_finite()).unwrap_or(samples.len()) };
    for x in &mut samples[..sound] {
        *x = x.clamp(-LOUDEST, LOUDEST);
    }
    samples[sound..].fill(0.0);
    sound < samples.len()
}
