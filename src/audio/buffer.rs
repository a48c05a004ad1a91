//! The audio buffer: construction, access, conversion between sample types.

use super::error::{AudioError, Shape};
use super::sample::Sample;
use ndarray::{Array2, ArrayView2, Axis};
use std::fmt;

/// Samples of one type, planar (channel after channel), with their sample rate.
///
/// There is at least one channel, and all channels have the same length; 0 frames are allowed; the sample rate is at least 1 Hz
/// and never changes.
///
/// Methods that make a buffer or return a new one allocate: [control thread]. Methods that only read, and those that work *in
/// place*, allocate nothing: [any thread].
#[derive(Clone, PartialEq)]
pub struct Audio<S = f32> {
    /// Channel after channel, `channels * frames` samples.
    samples: Vec<S>,
    channels: usize,
    frames: usize,
    sample_rate: u32,
}

/// `Audio<16-bit integer>(48000 Hz, 2 x 480)`: type, rate and shape, because the samples of a second would fill a screen.
impl<S: Sample> fmt::Debug for Audio<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Audio<{}>({} Hz, {})", S::NAME, self.sample_rate, self.shape())
    }
}

impl<S: Sample> Audio<S> {
    /// Makes a buffer of silence, `channels` x `frames` at `sample_rate` Hz. [control thread]
    ///
    /// # Panics
    /// If `sample_rate` or `channels` is 0, or memory cannot hold the samples.
    pub fn silence(sample_rate: u32, channels: usize, frames: usize) -> Self {
        assert!(sample_rate > 0, "{}", AudioError::ZeroRate);
        assert!(channels > 0, "{}", AudioError::NoChannels);
        let length = channels.checked_mul(frames).expect("channels x frames fit into memory");
        Self { samples: vec![S::ZERO; length], channels, frames, sample_rate }
    }

    /// Makes a buffer of one channel from its samples; `sample_rate` in Hz. [control thread]
    ///
    /// # Errors
    /// [`AudioError::ZeroRate`].
    pub fn from_mono(sample_rate: u32, samples: &[S]) -> Result<Self, AudioError> {
        Self::from_planar(sample_rate, 1, samples.to_vec())
    }

    /// Makes a buffer from a slice per channel, all of one length; `sample_rate` in Hz. [control thread]
    ///
    /// # Errors
    /// [`AudioError::WrongShape`] with the first channel whose length is not that of channel 0,
    /// [`AudioError::NoChannels`], [`AudioError::ZeroRate`].
    pub fn from_channels(sample_rate: u32, channels: &[&[S]]) -> Result<Self, AudioError> {
        let frames = channels.first().ok_or(AudioError::NoChannels)?.len();
        if let Some((channel, other)) = channels.iter().enumerate().find(|(_, c)| c.len() != frames) {
            return Err(AudioError::WrongShape {
                expected: Shape { channels: channels.len(), frames },
                found: Shape { channels: channels.len(), frames: other.len() },
                channel: Some(channel),
            });
        }
        Self::from_planar(sample_rate, channels.len(), channels.concat())
    }

    /// Makes a buffer from interleaved samples, frame after frame, each with a sample of every channel (left, right, left,
    /// right ...), `frames * channels` samples; `sample_rate` in Hz. [control thread]
    ///
    /// # Errors
    /// [`AudioError::UnevenSamples`] if the last frame is not whole, [`AudioError::NoChannels`],
    /// [`AudioError::ZeroRate`].
    pub fn from_interleaved(sample_rate: u32, channels: usize, samples: &[S]) -> Result<Self, AudioError> {
        if channels == 0 {
            return Err(AudioError::NoChannels);
        }
        if !samples.len().is_multiple_of(channels) {
            return Err(AudioError::UnevenSamples { channels, samples: samples.len() });
        }
        let planar = (0..channels).flat_map(|c| samples.iter().skip(c).step_by(channels).copied()).collect();
        Self::from_planar(sample_rate, channels, planar)
    }

    /// Makes a buffer from a frames x channels array (a row per frame) in any memory layout; `sample_rate` in Hz.
    /// [control thread]
    ///
    /// # Errors
    /// [`AudioError::NoChannels`], [`AudioError::ZeroRate`].
    pub fn from_frames_by_channels(sample_rate: u32, array: ArrayView2<'_, S>) -> Result<Self, AudioError> {
        Self::from_channels_by_frames(sample_rate, array.reversed_axes())
    }

    /// Makes a buffer from a channels x frames array (a row per channel) in any memory layout; `sample_rate` in Hz.
    /// [control thread]
    ///
    /// # Errors
    /// [`AudioError::NoChannels`], [`AudioError::ZeroRate`].
    pub fn from_channels_by_frames(sample_rate: u32, array: ArrayView2<'_, S>) -> Result<Self, AudioError> {
        Self::from_planar(sample_rate, array.len_of(Axis(0)), array.iter().copied().collect())
    }

    /// Makes a buffer from planar samples, channel after channel: a multiple of `channels` samples, or none.
    pub(super) fn from_planar(sample_rate: u32, channels: usize, samples: Vec<S>) -> Result<Self, AudioError> {
        if sample_rate == 0 {
            return Err(AudioError::ZeroRate);
        }
        if channels == 0 {
            return Err(AudioError::NoChannels);
        }
        let frames = samples.len() / channels;
        Ok(Self { samples, channels, frames, sample_rate })
    }

    /// The samples as a new channels x frames array. [control thread]
    pub fn to_array(&self) -> Array2<S> {
        self.view().to_owned()
    }

    /// The samples as a channels x frames array; its transpose (`.t()`) is frames x channels. [any thread]
    pub fn view(&self) -> ArrayView2<'_, S> {
        ArrayView2::from_shape((self.channels, self.frames), &self.samples).expect("planar samples fill the shape")
    }

    /// The samples interleaved: frame after frame, each with a sample of every channel. [control thread]
    pub fn to_interleaved(&self) -> Vec<S> {
        self.view().t().iter().copied().collect()
    }

    /// Samples per second and channel, in Hz; at least 1. [any thread]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Number of channels; at least 1. [any thread]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Number of frames: samples of each channel. [any thread]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Length in seconds. [any thread]
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.sample_rate)
    }

    /// Channels and frames. [any thread]
    pub fn shape(&self) -> Shape {
        Shape { channels: self.channels, frames: self.frames }
    }

    /// The samples of channel `index`, counted from 0. [any thread]
    ///
    /// # Panics
    /// If there is no such channel.
    pub fn channel(&self, index: usize) -> &[S] {
        self.check_channel(index);
        &self.samples[index * self.frames..(index + 1) * self.frames]
    }

    /// The samples of channel `index`, counted from 0, as a mutable slice. [any thread]
    ///
    /// # Panics
    /// If there is no such channel.
    pub fn channel_mut(&mut self, index: usize) -> &mut [S] {
        self.check_channel(index);
        &mut self.samples[index * self.frames..(index + 1) * self.frames]
    }

    fn check_channel(&self, channel: usize) {
        assert!(channel < self.channels, "{}", AudioError::NoSuchChannel { channel, channels: self.channels });
    }

    /// The channels in order, each as a slice of its frames. [any thread]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[S]> + Clone {
        (0..self.channels).map(|channel| self.channel(channel))
    }

    /// The channels in order, each as a mutable slice of its frames. [any thread]
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [S]> {
        let frames = self.frames;
        let mut rest = self.samples.as_mut_slice();
        (0..self.channels).map(move |_| {
            let (channel, after) = std::mem::take(&mut rest).split_at_mut(frames);
            rest = after;
            channel
        })
    }

    /// A slice per channel, for functions that read a block. [control thread: allocates the outer vector]
    pub fn slices(&self) -> Vec<&[S]> {
        self.iter().collect()
    }

    /// A mutable slice per channel, for functions that process a block. [control thread: allocates the outer vector]
    pub fn slices_mut(&mut self) -> Vec<&mut [S]> {
        self.iter_mut().collect()
    }

    /// All samples, channel after channel, `channels * frames` of them. [any thread]
    pub fn as_planar(&self) -> &[S] {
        &self.samples
    }

    /// All samples as a mutable slice, channel after channel, `channels * frames` of them. [any thread]
    pub fn as_planar_mut(&mut self) -> &mut [S] {
        &mut self.samples
    }

    /// Converts to samples of another type by the rule of [`Sample`]. [control thread]
    pub fn convert<T: Sample>(&self) -> Audio<T> {
        Audio {
            samples: self.samples.iter().map(|sample| T::from_f64(sample.to_f64())).collect(),
            channels: self.channels,
            frames: self.frames,
            sample_rate: self.sample_rate,
        }
    }
}
