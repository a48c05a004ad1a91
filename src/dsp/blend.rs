//! What every effect does around its own work: clean input, a dry path that stays in phase, mix and output level.

use multiversion::multiversion;

use super::{Block, CHUNK, Chunk, Delay, Ramp, db_to_gain};

/// Samples beyond this (80 dB over full scale) are taken down to it.
pub const LOUDEST: f32 = 1e4;
/// Samples below this (-400 dB) are silence: no denormal ever enters a filter.
pub const QUIETEST: f32 = 1e-20;

/// A sample that a filter can take: no number becomes 0, the rest lies within [`LOUDEST`]. [any thread]
#[inline(always)]
#[must_use]
pub fn sane(x: f32) -> f32 {
    audible(x.clamp(-LOUDEST, LOUDEST))
}

/// A sample, or silence in place of one below [`QUIETEST`] or of no number: no denormal comes out, where the ends of an
/// oversampler's response would be some, nor a negative zero. [any thread]
#[inline(always)]
#[must_use]
pub fn audible(x: f32) -> f32 {
    if x.abs() >= QUIETEST { x } else { 0.0 }
}

/// Zero in place of subnormal numbers, which some hosts refuse and most machines compute slowly; the rest stays, bit by bit.
/// [any thread]
#[multiversion(targets("x86_64+avx2"))]
pub fn flush_subnormal(samples: &mut [f32]) {
    for x in samples {
        *x = if x.abs() < f32::MIN_POSITIVE { 0.0 } else { *x };
    }
}

/// As [`flush_subnormal`], on the way to another place: several times faster than in place, where only some samples are written.
/// [any thread]
#[multiversion(targets("x86_64+avx2"))]
pub fn copy_flushed(from: &[f32], to: &mut [f32]) {
    for (y, x) in to.iter_mut().zip(from) {
        *y = if x.abs() < f32::MIN_POSITIVE { 0.0 } else { *x };
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn copy_sane(from: &[f32], to: &mut [f32]) {
    for (y, x) in to.iter_mut().zip(from) {
        *y = sane(*x);
    }
}

/// The dry path of all channels, the mix and the output level.
#[derive(Clone, Debug)]
pub struct Blend {
    dry: Vec<Chunk>,
    delays: Vec<Delay>,
    /// 0 is dry, 1 is wet.
    mix: Ramp,
    output: Ramp,
    mixes: Chunk,
    outputs: Chunk,
}

impl Blend {
    /// `latency` is the wet path's, in frames. [control thread: allocates]
    #[must_use]
    pub fn new(sample_rate: f32, channels: usize, latency: usize, mix_percent: f32, output_db: f32) -> Self {
        Self {
            dry: vec![[0.0; CHUNK]; channels],
            delays: vec![Delay::new(latency); channels],
            mix: Ramp::new(mix_percent / 100.0, sample_rate),
            output: Ramp::new(db_to_gain(output_db), sample_rate),
            mixes: [0.0; CHUNK],
            outputs: [0.0; CHUNK],
        }
    }

    /// [audio thread]
    pub fn set_mix(&mut self, percent: f32, now: bool) {
        self.mix.set(percent / 100.0, now);
    }

    /// [audio thread]
    pub fn set_output(&mut self, db: f32, now: bool) {
        self.output.set(db_to_gain(db), now);
    }

    /// [audio thread]
    pub fn reset(&mut self) {
        self.mix.finish();
        self.output.finish();
        for delay in &mut self.delays {
            delay.reset();
        }
    }

    /// The output gain, if all is wet and the level rests. [audio thread]
    #[must_use]
    pub fn wet_only(&self) -> Option<f32> {
        self.output.resting().filter(|_| self.mix.rests_at(1.0))
    }

    /// `frames` cleaned frames of the block from `at` go to `wet`, and wait for it on the dry path. [audio thread]
    pub fn split(&mut self, block: &Block<'_>, at: usize, frames: usize, wet: &mut [Chunk]) {
        let unheard = self.wet_only().is_some() && self.delays.iter().all(|d| d.frames() == 0);
        for (((samples, wet), dry), delay) in block.iter().zip(wet).zip(&mut self.dry).zip(&mut self.delays) {
            copy_sane(&samples[at..at + frames], &mut wet[..frames]);
            if unheard {
                continue;
            }
            dry[..frames].copy_from_slice(&wet[..frames]);
            delay.process(&mut dry[..frames]);
        }
    }

    /// The mix of `wet` and what waited on the dry path goes to the block. [audio thread]
    pub fn join(&mut self, wet: &[Chunk], block: &mut Block<'_>, at: usize, frames: usize) {
        let wet_only = self.wet_only();
        if wet_only.is_none() {
            self.mix.fill(&mut self.mixes[..frames]);
            self.output.fill(&mut self.outputs[..frames]);
        }
        for ((samples, wet), dry) in block.iter_mut().zip(wet).zip(&self.dry) {
            let samples = &mut samples[at..at + frames];
            if let Some(gain) = wet_only {
                scale(&wet[..frames], gain, samples);
            } else {
                mix(&wet[..frames], dry, &self.mixes, &self.outputs, samples);
            }
        }
    }

    /// Passes over frames in which nothing changes. [audio thread]
    pub fn skip(&mut self, frames: usize) {
        self.mix.advance(frames);
        self.output.advance(frames);
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.dry.as_slice()) + self.delays.iter().map(|d| d.bytes() + size_of::<Delay>()).sum::<usize>()
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn scale(wet: &[f32], gain: f32, out: &mut [f32]) {
    for (y, w) in out.iter_mut().zip(wet) {
        *y = audible(*w * gain);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn mix(wet: &[f32], dry: &Chunk, mixes: &Chunk, outputs: &Chunk, out: &mut [f32]) {
    let n = wet.len().min(CHUNK);
    for i in 0..n {
        out[i] = audible(((1.0 - mixes[i]) * dry[i] + mixes[i] * wet[i]) * outputs[i]);
    }
}
