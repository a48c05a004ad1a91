//! [`ModelChain`]: everything through which the wet sound of a model goes, from the host's rate to the model's and back.
//! [`GuardedNetwork`] is the network in it, with a guard that silences output that is NaN or infinite.
//!
//! Sound is processed in internal blocks of a fixed number of frames that are counted from `reset`. A network whose output was
//! not finite is reset at the end of an internal block, so the output does not depend on the host's blocks.

use std::sync::Arc;

use arrayvec::ArrayVec;
use multiversion::multiversion;

use super::alignment::Aligner;
use super::engine::{KNOB_MIDDLE, KNOBS, NetworkState};
use super::model::Model;
use super::resampler_pair::ResamplerPair;
use crate::dsp::dry_wet::{MAX_MAGNITUDE, flush_tiny};
use crate::dsp::filter::DcBlocker;
use crate::dsp::{Block, CHUNK, Chunk, MAX_CHANNELS, Ramp};

/// The wet path: the resampler to the model's rate, the network, the resampler back, the aligner, the DC blocker.
pub(super) struct ModelChain {
    pub network: GuardedNetwork,
    /// `None` if the host runs at the model's rate.
    pub resamplers: Option<ResamplerPair>,
    /// `None` if alignment is off or the model's delay is a whole number of frames.
    pub aligner: Option<Aligner>,
    pub dc_blocker: DcBlocker,
    /// Frames of the current internal block that have passed, at the host's rate.
    block_position: usize,
    /// The settled network's constant output for silence.
    silence_output: f32,
}

/// Adds a constant to all samples.
fn shift(samples: &mut [f32], by: f32) {
    samples.iter_mut().for_each(|x| *x += by);
}

impl ModelChain {
    pub fn new(
        network: GuardedNetwork,
        resamplers: Option<ResamplerPair>,
        aligner: Option<Aligner>,
        dc_blocker: DcBlocker,
    ) -> Self {
        Self { network, resamplers, aligner, dc_blocker, block_position: 0, silence_output: 0.0 }
    }

    /// Frames up to the end of the current internal block.
    pub fn frames_left(&self) -> usize {
        self.resamplers.as_ref().map_or(CHUNK, ResamplerPair::block_frames) - self.block_position
    }

    /// Settles everything at the present values of the parameters, before the first frame.
    pub fn settle(&mut self) {
        self.silence_output = self.network.settle();
        self.dc_blocker.settle_at(self.silence_output);
    }

    /// Processes `frames` frames of every channel, at most [`Self::frames_left`].
    pub fn process(&mut self, wet: &mut [Chunk], frames: usize) {
        self.block_position += frames;
        let done = self.frames_left() == 0;
        let (network, silence_output) = (&mut self.network, self.silence_output);
        // Resamplers and aligner begin with zeros. They process the difference from the output for silence, so that they
        // begin settled, too.
        let subtracts_silence = silence_output != 0.0 && (self.resamplers.is_some() || self.aligner.is_some());
        if let Some(resamplers) = &mut self.resamplers {
            resamplers.process(wet, self.block_position - frames, frames, |block| {
                network.process_unless_resting(block);
                if subtracts_silence {
                    block.iter_mut().for_each(|c| shift(c, -silence_output));
                }
                network.end_internal_block();
            });
        } else {
            let mut block: ArrayVec<&mut [f32], MAX_CHANNELS> = wet.iter_mut().map(|c| &mut c[..frames]).collect();
            network.process(&mut block);
            if subtracts_silence {
                block.iter_mut().for_each(|c| shift(c, -silence_output));
            }
            if done {
                network.end_internal_block();
            }
        }
        if done {
            self.block_position = 0;
        }
        if let Some(aligner) = &mut self.aligner {
            aligner.process(wet, frames);
        }
        if subtracts_silence {
            wet.iter_mut().for_each(|c| shift(&mut c[..frames], silence_output));
        }
        self.dc_blocker.process(wet, frames);
    }

    /// Goes back to the state before the first frame; [`Self::settle`] settles the network then.
    pub fn reset(&mut self) {
        self.block_position = 0;
        self.network.reset();
        if let Some(resamplers) = &mut self.resamplers {
            resamplers.reset();
        }
        if let Some(aligner) = &mut self.aligner {
            aligner.reset();
        }
        self.dc_blocker.reset();
    }

    /// True if more frames like the last one would change nothing.
    pub fn rests(&self) -> bool {
        // The phase of a resampler changes from frame to frame.
        self.resamplers.is_none()
            && self.network.rests()
            && self.aligner.as_ref().is_none_or(Aligner::rests)
            && self.dc_blocker.can_skip()
    }

    /// Goes to the state that `frames` more frames like the last one would leave. Only valid if the chain
    /// [`rests`](Self::rests).
    pub fn skip(&mut self, frames: usize) {
        self.block_position = (self.block_position + frames) % CHUNK;
        self.dc_blocker.skip(frames);
    }

    /// A copy in the same state. `None` if the state cannot be copied: that of resamplers, or of a network on another thread.
    pub fn duplicate(&self) -> Option<Self> {
        if self.resamplers.is_some() {
            return None;
        }
        let (network, dc_blocker) = (self.network.duplicate()?, self.dc_blocker.clone());
        Some(Self {
            network,
            resamplers: None,
            aligner: self.aligner.clone(),
            dc_blocker,
            block_position: self.block_position,
            silence_output: self.silence_output,
        })
    }

    /// Bytes on the heap, without the model's.
    pub fn bytes(&self) -> usize {
        self.network.bytes()
            + self.dc_blocker.bytes()
            + self.resamplers.as_ref().map_or(0, ResamplerPair::bytes)
            + self.aligner.as_ref().map_or(0, Aligner::bytes)
    }
}

/// The initial value of [`GuardedNetwork::last`]: NaN equals no input frame.
const NO_FRAME: [f32; 2] = [f32::NAN, 0.0];

/// The state of a network with the ramps of its knobs. Runs at the model's rate. From the first output that is not finite to
/// the end of the internal block a channel is silent; then the network is reset.
pub(super) struct GuardedNetwork {
    /// The model whose network runs; it counts resets and underruns.
    model: Arc<Model>,
    pub state: Box<dyn NetworkState>,
    pub knobs: ArrayVec<Ramp, KNOBS>,
    /// For each knob its values in the frames of a block.
    knob_values: Vec<Vec<f32>>,
    /// For each channel: true if its output was not finite in this internal block.
    not_finite: Vec<bool>,
    /// Underruns of the state that the model has counted already.
    underruns: u64,
    /// For each channel the last input and output sample. Only [`Self::process_unless_resting`] sets them.
    last: Vec<[f32; 2]>,
}

impl GuardedNetwork {
    /// Makes a guarded network with this many knobs. `max_frames` is the largest number of frames, at the model's rate, of an
    /// internal block.
    pub fn new(
        model: Arc<Model>,
        state: Box<dyn NetworkState>,
        knobs: usize,
        sample_rate: f32,
        channels: usize,
        max_frames: usize,
    ) -> Self {
        Self {
            model,
            state,
            knobs: (0..knobs).map(|_| Ramp::new(KNOB_MIDDLE, sample_rate)).collect(),
            knob_values: vec![vec![0.0; max_frames]; knobs],
            not_finite: vec![false; channels],
            underruns: 0,
            last: vec![NO_FRAME; channels],
        }
    }

    /// Processes a block as [`Self::process`], or repeats the last output if nothing would change.
    fn process_unless_resting(&mut self, block: &mut Block<'_>) {
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
        self.process(block);
        for (samples, last) in block.iter().zip(&mut self.last) {
            last[1] = newest(samples).unwrap_or(last[1]);
        }
    }

    /// Processes a block in place at the model's rate.
    fn process(&mut self, block: &mut Block<'_>) {
        let frames = block.first().map_or(0, |c| c.len());
        for (knob, knob_values) in self.knobs.iter_mut().zip(&mut self.knob_values) {
            knob.fill(&mut knob_values[..frames]);
        }
        let knobs: ArrayVec<&[f32], KNOBS> = self.knob_values.iter().map(|v| &v[..frames]).collect();
        self.state.process(block, &knobs);
        let was_not_finite = self.not_finite.contains(&true);
        for (samples, not_finite) in block.iter_mut().zip(&mut self.not_finite) {
            if *not_finite || largest_bits(samples) > MAX_MAGNITUDE.to_bits() {
                *not_finite = silence_non_finite(samples, *not_finite);
            }
        }
        if !was_not_finite && self.not_finite.contains(&true) {
            self.model.count_nan_reset();
        }
    }

    /// Resets the network if its output was not finite, and counts new underruns.
    fn end_internal_block(&mut self) {
        if self.not_finite.contains(&true) {
            self.not_finite.fill(false);
            self.last.fill(NO_FRAME);
            self.state.reset();
        }
        let underruns = self.state.underruns();
        if underruns > self.underruns {
            self.model.count_underruns(underruns - self.underruns);
            self.underruns = underruns;
        }
    }

    /// Goes back to the state before the first frame, except for the network's own state, which [`Self::settle`] sets.
    fn reset(&mut self) {
        self.knobs.iter_mut().for_each(Ramp::finish);
        self.not_finite.fill(false);
        self.last.fill(NO_FRAME);
    }

    /// Settles the network's state at the values to which the knobs are set. Returns its output for silence.
    fn settle(&mut self) -> f32 {
        let knobs: ArrayVec<f32, KNOBS> = self.knobs.iter().map(Ramp::target).collect();
        let output = self.state.settle(&knobs);
        // The same limits as in `silence_non_finite`.
        if output.is_finite() { flush_tiny(output.clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE)) } else { 0.0 }
    }

    fn rests(&self) -> bool {
        self.knobs.iter().all(|k| k.steady().is_some()) && !self.not_finite.contains(&true) && self.state.rests()
    }

    fn duplicate(&self) -> Option<Self> {
        Some(Self {
            model: self.model.clone(),
            state: self.state.duplicate()?,
            knobs: self.knobs.clone(),
            knob_values: self.knob_values.clone(),
            not_finite: self.not_finite.clone(),
            underruns: self.underruns,
            last: self.last.clone(),
        })
    }

    fn bytes(&self) -> usize {
        self.state.bytes()
            + self.knob_values.iter().map(|v| size_of_val(v.as_slice()) + size_of::<Vec<f32>>()).sum::<usize>()
            + size_of_val(self.not_finite.as_slice())
            + size_of_val(self.last.as_slice())
    }
}

/// The bits of the largest magnitude. They are ordered as the magnitudes are, and those of NaN are above those of infinity.
#[multiversion(targets("x86_64+avx2"))]
fn largest_bits(samples: &[f32]) -> u32 {
    samples.iter().fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff))
}

/// Silences the first sample that is not finite and all after it (all samples if `not_finite`), and limits those before it to
/// [`MAX_MAGNITUDE`]. Returns true if samples were silenced.
fn silence_non_finite(samples: &mut [f32], not_finite: bool) -> bool {
    let finite_count = if not_finite { 0 } else { samples.iter().position(|x| !x.is_finite()).unwrap_or(samples.len()) };
    for x in &mut samples[..finite_count] {
        *x = x.clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE);
    }
    samples[finite_count..].fill(0.0);
    finite_count < samples.len()
}
