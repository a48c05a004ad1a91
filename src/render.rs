//! Offline rendering of a sound through an effect: as many frames out as in, with the latency removed and the end flushed.
//!
//! The plan is that of the plug-in, `input -> effect -> output`, so the samples are the same as in a host. [`render`] is for
//! sounds in memory; a [`Renderer`] also reads and writes anything else (files, queues) and changes values on the way.
//!
//! # Examples
//! ```
//! use isotherm::{audio::Audio, effect::Effect, render::render};
//!
//! let dry = Audio::from_mono(48_000, &[0.0, 0.5, -0.5, 0.0])?;
//! let wet = render(&Effect::from_id("clipper")?.with("threshold", -12.0), &dry)?;
//! assert_eq!(wet.frames(), dry.frames());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::audio::Audio;
use crate::dsp::{Block, ParameterIndex, PrepareError, ProcessSpec};
use crate::effect::Effect;
use crate::graph::{Builder, Bus, Plan};

/// Frames of a block of a [`Renderer`] that is made for a sound; has no influence on the samples.
pub const BLOCK_FRAMES: usize = 512;

/// An error while a sound is rendered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RenderError {
    /// The effect cannot be prepared.
    #[error("{algorithm}: {source}")]
    Prepare {
        /// Id of the effect's algorithm.
        algorithm: &'static str,
        /// The reason.
        source: PrepareError,
    },
    /// The caller's `watch` function cancelled the rendering.
    #[error("called off")]
    Cancelled,
}

/// A change of a ramped parameter at a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutomationPoint {
    /// Frame of the input, from 0, at which the glide to the value begins. At frame 0 the value is set at once.
    pub frame: u64,
    /// The parameter.
    pub parameter: ParameterIndex,
    /// The plain value, in the parameter's unit.
    pub value: f32,
}

/// An offline renderer of one sound through an effect, or through several in a row. [control thread]
pub struct Renderer {
    plan: Plan,
    /// The node of the first effect; that of the input if there is none.
    effect: Bus,
    /// Frames of a block.
    block: usize,
    channels: usize,
    /// Automation points that are not reached yet, the next one last.
    points: Vec<AutomationPoint>,
    /// Frames processed so far.
    frames: u64,
}

/// Renders a sound in memory through an effect; the result has the same rate, channels and frames. [control thread]
///
/// # Errors
/// [`RenderError::Prepare`] if the effect cannot be prepared for the sound.
pub fn render(effect: &Effect, sound: &Audio) -> Result<Audio, RenderError> {
    Renderer::for_sound(effect, sound)?.render(sound, |_| true)
}

impl Renderer {
    /// Prepares an effect to run offline; `spec.max_frames` is the length of the blocks that [`Self::run`] reads.
    ///
    /// # Errors
    /// [`RenderError::Prepare`] if the effect cannot be prepared for `spec`.
    pub fn new(effect: &Effect, spec: ProcessSpec) -> Result<Self, RenderError> {
        Self::chain(std::slice::from_ref(effect), spec)
    }

    /// Prepares effects in a row, each of which gets the output of the one before; without any the sound passes. Automation is
    /// that of the first one.
    ///
    /// # Errors
    /// [`RenderError::Prepare`] for the first effect that cannot be prepared for `spec`; if there is none, and `spec` is out of
    /// range, the algorithm's name in it is `chain`.
    pub fn chain(effects: &[Effect], spec: ProcessSpec) -> Result<Self, RenderError> {
        let failed = |algorithm| move |source| RenderError::Prepare { algorithm, source };
        let last = effects.last().map_or("chain", |effect| effect.algorithm().id);
        let spec = spec.offline();
        spec.check().map_err(failed(last))?;
        let mut builder = Builder::new(spec.sample_rate);
        let input = builder.input(spec.channels);
        let (mut bus, mut first) = (input, None);
        for effect in effects {
            bus = builder.process(bus, effect.prepare(spec).map_err(failed(effect.algorithm().id))?);
            first = first.or(Some(bus));
        }
        builder.output(bus);
        let plan = builder.compile().map_err(|error| failed(last)(PrepareError::Other(error.to_string())))?;
        let effect = first.unwrap_or(input);
        Ok(Self { plan, effect, block: spec.max_frames, channels: spec.channels, points: Vec::new(), frames: 0 })
    }

    /// Prepares an effect for the sample rate and the channels of a sound, with blocks of [`BLOCK_FRAMES`].
    ///
    /// # Errors
    /// [`RenderError::Prepare`] if the effect cannot be prepared for them.
    pub fn for_sound(effect: &Effect, sound: &Audio) -> Result<Self, RenderError> {
        let (sample_rate, channels) = (sound.sample_rate() as f32, sound.channels());
        Self::new(effect, ProcessSpec::new(sample_rate, channels, BLOCK_FRAMES))
    }

    /// Returns the renderer with automation, points in any order. If several points have the same parameter and frame, the last
    /// one is used.
    #[must_use]
    pub fn with_automation(mut self, mut points: Vec<AutomationPoint>) -> Self {
        // Stable, so that points of one frame are applied in their order.
        points.sort_by_key(|point| point.frame);
        points.reverse();
        self.points = points;
        self
    }

    /// Latency of the effect in frames, which rendering removes.
    #[must_use]
    pub fn latency(&self) -> usize {
        self.plan.latency()
    }

    /// Renders a whole sound in memory. Before each block, `watch` gets the number of frames read so far and returns false to
    /// cancel.
    ///
    /// # Errors
    /// [`RenderError::Cancelled`] if `watch` cancelled.
    ///
    /// # Panics
    /// If the sound has another number of channels than the renderer.
    pub fn render(self, sound: &Audio, mut watch: impl FnMut(u64) -> bool) -> Result<Audio, RenderError> {
        assert_eq!(sound.channels(), self.channels, "channels of the sound and of the renderer");
        let mut wet = Audio::silence(sound.sample_rate(), sound.channels(), sound.frames());
        let (mut read, mut written) = (0, 0);
        let source = |buffers: &mut [Vec<f32>]| {
            if !watch(read as u64) {
                return Err(RenderError::Cancelled);
            }
            let n = buffers.first().map_or(0, Vec::len).min(sound.frames() - read);
            for (buffer, channel) in buffers.iter_mut().zip(sound.iter()) {
                buffer[..n].copy_from_slice(&channel[read..read + n]);
            }
            read += n;
            Ok(n)
        };
        self.run(source, |out| {
            let n = out.first().map_or(0, |channel| channel.len());
            for (to, from) in wet.iter_mut().zip(out) {
                to[written..written + n].copy_from_slice(from);
            }
            written += n;
            Ok(())
        })?;
        Ok(wet)
    }

    /// Renders all frames that `read` gives and passes as many to `write`, with the latency removed. `read` fills a buffer per
    /// channel and returns the number of frames filled; fewer than a whole block are the last ones. Returns the number of frames.
    ///
    /// # Errors
    /// The first error of `read` or `write`.
    pub fn run<E>(
        mut self,
        mut read: impl FnMut(&mut [Vec<f32>]) -> Result<usize, E>,
        mut write: impl FnMut(&[&[f32]]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut buffers = vec![vec![0.0f32; self.block]; self.channels];
        // Frames of output still to drop at the beginning.
        let mut to_drop = self.latency();
        // Frames of silence still to process after the end, so that the last frame of the sound is in the output.
        let mut to_flush = self.latency();
        let (mut frames, mut ended) = (0, false);
        loop {
            let mut n = if ended { 0 } else { read(&mut buffers)? };
            frames += n as u64;
            if n < self.block {
                ended = true;
                let flush = to_flush.min(self.block - n);
                to_flush -= flush;
                for channel in &mut buffers {
                    channel[n..n + flush].fill(0.0);
                }
                n += flush;
            }
            if n == 0 {
                return Ok(frames);
            }
            let mut block: Vec<&mut [f32]> = buffers.iter_mut().map(|channel| &mut channel[..n]).collect();
            self.process(&mut block);
            let dropped = to_drop.min(n);
            to_drop -= dropped;
            let out: Vec<&[f32]> = buffers.iter().map(|channel| &channel[dropped..n]).collect();
            if dropped < n {
                write(&out)?;
            }
        }
    }

    /// Processes a block in place, with its automation; the output lags by the latency.
    fn process(&mut self, block: &mut Block<'_>) {
        let frames = block.first().map_or(0, |channel| channel.len());
        let mut at = 0;
        while at < frames {
            while let Some(point) = self.points.pop_if(|point| point.frame <= self.frames) {
                self.plan.set(self.effect, point.parameter, point.value);
            }
            let due = self.points.last().map_or(u64::MAX, |point| point.frame - self.frames);
            let n = usize::try_from(due).unwrap_or(usize::MAX).min(frames - at);
            let mut part: Vec<&mut [f32]> = block.iter_mut().map(|channel| &mut channel[at..at + n]).collect();
            self.plan.run_in_place(&mut part);
            at += n;
            self.frames += n as u64;
        }
    }
}
