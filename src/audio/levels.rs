//! Levels of a buffer: peak, RMS, DC offset and crest factor; conversion between gain and decibels.

use super::buffer::Audio;
use super::sample::Sample;

/// Converts an amplitude ratio to decibels, 20 log10(gain); minus infinity for 0, NaN for negative numbers. [any thread]
pub fn gain_to_db(gain: f64) -> f64 {
    20.0 * gain.log10()
}

/// Converts decibels to an amplitude ratio, 10^(db / 20); 0 for minus infinity. [any thread]
pub fn db_to_gain(db: f64) -> f64 {
    10.0_f64.powf(db / 20.0)
}

/// Levels of a set of samples, linear, where 1 is full scale. All are 0 without samples, and NaN if a sample is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Levels {
    /// Highest absolute sample.
    pub peak: f64,
    /// Root mean square.
    pub rms: f64,
    /// Mean of the samples: the DC offset, with its sign.
    pub dc: f64,
}

impl Levels {
    fn of<S: Sample>(samples: &[S]) -> Self {
        if samples.is_empty() {
            return Self::default();
        }
        let (mut peak, mut square, mut sum) = (0.0_f64, 0.0, 0.0);
        for sample in samples {
            let value = sample.to_f64();
            // `f64::max` would hide a NaN.
            if value.abs() > peak || value.is_nan() {
                peak = value.abs();
            }
            square += value * value;
            sum += value;
        }
        if square.is_nan() {
            peak = f64::NAN;
        }
        let count = samples.len() as f64;
        Self { peak, rms: (square / count).sqrt(), dc: sum / count }
    }

    /// The crest factor, peak divided by RMS: 1 for a square wave, 1.414 (3.01 dB) for a sine, `None` for silence. [any thread]
    pub fn crest(&self) -> Option<f64> {
        (self.rms > 0.0).then(|| self.peak / self.rms)
    }

    /// The peak in dB of full scale; minus infinity for silence. [any thread]
    pub fn peak_db(&self) -> f64 {
        gain_to_db(self.peak)
    }

    /// The RMS in dB of full scale (0 dB: a full-scale square wave); minus infinity for silence. [any thread]
    pub fn rms_db(&self) -> f64 {
        gain_to_db(self.rms)
    }

    /// The crest factor in dB; `None` for silence. [any thread]
    pub fn crest_db(&self) -> Option<f64> {
        self.crest().map(gain_to_db)
    }
}

impl<S: Sample> Audio<S> {
    /// Levels over all samples of all channels. [any thread]
    pub fn levels(&self) -> Levels {
        Levels::of(self.as_planar())
    }

    /// Levels of each channel. [control thread: allocates the vector]
    pub fn channel_levels(&self) -> Vec<Levels> {
        self.iter().map(Levels::of).collect()
    }

    /// Highest absolute sample of all channels, where 1 is full scale. [any thread]
    pub fn peak(&self) -> f64 {
        self.levels().peak
    }

    /// Root mean square over all samples of all channels, where 1 is full scale. [any thread]
    pub fn rms(&self) -> f64 {
        self.levels().rms
    }

    /// Mean of all samples of all channels, with its sign, where 1 is full scale. [any thread]
    pub fn dc(&self) -> f64 {
        self.levels().dc
    }

    /// Crest factor, peak divided by RMS, over all samples of all channels; `None` for silence. [any thread]
    pub fn crest(&self) -> Option<f64> {
        self.levels().crest()
    }
}
