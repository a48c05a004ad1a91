//! Log-spectral distance: how many decibels the spectra of two sounds are apart.

use std::f32::consts::LN_10;

use super::measures::{Comparison, Measure, MeasureFn, Preference, Unit};
use super::spectrum::natural_log;
use super::transform::Transform;
use crate::audio::Window;

/// Duration of a transform in seconds, nearly: its length is the power of two with the nearest logarithm, 2048 frames at 44.1 and
/// 48 kHz.
const SECONDS: f64 = 0.043;
/// Transforms that overlap at any time.
const OVERLAP: usize = 4;
/// Frequencies that count, in hertz.
const AUDIBLE_HZ: (f64, f64) = (20.0, 20_000.0);
/// Power of a bin at least, as a ratio to that of a full-scale sine: -100 dB. Below it, spectra differ by noise.
const MIN_POWER: f32 = 1e-10;

/// Frames of a transform at a sample rate.
fn transform_frames(rate: f64) -> usize {
    1 << ((SECONDS * rate).max(2.0).log2().round() as u32)
}

/// Mean over transforms and channels of the root mean square over 20 Hz to 20 kHz of the difference of the spectra in dB (Gray and
/// Markel, IEEE Trans. ASSP 1976), NaN without frames.
fn distance(comparison: &Comparison<'_>) -> f64 {
    let rate = f64::from(comparison.sample_rate());
    let frames = transform_frames(rate);
    let hann: Vec<f32> = (0..frames).map(|i| Window::Hann.value(i as f64 / frames as f64) as f32).collect();
    // A full-scale sine at a bin's middle: half the sum of the window.
    let full = (hann.iter().sum::<f32>() / 2.0).powi(2);
    let bin = |hz: f64| hz * frames as f64 / rate;
    let bins = bin(AUDIBLE_HZ.0).ceil() as usize..(bin(AUDIBLE_HZ.1) as usize + 1).min(frames / 2 + 1);
    let (mut left, mut right) = (Transform::new(frames, hann.clone()), Transform::new(frames, hann));
    let (mut sum, mut count) = (0.0, 0.0);
    for (reference, test) in comparison.channels() {
        let mut start = 0;
        while start == 0 || start + frames <= reference.len() {
            left.run(reference, start as isize);
            right.run(test, start as isize);
            let square: f32 = left.bins[bins.clone()]
                .iter()
                .zip(&right.bins[bins.clone()])
                .map(|(a, b)| {
                    let floor = MIN_POWER * full;
                    let db = 10.0 / LN_10 * natural_log(a.norm_sqr().max(floor) / b.norm_sqr().max(floor));
                    db * db
                })
                .sum();
            sum += f64::from(square / bins.len() as f32).sqrt();
            count += 1.0;
            start += frames / OVERLAP;
        }
    }
    if comparison.frames() == 0 { f64::NAN } else { sum / count }
}

/// The log-spectral distance in dB.
pub static LOG_SPECTRAL_DISTANCE: Measure = Measure {
    id: "log_spectral_distance_db",
    name: "Log-spectral distance",
    heading: "LSD dB",
    unit: Unit::Decibel,
    definition: "Root mean square over 20 Hz to 20 kHz of the difference of the spectra in dB, the mean of transforms of nearly 43 ms (2048 frames \
                 at 44.1 and 48 kHz, a power of two at any rate; Hann windows, a quarter apart) and channels; what is below -100 dB of a full-scale sine counts as that \
                 (Gray and Markel, IEEE Trans. ASSP 1976).",
    better: Preference::Lower,
    function: MeasureFn::Comparison(distance),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Audio, generate};

    #[test]
    fn a_gain_is_a_distance_of_as_many_decibels_at_any_rate() {
        for rate in [44_100, 48_000, 96_000] {
            for frames in [5000, 96_000] {
                let sound = generate::white(rate, 0.5, frames, 1).unwrap();
                let mut louder = sound.clone();
                louder.gain_db(0.5);
                let found = distance(&Comparison::new(&sound, &louder).unwrap());
                assert!((found - 0.5).abs() < 1e-3, "{found}");
                assert_eq!(distance(&Comparison::new(&sound, &sound).unwrap()), 0.0);
            }
        }
    }

    #[test]
    fn transforms_have_nearly_the_same_duration_at_any_rate() {
        let rates = [22_050.0, 24_000.0, 44_100.0, 48_000.0, 88_200.0, 96_000.0, 176_400.0, 192_000.0];
        assert_eq!(rates.map(transform_frames), [1024, 1024, 2048, 2048, 4096, 4096, 8192, 8192]);
        assert_eq!(transform_frames(1.0), 2);
    }

    #[test]
    fn what_is_below_the_floor_counts_as_the_floor() {
        let silence = Audio::silence(48_000, 1, 9600);
        let faint = generate::white(48_000, 1e-6, 9600, 1).unwrap();
        assert_eq!(distance(&Comparison::new(&silence, &faint).unwrap()), 0.0);
        assert!(distance(&Comparison::new(&silence, &generate::white(48_000, 0.5, 9600, 1).unwrap()).unwrap()) > 50.0);
        assert!(distance(&Comparison::new(&Audio::silence(48_000, 1, 0), &Audio::silence(48_000, 1, 0)).unwrap()).is_nan());
    }
}
