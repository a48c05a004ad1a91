//! Edits of a buffer: gain, fades, windows, normalising, slices, mixing channels, joining buffers.

use super::buffer::Audio;
use super::error::AudioError;
use super::levels::{db_to_gain, gain_to_db};
use super::sample::Sample;
use dasp::window::{Hanning, Window as _};
use std::f64::consts::{FRAC_PI_2, TAU};
use std::ops::{Bound, RangeBounds};

/// The curve of a fade: its gain from silence (0) to full level (1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fade {
    /// A straight line, x; -6 dB in the middle.
    Linear,
    /// (1 - cos pi x) / 2: no corner at either end; -6 dB in the middle. A crossfade with it keeps a constant *amplitude*.
    #[default]
    RaisedCosine,
    /// sin(pi x / 2): -3 dB in the middle. A crossfade of uncorrelated sounds with it keeps a constant *power*.
    EqualPower,
}

impl Fade {
    /// The gain, 0 to 1, at `position` of the fade-in, 0 to 1. [any thread]
    pub fn gain(self, position: f64) -> f64 {
        match self {
            Self::Linear => position,
            Self::RaisedCosine => Hanning::window(position / 2.0),
            Self::EqualPower => (FRAC_PI_2 * position).sin(),
        }
    }
}

/// A window over a whole buffer, for spectra: zero or small at the ends, 1 in the middle.
///
/// Periodic ("DFT-even"): the value of frame `n` of `N` is taken at `n / N`, so the window begins at its lowest value, which it
/// would reach again one frame after the last. Coefficients after F. J. Harris, "On the Use of Windows for Harmonic
/// Analysis with the Discrete Fourier Transform", Proc. IEEE 66 (1978).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Window {
    /// 1 everywhere.
    Rectangle,
    /// Raised cosine; highest side lobe -31 dB.
    #[default]
    Hann,
    /// Raised cosine on a pedestal; highest side lobe -43 dB.
    Hamming,
    /// Three terms; highest side lobe -58 dB.
    Blackman,
    /// Four terms; highest side lobe -92 dB.
    BlackmanHarris,
}

impl Window {
    /// The window's value, 0 to 1, at `phase`: a position as a share of its length, 0 to 1. [any thread]
    pub fn value(self, phase: f64) -> f64 {
        let terms: &[f64] = match self {
            Self::Rectangle => &[1.0],
            Self::Hann => return Hanning::window(phase),
            Self::Hamming => &[0.54, 0.46],
            Self::Blackman => &[0.42, 0.5, 0.08],
            Self::BlackmanHarris => &[0.358_75, 0.488_29, 0.141_28, 0.011_68],
        };
        let mut sign = -1.0;
        terms.iter().enumerate().fold(0.0, |sum, (k, term)| {
            sign = -sign;
            sum + sign * term * (TAU * k as f64 * phase).cos()
        })
    }
}

impl<S: Sample> Audio<S> {
    /// Multiplies the frames from `start` to before `end` of every channel by `gain(n)`, where `n` counts from 0 at `start`.
    fn multiply_frames(&mut self, start: usize, end: usize, gain: impl Fn(usize) -> f64) {
        for channel in self.iter_mut() {
            for (n, sample) in channel[start..end].iter_mut().enumerate() {
                *sample = S::from_f64(sample.to_f64() * gain(n));
            }
        }
    }

    /// Changes the level by `gain_db` decibels, in place. [any thread: nothing allocated]
    ///
    /// Minus infinity silences. Integers are rounded and limited to full scale as [`Sample`] says.
    pub fn gain_db(&mut self, gain_db: f64) {
        let gain = db_to_gain(gain_db);
        for sample in self.as_planar_mut() {
            *sample = S::from_f64(sample.to_f64() * gain);
        }
    }

    /// Fades in over the first `frames` frames, in place: frame 0 is silent, frame `frames` is the first unchanged one.
    /// [any thread: nothing allocated]
    ///
    /// # Errors
    /// [`AudioError::OutOfRange`] if the buffer is shorter.
    pub fn fade_in(&mut self, frames: usize, fade: Fade) -> Result<(), AudioError> {
        self.check_range(0, frames)?;
        self.multiply_frames(0, frames, |n| fade.gain(n as f64 / frames as f64));
        Ok(())
    }

    /// Fades out over the last `frames` frames, in place: the mirror of [`fade_in`](Self::fade_in), so the last frame
    /// is silent. [any thread: nothing allocated]
    ///
    /// # Errors
    /// [`AudioError::OutOfRange`] if the buffer is shorter.
    pub fn fade_out(&mut self, frames: usize, fade: Fade) -> Result<(), AudioError> {
        self.check_range(0, frames)?;
        let all = self.frames();
        self.multiply_frames(all - frames, all, |n| fade.gain((frames - 1 - n) as f64 / frames as f64));
        Ok(())
    }

    /// Multiplies every channel by `window`, stretched over all frames, in place. [any thread: nothing allocated]
    pub fn window(&mut self, window: Window) {
        let frames = self.frames();
        self.multiply_frames(0, frames, |n| window.value(n as f64 / frames as f64));
    }

    /// Brings the highest absolute sample of all channels to `target_db` dB of full scale, in place, with one gain for
    /// all channels. Returns that gain in dB. [any thread: nothing allocated]
    ///
    /// # Errors
    /// [`AudioError::Silent`] if all samples are zero or there are none, [`AudioError::NotFinite`] with the first
    /// NaN or infinity, [`AudioError::Parameter`] if `target_db` is not finite.
    pub fn normalise_peak(&mut self, target_db: f64) -> Result<f64, AudioError> {
        self.normalise(self.peak(), target_db)
    }

    /// Brings the root mean square of all samples of all channels to `target_db` dB of full scale, in place, with one
    /// gain for all channels. Returns that gain in dB. [any thread: nothing allocated]
    ///
    /// 0 dB is the RMS of a full-scale square wave (a full-scale sine has -3.01 dB). Float samples may exceed full scale
    /// afterwards; integer samples are limited to it, so the result may be below the target.
    ///
    /// # Errors
    /// The errors of [`normalise_peak`](Self::normalise_peak).
    pub fn normalise_rms(&mut self, target_db: f64) -> Result<f64, AudioError> {
        self.normalise(self.rms(), target_db)
    }

    /// Brings a level that was measured as `level` (linear) to `target_db` with one gain; returns the gain in dB.
    fn normalise(&mut self, level: f64, target_db: f64) -> Result<f64, AudioError> {
        if !target_db.is_finite() {
            return Err(AudioError::Parameter { name: "target_db", low: f64::MIN, high: f64::MAX, found: target_db });
        }
        self.check_finite()?;
        let gain = db_to_gain(target_db) / level;
        if !gain.is_finite() {
            return Err(AudioError::Silent { target_db });
        }
        for sample in self.as_planar_mut() {
            *sample = S::from_f64(sample.to_f64() * gain);
        }
        Ok(gain_to_db(gain))
    }

    /// Checks that every sample is finite. [any thread]
    ///
    /// # Errors
    /// [`AudioError::NotFinite`] with the first NaN or infinity, searched channel by channel.
    pub fn check_finite(&self) -> Result<(), AudioError> {
        if S::FLOAT {
            for (channel, samples) in self.iter().enumerate() {
                if let Some(frame) = samples.iter().position(|sample| !sample.is_finite()) {
                    return Err(AudioError::NotFinite { channel, frame, value: samples[frame].to_f64() });
                }
            }
        }
        Ok(())
    }

    /// The frames of `range`, such as `100..200` or `..`, of all channels, as a new buffer of the same rate.
    /// [control thread]
    ///
    /// # Errors
    /// [`AudioError::OutOfRange`] if the buffer does not have all of these frames.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Self, AudioError> {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.frames(),
        };
        self.check_range(start, end)?;
        let samples = self.iter().flat_map(|channel| &channel[start..end]).copied().collect();
        Self::from_planar(self.sample_rate(), self.channels(), samples)
    }

    /// Checks that the buffer has the frames from `start` to before `end`.
    fn check_range(&self, start: usize, end: usize) -> Result<(), AudioError> {
        if start <= end && end <= self.frames() {
            Ok(())
        } else {
            Err(AudioError::OutOfRange { start, end, frames: self.frames() })
        }
    }

    /// Mixes all channels into one: their mean, which never exceeds the loudest of them. [control thread]
    pub fn mix_down(&self) -> Self {
        let mut sums = vec![0.0; self.frames()];
        for channel in self.iter() {
            sums.iter_mut().zip(channel).for_each(|(sum, sample)| *sum += sample.to_f64());
        }
        let channels = self.channels() as f64;
        let mut mono = Self::silence(self.sample_rate(), 1, self.frames());
        mono.channel_mut(0).iter_mut().zip(sums).for_each(|(sample, sum)| *sample = S::from_f64(sum / channels));
        mono
    }

    /// Channel `channel`, counted from 0, as a new buffer of one channel. [control thread]
    ///
    /// # Errors
    /// [`AudioError::NoSuchChannel`].
    pub fn extract(&self, channel: usize) -> Result<Self, AudioError> {
        if channel >= self.channels() {
            return Err(AudioError::NoSuchChannel { channel, channels: self.channels() });
        }
        Self::from_mono(self.sample_rate(), self.channel(channel))
    }

    /// Repeats all channels `times` times, one set after another: a mono sound becomes `times` equal channels.
    /// [control thread]
    ///
    /// # Errors
    /// [`AudioError::NoChannels`] if `times` is 0.
    pub fn repeat_channels(&self, times: usize) -> Result<Self, AudioError> {
        Self::from_planar(self.sample_rate(), self.channels() * times, self.as_planar().repeat(times))
    }

    /// Joins buffers one after another in time, as a new buffer. [control thread]
    ///
    /// # Errors
    /// [`AudioError::NoBuffers`], [`AudioError::OtherRate`], [`AudioError::WrongShape`] if the numbers of channels
    /// differ.
    pub fn concatenate(buffers: &[&Self]) -> Result<Self, AudioError> {
        let first = buffers.first().ok_or(AudioError::NoBuffers)?;
        for other in buffers {
            if other.sample_rate() != first.sample_rate() {
                return Err(AudioError::OtherRate { left: first.sample_rate(), right: other.sample_rate() });
            }
            if other.channels() != first.channels() {
                let expected = super::Shape { channels: first.channels(), frames: other.frames() };
                return Err(AudioError::WrongShape { expected, found: other.shape(), channel: None });
            }
        }
        let samples = (0..first.channels()).flat_map(|c| buffers.iter().flat_map(move |b| b.channel(c))).copied();
        Self::from_planar(first.sample_rate(), first.channels(), samples.collect())
    }
}
