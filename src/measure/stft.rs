//! The distance of two sounds' spectra over time (STFT: short-time Fourier transform).

use multiversion::multiversion;
use realfft::num_complex::Complex;

use super::measures::{Comparison, Measure, MeasureFn, Preference, Unit};
use super::spectrum::natural_log;
use super::transform::Transform;

/// Frames of a transform, from one transform to the next, and of the Hann window in its middle (Yamamoto et al., ICASSP 2020, who
/// made them for 24 kHz; the defaults of auraloss).
const RESOLUTIONS: [(usize, usize, usize); 3] = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)];
/// Factor between the sizes of both rows: that of 48 and 24 kHz.
const SCALE_48K: usize = 2;
/// Smallest power of a bin, so that the logarithm is finite.
const MIN_POWER: f32 = 1e-8;

/// Multi-resolution STFT distance, 0 for equal sounds: at each of three resolutions the spectral convergence plus the mean
/// difference of the magnitudes' natural logarithms, and the mean of the three. The sizes are those for 24 kHz. Only transforms
/// that lie wholly within the sounds count, and only resolutions whose transforms do; NaN for sounds shorter than all of them.
/// [control thread: allocates]
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn multi_resolution_stft(reference: &[f32], test: &[f32]) -> f64 {
    scaled_distance(reference, test, 1)
}

/// The same with sizes that are `scale` times as large.
fn scaled_distance(reference: &[f32], test: &[f32], scale: usize) -> f64 {
    assert_eq!(reference.len(), test.len(), "lengths");
    let sizes = RESOLUTIONS.map(|(frames, hop, window)| (frames * scale, hop * scale, window * scale));
    let fitting: Vec<f64> = sizes
        .into_iter()
        .filter(|(frames, ..)| *frames <= reference.len())
        .map(|sizes| distance(reference, test, sizes))
        .collect();
    if fitting.is_empty() { f64::NAN } else { fitting.iter().sum::<f64>() / fitting.len() as f64 }
}

/// Mean of the channels' distances.
fn mean_distance(comparison: &Comparison<'_>, scale: usize) -> f64 {
    let channels = comparison.channels();
    let count = channels.len() as f64;
    channels.map(|(reference, test)| scaled_distance(reference, test, scale)).sum::<f64>() / count
}

/// The distance at one resolution; its transforms are not longer than the sounds.
fn distance(reference: &[f32], test: &[f32], (frames, hop, window): (usize, usize, usize)) -> f64 {
    let hann = |i: usize| 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / window as f32).cos();
    let mut left = Transform::new(frames, (0..window).map(hann).collect());
    let mut right = Transform::new(frames, (0..window).map(hann).collect());
    let (mut sums, mut count) = ([0.0; 3], 0usize);
    for start in (0..=reference.len() - frames).step_by(hop) {
        left.run(reference, start as isize);
        right.run(test, start as isize);
        sums.iter_mut().zip(frame_sums(&left.bins, &right.bins)).for_each(|(sum, x)| *sum += f64::from(x));
        count += left.bins.len();
    }
    let [error, energy, logarithms] = sums;
    (if error == 0.0 { 0.0 } else { (error / energy).sqrt() }) + logarithms / count as f64
}

/// Sums over the bins of a frame: squared differences of the magnitudes, squares of the left magnitudes, and absolute differences
/// of the magnitudes' natural logarithms.
#[multiversion(targets("x86_64+avx2"))]
fn frame_sums(left: &[Complex<f32>], right: &[Complex<f32>]) -> [f32; 3] {
    /// Bins side by side.
    const LANES: usize = 16;
    let mut sums = [[0.0f32; LANES]; 3];
    let mut add = |lane: usize, left: &Complex<f32>, right: &Complex<f32>| {
        let (a, b) = (left.norm_sqr().max(MIN_POWER), right.norm_sqr().max(MIN_POWER));
        let difference = a.sqrt() - b.sqrt();
        sums[0][lane] += difference * difference;
        sums[1][lane] += a;
        // Half the logarithm of a ratio of powers is the difference of the magnitudes' logarithms.
        sums[2][lane] += 0.5 * natural_log(a / b).abs();
    };
    let (left, right) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    left.remainder().iter().zip(right.remainder()).for_each(|(left, right)| add(0, left, right));
    for (left, right) in left.zip(right) {
        for lane in 0..LANES {
            add(lane, &left[lane], &right[lane]);
        }
    }
    sums.map(|lanes| lanes.iter().sum())
}

/// Distance of the spectra with sizes for 24 kHz: mean of [`multi_resolution_stft`] over the channels.
pub static MR_STFT: Measure = Measure {
    id: "mr_stft",
    name: "Multi-resolution STFT distance",
    heading: "MR-STFT",
    unit: Unit::Number,
    definition: "Spectral convergence plus the mean difference of the magnitudes' natural logarithms, the mean of transforms of \
                 512, 1024 and 2048 frames (Yamamoto et al., ICASSP 2020, for 24 kHz), the mean of the channels. Transforms \
                 that are longer than the sound do not count; there is no figure if none fits.",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| mean_distance(comparison, 1)),
};

/// Distance of the spectra with sizes for 48 kHz.
pub static MR_STFT_48K: Measure = Measure {
    id: "mr_stft_48k",
    name: "Multi-resolution STFT distance, sizes for 48 kHz",
    heading: "MR-STFT 48k",
    unit: Unit::Number,
    definition: "The multi-resolution STFT distance with transforms, steps and windows that are twice as long (1024, 2048 and \
                 4096 frames), which at 48 kHz have the durations that the original ones have at 24 kHz.",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| mean_distance(comparison, SCALE_48K)),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_a_sound_from_half_its_level_and_from_itself_are_as_the_formula_says() {
        let mut random = crate::audio::Random::new(1);
        let sound: Vec<f32> = (0..9000).map(|_| random.within(-0.5, 0.5)).collect();
        let half: Vec<f32> = sound.iter().map(|x| 0.5 * x).collect();
        for scale in [1, SCALE_48K] {
            let found = scaled_distance(&sound, &half, scale);
            assert!((found - 0.5 - 2f64.ln()).abs() < 1e-4, "{found}");
            assert_eq!(scaled_distance(&sound, &sound, scale), 0.0);
            // Of short sounds the resolutions count that fit.
            let short = scaled_distance(&sound[..1500], &half[..1500], scale);
            assert!((short - 0.5 - 2f64.ln()).abs() < 1e-4, "{short}");
            assert!(scaled_distance(&sound[..500], &half[..500], scale).is_nan());
        }
        assert_eq!(multi_resolution_stft(&sound, &half), scaled_distance(&sound, &half, 1));
        assert_eq!(multi_resolution_stft(&[0.0; 6000], &[0.0; 6000]), 0.0);
    }

    #[test]
    fn the_sizes_for_48_khz_hear_at_48_khz_what_the_others_hear_at_24_khz() {
        // Each frame twice: the spectrum below 12 kHz is the same, but for the hold, which both sounds have.
        let mut random = crate::audio::Random::new(3);
        let sound: Vec<f32> = (0..24_000).map(|_| random.within(-0.5, 0.5)).collect();
        let half: Vec<f32> = sound.iter().map(|x| 0.5 * x).collect();
        let twice = |sound: &[f32]| sound.iter().flat_map(|x| [*x; 2]).collect::<Vec<f32>>();
        let (slow, fast) = (scaled_distance(&sound, &half, 1), scaled_distance(&twice(&sound), &twice(&half), 2));
        assert!((slow - fast).abs() < 0.02, "{slow}, {fast}");
    }
}
