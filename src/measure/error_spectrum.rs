//! The spectra of a reference and of an error over a whole sound, from which weighted and banded errors are summed.

use super::Comparison;
use super::transform::Transform;

/// Duration of a transform in seconds, at least; its length is a power of two: 16384 frames, bins of 2.9 Hz, at 48 kHz.
const SECONDS: f64 = 0.3;

/// Energies of the bins of reference and error, all channels together. The energies of all bins add up to the sums of squares of
/// the samples, as the squares of the overlapping windows add up to 1.
#[derive(Debug)]
pub(super) struct ErrorSpectrum {
    /// Distance of the bins in hertz.
    pub bin_hz: f64,
    /// Energies of the reference.
    pub signal: Vec<f64>,
    /// Energies of test minus reference.
    pub error: Vec<f64>,
}

impl ErrorSpectrum {
    pub fn of(comparison: &Comparison<'_>) -> Self {
        let rate = f64::from(comparison.sample_rate());
        let frames = ((SECONDS * rate) as usize).next_power_of_two().max(2);
        // A sine window: its square and that of its neighbour, half a window later, add up to 1.
        let sine = |i: usize| (std::f64::consts::PI * (i as f64 + 0.5) / frames as f64).sin() as f32;
        let mut transform = Transform::new(frames, (0..frames).map(sine).collect());
        let bins = transform.bins.len();
        let (mut signal, mut error) = (vec![0.0; bins], vec![0.0; bins]);
        let mut difference = Vec::with_capacity(comparison.frames());
        for (reference, test) in comparison.channels() {
            difference.clear();
            difference.extend(reference.iter().zip(test).map(|(y, z)| z - y));
            for (sound, energies) in [(reference, &mut signal), (&difference, &mut error)] {
                let hop = (frames / 2) as isize;
                for start in (-hop..sound.len() as isize).step_by(frames / 2) {
                    transform.run(sound, start);
                    energies.iter_mut().zip(&transform.bins).for_each(|(sum, x)| *sum += f64::from(x.norm_sqr()));
                }
            }
        }
        for energies in [&mut signal, &mut error] {
            for (bin, energy) in energies.iter_mut().enumerate() {
                // All bins but the first and the last have a mirror image at the negative frequency.
                *energy *= if bin == 0 || bin == bins - 1 { 1.0 } else { 2.0 } / frames as f64;
            }
        }
        Self { bin_hz: rate / frames as f64, signal, error }
    }

    /// Energies of reference and error from `low_hz` to `high_hz`; bins at the edges count by their share.
    pub fn band(&self, low_hz: f64, high_hz: f64) -> (f64, f64) {
        let (low, high) = (low_hz / self.bin_hz + 0.5, high_hz / self.bin_hz + 0.5);
        let bins = low.max(0.0) as usize..(high.ceil().max(0.0) as usize).min(self.signal.len());
        bins.fold((0.0, 0.0), |(signal, error), bin| {
            let share = (high.min(bin as f64 + 1.0) - low.max(bin as f64)).max(0.0);
            (signal + share * self.signal[bin], error + share * self.error[bin])
        })
    }

    /// Error to signal, where each frequency counts by the weight of its power.
    pub fn weighted_ratio(&self, weight: impl Fn(f64) -> f64) -> f64 {
        let (mut signal, mut error) = (0.0, 0.0);
        for (bin, (s, e)) in self.signal.iter().zip(&self.error).enumerate() {
            let weight = weight(bin as f64 * self.bin_hz);
            signal += weight * s;
            error += weight * e;
        }
        if error == 0.0 { 0.0 } else { error / signal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Audio, generate};

    #[test]
    fn the_energies_are_those_of_the_samples_and_their_bands_add_up() {
        for rate in [44_100, 48_000, 96_000] {
            for frames in [100, 50_001] {
                let reference = generate::white(rate, 0.5, frames, 1).unwrap();
                let test = generate::pink(rate, 0.1, frames, 2).unwrap();
                let spectrum = ErrorSpectrum::of(&Comparison::new(&reference, &test).unwrap());
                let energy = |x: &Audio| x.as_planar().iter().map(|x| f64::from(x * x)).sum::<f64>();
                let expected = (energy(&reference), energy(&test.subtract(&reference).unwrap()));
                let nyquist = f64::from(rate) / 2.0;
                let bands =
                    [(-10.0, 0.0), (0.0, 440.3), (440.3, 9000.7), (9000.7, nyquist + 10.0)].map(|(l, h)| spectrum.band(l, h));
                let found = bands.iter().fold((0.0, 0.0), |sum, band| (sum.0 + band.0, sum.1 + band.1));
                assert!((found.0 / expected.0 - 1.0).abs() < 1e-5 && (found.1 / expected.1 - 1.0).abs() < 1e-5);
                assert!((spectrum.weighted_ratio(|_| 1.0) - expected.1 / expected.0).abs() < 1e-5);
            }
        }
    }
}
