//! Spectra: powers of a sound's frequencies.

use super::transform::transform;
use crate::audio::Window;

/// Frames of a segment of [`spectrum`]: its points are 12 Hz apart at 48 kHz.
pub const SEGMENT_FRAMES: usize = 4096;

/// The lowest level in dB that is reported, also for no power at all.
pub const SILENCE_DB: f32 = -300.0;

/// Power (mean square) of each bin of a discrete Fourier transform over all of `samples`, of any length: DC, each whole number of
/// periods, and Nyquist. Their sum is the mean square of the samples (Parseval).
pub(super) fn bin_powers(samples: &[f64]) -> Vec<f64> {
    let frames = samples.len();
    let scale = 1.0 / (frames as f64 * frames as f64);
    // All other bins have a mirror image at the negative frequency.
    let is_single = |bin: usize| bin == 0 || 2 * bin == frames;
    let bins = transform(samples);
    bins.iter().enumerate().map(|(bin, x)| x.norm_sqr() * scale * if is_single(bin) { 1.0 } else { 2.0 }).collect()
}

/// Spectrum of a sound, as frequency in hertz and level in dB of each point from 0 Hz to Nyquist: the mean power of Hann-windowed
/// segments that overlap by half (Welch, IEEE Trans. Audio Electroacoust. 1967). A sine of amplitude 1 is 0 dB, silence is
/// [`SILENCE_DB`]. A sound shorter than [`SEGMENT_FRAMES`] is one segment; one of fewer than two frames has no points.
/// [control thread: allocates]
#[must_use]
pub fn spectrum(samples: &[f32], sample_rate: f32) -> Vec<(f32, f32)> {
    let frames = SEGMENT_FRAMES.min(samples.len());
    if frames < 2 {
        return Vec::new();
    }
    let window: Vec<f64> = (0..frames).map(|i| Window::Hann.value(i as f64 / frames as f64)).collect();
    let mut sum = vec![0.0; frames / 2 + 1];
    let mut segments = 0.0;
    for start in (0..=samples.len() - frames).step_by((frames / 2).max(1)) {
        let segment: Vec<f64> = samples[start..].iter().zip(&window).map(|(x, w)| f64::from(*x) * w).collect();
        for (sum, power) in sum.iter_mut().zip(bin_powers(&segment)) {
            *sum += power;
        }
        segments += 1.0;
    }
    // A sine of amplitude 1 has power ½; the window multiplies its amplitude by the window's mean.
    let mean = window.iter().sum::<f64>() / frames as f64;
    let full = 0.5 * mean * mean * segments;
    let hz = |bin: usize| (bin as f64 * f64::from(sample_rate) / frames as f64) as f32;
    sum.iter().enumerate().map(|(bin, power)| (hz(bin), decibels(power / full))).collect()
}

/// A ratio of powers in dB, at least [`SILENCE_DB`]; NaN stays NaN.
pub(super) fn decibels(power: f64) -> f32 {
    match power {
        power if power.is_nan() => f32::NAN,
        power if power > 0.0 => ((10.0 * power.log10()) as f32).max(SILENCE_DB),
        _ => SILENCE_DB,
    }
}

/// Natural logarithm of a positive normal number, within 2e-7 of it and of its magnitude: written so that compilers make
/// vectors of it. ln(2^e m) = e ln 2 + 2 artanh((m - 1) / (m + 1)), with m from sqrt(1/2) to sqrt 2.
#[inline(always)]
pub(super) fn natural_log(x: f32) -> f32 {
    /// Bits of sqrt(1/2), from which the exponent is counted.
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let offset = x.to_bits().wrapping_sub(ROOT_HALF);
    let exponent = (offset as i32 >> 23) as f32;
    let m = f32::from_bits((offset & 0x007f_ffff) + ROOT_HALF);
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = 1.0 + square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0 + square / 9.0)));
    exponent * std::f32::consts::LN_2 + 2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_of_amplitude_1_is_0_db_and_one_of_half_that_6_db_less() {
        for (amplitude, expected) in [(1.0f32, 0.0f32), (0.5, -6.02)] {
            let x: Vec<f32> = (0..48_000).map(|i| amplitude * (std::f32::consts::TAU * (i % 64) as f32 / 64.0).sin()).collect();
            let points = spectrum(&x, 48_000.0);
            let (hz, db) = points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
            assert!(hz == 750.0 && (db - expected).abs() < 0.01, "{hz} Hz, {db} dB");
            assert_eq!(points.last().unwrap().0, 24_000.0);
        }
        assert!(spectrum(&[0.0; 100], 48_000.0).iter().all(|p| p.1 == SILENCE_DB));
        assert!(spectrum(&[], 48_000.0).is_empty());
    }

    #[test]
    fn a_power_that_is_no_number_has_no_level() {
        assert!(decibels(f64::NAN).is_nan() && spectrum(&[f32::NAN; 4096], 48_000.0).iter().all(|point| point.1.is_nan()));
        assert_eq!(
            [0.0, -1.0, 1e-40, 1.0, f64::INFINITY].map(decibels),
            [SILENCE_DB, SILENCE_DB, SILENCE_DB, 0.0, f32::INFINITY]
        );
    }

    #[test]
    fn the_powers_add_up_to_the_mean_square_at_any_length() {
        for frames in [1, 2, 7, 100, 8191] {
            let x: Vec<f64> = (0..frames).map(|i| ((i * 7919) % 1000) as f64 / 500.0 - 1.0).collect();
            let mean = x.iter().map(|x| x * x).sum::<f64>() / frames as f64;
            assert!((bin_powers(&x).iter().sum::<f64>() - mean).abs() < 1e-12);
        }
    }

    #[test]
    fn the_fast_logarithm_is_the_logarithm() {
        for i in -4000..4000 {
            let x = (f64::from(i) * 0.01).exp() as f32;
            let expected = f64::from(x).ln();
            assert!((f64::from(natural_log(x)) - expected).abs() <= 2e-7 * (1.0 + expected.abs()), "{x}: {}", natural_log(x));
        }
        assert_eq!(natural_log(1.0), 0.0);
    }
}
