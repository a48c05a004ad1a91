//! The dry/wet mix, shared by all effects: sanitised input, a dry path that stays in phase, mix and output level.

use multiversion::multiversion;

use super::{Block, CHUNK, Chunk, Delay, Ramp, db_to_gain};

/// Largest magnitude of a sample, 80 dB over full scale; louder ones are limited to it.
pub const MAX_MAGNITUDE: f32 = 1e4;
/// Smallest magnitude of a sample, -400 dB of full scale; smaller ones become 0, so that no denormal number enters a filter.
pub const MIN_MAGNITUDE: f32 = 1e-20;

/// Makes a sample safe for filters: NaN becomes 0, the magnitude is limited to [`MAX_MAGNITUDE`], and below
/// [`MIN_MAGNITUDE`] it becomes 0. [any thread]
#[inline(always)]
#[must_use]
pub fn sanitise(x: f32) -> f32 {
    flush_tiny(x.clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE))
}

/// Replaces a sample by 0 if its magnitude is below [`MIN_MAGNITUDE`] or it is NaN. Effects do so with their output, so that it
/// has no denormal number (as at the end of an oversampler's response) and no negative zero. [any thread]
#[inline(always)]
#[must_use]
pub fn flush_tiny(x: f32) -> f32 {
    if x.abs() >= MIN_MAGNITUDE { x } else { 0.0 }
}

/// Replaces denormal numbers by 0, in place: some hosts refuse them and most processors are slow with them. All other samples
/// keep their bits. [any thread]
#[multiversion(targets("x86_64+avx2"))]
pub fn flush_denormals(samples: &mut [f32]) {
    for x in samples {
        *x = if x.abs() < f32::MIN_POSITIVE { 0.0 } else { *x };
    }
}

/// Copies samples with denormal numbers replaced by 0, like [`flush_denormals`] but several times faster, because every sample
/// is written. [any thread]
#[multiversion(targets("x86_64+avx2"))]
pub fn copy_flushed(from: &[f32], to: &mut [f32]) {
    for (y, x) in to.iter_mut().zip(from) {
        *y = if x.abs() < f32::MIN_POSITIVE { 0.0 } else { *x };
    }
}

/// Copies samples through [`sanitise`].
#[multiversion(targets("x86_64+avx2"))]
fn copy_sanitised(from: &[f32], to: &mut [f32]) {
    for (y, x) in to.iter_mut().zip(from) {
        *y = sanitise(*x);
    }
}

/// The dry path of all channels, the mix with the wet signal, and the output level.
///
/// For each chunk, [`split`](Self::split) copies the input to the wet path and delays the dry path; the effect processes the wet
/// path; [`join`](Self::join) mixes both.
#[derive(Clone, Debug)]
pub struct DryWet {
    /// The chunk of each channel on the dry path, delayed by the effect's latency.
    dry: Vec<Chunk>,
    delays: Vec<Delay>,
    /// 0 is dry, 1 is wet.
    mix: Ramp,
    /// Output gain, linear.
    output: Ramp,
    /// Values of `mix` and `output` in this chunk.
    mixes: Chunk,
    outputs: Chunk,
}

impl DryWet {
    /// `latency` is the latency of the wet path in frames. [control thread: allocates]
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

    /// Sets the mix, 0 (dry) to 100 (wet), by a glide or, if `now`, at once. [audio thread]
    pub fn set_mix(&mut self, percent: f32, now: bool) {
        self.mix.set(percent / 100.0, now);
    }

    /// Sets the output level in dB, by a glide or, if `now`, at once. [audio thread]
    pub fn set_output(&mut self, db: f32, now: bool) {
        self.output.set(db_to_gain(db), now);
    }

    /// Ends glides at their targets and fills the dry path with silence. [audio thread]
    pub fn reset(&mut self) {
        self.mix.finish();
        self.output.finish();
        for delay in &mut self.delays {
            delay.reset();
        }
    }

    /// The output gain (linear) if the mix is steady at fully wet and the level is steady, else `None`. [audio thread]
    #[must_use]
    pub fn wet_only(&self) -> Option<f32> {
        self.output.steady().filter(|_| self.mix.is_steady_at(1.0))
    }

    /// Copies `frames` sanitised frames of `block`, starting at `at`, to `wet`, and into the delayed dry path. [audio thread]
    pub fn split(&mut self, block: &Block<'_>, at: usize, frames: usize, wet: &mut [Chunk]) {
        let dry_unused = self.wet_only().is_some() && self.delays.iter().all(|d| d.frames() == 0);
        for (((samples, wet), dry), delay) in block.iter().zip(wet).zip(&mut self.dry).zip(&mut self.delays) {
            copy_sanitised(&samples[at..at + frames], &mut wet[..frames]);
            if dry_unused {
                continue;
            }
            dry[..frames].copy_from_slice(&wet[..frames]);
            delay.process(&mut dry[..frames]);
        }
    }

    /// Writes the mix of `wet` and the dry path to the `frames` frames of `block` that the last [`Self::split`] read.
    /// [audio thread]
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

    /// Moves glides on by `frames` frames of constant input and output. [audio thread]
    pub fn skip(&mut self, frames: usize) {
        self.mix.advance(frames);
        self.output.advance(frames);
    }

    /// Bytes on the heap. [any thread]
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.dry.as_slice()) + self.delays.iter().map(|d| d.bytes() + size_of::<Delay>()).sum::<usize>()
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn scale(wet: &[f32], gain: f32, out: &mut [f32]) {
    for (y, w) in out.iter_mut().zip(wet) {
        *y = flush_tiny(*w * gain);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn mix(wet: &[f32], dry: &Chunk, mixes: &Chunk, outputs: &Chunk, out: &mut [f32]) {
    let n = wet.len().min(CHUNK);
    for i in 0..n {
        out[i] = flush_tiny(((1.0 - mixes[i]) * dry[i] + mixes[i] * wet[i]) * outputs[i]);
    }
}
