//! Sound through an effect, offline: sound in, as much sound out, without latency and with the end flushed.
//!
//! The plan is the plug-in's, `input -> effect -> output`, so the samples are those that a host gets. Sounds in memory go through
//! [`render`]; what has other ends (files, queues) or moves values on the way goes through a [`Renderer`].
//!
//! ```
//! use isotherm::{audio::Audio, effect::Effect, render::render};
//!
//! let dry = Audio::from_mono(48_000, &[0.0, 0.5, -0.5, 0.0])?;
//! let wet = render(&Effect::from_id("clipper")?.with("threshold", -12.0), &dry)?;
//! assert_eq!(wet.frames(), dry.frames());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::audio::Audio;
use crate::dsp::{Block, Index, PrepareError, Spec};
use crate::effect::Effect;
use crate::graph::{Builder, Bus, Plan};

/// Frames at a time; changes no sample.
pub const BLOCK_FRAMES: usize = 512;

/// Why a sound was not rendered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RenderError {
    #[error("{algorithm}: {source}")]
    Prepare { algorithm: &'static str, source: PrepareError },
    #[error("called off")]
    CalledOff,
}

/// A value that a ramped parameter goes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The frame of the input from which on it glides there; at the first frame it is simply there.
    pub frame: u64,
    pub parameter: Index,
    /// Plain.
    pub value: f32,
}

/// An effect that renders one sound. [control thread]
pub struct Renderer {
    plan: Plan,
    effect: Bus,
    /// Frames at a time.
    block: usize,
    channels: usize,
    /// In the order of their frames.
    points: Vec<Point>,
    /// Frames that came in.
    frames: u64,
}

/// A sound in memory through an effect: same rate, channels and frames. [control thread]
///
/// # Errors
/// If the effect cannot be prepared for the sound.
pub fn render(effect: &Effect, sound: &Audio) -> Result<Audio, RenderError> {
    Renderer::for_sound(effect, sound)?.render(sound, |_| true)
}

impl Renderer {
    /// Prepares an effect; `spec.max_frames` are the frames at a time.
    ///
    /// # Errors
    /// If it cannot be prepared for this.
    pub fn new(effect: &Effect, spec: Spec) -> Result<Self, RenderError> {
        let failed = |source| RenderError::Prepare { algorithm: effect.algorithm().id, source };
        let processor = effect.prepare(spec).map_err(failed)?;
        let mut builder = Builder::new(spec.sample_rate);
        let input = builder.input(spec.channels);
        let bus = builder.process(input, processor);
        builder.output(bus);
        let mut plan = builder.compile().map_err(|error| failed(PrepareError::Engine(error.to_string())))?;
        plan.set_offline(true);
        Ok(Self { plan, effect: bus, block: spec.max_frames, channels: spec.channels, points: Vec::new(), frames: 0 })
    }

    /// [`Self::new`] for the rate and the channels of a sound, [`BLOCK_FRAMES`] at a time.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn for_sound(effect: &Effect, sound: &Audio) -> Result<Self, RenderError> {
        let (sample_rate, channels) = (sound.sample_rate() as f32, sound.channels());
        Self::new(effect, Spec { sample_rate, channels, max_frames: BLOCK_FRAMES })
    }

    /// Moves values on the way.
    #[must_use]
    pub fn with_points(mut self, mut points: Vec<Point>) -> Self {
        // Of one frame, the later one counts.
        points.sort_by_key(|point| point.frame);
        points.reverse();
        self.points = points;
        self
    }

    /// Frames by which the effect's output lags, and which are trimmed.
    #[must_use]
    pub fn latency(&self) -> usize {
        self.plan.latency()
    }

    /// The whole sound. `watch` gets the frames that came in so far, and says whether to go on.
    ///
    /// # Errors
    /// If it was called off.
    ///
    /// # Panics
    /// If the sound has other channels than this was made for.
    pub fn render(self, sound: &Audio, mut watch: impl FnMut(u64) -> bool) -> Result<Audio, RenderError> {
        assert_eq!(sound.channels(), self.channels, "channels of the sound and of the renderer");
        let mut wet = Audio::silence(sound.sample_rate(), sound.channels(), sound.frames());
        let (mut read, mut written) = (0, 0);
        let source = |buffers: &mut [Vec<f32>]| {
            if !watch(read as u64) {
                return Err(RenderError::CalledOff);
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

    /// All that `read` gives, to `write`, without the latency: as many frames. `read` fills a buffer for each channel and says how many
    /// frames it has filled; fewer than there is room for are the last ones. Returns the frames.
    ///
    /// # Errors
    /// Whatever `read` or `write` says.
    pub fn run<E>(
        mut self,
        mut read: impl FnMut(&mut [Vec<f32>]) -> Result<usize, E>,
        mut write: impl FnMut(&[&[f32]]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut buffers = vec![vec![0.0f32; self.block]; self.channels];
        let mut early = self.latency();
        // Silence behind the end, until the last sample has come out.
        let mut owed = self.latency();
        let (mut frames, mut ended) = (0, false);
        loop {
            let mut n = if ended { 0 } else { read(&mut buffers)? };
            frames += n as u64;
            if n < self.block {
                ended = true;
                let flush = owed.min(self.block - n);
                owed -= flush;
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
            let skip = early.min(n);
            early -= skip;
            let out: Vec<&[f32]> = buffers.iter().map(|channel| &channel[skip..n]).collect();
            if skip < n {
                write(&out)?;
            }
        }
    }

    /// The next frames, with the latency in them.
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
