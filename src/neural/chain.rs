//! [`ModelChain`]: everything through which the wet sound of a model goes, from the host's rate to the network's and back.
//! [`GuardedNetwork`] is the network in it, with a guard that silences output that is NaN or infinite.
//!
//! The network runs at the model's rate, or at a multiple of it: then an [`Interleaver`] gives each of its states every Nth frame.
//!
//! Sound is processed in internal blocks of a fixed number of frames that are counted from `reset`. A network whose output was
//! not finite is reset at the end of an internal block, so the output does not depend on the host's blocks.

use std::sync::Arc;

use arrayvec::ArrayVec;
use multiversion::multiversion;

use super::alignment::Aligner;
use super::engine::{KNOB_MIDDLE, KNOBS, NetworkState};
use super::interleave::Interleaver;
use super::model::Model;
use super::resampler_pair::ResamplerPair;
use crate::dsp::dry_wet::{MAX_MAGNITUDE, flush_tiny};
use crate::dsp::filter::DcBlocker;
use crate::dsp::oversample::Oversampler;
use crate::dsp::{Block, CHUNK, Chunk, Delay, MAX_CHANNELS, Ramp};

/// The way from the host's rate to the network's and back.
pub(super) enum RateChange {
    /// Both are the same.
    None,
    /// The network runs at a multiple of the host's rate: half-band filters, one oversampler for each channel.
    HalfBands(Vec<Oversampler>),
    /// Any other ratio.
    Resamplers(ResamplerPair),
}

/// The wet path: the way to the network's rate, the network, the way back, the aligner, the DC blocker.
pub(super) struct ModelChain {
    pub network: GuardedNetwork,
    pub rate_change: RateChange,
    /// `None` if the network runs at the model's own rate.
    pub interleaver: Option<Interleaver>,
    /// For each channel, the delay that makes the latency as long as at the oversampling of the other time, live or rendered;
    /// empty if it is as long.
    pub padding: Vec<Delay>,
    /// `None` if alignment is off or the model's delay is a whole number of frames.
    pub aligner: Option<Aligner>,
    pub dc_blocker: DcBlocker,
    /// Frames of the current internal block that have passed, at the host's rate.
    pub block_position: usize,
    /// The settled network's constant output for silence.
    pub silence_output: f32,
}

/// Adds a constant to all samples.
fn shift(samples: &mut [f32], by: f32) {
    samples.iter_mut().for_each(|x| *x += by);
}

impl ModelChain {
    /// Frames of an internal block, at the host's rate.
    fn block_frames(&self) -> usize {
        match &self.rate_change {
            RateChange::None | RateChange::HalfBands(_) => CHUNK,
            RateChange::Resamplers(resamplers) => resamplers.block_frames(),
        }
    }

    /// Frames up to the end of the current internal block.
    pub fn frames_left(&self) -> usize {
        self.block_frames() - self.block_position
    }

    /// Settles everything at the present values of the parameters, before the first frame.
    pub fn settle(&mut self) {
        self.silence_output = self.network.settle();
        if let Some(interleaver) = &mut self.interleaver {
            interleaver.settle(self.silence_output);
        }
        self.dc_blocker.settle_at(self.silence_output);
    }

    /// Processes `frames` frames of every channel, at most [`Self::frames_left`].
    pub fn process(&mut self, wet: &mut [Chunk], frames: usize) {
        self.block_position += frames;
        let done = self.frames_left() == 0;
        let (network, interleaver, silence_output) = (&mut self.network, &mut self.interleaver, self.silence_output);
        let filters = !matches!(self.rate_change, RateChange::None) || !self.padding.is_empty() || self.aligner.is_some();
        // The filters before and after the network begin with zeros. Those after it process the difference from the output for
        // silence, so that they begin settled, too.
        let subtracts_silence = silence_output != 0.0 && filters;
        // Runs the network over a block at its rate.
        let mut run = |block: &mut Block<'_>, network: &mut GuardedNetwork, may_rest: bool| {
            let mut process = |block: &mut Block<'_>| {
                if may_rest { network.process_unless_resting(block) } else { network.process(block) }
            };
            match interleaver {
                Some(interleaver) => interleaver.process(block, process),
                None => process(block),
            }
            if subtracts_silence {
                block.iter_mut().for_each(|c| shift(c, -silence_output));
            }
        };
        match &mut self.rate_change {
            RateChange::Resamplers(resamplers) => resamplers.process(wet, self.block_position - frames, frames, |block| {
                run(block, network, true);
                network.end_internal_block();
            }),
            RateChange::HalfBands(oversamplers) => {
                {
                    let channels = oversamplers.iter_mut().zip(wet.iter());
                    let mut block: ArrayVec<&mut [f32], MAX_CHANNELS> =
                        channels.map(|(oversampler, wet)| oversampler.upsample(&wet[..frames])).collect();
                    run(&mut block, network, false);
                }
                for (oversampler, wet) in oversamplers.iter_mut().zip(wet.iter_mut()) {
                    oversampler.downsample(&mut wet[..frames]);
                }
            }
            RateChange::None => {
                let mut block: ArrayVec<&mut [f32], MAX_CHANNELS> = wet.iter_mut().map(|c| &mut c[..frames]).collect();
                run(&mut block, network, false);
            }
        }
        if done && !matches!(self.rate_change, RateChange::Resamplers(_)) {
            self.network.end_internal_block();
        }
        if done {
            self.block_position = 0;
        }
        for (wet, padding) in wet.iter_mut().zip(&mut self.padding) {
            padding.process(&mut wet[..frames]);
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
        match &mut self.rate_change {
            RateChange::None => {}
            RateChange::HalfBands(oversamplers) => oversamplers.iter_mut().for_each(Oversampler::reset),
            RateChange::Resamplers(resamplers) => resamplers.reset(),
        }
        self.padding.iter_mut().for_each(Delay::reset);
        if let Some(aligner) = &mut self.aligner {
            aligner.reset();
        }
        self.dc_blocker.reset();
    }

    /// True if more frames like the last one would change nothing.
    pub fn rests(&self) -> bool {
        // The phase of a resampler changes from frame to frame.
        !matches!(self.rate_change, RateChange::Resamplers(_))
            && self.network.rests()
            && self.aligner.as_ref().is_none_or(Aligner::rests)
            && self.dc_blocker.can_skip()
    }

    /// Goes to the state that `frames` more frames like the last one would leave. Only valid if the chain
    /// [`rests`](Self::rests).
    pub fn skip(&mut self, frames: usize) {
        self.block_position = (self.block_position + frames) % CHUNK;
        if let Some(interleaver) = &mut self.interleaver {
            interleaver.skip(frames);
        }
        self.dc_blocker.skip(frames);
    }

    /// A copy in the same state. `None` if the state cannot be copied: that of resamplers, or of a network on another thread.
    pub fn duplicate(&self) -> Option<Self> {
        let rate_change = match &self.rate_change {
            RateChange::None => RateChange::None,
            RateChange::HalfBands(oversamplers) => RateChange::HalfBands(oversamplers.clone()),
            RateChange::Resamplers(_) => return None,
        };
        Some(Self {
            network: self.network.duplicate()?,
            rate_change,
            interleaver: self.interleaver.clone(),
            padding: self.padding.clone(),
            aligner: self.aligner.clone(),
            dc_blocker: self.dc_blocker.clone(),
            block_position: self.block_position,
            silence_output: self.silence_output,
        })
    }

    /// Bytes on the heap, without the model's.
    pub fn bytes(&self) -> usize {
        let rate_change = match &self.rate_change {
            RateChange::None => 0,
            RateChange::HalfBands(oversamplers) => oversamplers.iter().map(|o| o.bytes() + size_of::<Oversampler>()).sum(),
            RateChange::Resamplers(resamplers) => resamplers.bytes(),
        };
        self.network.bytes()
            + rate_change
            + self.interleaver.as_ref().map_or(0, Interleaver::bytes)
            + self.padding.iter().map(|delay| delay.bytes() + size_of::<Delay>()).sum::<usize>()
            + self.dc_blocker.bytes()
            + self.aligner.as_ref().map_or(0, Aligner::bytes)
    }
}

/// The initial value of [`GuardedNetwork::last`]: NaN equals no input frame.
const NO_FRAME: [f32; 2] = [f32::NAN, 0.0];

/// The state of a network with the ramps of its knobs. Its blocks are at the model's rate: one slice for each channel, or for
/// each phase of a channel. From the first output that is not finite to the end of the internal block a channel is silent, with
/// all its phases; then the network is reset.
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
    /// Phases of each channel.
    phases: usize,
    /// For each phase the last input and output sample. Only [`Self::process_unless_resting`] sets them.
    last: Vec<[f32; 2]>,
}

impl GuardedNetwork {
    /// Makes a guarded network with this many knobs, whose state is one of `channels` channels with `phases` phases each.
    /// `max_frames` is the largest number of frames, at the model's rate, of an internal block.
    pub fn new(
        model: Arc<Model>,
        state: Box<dyn NetworkState>,
        knobs: usize,
        sample_rate: f32,
        (channels, phases): (usize, usize),
        max_frames: usize,
    ) -> Self {
        Self {
            model,
            state,
            knobs: (0..knobs).map(|_| Ramp::new(KNOB_MIDDLE, sample_rate)).collect(),
            knob_values: vec![vec![0.0; max_frames]; knobs],
            not_finite: vec![false; channels],
            underruns: 0,
            phases,
            last: vec![NO_FRAME; channels * phases],
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
        for (phases, not_finite) in block.chunks_exact_mut(self.phases).zip(&mut self.not_finite) {
            if *not_finite || phases.iter().any(|samples| largest_bits(samples) > MAX_MAGNITUDE.to_bits()) {
                *not_finite = silence_non_finite(phases, *not_finite);
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
            phases: self.phases,
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

/// Silences all phases of a channel from the first frame on in which one of them is not finite (from the beginning if
/// `not_finite`), and limits the frames before it to [`MAX_MAGNITUDE`]. Returns true if frames were silenced.
fn silence_non_finite(phases: &mut Block<'_>, not_finite: bool) -> bool {
    let frames = phases.first().map_or(0, |phase| phase.len());
    let finite = |phase: &[f32]| phase.iter().position(|x| !x.is_finite()).unwrap_or(frames);
    let finite_count = if not_finite { 0 } else { phases.iter().map(|phase| finite(phase)).min().unwrap_or(0) };
    for phase in phases.iter_mut() {
        for x in &mut phase[..finite_count] {
            *x = x.clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE);
        }
        phase[finite_count..].fill(0.0);
    }
    finite_count < frames
}
